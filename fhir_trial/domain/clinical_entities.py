"""What was found of a subject beside the tumour: vital signs, conditions and consent."""

from decimal import Decimal

from fhir_trial.domain.base import Entity, SourceColumn, When


class Consent(Entity, frozen=True, kw_only=True):
    """A subject's consent; `consent` says what to (`study`: taking part), `status` is active, inactive or rejected."""

    study: str
    subject: str
    consent: str
    status: str = "active"
    on: When | None = None


class VitalSign(Entity, frozen=True, kw_only=True):
    """A vital sign; `test` is the data's short name of it (SYSBP, DIABP, PULSE...). Weight, height and body surface are body measures."""

    study: str
    subject: str
    sequence: int
    test: str
    name: str | None = None
    value: Decimal | None = None
    unit: str | None = None
    position: str | None = None
    not_done: bool | None = None
    reason: str | None = None
    visit: str | None = None
    visit_number: Decimal | None = None
    on: When | None = None
    source_columns: tuple[SourceColumn, ...] = ()


class ConditionSite(Entity, frozen=True, kw_only=True):
    """A part of the body where a condition is."""

    organ: str


class Condition(Entity, frozen=True, kw_only=True):
    """A diagnosis or other condition: what the study treats, or the subject's history (`category`).

    `histology` and `grade` are of a tumour, as reported; `status` is active, inactive, remission, recurrence, relapse or resolved.
    """

    study: str
    subject: str
    sequence: int
    term: str
    preferred_term: str | None = None
    category: str | None = None
    status: str | None = None
    histology: str | None = None
    stage: str | None = None
    sites: tuple[ConditionSite, ...] = ()
    start: When | None = None
    end: When | None = None
    recorded_on: When | None = None
