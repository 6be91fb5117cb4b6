"""Files checked as they are read: a resource or Bundle in `.json`, a resource a line in `.ndjson`."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from fhir_trial.errors import Finding, InputError, UsageError
from fhir_trial.fhir import json
from fhir_trial.fhir.files import DOCUMENTS, LINES, fhir_files, suffix
from fhir_trial.fhir.ndjson import is_lines, numbered_lines, opened
from fhir_trial.fhir.versions import DEFAULT
from fhir_trial.validate.findings import as_finding, problems_of
from fhir_trial.validate.lines import line_of

SUFFIXES = (".json", ".ndjson")


def validate_files(paths: Iterable[Path], fhir: str = DEFAULT) -> Iterator[Finding]:
    """The findings of files and of all FHIR files in folders and the folders in them (gzip too), file by file.

    `place` is `file Type/id`, `row` the line in the file, from 1.
    """
    for path in paths:
        for file in _files(path):
            yield from _file(file, fhir)


def _files(path: Path) -> list[Path]:
    """The file itself, or the FHIR files of a folder; `UsageError` when there are none."""
    if not path.exists():
        raise UsageError(f"{path}: no such file")
    found = [file for folder in _folders(path) for file in fhir_files(folder) if not file.is_dir()] if path.is_dir() else [path]
    if not found:
        raise UsageError(f"{path}: no file ends in {' or '.join(SUFFIXES)}")
    return found


def _folders(path: Path) -> Iterator[Path]:
    """The folder and those in it that are not hidden; what a link leads to is not entered, so that no link leads in a circle."""
    yield path
    for inner in sorted(path.iterdir()):
        if inner.is_dir() and not inner.is_symlink() and not inner.name.startswith("."):
            yield from _folders(inner)


def _file(path: Path, fhir: str) -> Iterator[Finding]:
    """The findings of one file; one that breaks off has those of what stood before, and one that says so."""
    if suffix(path) not in LINES + DOCUMENTS:
        raise UsageError(f"{path}: a FHIR file ends in {' or '.join(SUFFIXES)}")
    try:
        with opened(path) as stream:
            yield from _content(stream, path, fhir)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        yield Finding("unreadable", str(path), expected="a whole gzip file")
    except OSError as error:
        yield Finding("unreadable", str(path), found=error.strerror, expected="a file that can be read to its end")


def _content(stream: IO[bytes], path: Path, fhir: str) -> Iterator[Finding]:
    data = b"" if suffix(path) in LINES else stream.read()
    if suffix(path) in DOCUMENTS and not is_lines(data):
        yield from _document(data, str(path), 1, fhir)
    else:
        for number, line in numbered_lines(stream if suffix(path) in LINES else data.split(b"\n")):
            yield from _document(line, str(path), number, fhir)


def _sketch(data: bytes) -> str:
    """What is no JSON, as far as that names nobody: how long it is and how it begins.

    >>> _sketch(b"dm,1"), _sketch(b""), _sketch(b"<html>")
    ("4 bytes from 'd' on", 'nothing', "6 bytes from '<' on")
    """
    return f"{len(data):,} bytes from {data[:1].decode('ascii', 'replace')!r} on" if data else "nothing"


def _document(data: bytes, place: str, first_line: int, fhir: str) -> Iterator[Finding]:
    """The findings of one JSON document that begins on `first_line`."""
    try:
        resource: Any = json.decode(data, place)
    except InputError as error:
        yield from (replace(finding, row=first_line, found=_sketch(data)) for finding in error.findings)
        return
    yield from (replace(finding, row=first_line) for finding in json.ambiguities(data, resource, place))
    for found in problems_of(resource, fhir):
        finding = as_finding(found, resource)
        yield replace(finding, place=f"{place} {finding.place}", row=first_line + line_of(data, found.json_path))
