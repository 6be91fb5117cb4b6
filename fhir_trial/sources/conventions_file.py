"""Conventions by name, from a file, or as a study has them."""

from collections.abc import Mapping
from pathlib import Path

from fhir_trial.domain.study import StudyDefinition
from fhir_trial.endpoints.conventions import Conventions, for_study
from fhir_trial.errors import UsageError
from fhir_trial.sources.study_file import parse_yaml

ENDINGS = (".json", ".yaml", ".yml")
"""What the name of a file of conventions ends in; no preset's does."""


Named = str | Path | Mapping[str, object] | Conventions
"""What conventions may be given as: a preset's name, a file, what a file would hold, or the object itself."""


def chosen_conventions(study: StudyDefinition, name: Named | None = None, settings: Mapping[str, object] | None = None) -> Conventions:
    """The conventions of `name` (None: the study's own), with `settings` laid over them.

    A file is an object of names and values, in YAML or JSON: `preset` (else protocol) and what departs from it. `UsageError` where there is
    no such preset, file or parameter, or a value that it cannot have.

    >>> from fhir_trial.sources.study_file import load_study
    >>> chosen_conventions(load_study("NCT05189483"), "ema", {"confirm_days": "21"}).describe()
    'ema, except confirm_days=21'
    >>> chosen_conventions(load_study("NCT05189483"), {"preset": "ema", "confirm_days": 21}).describe()
    'ema, except confirm_days=21'
    """
    if name is None:
        return for_study(study, None, settings)
    if isinstance(name, Conventions | Mapping):
        given = name if isinstance(name, Conventions) else Conventions.from_dict(name)
        return given.with_settings(settings or {})
    path = Path(name)
    if path.suffix.lower() not in ENDINGS and not path.is_file():
        return for_study(study, str(name), settings)
    if not path.is_file():
        raise UsageError(f"there is no file of conventions {path}{', which is a folder' if path.is_dir() else ''}")
    document = parse_yaml(path)
    try:
        given = Conventions.from_dict(document)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return given.with_settings(settings or {})
