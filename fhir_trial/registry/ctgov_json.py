"""ClinicalTrials.gov's v2 JSON read into the model of posted results, and written from it."""

import re
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from fhir_trial.domain.registry_text import marked, plain
from fhir_trial.errors import Finding, Findings, InputError, not_carried
from fhir_trial.fhir.json import decode, leaf_paths, repeated_keys
from fhir_trial.registry.posted import Part, PostedRecord, PostedResults

_MARKED_UP = re.compile(r"(description|comment|details|notes)$", re.IGNORECASE)
_IDENTITY = {
    "nct_id": "nctId",
    "org_study_id": "orgStudyIdInfo.id",
    "organization": "organization.fullName",
    "brief_title": "briefTitle",
    "official_title": "officialTitle",
    "acronym": "acronym",
}
"""The members of a record's identification that the model has."""


def read_json(data: bytes, place: str, findings: Findings) -> PostedRecord:
    """The record of a file; values of the wrong type and what the model has no place for are findings.

    Raises `InputError` for what is no JSON, and no record.
    """
    document = decode(data, place)
    findings.extend(repeated_keys(data, place))
    studies = document.get("studies") if isinstance(document, dict) else document
    if isinstance(studies, list) and len(studies) == 1:
        document = studies[0]
    if not isinstance(document, dict) or not {"protocolSection", "resultsSection"} & set(document):
        raise InputError([Finding("unknown-format", place, expected="a ClinicalTrials.gov v2 record (protocolSection, resultsSection)")])
    reader = _Reader(place, findings)
    section = document.get("resultsSection")
    results = None if section is None else reader.part(section, PostedResults, "resultsSection")
    identity = {name: reader.identity(document, path) for name, path in _IDENTITY.items()}
    reader.report_left(document)
    return PostedRecord(**identity, results=results)


def write_json(record: PostedRecord) -> bytes:
    """The record as JSON of the registry's v2 form, indented."""
    identification: dict[str, Any] = {}
    for name, path in _IDENTITY.items():
        if (value := getattr(record, name)) is not None:
            *above, last = path.split(".")
            owner = identification
            for step in above:
                owner = owner.setdefault(step, {})
            owner[last] = value
    document: dict[str, Any] = {"protocolSection": {"identificationModule": identification}}
    if record.results is not None:
        document["resultsSection"] = _marked(msgspec.to_builtins(record.results))
    document["hasResults"] = record.results is not None
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


@cache
def _types(part: type[Part]) -> dict[str, tuple[str, Any]]:
    """JSON member to field and type of a class of the model."""
    hints = get_type_hints(part)
    return {field.encode_name: (field.name, hints[field.name]) for field in msgspec.structs.fields(part)}


@dataclass
class _Reader:
    """Reads JSON by the model's types; one thing where a list is expected is a list of one."""

    place: str
    findings: Findings

    def part(self, value: Any, part: type[Part], path: str) -> Any:
        if not isinstance(value, dict):
            self._wrong(value, path, "an object")
            return None
        fields: dict[str, Any] = {}
        left: Counter[str] = Counter()
        for member, found in value.items():
            if member in _types(part):
                name, annotation = _types(part)[member]
                read = self._value(found, annotation, f"{path}.{member}")
                if read is not None:
                    fields[name] = read
            else:
                left[f"{path}.{member}"] += sum(1 for _ in leaf_paths(found))
        self.findings.extend(not_carried(self.place, left, "the model of results has no place for it"))
        return part(**fields)

    def _value(self, value: Any, annotation: Any, path: str) -> Any:
        if value is None:
            return None
        if get_origin(annotation) is tuple:
            item = get_args(annotation)[0]
            values = [self._value(v, item, path) for v in (value if isinstance(value, list) else [value])]
            return tuple(v for v in values if v is not None)
        kind = next((a for a in get_args(annotation) if a is not type(None)), annotation)
        if issubclass(kind, Part):
            return self.part(value, kind, path)
        read = _scalar(value, kind, path)
        if read is None and value != "":
            self._wrong(value, path, {int: "a number", bool: "true or false"}.get(kind, "a text"))
        return read

    def identity(self, document: dict[str, Any], path: str) -> str | None:
        value: Any = document
        for step in ("protocolSection", "identificationModule", *path.split(".")):
            value = value.get(step) if isinstance(value, dict) else None
        if value is not None and not isinstance(value, str):
            self._wrong(value, f"protocolSection.identificationModule.{path}", "a text")
        return (plain(value) or "").strip() or None if isinstance(value, str) else None

    def report_left(self, document: dict[str, Any]) -> None:
        """List by module what is no result and no identity."""
        left: Counter[str] = Counter()
        known = {f"protocolSection.identificationModule.{path}" for path in _IDENTITY.values()}
        for section, value in document.items():
            if section not in ("resultsSection", "hasResults"):
                paths = (f"{section}.{path}" if path else section for path in leaf_paths(value))
                left.update(".".join(path.split(".")[:2]) for path in paths if path not in known)
        self.findings.extend(not_carried(self.place, left, "no part of results: not converted"))

    def _wrong(self, value: Any, path: str, expected: str) -> None:
        found = value if isinstance(value, str) else type(value).__name__
        self.findings.add(Finding("wrong-type", self.place, None, path, found, expected, effect="not used"))


def _scalar(value: Any, kind: type, path: str) -> Any:
    """A text, whole number or truth value; figures may stand as texts and as numbers. None for anything else."""
    if kind is bool:
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    text = str(value).strip()
    if kind is int:
        return int(text) if re.fullmatch(r"\d{1,12}", text) else None
    return (plain(text) if _MARKED_UP.search(path) else text) or None


def _marked(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {member: _marked(inner, member) for member, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(item, name) for item in value]
    return marked(value) if isinstance(value, str) and _MARKED_UP.search(name) else value
