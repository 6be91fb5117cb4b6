"""DM and DS as patients and subjects: arms, states, and which record gave the date of enrolment."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from fhir_trial.domain.dispositions import END_EVENTS
from fhir_trial.domain.study import StudyDefinition
from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.layouts import DM, DS
from fhir_trial.sources.sdtm.rows import Reading, Record, records, unique

NO_ARM = {
    "SCRNFAIL": "screen-failure",
    "SCREEN FAILURE": "screen-failure",
    "NOTASSGN": "not-assigned",
    "NOT ASSIGNED": "not-assigned",
    "NOTTRT": "not-treated",
    "NOT TREATED": "not-treated",
    "ASSIGNED, NOT TREATED": "not-treated",
    "UNPLAN": "unplanned",
    "UNPLANNED TREATMENT": "unplanned",
}
"""What stands in an arm's place where there is none, as code, name or reason (ARMNRS)."""

ENROLMENT_EVENTS = ("ENROLLED", "RANDOMIZED")
"""DS events that date the enrolment, the first that a subject has; DM's RFSTDTC and RFICDTC come after them."""

_PATIENT = ("sex", "birth_date", "death_date")
_SUBJECT = (
    *("site", "country", "age", "age_unit", "race", "ethnicity", "consented_on", "randomized_on"),
    *("first_dose_on", "last_dose_on", "ended_on"),
)


def demographics(raw: RawDomain, reading: Reading) -> list[Record]:
    """DM's rows, one a subject; from here on the reading knows the subjects."""
    studies = sorted({study for study in raw.column("STUDYID") if study is not None})
    if len(studies) > 1:
        reading.report(
            "several-studies", raw, field="STUDYID", found=", ".join(studies), expected="one study", severity="warning",
            effect=f"all rows are read as those of {reading.study}",
        )  # fmt: skip
    rows = unique(records(raw, DM, reading), ("subject",), raw, DM, reading)
    reading.subjects = {record["subject"] for record in rows}
    return rows


def report_other_studies(raw: Mapping[str, RawDomain], reading: Reading) -> None:
    """A finding for each domain with rows of a study that DM does not name: its subjects may be the same people."""
    known = {study for study in raw["dm"].column("STUDYID") if study is not None}
    for domain in raw.values():
        rows = [n for n, study in zip(domain.rows, domain.column("STUDYID"), strict=True) if study is not None and study not in known]
        if known and rows:
            found = ", ".join(sorted(set(domain.column("STUDYID")) - known - {None}))  # type: ignore[arg-type]
            effect = f"{len(rows)} rows are read as those of {reading.study}"
            expected = f"the study of DM ({', '.join(sorted(known))})"
            reading.report("other-study", domain, rows[0], "STUDYID", found=found, expected=expected, severity="warning", effect=effect)


def dispositions(raw: RawDomain | None, reading: Reading) -> dict[str, list[Record]]:
    """DS's rows by subject."""
    by_subject: dict[str, list[Record]] = defaultdict(list)
    if raw is not None:
        for record in unique(records(raw, DS, reading), ("subject", "sequence"), raw, DS, reading):
            by_subject[record["subject"]].append(record)
    return by_subject


def patients(rows: Iterable[Record], reading: Reading) -> list[dict[str, Any]]:
    """Rows of the patient table; `dead` only where a death has no date."""
    return [
        {"study": reading.study, "subject": r["subject"], **{name: r[name] for name in _PATIENT}}
        | {"dead": True if r["dead"] and r["death_date"] is None else None}
        for r in rows
    ]


def subjects(
    raw: RawDomain, rows: Iterable[Record], events: Mapping[str, list[Record]], study: StudyDefinition, reading: Reading
) -> list[dict[str, Any]]:
    """Rows of the subject table, without contacts."""
    arms = _Arms(study, raw, reading)
    people = [_subject(record, events.get(record["subject"], []), arms, reading) for record in rows]
    arms.report()
    return people


def _subject(record: Record, events: list[Record], arms: "_Arms", reading: Reading) -> dict[str, Any]:
    planned, no_arm = arms.resolve(record, "arm_planned")
    actual, _ = arms.resolve(record, "arm_actual")
    record["consented_on"] = record["consented_on"] or _date_of(events, "INFORMED CONSENT OBTAINED")
    record["randomized_on"] = _date_of(events, "RANDOMIZED")
    record["ended_on"] = record["ended_on"] or next((e["on"] for e in events if _ends_participation(e, events)), None)
    failed = no_arm == "screen-failure" or any(event["event"].upper() == "SCREEN FAILURE" for event in events)
    enrolled_on, source = (None, None) if failed else _enrolment(record, events, planned)
    return {
        "study": reading.study,
        "subject": record["subject"],
        "arm_planned": planned,
        "arm_actual": actual,
        "enrolled_on": enrolled_on,
        "enrolled_source": source,
        "state": "screen-failure" if failed else _state(record, events, enrolled_on),
        **{name: record[name] for name in _SUBJECT},
        "dispositions": [{name: e[name] for name in ("sequence", "event", "term", "category", "scope", "on")} for e in events],
    }


def _date_of(events: list[Record], name: str) -> str | None:
    return min((e["on"] for e in events if e["event"].upper() == name and e["on"] is not None), default=None)


def _enrolment(record: Record, events: list[Record], planned: str | None) -> tuple[str | None, str | None]:
    """The date of enrolment and the record that gave it; a subject without an arm and such an event was not enrolled."""
    for name in ENROLMENT_EVENTS:
        if (on := _date_of(events, name)) is not None:
            return on, name
    if planned is not None:
        for source, field in (("RFSTDTC", "reference_start"), ("RFICDTC", "consented_on")):
            if record[field] is not None:
                return record[field], source
    return None, None


def _ends_participation(event: Record, events: list[Record]) -> bool:
    """Whether a disposition event ends participation: by its scope where the subject's events have one, else by its category."""
    name: str = event["event"].upper()
    if any(e["scope"] for e in events):
        return bool(event["scope"]) and event["scope"].upper() == "STUDY PARTICIPATION"
    if event["category"]:
        return str(event["category"]).upper() == "DISPOSITION EVENT" and name != "SCREEN FAILURE"
    return name in END_EVENTS


def _state(record: Record, events: list[Record], enrolled_on: str | None) -> str:
    ends = [event for event in events if _ends_participation(event, events)]
    if ends:
        return "withdrawn" if any(event["event"].upper().startswith("WITHDRAWAL BY") for event in ends) else "completed"
    if any((event["scope"] or "").upper() == "STUDY TREATMENT" for event in events):
        return "follow-up"
    if record["first_dose_on"] is not None:
        return "on-treatment"
    return "enrolled" if enrolled_on is not None else "screening"


class _Arms:
    """The study's arms by code and by name."""

    def __init__(self, study: StudyDefinition, raw: RawDomain, reading: Reading) -> None:
        self._known = {key.upper(): arm.name for arm in study.arms for key in (arm.name, arm.code) if key is not None}
        self._expected = ", ".join(f"{arm.code} ({arm.name})" if arm.code else arm.name for arm in study.arms)
        self._raw, self._reading = raw, reading
        self._unknown: dict[str, list[tuple[int, str]]] = {}

    def resolve(self, record: Record, field: str) -> tuple[str | None, str | None]:
        """The arm's name, or what stands in its place; an arm that the study lacks is kept as recorded, with a finding."""
        code, name = record[f"{field}_code"], record[field]
        for text in (code, name, record["no_arm_reason"] if code is None and name is None else None):
            if text is not None and text.upper() in self._known:
                return self._known[text.upper()], None
            if text is not None and text.upper() in NO_ARM:
                return None, NO_ARM[text.upper()]
        found = name or code
        if found is not None:
            variable = DM.column(field if name is not None else f"{field}_code").variable
            self._unknown.setdefault(found, []).append((record["row"], variable))
        return found, None

    def report(self) -> None:
        """One warning of each arm that the study lacks, at the first subject who has it."""
        for found, places in self._unknown.items():
            row, variable = places[0]
            count = len({row for row, _ in places})
            effect = "kept as recorded" if count == 1 else f"kept as recorded, of {count} subjects"
            self._reading.report(
                "unknown-code",
                self._raw,
                row,
                variable,
                found=found,
                expected=f"one of {self._expected}",
                severity="warning",
                effect=effect,
            )
