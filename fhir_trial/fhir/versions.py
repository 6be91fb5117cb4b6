"""The FHIR versions this package speaks; the only place that knows them by name."""

from dataclasses import dataclass
from importlib.resources import files

from fhir_trial.errors import UsageError

DEFAULT = "r4"


@dataclass(frozen=True, slots=True)
class Version:
    """One FHIR version."""

    name: str
    """The word used in calls and commands: `r4`."""
    number: str
    """HL7's number: `4.0.1`."""

    @property
    def mime_type(self) -> str:
        """What a request or response body of this version is labelled.

        >>> version("r5").mime_type
        'application/fhir+json; fhirVersion=5.0'
        """
        return f"application/fhir+json; fhirVersion={self.number.rpartition('.')[0]}"

    def definitions(self) -> bytes:
        """HL7's definitions of this version, trimmed and compressed, as `fhir_trial.fhir.generate` wrote them."""
        return files("fhir_trial.fhir").joinpath("definitions", f"{self.name}.json.gz").read_bytes()


VERSIONS: dict[str, Version] = {v.name: v for v in (Version("r4", "4.0.1"), Version("r5", "5.0.0"))}


def version(name: str) -> Version:
    """The version called `name`.

    >>> version("r4").number
    '4.0.1'
    >>> version("r3")
    Traceback (most recent call last):
    ...
    fhir_trial.errors.UsageError: FHIR version 'r3' is not known: r4, r5
    """
    if name not in VERSIONS:
        raise UsageError(f"FHIR version {name!r} is not known: {', '.join(VERSIONS)}")
    return VERSIONS[name]
