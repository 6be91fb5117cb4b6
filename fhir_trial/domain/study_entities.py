"""What is known of the study itself: its registry facts, arms, parties, sites, and the groups of people it means."""

from decimal import Decimal

from fhir_trial.domain.base import Entity, SourceColumn, SourceDataset, SourceQualifier, When


class Organization(Entity, frozen=True, kw_only=True):
    """A party of the study, such as its sponsor."""

    study: str
    organization: str
    name: str


class Site(Entity, frozen=True, kw_only=True):
    """A place where the study is done; `site` is its number in the data."""

    study: str
    site: str
    name: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None
    status: str | None = None
    """Whether it recruits, in its registry's word."""


class PlannedDose(Entity, frozen=True, kw_only=True):
    """How an arm is to get a drug: `dose` in `unit` on `day` of a cycle of `cycle_days`, over `minutes`, `until` an event."""

    medication: str
    dose: Decimal
    unit: str
    route: str | None = None
    cycle_days: int | None = None
    day: int | None = None
    minutes: int | None = None
    frequency: str | None = None
    until: str | None = None


class Arm(Entity, frozen=True, kw_only=True):
    """One arm of a study, and what it is to get."""

    name: str
    type: str | None = None
    description: str | None = None
    exposures: tuple[PlannedDose, ...] = ()


class Objective(Entity, frozen=True, kw_only=True):
    """What the study wants to find out: `level` is primary, secondary or other."""

    name: str
    level: str
    description: str | None = None


class OutcomeMeasure(Entity, frozen=True, kw_only=True):
    """What the study registered as an outcome: `level` is primary, secondary or other."""

    name: str
    level: str
    description: str | None = None
    time_frame: str | None = None


class StatusPeriod(Entity, frozen=True, kw_only=True):
    """A status that the study had, in its registry's word, and from when to when."""

    status: str
    start: When | None = None
    end: When | None = None


class StudyIdentifier(Entity, frozen=True, kw_only=True):
    """A number that the study has somewhere: of which `kind` (the record's word), by whom; `registry` where HL7 has a system for it."""

    value: str
    kind: str | None = None
    issuer: str | None = None
    registry: str | None = None


class Party(Entity, frozen=True, kw_only=True):
    """Who has a part in the study beside its sponsor, such as a collaborator or the principal investigator."""

    role: str
    name: str
    affiliation: str | None = None


class StudySite(Entity, frozen=True, kw_only=True):
    """One of the study's sites."""

    study: str
    site: str


class Study(Entity, frozen=True, kw_only=True):
    """The study as its registry record has it; `status` is ClinicalTrials.gov's word.

    `eligible` and `enrolled` name the groups that may take part and that do.
    """

    study: str
    title: str
    official_title: str | None = None
    acronym: str | None = None
    status: str
    why_stopped: str | None = None
    phase: str | None = None
    purpose: str | None = None
    condition: str | None = None
    description: str | None = None
    eligibility: str | None = None
    eligible: str | None = None
    enrolled: str | None = None
    enrollment_planned: int | None = None
    enrollment_actual: int | None = None
    sponsor: str | None = None
    started_on: When | None = None
    ended_on: When | None = None
    data_cutoff: When | None = None
    """The day after which this snapshot of the data sees nothing."""
    statuses: tuple[StatusPeriod, ...] = ()
    identifiers: tuple[StudyIdentifier, ...] = ()
    """Its numbers in registries and elsewhere."""
    parties: tuple[Party, ...] = ()
    sites: tuple[StudySite, ...] = ()
    arms: tuple[Arm, ...] = ()
    objectives: tuple[Objective, ...] = ()
    outcomes: tuple[OutcomeMeasure, ...] = ()
    datasets: tuple[SourceDataset, ...] = ()
    qualifiers: tuple[SourceQualifier, ...] = ()
    source_columns: tuple[SourceColumn, ...] = ()
    """Rows of the source that are of no subject, such as its trial summary."""


class Medication(Entity, frozen=True, kw_only=True):
    """A drug the study gives; `medication` is its name in the dose records."""

    study: str
    medication: str
    name: str
    form: str | None = None


class Criterion(Entity, frozen=True, kw_only=True):
    """One condition of taking part: what it is about (`kind`), its text, and whether meeting it keeps a person out."""

    kind: str = "criterion"
    """minimum age, maximum age, sex or criterion."""
    text: str
    excludes: bool = False


class Eligibility(Entity, frozen=True, kw_only=True):
    """The people who may take part, by the study's criteria."""

    study: str
    eligible: str
    name: str
    criteria: tuple[Criterion, ...] = ()


class Enrolled(Entity, frozen=True, kw_only=True):
    """A subject who was enrolled."""

    study: str
    subject: str


class Enrollment(Entity, frozen=True, kw_only=True):
    """The people who take part."""

    study: str
    enrolled: str
    name: str
    size: int | None = None
    subjects: tuple[Enrolled, ...] = ()
