"""Which subject a hospital's record number stands for: one CSV file, kept apart from all data and readable by its owner only."""

import csv
import os
import stat
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from fhir_trial.errors import ConfigurationError, Finding, InputError

COLUMNS = ("record", "subject")


class SubjectMap:
    """Record numbers and the trial's subjects, one to one; neither is shown by `repr`."""

    def __init__(self, subjects: Mapping[str, str]) -> None:
        """By record number."""
        self._subjects = dict(subjects)
        self._records = {subject: record for record, subject in self._subjects.items()}

    def subject(self, record: str) -> str | None:
        """The subject of a record number."""
        return self._subjects.get(record)

    def record(self, subject: str) -> str | None:
        """The record number of a subject."""
        return self._records.get(subject)

    def __len__(self) -> int:
        """How many people it names."""
        return len(self._subjects)

    def __repr__(self) -> str:
        """The number of people alone."""
        return f"SubjectMap({len(self)} people)"


def read_subject_map(path: Path) -> SubjectMap:
    """The map in a file; `ConfigurationError` where others may read it, `InputError` with every line that is no pair."""
    try:
        mode = path.stat().st_mode
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigurationError(f"{path}: others may read it (mode {stat.S_IMODE(mode):04o}), expected 0600: chmod 600 {path}")
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, restkey="more"))
    except (OSError, UnicodeError, csv.Error) as error:
        raise ConfigurationError(f"{path}: cannot be read ({type(error).__name__})") from None
    pairs = [((row.get("record") or "").strip(), (row.get("subject") or "").strip()) for row in rows]
    findings = [
        Finding("map-line", str(path), row=number, expected="one record number and one subject, under the header record,subject")
        for number, (row, pair) in enumerate(zip(rows, pairs, strict=True), 1)
        if not all(pair) or "more" in row
    ]
    for position, name in enumerate(COLUMNS):
        often = {value for value, count in Counter(pair[position] for pair in pairs if all(pair)).items() if count > 1}
        expected = f"every {name} once"
        findings += [
            Finding("map-twice", str(path), row=n, field=name, expected=expected) for n, p in enumerate(pairs, 1) if p[position] in often
        ]
    if findings:
        raise InputError(findings)
    return SubjectMap(dict(pairs))


def write_subject_map(subjects: Mapping[str, str], path: Path) -> None:
    """Write the map, readable by its owner only from its first byte."""
    try:
        part = path.with_name(path.name + ".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([COLUMNS, *sorted(subjects.items())])
        part.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written ({type(error).__name__})") from None
