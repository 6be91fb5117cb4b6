"""Everything that can go wrong, in one tree, and the findings that are collected instead of raised.

FhirTrialError
├── UsageError            the call cannot be understood                      exit 2
│   └── NoSuchName        nothing is of that name (a KeyError too)
├── ConfigurationError    a setting, credential or extra is missing          exit 3
│   └── MissingExtra      an optional dependency is not installed
├── InputError            data or rules that cannot be used, with findings   exit 1
├── ServerError           the server answered, and not with what was asked   exit 1
├── Unreachable           the server could not be reached in time            exit 4
└── PartlyDone            stopped on the way; what is done is recorded       exit 5

Messages carry no subject data: a value that was found stands in `Finding.found`, which only `Finding.describe` prints.
"""

import importlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Literal

Severity = Literal["error", "warning", "information"]


class FhirTrialError(Exception):
    """Any failure this package names."""

    exit_code = 1


class UsageError(FhirTrialError):
    """The call cannot be understood."""

    exit_code = 2


class NoSuchName(UsageError, KeyError):
    """Nothing is of the name asked for; the message says what there is, the nearest first where one is near.

    >>> str(NoSuchName("endpoint", "PFX", ["OS", "PFS"])), str(NoSuchName("endpoint", "XX", []))
    ('there is no endpoint PFX: did you mean PFS? There are OS, PFS', 'there is no endpoint XX: there are none')
    """

    def __init__(self, what: str, name: object, known: Iterable[str]) -> None:
        """Say what kind of thing was asked for, by which name, and which names there are."""
        names = list(known)
        near = get_close_matches(str(name).upper(), {known.upper(): known for known in names}, n=1)
        meant = next((known for known in names if near and known.upper() == near[0]), None)
        told = f"there are {', '.join(names) or 'none'}"
        super().__init__(f"there is no {what} {name}: {f'did you mean {meant}? T{told[1:]}' if meant else told}")

    def __str__(self) -> str:
        """The message; a KeyError's own text would be its repr."""
        return str(self.args[0])


class ConfigurationError(FhirTrialError):
    """A setting or a credential is missing or wrong."""

    exit_code = 3


class MissingExtra(ConfigurationError):
    """An optional dependency is not installed."""


class ServerError(FhirTrialError):
    """The server answered, and not with what was asked."""


class Unreachable(FhirTrialError):
    """The server could not be reached in time; the work can be resumed."""

    exit_code = 4


class PartlyDone(FhirTrialError):
    """Stopped on the way; what is done is recorded and the work can be resumed."""

    exit_code = 5


def no_folder(path: Path, expected: str) -> UsageError:
    """The error for a path that is no folder: what is there, and what was expected."""
    return UsageError(f"{path} is no folder{' but a file' if path.is_file() else ''}, expected {expected}")


def no_file(path: Path, expected: str) -> UsageError:
    """The error for a path that is no file: what is there, and what was expected."""
    return UsageError(f"there is no file {path}{', which is a folder' if path.is_dir() else ''}, expected {expected}")


def of_database(place: str, what: str, error: sqlite3.Error) -> FhirTrialError:
    """The error that one of SQLite's means: a full disk is `PartlyDone` and can be mended, anything else is a `ConfigurationError`."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return PartlyDone(f"{place}: {what}: the disk is full or fails; run again to resume")
    return ConfigurationError(f"{place}: {what} ({type(error).__name__})")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing noticed in the input: where it stands, what was found, what was expected.

    >>> f = Finding("unknown-code", "tr.csv", row=3, field="TRGRPID", found="TARGTE", expected="TARGET, NON-TARGET, NEW")
    >>> f.describe()
    "tr.csv row 3, field TRGRPID: found 'TARGTE', expected TARGET, NON-TARGET, NEW"
    """

    code: str
    """What kind of finding, a stable name in kebab case."""
    place: str
    """A file, a table, a resource (`AdverseEvent/<id>`) or a rule."""
    row: int | None = None
    """1-based row of the file's data, its header not counted."""
    field: str | None = None
    found: str | None = dataclass_field(default=None, repr=False)
    expected: str | None = None
    severity: Severity = "error"
    effect: str | None = None
    """What follows for the result, in words."""

    def location(self) -> str:
        """The place, row and field in words, without any value."""
        row = f" row {self.row}" if self.row is not None else ""
        name = f", field {self.field}" if self.field else ""
        return f"{self.place}{row}{name}"

    def describe(self) -> str:
        """The whole finding in one line, the value found included: for the owner of the data only."""
        found = f"found {self.found!r}" if self.found is not None else self.code.replace("-", " ")
        expected = f", expected {self.expected}" if self.expected else ""
        effect = f"; {self.effect}" if self.effect else ""
        return f"{self.location()}: {found}{expected}{effect}"


def not_carried(place: str, counts: Mapping[str, int], effect: str) -> Iterator[Finding]:
    """An information for each path of a source, with how many values stand there that nothing takes; none for a count of 0.

    >>> [f.describe() for f in not_carried("a.json", {"b.c": 2, "d": 0}, "no place for it")]
    ["a.json, field b.c: found '2 values'; no place for it"]
    """
    for path, count in counts.items():
        if count:
            found = f"{count} values" if count > 1 else "1 value"
            yield Finding("not-carried", place, field=path, found=found, severity="information", effect=effect)


class Findings:
    """A growing list of findings, in the order they were met."""

    def __init__(self, items: Iterable[Finding] = ()) -> None:
        """Start with `items`."""
        self._items = list(items)

    def add(self, finding: Finding) -> None:
        """Collect one finding."""
        self._items.append(finding)

    def extend(self, findings: Iterable[Finding]) -> None:
        """Collect several findings."""
        self._items.extend(findings)

    def errors(self) -> list[Finding]:
        """Those of severity error."""
        return [f for f in self._items if f.severity == "error"]

    def counts(self) -> dict[str, int]:
        """How many findings of each code, most frequent first."""
        return dict(Counter(f.code for f in self._items).most_common())

    def raise_errors(self) -> None:
        """Raise `InputError` with all errors, if there are any."""
        if errors := self.errors():
            raise InputError(errors)

    def __iter__(self) -> Iterator[Finding]:
        """The findings, oldest first."""
        return iter(self._items)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._items)

    def __repr__(self) -> str:
        """Counts only: findings may hold subject data."""
        return f"Findings({self.counts()})"


class InputError(FhirTrialError):
    """Data or rules that cannot be used; `findings` says why, its text gives places and no values."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        """Keep all of `findings`; the message names the first few places."""
        self.findings = list(findings)
        shown = "; ".join(f"{f.location()}: {f.code.replace('-', ' ')}" for f in self.findings[:5])
        more = len(self.findings) - 5
        super().__init__(shown + (f"; and {more} more" if more > 0 else ""))


def require(module: str, extra: str) -> ModuleType:
    """Import an optional `module`, or say which extra of the package brings it.

    >>> require("no_such_module", "notebook")
    Traceback (most recent call last):
    ...
    fhir_trial.errors.MissingExtra: no_such_module is not installed: pip install "fhir_trial[notebook]"
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(f'{module} is not installed: pip install "fhir_trial[{extra}]"') from error
