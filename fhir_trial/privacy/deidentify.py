"""De-identified trial data: subjects under pseudonyms, their dates moved, free text taken out, ages over 89 made one.

After the HIPAA Privacy Rule's list of identifiers (45 CFR 164.514(b)(2)), with one departure that its experts' method allows: dates are
not cut to the year but moved, each subject's by a number of days of its own, so that every duration stays what it was. What a table has no
place for is not carried: the rows are made anew from named fields, never copied.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from fhir_trial.domain.dates import first_day
from fhir_trial.domain.entities import ENTITIES, RESULT_ENTITIES, Enrollment, Entity, Patient, Study, Subject, When
from fhir_trial.domain.tables import TrialData, to_table
from fhir_trial.errors import Finding, Findings, UsageError
from fhir_trial.privacy.dates import moved
from fhir_trial.privacy.pseudonyms import Pseudonyms
from fhir_trial.privacy.screening import TextRules, is_telling, text_rules

OLDEST = 89
"""The greatest age in years that is shown; above it all are one (164.514(b)(2)(i)(C))."""
WITHHELD = "withheld"
MOST_DAYS = 365
_YEARS = ("YEARS", "YEAR", "A")


@dataclass
class Report:
    """What was done, by entity, field and deed, as counts; it holds no subject data."""

    key: str
    most_days: int
    kept_text: tuple[str, ...] = ()
    deeds: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    not_carried: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The report as it is written beside the data."""
        fields: dict[str, dict[str, int]] = {}
        for (entity, name, deed), count in sorted(self.deeds.items()):
            fields.setdefault(f"{entity}.{name}", {})[deed] = count
        method = {"key": self.key, "dates moved back by at most, days": self.most_days, "oldest age shown": OLDEST}
        return {"method": method, "free text kept on request": list(self.kept_text), "fields": fields, "not carried": self.not_carried}


@dataclass(frozen=True)
class _Person:
    """One subject: what its rows are called, by how much its dates move, whether its age is one of the highest."""

    subject: str
    days: int
    aged: bool


def deidentify(
    data: TrialData, pseudonyms: Pseudonyms, most_days: int = MOST_DAYS, keep_text: Iterable[str] = ()
) -> tuple[TrialData, Report]:
    """The data without what identifies subjects, and the report of what was done.

    `keep_text` names free-text fields (`adverse_event.term`) that the user has read and lets through. UsageError for one that there is not.
    """
    kept = _kept(keep_text)
    report = Report(pseudonyms.fingerprint, most_days, tuple(sorted(f"{entity}.{name}" for entity, name in kept)))
    worker = _Worker(data, pseudonyms, most_days, kept, report)
    tables = {}
    for entity, table in data.tables.items():
        if entity in RESULT_ENTITIES or entity == "site":
            report.not_carried[entity] = table.num_rows
            continue
        rows = [worker.row(row) for row in data.rows(entity)]
        tables[entity] = to_table(rows, ENTITIES[entity])
    findings = Findings(_effects(data))
    return TrialData(data.study, tables, data.synthetic, findings), report


def _effects(data: TrialData) -> list[Finding]:
    """What the reader of the new data must know."""
    if data.data_cutoff is None:
        return []
    effect = "it is another day for every subject once dates have moved: analyses of the new data see no cutoff"
    return [Finding("cutoff-not-carried", "study", field="data_cutoff", severity="warning", effect=effect)]


def _kept(names: Iterable[str]) -> frozenset[tuple[str, str]]:
    """The free-text fields that are let through, by class and field."""
    found = set()
    for text in names:
        entity, _, name = text.partition(".")
        if entity not in ENTITIES or _kinds(ENTITIES[entity]).get(name) != "text":
            raise UsageError(f"--keep {text}: expected ENTITY.FIELD of a text field, such as adverse_event.term")
        found.add((ENTITIES[entity].__name__, name))
    return frozenset(found)


@cache
def _kinds(entity: type[Entity]) -> Mapping[str, str]:
    """What each field of an entity holds: text, when, rows or other."""
    return {name: _kind(hint) for name, hint in get_type_hints(entity).items()}


def _kind(hint: Any) -> str:
    choices = [each for each in get_args(hint) if each is not type(None)] or [hint]
    if get_origin(hint) is tuple:
        return "rows"
    return "when" if When in choices else "text" if str in choices else "other"


_OF_SOURCE = {"sites": (), "data_cutoff": None, "datasets": (), "qualifiers": (), "source_columns": ()}
"""What the study's row has from the data and not from its registry record: places, a date, and the source's own files and text."""


class _Worker:
    """Makes the rows of one trial anew."""

    def __init__(self, data: TrialData, pseudonyms: Pseudonyms, most_days: int, kept: frozenset[tuple[str, str]], report: Report) -> None:
        self.pseudonyms, self.most_days, self.kept, self.report = pseudonyms, most_days, kept, report
        self.aged = _aged(data)

    def row(self, row: Entity) -> Entity:
        """One row: a subject's with every field looked at, the study's own as it is but for people and places."""
        if (subject := getattr(row, "subject", None)) is not None:
            days = self.pseudonyms.days(subject, self.most_days)
            return self._of_person(row, _Person(subject, days, subject in self.aged))
        if isinstance(row, Enrollment):
            return msgspec.structs.replace(row, subjects=tuple(map(self.row, row.subjects)))
        return msgspec.structs.replace(row, **_OF_SOURCE) if isinstance(row, Study) else row

    def _of_person(self, row: Entity, person: _Person) -> Entity:
        rules = text_rules().get(type(row).__name__, TextRules())
        values: dict[str, Any] = {}
        for name, kind in _kinds(type(row)).items():
            value = getattr(row, name)
            if name == "source_columns":  # the source's own text and dates: nobody has thought about each
                values[name] = ()
                if value:
                    self._did(row, name, "withheld")
            elif kind == "rows":
                values[name] = tuple(self._of_person(each, person) for each in value)
            elif kind == "when" and value is not None:
                values[name] = self._date(row, name, value, person)
            elif kind == "text" and value is not None and name != "study":
                values[name] = self._text(row, name, rules, person)
            else:
                values[name] = self._age(row, name, value, person)
        return type(row)(**values)

    def _did(self, row: Entity, name: str, deed: str) -> None:
        self.report.deeds[type(row).__name__, name, deed] += 1

    def _date(self, row: Entity, name: str, value: When, person: _Person) -> When | None:
        """A date moved; of a birth the year alone, and nothing of one long ago."""
        try:
            there = moved(value, -person.days)
        except OverflowError:
            self._did(row, name, "withheld")
            return None
        if isinstance(row, Patient) and name == "birth_date":
            self._did(row, name, "withheld" if person.aged else "moved, the year kept")
            return None if person.aged else When(there[:4])
        self._did(row, name, "moved")
        return there

    def _text(self, row: Entity, name: str, rules: TextRules, person: _Person) -> str | None:
        """A text kept, under a pseudonym, replaced by the coded field beside it, or withheld."""
        value: str = getattr(row, name)
        if name in rules.pseudonym:
            self._did(row, name, "pseudonym")
            return self.pseudonyms.of(name, value)
        if (type(row).__name__, name) in self.kept:
            self._did(row, name, "kept on request")
            return value
        if name in rules.keep:
            if not is_telling(value, person.subject):
                return value
            self._did(row, name, "telling, under a pseudonym")
            return f"{WITHHELD} {self.pseudonyms.of('text', value)}"
        coded = getattr(row, rules.instead[name]) if name in rules.instead else None
        self._did(row, name, "replaced by the coded text" if coded else "withheld")
        if coded and not is_telling(coded, person.subject):
            return str(coded)
        return WITHHELD if name in rules.instead else None

    def _age(self, row: Entity, name: str, value: Any, person: _Person) -> Any:
        if isinstance(row, Subject) and name == "age" and value is not None and person.aged:
            self._did(row, name, f"over {OLDEST}")
            return Decimal(OLDEST + 1)
        return value


def _aged(data: TrialData) -> frozenset[str]:
    """The subjects over the greatest age shown: by their stated age, or by their birth and their last date."""
    born = {row.subject: row.birth_date for row in data.rows("patient") if row.birth_date is not None}
    stated = {row.subject for row in data.rows("subject") if _years(row) > OLDEST}
    last = {row.subject: max(_dates(row), default=None) for row in data.rows("subject")}
    by_birth = {subject for subject, when in born.items() if (day := last.get(subject)) and int(day[:4]) - first_day(when).year > OLDEST}
    return frozenset(stated | by_birth)


def _years(row: Subject) -> Decimal:
    """The stated age where it is in years."""
    return row.age if row.age is not None and (row.age_unit or "YEARS").upper() in _YEARS else Decimal(0)


def _dates(row: Subject) -> list[str]:
    """Every date of a subject's participation."""
    found = [value for name, kind in _kinds(Subject).items() if kind == "when" and (value := getattr(row, name))]
    of_records = [each.on for each in row.dispositions] + [each.on for each in row.contacts]
    return found + [when for when in of_records if when]
