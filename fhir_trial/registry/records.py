"""Records of either form: read, written as the other, and compared field by field."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from fhir_trial.errors import Finding, Findings, InputError, UsageError, no_file
from fhir_trial.fhir.json import decode, is_document
from fhir_trial.registry.ctgov_json import read_json, write_json
from fhir_trial.registry.posted import PostedRecord
from fhir_trial.registry.prs_reading import read_prs
from fhir_trial.registry.prs_writing import write_prs

FORMS = ("prs-xml", "ctgov-json")

_KEYS: tuple[tuple[str, ...], ...] = (
    ("id",),
    ("groupId",),
    ("title",),
    ("type", "title"),
    ("term",),
    ("organSystem", "term"),
    ("measure",),
    ("label",),
    ("type", "name"),
    ("type",),
    ("units",),
    ("name",),
    ("facility", "city", "country"),
    ("pmid",),
    ("typeAbbrev", "date"),
)
"""Members by which the items of two lists are paired, where they are texts that stand once in each list; else by their place."""


@dataclass(frozen=True)
class Change:
    """A value that stands in one record only, or differs."""

    path: str
    before: Any
    after: Any

    def describe(self) -> str:
        """The change in one line.

        >>> Change("a.b", "1", None).describe()
        "a.b: '1' -> nothing"
        """
        before, after = ("nothing" if value is None else repr(value) for value in (self.before, self.after))
        return f"{self.path}: {before} -> {after}"


RECORD = "a record: ClinicalTrials.gov v2 JSON, or PRS XML"


def is_xml(data: bytes) -> bool:
    """Whether a file looks like XML, in UTF-8 or UTF-16."""
    return data[:16].lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n").startswith(b"<")


def bytes_of(path: Path) -> bytes:
    """A file's bytes; `UsageError` where there is no such file, `InputError` where it is neither XML nor JSON."""
    if not path.is_file():
        raise no_file(path, RECORD)
    data = path.read_bytes()
    if not is_xml(data) and not is_document(data):
        raise InputError([Finding("no-record", path.name, found="neither XML nor JSON" if data.strip() else "nothing", expected=RECORD)])
    return data


def read_record(data: bytes, place: str, findings: Findings) -> PostedRecord:
    """The record of a file in either form."""
    return read_prs(data, place, findings) if is_xml(data) else read_json(data, place, findings)


def write_record(record: PostedRecord, form: str, place: str, findings: Findings) -> bytes:
    """The record in a form of `FORMS`."""
    if form not in FORMS:
        raise UsageError(f"{form} is no form of a record: {', '.join(FORMS)}")
    return write_prs(record, place, findings) if form == "prs-xml" else write_json(record)


def difference(first: bytes, second: bytes, places: tuple[str, str], findings: Findings) -> list[Change]:
    """What differs: in every member where both are the registry's JSON, else in what the model of results has."""
    if is_xml(first) or is_xml(second):
        documents = [
            decode(write_json(read_record(data, place, findings)), place) for data, place in zip((first, second), places, strict=True)
        ]
    else:
        for data, place in zip((first, second), places, strict=True):
            read_json(data, place, Findings())  # refuses what is no record
        documents = [_single(decode(data, place)) for data, place in zip((first, second), places, strict=True)]
    return list(_changes(documents[0], documents[1], ""))


def _single(document: Any) -> Any:
    studies = document if isinstance(document, list) else document.get("studies")
    return studies[0] if isinstance(studies, list) else document


def _changes(first: Any, second: Any, path: str) -> Iterator[Change]:
    if isinstance(first, list) != isinstance(second, list):  # some stored copies unbox a list of one
        first, second = (value if isinstance(value, list) or value is None else [value] for value in (first, second))
    if isinstance(first, dict | None) and isinstance(second, dict | None) and (first or second):
        first, second = first or {}, second or {}
        for name in dict.fromkeys((*first, *second)):
            yield from _changes(first.get(name), second.get(name), f"{path}.{name}" if path else name)
    elif isinstance(first, list | None) and isinstance(second, list | None) and (first or second):
        for name, one, other in _paired(first or [], second or []):
            yield from _changes(one, other, f"{path}[{name}]")
    elif first != second:
        yield Change(path, first, second)


def _paired(first: list[Any], second: list[Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in _KEYS:
        if (ones := _by_key(first, key)) is not None and (others := _by_key(second, key)) is not None:
            for name in dict.fromkeys((*ones, *others)):
                yield name, ones.get(name), others.get(name)
            return
    for number, (one, other) in enumerate(zip_longest(first, second)):
        yield str(number), one, other


def _by_key(items: list[Any], key: tuple[str, ...]) -> dict[str, Any] | None:
    """The items by their key; None where one has none, or two have the same."""
    made: dict[str, Any] = {}
    for item in items:
        parts = [str(item[member]) for member in key if isinstance(item.get(member), str)] if isinstance(item, dict) else []
        if len(parts) < len(key):
            return None
        made["; ".join(parts)] = item
    return made if len(made) == len(items) else None
