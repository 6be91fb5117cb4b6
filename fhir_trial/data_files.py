"""Where the data files that travel with the package stand: beside it in a checkout, inside it in an installed wheel."""

from pathlib import Path

from fhir_trial.errors import ConfigurationError

_PACKAGE = Path(__file__).resolve().parent


def data_dir(name: str) -> Path:
    """The folder `name` (mappings, studies, notebooks); `ConfigurationError` if the installation lacks it.

    The wheel's copy goes first: beside an installed package there may be a stranger's folder of the same name.

    >>> data_dir("studies").name
    'studies'
    """
    for folder in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise ConfigurationError(f"the folder {name} is missing from this installation of fhir_trial")
