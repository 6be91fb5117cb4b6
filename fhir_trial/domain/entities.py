"""The trial's facts, one frozen class an entity: the vocabulary of rules, views, tables and endpoints.

A field's name is the rule's name, the view's column and the endpoint's column. SDTM names occur in `sources` and the output writers only.
Text is trimmed and never empty; a fact that is not known is None; a repeat that is absent is `()`.
"""

from decimal import Decimal
from typing import NewType

from msgspec import Struct

When = NewType("When", str)
"""ISO 8601 date or dateTime as precise as recorded: `2023`, `2023-05`, `2023-05-04`, `2023-05-04T10:30`, with or without zone."""


class Entity(Struct, frozen=True, kw_only=True):
    """A row of an entity's table; `repr` shows no field, since rows are subject data."""

    def __repr__(self) -> str:
        """The class name alone."""
        return f"{type(self).__name__}(...)"


class Organization(Entity, frozen=True, kw_only=True):
    """A party of the study, such as its sponsor."""

    study: str
    organization: str
    name: str


class Arm(Entity, frozen=True, kw_only=True):
    """One arm of a study."""

    name: str
    type: str | None = None
    description: str | None = None


class OutcomeMeasure(Entity, frozen=True, kw_only=True):
    """What the study registered as an outcome: `level` is primary, secondary or other."""

    name: str
    level: str
    description: str | None = None
    time_frame: str | None = None


class Study(Entity, frozen=True, kw_only=True):
    """The study as its registry record has it; `status` is ClinicalTrials.gov's word."""

    study: str
    title: str
    official_title: str | None = None
    status: str
    phase: str | None = None
    purpose: str | None = None
    condition: str | None = None
    description: str | None = None
    eligibility: str | None = None
    sponsor: str | None = None
    started_on: When | None = None
    ended_on: When | None = None
    data_cutoff: When | None = None
    """The day after which this snapshot of the data sees nothing."""
    arms: tuple[Arm, ...] = ()
    outcomes: tuple[OutcomeMeasure, ...] = ()


class Medication(Entity, frozen=True, kw_only=True):
    """A drug the study gives; `medication` is its name in the dose records."""

    study: str
    medication: str
    name: str
    form: str | None = None


class Patient(Entity, frozen=True, kw_only=True):
    """The person behind a subject, pseudonymous; `dead` is for a death without any date."""

    study: str
    subject: str
    sex: str | None = None
    birth_date: When | None = None
    death_date: When | None = None
    dead: bool | None = None


class Disposition(Entity, frozen=True, kw_only=True):
    """One milestone or disposition event of a subject (`event` as coded, `term` as reported)."""

    sequence: int
    event: str
    term: str | None = None
    category: str | None = None
    scope: str | None = None
    on: When | None = None


class Contact(Entity, frozen=True, kw_only=True):
    """A date on which a subject was known alive, by the kind of record (SDTM domain) that shows it."""

    source: str
    on: When


class Subject(Entity, frozen=True, kw_only=True):
    """A person's participation in the study.

    `state`: screening, screen-failure, enrolled, on-treatment, follow-up, completed, withdrawn.
    `enrolled_source` says which record gave `enrolled_on` (ENROLLED, RANDOMIZED, RFSTDTC, RFICDTC).
    """

    study: str
    subject: str
    state: str
    site: str | None = None
    country: str | None = None
    arm_planned: str | None = None
    arm_actual: str | None = None
    age: Decimal | None = None
    age_unit: str | None = None
    race: str | None = None
    ethnicity: str | None = None
    consented_on: When | None = None
    enrolled_on: When | None = None
    enrolled_source: str | None = None
    randomized_on: When | None = None
    first_dose_on: When | None = None
    last_dose_on: When | None = None
    ended_on: When | None = None
    dispositions: tuple[Disposition, ...] = ()
    contacts: tuple[Contact, ...] = ()


class Dose(Entity, frozen=True, kw_only=True):
    """One exposure record: an infusion, or a period of repeated doses (`frequency`)."""

    study: str
    subject: str
    sequence: int
    medication: str
    status: str = "completed"
    """completed, stopped (interrupted and not resumed) or not-done."""
    reason: str | None = None
    dose: Decimal | None = None
    unit: str | None = None
    form: str | None = None
    frequency: str | None = None
    route: str | None = None
    planned_per_m2: Decimal | None = None
    bsa_used: Decimal | None = None
    adjustment: str | None = None
    cycle: int | None = None
    visit: str | None = None
    visit_number: Decimal | None = None
    start: When | None = None
    end: When | None = None


class Therapy(Entity, frozen=True, kw_only=True):
    """A treatment outside the study: prior, concomitant or subsequent (`category`)."""

    study: str
    subject: str
    sequence: int
    name: str
    category: str | None = None
    indication: str | None = None
    start: When | None = None
    end: When | None = None


class Lesion(Entity, frozen=True, kw_only=True):
    """A tumour lesion as one evaluator identified it.

    `role`: target, non-target, new. `relation` and `origin`: a fragment is `split` from, a coalesced lesion `merged` into, lesion `origin`.
    """

    study: str
    subject: str
    lesion: str
    evaluator: str
    evaluator_id: str | None = None
    role: str
    organ: str | None = None
    nodal: bool | None = None
    method: str | None = None
    relation: str | None = None
    origin: str | None = None
    accepted: bool | None = None
    visit: str | None = None
    visit_number: Decimal | None = None
    on: When | None = None
    sequence: int | None = None


class Measurement(Entity, frozen=True, kw_only=True):
    """What one evaluator found of one lesion at one visit: diameters in mm, or a state.

    `state`: absent, present, too-small-to-measure, unequivocal-progression, not-evaluable, merged (into `merged_with`), equivocal,
    unequivocal (of a new lesion), not-done (`reason`). `ordinal` is 1 but for a repeated key.
    """

    study: str
    subject: str
    lesion: str
    evaluator: str
    evaluator_id: str | None = None
    visit: str | None = None
    ordinal: int = 1
    visit_number: Decimal | None = None
    on: When | None = None
    role: str
    longest_mm: Decimal | None = None
    short_axis_mm: Decimal | None = None
    state: str | None = None
    merged_with: str | None = None
    reason: str | None = None
    method: str | None = None
    accepted: bool | None = None
    longest_sequence: int | None = None
    short_axis_sequence: int | None = None
    state_sequence: int | None = None


class SumOfDiameters(Entity, frozen=True, kw_only=True):
    """A reported sum of target lesion diameters, in mm."""

    study: str
    subject: str
    evaluator: str
    evaluator_id: str | None = None
    visit: str | None = None
    ordinal: int = 1
    visit_number: Decimal | None = None
    on: When | None = None
    sum_mm: Decimal
    accepted: bool | None = None
    sequence: int | None = None


class Response(Entity, frozen=True, kw_only=True):
    """A reported tumour response at a visit.

    `test`: overall, target, non-target, new-lesion, marker. `value`: CR, PR, SD, PD, NE, NON-CR/NON-PD, NON-PD, NED; for marker NORMAL,
    NOT NORMAL; for new-lesion as reported. A visit not done has no value and `not_done` True.
    """

    study: str
    subject: str
    test: str
    evaluator: str
    evaluator_id: str | None = None
    visit: str | None = None
    ordinal: int = 1
    visit_number: Decimal | None = None
    on: When | None = None
    value: str | None = None
    not_done: bool | None = None
    reason: str | None = None
    accepted: bool | None = None
    sequence: int | None = None


class PerformanceStatus(Entity, frozen=True, kw_only=True):
    """ECOG performance status, 0 to 5."""

    study: str
    subject: str
    sequence: int
    score: int
    visit: str | None = None
    visit_number: Decimal | None = None
    on: When | None = None


class BodyMeasure(Entity, frozen=True, kw_only=True):
    """Body surface area, weight or height (`test`: bsa, weight, height), `unit` in UCUM."""

    study: str
    subject: str
    sequence: int
    test: str
    value: Decimal
    unit: str
    visit: str | None = None
    visit_number: Decimal | None = None
    on: When | None = None


class SeriousnessCriterion(Entity, frozen=True, kw_only=True):
    """One regulatory criterion: death, life-threatening, hospitalization, disability, congenital-anomaly, other."""

    criterion: str
    present: bool


class AdverseEvent(Entity, frozen=True, kw_only=True):
    """One reported adverse event; `severity` is never turned into a `grade`, nor the reverse."""

    study: str
    subject: str
    sequence: int
    sponsor_id: str | None = None
    term: str
    preferred_term: str | None = None
    organ_class: str | None = None
    grade: int | None = None
    grade_version: str | None = None
    severity: str | None = None
    serious: bool | None = None
    criteria: tuple[SeriousnessCriterion, ...] = ()
    related: str | None = None
    action: str | None = None
    outcome: str | None = None
    start: When | None = None
    end: When | None = None
    reported_on: When | None = None


class Measure(Entity, frozen=True, kw_only=True):
    """What an endpoint measures; `url` is its canonical name."""

    study: str
    endpoint: str
    url: str
    title: str
    description: str | None = None


class Member(Entity, frozen=True, kw_only=True):
    """A subject counted in a result."""

    study: str
    subject: str


class Population(Entity, frozen=True, kw_only=True):
    """The subjects behind one result: its manifest."""

    study: str
    endpoint: str
    arm: str | None = None
    name: str
    members: tuple[Member, ...] = ()


class Figure(Entity, frozen=True, kw_only=True):
    """One estimate of a result; a `value` or limit that is None was not reached. `at` is the time of a rate, `level` the interval's."""

    name: str
    value: Decimal | None = None
    unit: str
    lower: Decimal | None = None
    upper: Decimal | None = None
    level: Decimal | None = None
    method: str | None = None
    at: Decimal | None = None
    at_unit: str | None = None
    at_risk: int | None = None


class Result(Entity, frozen=True, kw_only=True):
    """What an endpoint gave, in one arm or (None) all of them: `n` subjects, `count` with the event, under the conventions of `preset`."""

    study: str
    endpoint: str
    arm: str | None = None
    measure: str
    title: str
    preset: str
    departures: str | None = None
    data_from: When
    data_until: When
    n: int
    count: int
    figures: tuple[Figure, ...] = ()


class Provenance(Entity, frozen=True, kw_only=True):
    """How a result came about: from which input (`digest`, sha256), by which software, and when it was first recorded."""

    study: str
    endpoint: str
    arm: str | None = None
    software: str
    digest: str
    recorded: When


ENTITIES: dict[str, type[Entity]] = {
    "organization": Organization,
    "study": Study,
    "medication": Medication,
    "patient": Patient,
    "subject": Subject,
    "dose": Dose,
    "therapy": Therapy,
    "lesion": Lesion,
    "measurement": Measurement,
    "sum_of_diameters": SumOfDiameters,
    "response": Response,
    "performance_status": PerformanceStatus,
    "body_measure": BodyMeasure,
    "adverse_event": AdverseEvent,
    "measure": Measure,
    "population": Population,
    "result": Result,
    "provenance": Provenance,
}
"""The trial's entities by name, in an order in which each refers to earlier ones only."""

RESULT_ENTITIES = frozenset({"measure", "population", "result", "provenance"})
"""The entities that an analysis writes: no part of the data that an analysis reads."""
