"""The trial's facts, one frozen class an entity: the vocabulary of rules, views, tables and endpoints.

A field's name is the rule's name, the view's column and the endpoint's column. SDTM names occur in `sources` and the output writers only.
Text is trimmed and never empty; a fact that is not known is None; a repeat that is absent is `()`.
"""

from decimal import Decimal

from fhir_trial.domain.base import Entity, SourceColumn, SourceDataset, SourceQualifier, When
from fhir_trial.domain.clinical_entities import Condition, ConditionSite, Consent, VitalSign
from fhir_trial.domain.event_entities import AdverseEvent, SeriousnessCriterion, Suspect
from fhir_trial.domain.laboratory import LaboratoryResult
from fhir_trial.domain.result_entities import Figure, Measure, Member, Population, Provenance, Result
from fhir_trial.domain.study_entities import (
    Arm,
    Criterion,
    Eligibility,
    Enrolled,
    Enrollment,
    Medication,
    Objective,
    Organization,
    OutcomeMeasure,
    Party,
    PlannedDose,
    Site,
    StatusPeriod,
    Study,
    StudyIdentifier,
    StudySite,
)

__all__ = [
    "ENTITIES",
    "RESULT_ENTITIES",
    "AdverseEvent",
    "Arm",
    "BodyMeasure",
    "Condition",
    "ConditionSite",
    "Consent",
    "Contact",
    "Criterion",
    "Disposition",
    "Dose",
    "Eligibility",
    "Enrolled",
    "Enrollment",
    "Entity",
    "Figure",
    "LaboratoryResult",
    "Lesion",
    "Measure",
    "Measurement",
    "MeasurementBasis",
    "Medication",
    "Member",
    "Objective",
    "Organization",
    "OutcomeMeasure",
    "Party",
    "Patient",
    "PerformanceStatus",
    "PlannedDose",
    "Population",
    "Provenance",
    "Response",
    "Result",
    "SeriousnessCriterion",
    "Site",
    "SourceColumn",
    "SourceDataset",
    "SourceQualifier",
    "StatusPeriod",
    "Study",
    "StudyIdentifier",
    "StudySite",
    "Subject",
    "SubjectState",
    "SumBasis",
    "SumOfDiameters",
    "Suspect",
    "Therapy",
    "VitalSign",
    "When",
]


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


class SubjectState(Entity, frozen=True, kw_only=True):
    """A state of a subject's participation, and from when to when."""

    state: str
    start: When | None = None
    end: When | None = None


class Subject(Entity, frozen=True, kw_only=True):
    """A person's participation in the study.

    `state`: screening, screen-failure, enrolled, on-treatment, follow-up, completed (off study, in whatever way), withdrawn; what others
    wrote may also say candidate, eligible, not-registered, on-study-observation, pending-on-study or potential-candidate.
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
    consent: str | None = None
    """The consent that the participation rests on."""
    states: tuple[SubjectState, ...] = ()
    dispositions: tuple[Disposition, ...] = ()
    contacts: tuple[Contact, ...] = ()
    source_columns: tuple[SourceColumn, ...] = ()


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
    """Why a dose was adjusted."""
    reduced: bool | None = None
    interrupted: bool | None = None
    """Whether an infusion was interrupted and resumed; one that was not resumed has the status stopped."""
    rate: Decimal | None = None
    rate_unit: str | None = None
    cycle: int | None = None
    day: int | None = None
    """The day of the cycle."""
    visit: str | None = None
    visit_number: Decimal | None = None
    start: When | None = None
    end: When | None = None
    source_columns: tuple[SourceColumn, ...] = ()


class Therapy(Entity, frozen=True, kw_only=True):
    """A treatment outside the study: prior, concomitant or subsequent (`category`)."""

    study: str
    subject: str
    sequence: int
    name: str
    preferred_term: str | None = None
    category: str | None = None
    indication: str | None = None
    dose: Decimal | None = None
    unit: str | None = None
    frequency: str | None = None
    route: str | None = None
    start: When | None = None
    end: When | None = None
    source_columns: tuple[SourceColumn, ...] = ()


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
    source_columns: tuple[SourceColumn, ...] = ()


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
    source_columns: tuple[SourceColumn, ...] = ()


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
    source_columns: tuple[SourceColumn, ...] = ()


class MeasurementBasis(Entity, frozen=True, kw_only=True):
    """A measurement of a lesion that a response rests on."""

    study: str
    subject: str
    lesion: str
    evaluator: str
    evaluator_id: str | None = None
    visit: str | None = None
    ordinal: int = 1


class SumBasis(Entity, frozen=True, kw_only=True):
    """A sum of diameters that a response rests on."""

    study: str
    subject: str
    evaluator: str
    evaluator_id: str | None = None
    visit: str | None = None
    ordinal: int = 1


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
    measurements: tuple[MeasurementBasis, ...] = ()
    sums: tuple[SumBasis, ...] = ()
    source_columns: tuple[SourceColumn, ...] = ()


class PerformanceStatus(Entity, frozen=True, kw_only=True):
    """ECOG performance status, 0 to 5."""

    study: str
    subject: str
    sequence: int
    score: int
    visit: str | None = None
    visit_number: Decimal | None = None
    on: When | None = None
    source_columns: tuple[SourceColumn, ...] = ()


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
    source_columns: tuple[SourceColumn, ...] = ()


ENTITIES: dict[str, type[Entity]] = {
    "organization": Organization,
    "site": Site,
    "patient": Patient,
    "eligibility": Eligibility,
    "enrollment": Enrollment,
    "study": Study,
    "medication": Medication,
    "consent": Consent,
    "condition": Condition,
    "subject": Subject,
    "dose": Dose,
    "therapy": Therapy,
    "lesion": Lesion,
    "measurement": Measurement,
    "sum_of_diameters": SumOfDiameters,
    "response": Response,
    "performance_status": PerformanceStatus,
    "body_measure": BodyMeasure,
    "vital_sign": VitalSign,
    "laboratory": LaboratoryResult,
    "adverse_event": AdverseEvent,
    "measure": Measure,
    "population": Population,
    "result": Result,
    "provenance": Provenance,
}
"""The trial's entities by name, in an order in which each refers to earlier ones only."""

RESULT_ENTITIES = frozenset({"measure", "population", "result", "provenance"})
"""The entities that an analysis writes: no part of the data that an analysis reads."""
