"""What others wrote, as rows of the trial: by the reading rules, each resource a row or a finding that names it.

The keys of such rows: the study is the one that is read; a subject has the identifier of its ResearchSubject, else the Patient's logical
id (a Patient's own identifiers are medical record numbers, and are not taken); a number that the domain asks for and FHIR does not
know is made of the resource's place, so that it stays the same whatever else is read with it.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

import msgspec

from fhir_trial.domain.arrow_types import is_held, rounded
from fhir_trial.domain.entities import Entity, Medication, Subject
from fhir_trial.errors import Finding, Findings
from fhir_trial.fhir.versions import DEFAULT
from fhir_trial.mapping.errors import BadValue
from fhir_trial.mapping.keys import BASE, join_key
from fhir_trial.mapping.mapping import RuleMapping, load
from fhir_trial.mapping.people import People
from fhir_trial.mapping.plain import local, place_of, plain, references
from fhir_trial.mapping.reading import Reading, load_readings
from fhir_trial.mapping.writer import Json, Problems


class ForeignRow(NamedTuple):
    """A row and where it was read from."""

    row: Any
    place: str
    """`Type/id`; a part of a resource has the resource's place with a number after it."""
    version: str | None = None


Rows = dict[str, list[ForeignRow]]
"""The rows by entity."""

RETRACTED = frozenset({"entered-in-error", "cancelled", "nullified"})
HELD = frozenset({"preliminary", "registered", "draft", "proposed", "partial"})
"""Statuses of what is not yet, or no longer, a fact."""


def is_ours(resource: Json) -> bool:
    """Whether the resource carries a business identifier of ours."""
    return our_identifier(resource) is not None


def our_identifier(resource: Json) -> Json | None:
    """The business identifier of ours that the resource carries."""
    found = resource.get("identifier")
    listed = found if isinstance(found, list) else [found]
    return next((i for i in listed if isinstance(i, dict) and str(i.get("system")).startswith(f"{BASE}sid/")), None)


@cache
def _readings(fhir: str) -> list[Reading]:
    return load_readings(load(fhir))


def read_foreign(resources: Iterable[Json], study: str, findings: Findings, fhir: str = DEFAULT) -> Rows:
    """The rows of `study` in resources that others wrote, by entity; what was not read, and why, goes to `findings`."""
    return _Reader(plain(resources), study, findings).rows(load(fhir), _readings(fhir))


_fields = msgspec.structs.fields


def _is_held(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_is_held(getattr(item, field.name)) for item in value for field in _fields(item))
    return not isinstance(value, Decimal) or is_held(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(msgspec.structs.replace(item, **{f.name: _rounded(getattr(item, f.name)) for f in _fields(item)}) for item in value)
    return rounded(value) if isinstance(value, Decimal) and not is_held(value) else value


class _Reader:
    """One reading: the resources by place, who their subjects are, and the keys found so far."""

    def __init__(self, apart: dict[str, Json], study: str, findings: Findings) -> None:
        self.resources, self.study, self.findings = apart, study, findings
        self.people = People(apart, study)
        self.known: dict[str, str] = {}
        self.spellings = _spellings(apart)
        self.spelled: dict[str, list[str]] = {}
        for text, place in self.spellings.items():
            self.spelled.setdefault(place, []).append(text)
        self.unread: Counter[str] = Counter()
        self.first: dict[str, str] = {}
        self.first_of: dict[tuple[str, str], Entity] = {}
        self.same: dict[str, list[str]] = {}

    def rows(self, mapping: RuleMapping, readings: list[Reading]) -> Rows:
        """The rows of every entity, those referred to before those that refer."""
        left = dict(self._usable())
        self._know_absent_patients()
        found: Rows = {}
        for reading in readings:
            for place in [p for p, resource in left.items() if reading.accepts(resource)]:
                row = self._row(reading, place, left.pop(place))
                if row is not None and self._is_new(mapping, reading, row, place):
                    found.setdefault(reading.entity, []).append(ForeignRow(row, place, self._version(place)))
        for place, resource in left.items():
            self._left(place, resource)
        self._say_unread_elements()
        self._say_same_rows()
        _name_medications(found, self.study)
        self._make_candidates(found)
        return found

    def _make_candidates(self, found: Rows) -> None:
        """A subject for each patient of whom nothing says that they take part, as a candidate and with a finding."""
        known = {subject.row.subject for subject in found.get("subject", [])}
        for patient in found.get("patient", []):
            if patient.row.subject not in known:
                row = Subject(study=self.study, subject=patient.row.subject, state="candidate")
                found.setdefault("subject", []).append(ForeignRow(row, patient.place, patient.version))
                self._say("no-research-subject", patient.place, expected=f"a ResearchSubject of {self.study}", effect="read as a candidate")

    def _usable(self) -> Iterator[tuple[str, Json]]:
        """The resources that are facts of this study; the others are findings."""
        for place, resource in self.resources.items():
            status = _status(resource)
            if status is None and resource.get("status") is not None:
                self._say("not-final", place, field="status", expected="a status that is one code")
            elif status in RETRACTED or status in HELD:
                code = "retracted" if status in RETRACTED else "not-final"
                self._say(code, place, field="status", found=status, expected="a status of what is final and holds")
            elif (unknown := _modifiers(resource)) is not None:
                self._say("modifier", place, field="modifierExtension", found=unknown, expected="no extension that changes the meaning")
            elif (target := self.people.replaced.get(place)) is not None:
                self._say(
                    "replaced", place, field="link", found=target, expected="a Patient that no other replaces", effect="read as the other"
                )
            elif (other := self.people.of_another_study(place, resource)) is not None:
                self._say("other-study", place, found=other, expected=f"the study {self.study}")
            else:
                yield place, resource

    def _say(self, code: str, place: str, **rest: Any) -> None:
        self.findings.add(Finding(code, place, **({"severity": "warning", "effect": "not read"} | rest)))

    def _know_absent_patients(self) -> None:
        """References to patients that are not at hand still tell one subject from another."""
        absent = set()
        for spelled, place in self.spellings.items():
            kind, _, identity = (final := self.people.final(place)).partition("/")
            if kind == "Patient" and final not in self.resources:
                self.known[spelled] = join_key([self.study, identity])
                absent.add(final)
        for place in sorted(absent):
            self._say("patient-absent", place, expected="the Patient that others refer to", effect="its id is the subject")
        for place, (name, expected, effect) in self.people.doubtful.items():
            self._say("doubtful-subject", place, field="identifier", found=name, expected=expected, severity="error", effect=effect)

    def _row(self, reading: Reading, place: str, resource: Json) -> Entity | None:
        number = number_of(place)
        fixed: dict[str, Any] = {"study": self.study, "sequence": number, "ordinal": number}
        if reading.resource_type == "Patient":
            fixed["subject"] = self.people.subject(place)
        problems: Problems = []
        row: Entity | None = reading.read(resource, self.known, fixed, problems)
        effect = "not read" if row is None else "read without it"
        self.findings.extend(_finding(place, path, problem, effect) for path, problem in problems)
        for path in set(reading.passed_over(resource)):
            self.unread[path] += 1
            self.first.setdefault(path, place)
        return self._held(row, place) if row is not None else None

    def _held(self, row: Entity, place: str) -> Entity | None:
        """The row with its numbers as columns hold them; None where it cannot be without one that is too large.

        Programs write 0.1 + 0.2 with seventeen digits: such a number is rounded to the column's last place, and said.
        """
        lost = [field for field in _fields(row) if not _is_held(getattr(row, field.name))]
        if not lost:
            return row
        row = msgspec.structs.replace(row, **{field.name: _rounded(getattr(row, field.name)) for field in lost})
        too_large = [field for field in lost if not _is_held(getattr(row, field.name))]
        whole = any(field.default is not None for field in too_large)
        for field in lost:
            if field in too_large:
                expected, effect = "a number of at most 26 digits before the point", "not read" if whole else "read without it"
                self._say("number-not-held", place, field=field.name, expected=expected, effect=effect)
            else:
                effect = "rounded to the twelfth"
                self._say("number-rounded", place, field=field.name, expected="at most 12 digits after the point", effect=effect)
        return None if whole else msgspec.structs.replace(row, **{field.name: None for field in too_large})

    def _version(self, place: str) -> str | None:
        meta = self.resources[place].get("meta")
        version = meta.get("versionId") if isinstance(meta, dict) else None
        return version if isinstance(version, str) else None

    def _is_new(self, mapping: RuleMapping, reading: Reading, row: Entity, place: str) -> bool:
        """Whether no other row has the key; a second one that says something else is a finding."""
        key = mapping[reading.entity].key(row)
        for spelled in (place, *self.people.replacing(place)):
            self.known[spelled] = key
            self.known |= dict.fromkeys(self.spelled.get(spelled, ()), key)
        first = self.first_of.setdefault((reading.entity, key), row)
        if first is not row and (first != row or reading.entity == "patient"):
            self._say("repeated-key", place, found=key, expected=f"a {reading.entity} of its own")
        elif first is not row:
            self.same.setdefault(reading.entity, []).append(place)
        return first is row

    def _left(self, place: str, resource: Json) -> None:
        code = resource.get("code")
        said = code.get("text") if isinstance(code, dict) else None
        self._say("not-read", place, field=None, found=said, expected="a resource that a rule of the mapping reads")

    def _say_same_rows(self) -> None:
        for entity, places in self.same.items():
            found, effect = f"{len(places)} resources", "each says the same as another, and is read once"
            self._say("repeated-row", places[0], found=found, expected=f"a {entity} of its own", severity="information", effect=effect)

    def _say_unread_elements(self) -> None:
        for path, count in sorted(self.unread.items()):
            self.findings.add(
                Finding(
                    "element-not-read",
                    self.first[path],
                    field=path,
                    found=f"{count} resources",
                    severity="information",
                    effect="not carried",
                )
            )


def _modifiers(resource: Json) -> str | None:
    """The url of an extension that may turn the resource's meaning around, if there is one; HL7's status of an event is known."""
    listed = resource.get("modifierExtension")
    urls = [str(e.get("url")) for e in (listed if isinstance(listed, list) else ()) if isinstance(e, dict) and not _is_event_status(e)]
    return urls[0] if urls else None


def _is_event_status(extension: Json) -> bool:
    ours = str(extension.get("url")).endswith("ae-research-backport-ig/StructureDefinition/status")
    return ours and str(extension.get("valueCode")) not in RETRACTED


def _status(resource: Json) -> str | None:
    """The status of a resource, a condition's verification included."""
    status, verified = resource.get("status"), resource.get("verificationStatus")
    if isinstance(verified, dict):
        codings = verified.get("coding")
        codes = [c.get("code") for c in codings if isinstance(c, dict)] if isinstance(codings, list) else []
        if "entered-in-error" in codes or "refuted" in codes:
            return "entered-in-error"
    return status if isinstance(status, str) else None


def _spellings(apart: Mapping[str, Json]) -> dict[str, str]:
    """Every reference as it is spelled, to the place that it means."""
    by_id = {resource["id"]: place for place, resource in apart.items()}
    spelled = {text for resource in apart.values() for text in references(resource)}
    return {text: by_id.get(text.removeprefix("urn:uuid:"), text) if text.startswith("urn:") else local(text) for text in spelled}


def _finding(place: str, path: str, problem: BadValue, effect: str) -> Finding:
    found = None if problem.found is None else str(problem.found)
    return Finding("cannot-be-mapped", place, field=path or None, found=found, expected=problem.expected, effect=effect)


def _name_medications(found: Rows, study: str) -> None:
    """A medication for each drug that is named in a dose alone."""
    named = {medication.row.medication for medication in found.get("medication", [])}
    for dose in found.get("dose", []):
        name = dose.row.medication
        if name not in named:
            named.add(name)
            found.setdefault("medication", []).append(ForeignRow(Medication(study=study, medication=name, name=name), dose.place))


def number_of(place: str) -> int:
    """A number of eight digits at most that stands for a place.

    >>> number_of("Observation/f001") == number_of("Observation/f001") > 0
    True
    """
    return int(hashlib.sha256(place.encode()).hexdigest()[:12], 16) % 99_999_999 + 1


__all__ = ["is_ours", "number_of", "place_of", "read_foreign"]
