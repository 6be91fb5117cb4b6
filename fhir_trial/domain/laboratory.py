"""A laboratory result as the laboratory reported it, and in the unit that the study analyses it in."""

from decimal import Decimal

from fhir_trial.domain.base import Entity, SourceColumn, When


class LaboratoryResult(Entity, frozen=True, kw_only=True):
    """One laboratory result.

    `value` in `unit`, with `comparator` (<, <=, >=, >) where the laboratory gave a limit instead of a number; or `text` where the result is
    no number. `low` and `high` are the reference range in `unit`, `indicator` where the value stands in it (NORMAL, LOW, HIGH, ABNORMAL).
    The fields that begin with `reported` are the laboratory's own, before the study's conversion of units.
    """

    study: str
    subject: str
    sequence: int
    test: str
    name: str | None = None
    category: str | None = None
    specimen: str | None = None
    loinc: str | None = None
    value: Decimal | None = None
    comparator: str | None = None
    unit: str | None = None
    text: str | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    indicator: str | None = None
    reported: str | None = None
    reported_unit: str | None = None
    reported_low: str | None = None
    reported_high: str | None = None
    not_done: bool | None = None
    reason: str | None = None
    fasting: bool | None = None
    baseline: bool | None = None
    """Whether the source says that this is the result that later ones are compared with."""
    visit: str | None = None
    visit_number: Decimal | None = None
    on: When | None = None
    source_columns: tuple[SourceColumn, ...] = ()
