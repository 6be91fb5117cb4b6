"""A registry record or a protocol in a standard format as a study definition; nothing is invented, what has no place is listed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

from fhir_trial.domain.study import StudyDefinition
from fhir_trial.errors import Finding, Findings, InputError, no_file, not_carried
from fhir_trial.fhir.json import decode, is_document, repeated_keys
from fhir_trial.sources import ctgov, prs, usdm
from fhir_trial.sources.odm import read_odm
from fhir_trial.sources.safe_xml import read_tree
from fhir_trial.sources.taking import Taking

REQUIRED = ("id", "title", "status", "sponsor", "arms", "drugs", "outcomes", "endpoints")
"""What a definition must have; lists may be empty."""


@dataclass
class Imported:
    """What was imported: a definition's members as its YAML has them, and what was noticed on the way."""

    members: dict[str, Any] = field(repr=False)
    findings: Findings

    @property
    def is_whole(self) -> bool:
        """Whether the definition can be used as it is."""
        return not any(finding.code == "missing-fact" for finding in self.findings)

    def yaml(self) -> str:
        """The study file's text."""
        return yaml.safe_dump(self.members, allow_unicode=True, sort_keys=False, width=130)

    def study(self) -> StudyDefinition:
        """The definition; `InputError` where a required fact is missing."""
        self.findings.raise_errors()
        return msgspec.convert(self.members, StudyDefinition, strict=False)


FORMATS = "a ClinicalTrials.gov v2 record (protocolSection), a study in USDM v4 (study.versions), PRS XML or ODM-XML"


def import_study(path: Path) -> Imported:
    """The study of a file: ClinicalTrials.gov v2 or USDM v4 JSON, PRS XML or ODM-XML 1.3.

    Raises `UsageError` where there is no such file, and `InputError` for a file of any other kind.
    """
    if not path.is_file():
        raise no_file(path, FORMATS)
    data = path.read_bytes()
    if data[:8].lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n").startswith(b"<"):  # in UTF-8 or UTF-16
        return _of_xml(path)
    if not is_document(data):
        found = "neither XML nor JSON" if data.strip() else "nothing"
        raise InputError([Finding("unknown-format", path.name, found=found, expected=FORMATS)])
    findings = Findings()
    document = decode(data, path.name)
    findings.extend(repeated_keys(data, path.name))
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    for kind in KINDS:
        if kind.is_kind(document):
            return _imported(Taking(path.name, _single(document, path.name), findings), kind)
    raise InputError([Finding("unknown-format", path.name, found="JSON of another kind", expected=FORMATS)])


@dataclass(frozen=True)
class Kind:
    """A kind of JSON document: how one is told, what makes a definition of it, and how what is left is listed."""

    is_kind: Callable[[Any], bool]
    definition: Callable[[Taking], dict[str, Any]]
    syntax: frozenset[str] = frozenset()
    steps: int = 9


KINDS = (Kind(ctgov.is_record, ctgov.definition), Kind(usdm.is_study, usdm.definition, usdm.SYNTAX, 4))
"""The kinds of JSON that are known."""


def _single(document: dict[str, Any], place: str) -> dict[str, Any]:
    """The document, or the one record of an API's answer."""
    if "studies" not in document:
        return document
    studies = document["studies"]
    if not isinstance(studies, list) or len(studies) != 1 or not isinstance(studies[0], dict):
        found = f"{len(studies)} records" if isinstance(studies, list) else type(studies).__name__
        raise InputError([Finding("several-studies", place, field="studies", found=found, expected="one record")])
    return studies[0]


def _of_xml(path: Path) -> Imported:
    root = read_tree(path)
    if prs.is_prs(root):
        findings = Findings()
        members = prs.definition(root, path.name, findings)
    else:
        file = read_odm(path, root)
        findings, members = file.findings, file.study()
    members = without_blanks(members)
    _report_missing(members, path.name, findings)
    return Imported(members, findings)


def _report_missing(members: dict[str, Any], place: str, findings: Findings) -> None:
    for name in ("id", "title", "status", "sponsor"):
        if name not in members:
            findings.add(Finding("missing-fact", place, field=name, expected="a value: the source does not state it"))


def _imported(taking: Taking, kind: Kind) -> Imported:
    members = without_blanks(kind.definition(taking))
    _report_missing(members, taking.place, taking.findings)
    left = taking.left(kind.syntax, kind.steps)
    taking.findings.extend(not_carried(taking.place, left, "the study definition has no place for it"))
    return Imported(members, taking.findings)


def without_blanks(members: dict[str, Any]) -> dict[str, Any]:
    """Members that state something, and the lists that a definition must have even where they are empty."""
    kept = {name: _filled(value) for name, value in members.items()}
    return {name: value for name, value in kept.items() if value not in (None, {}, []) or (name in REQUIRED and value == [])}


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: filled for name, member in value.items() if (filled := _filled(member)) not in (None, {}, [])}
    if isinstance(value, list | tuple):
        return [_filled(item) for item in value]
    return value
