"""Files checked as they are read: a resource or Bundle in `.json`, a resource a line in `.ndjson`."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from fhir_trial.errors import Finding, InputError, UsageError
from fhir_trial.fhir import json
from fhir_trial.fhir.ndjson import numbered_lines
from fhir_trial.fhir.versions import DEFAULT
from fhir_trial.validate.findings import as_finding, problems_of
from fhir_trial.validate.lines import line_of

SUFFIXES = (".json", ".ndjson")


def validate_files(paths: Iterable[Path], fhir: str = DEFAULT) -> Iterator[Finding]:
    """The findings of files and of all `.json` and `.ndjson` files in folders, file by file.

    `place` is `file Type/id`, `row` the line in the file, from 1.
    """
    for path in paths:
        for file in _files(path):
            yield from _file(file, fhir)


def _files(path: Path) -> list[Path]:
    """The file itself, or the FHIR files of a folder; `UsageError` when there are none."""
    if not path.exists():
        raise UsageError(f"{path}: no such file")
    found = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file()) if path.is_dir() else [path]
    if not found:
        raise UsageError(f"{path}: no file ends in {' or '.join(SUFFIXES)}")
    return found


def _file(path: Path, fhir: str) -> Iterator[Finding]:
    """The findings of one file."""
    if path.suffix == ".ndjson":
        with path.open("rb") as lines:
            for number, line in numbered_lines(lines):
                yield from _document(line, str(path), number, fhir)
    elif path.suffix == ".json":
        yield from _document(path.read_bytes(), str(path), 1, fhir)
    else:
        raise UsageError(f"{path}: a FHIR file ends in {' or '.join(SUFFIXES)}")


def _document(data: bytes, place: str, first_line: int, fhir: str) -> Iterator[Finding]:
    """The findings of one JSON document that begins on `first_line`."""
    try:
        resource: Any = json.decode(data, place)
    except InputError as error:
        yield from (replace(finding, row=first_line) for finding in error.findings)
        return
    for found in problems_of(resource, fhir):
        finding = as_finding(found, resource)
        yield replace(finding, place=f"{place} {finding.place}", row=first_line + line_of(data, found.json_path))
