"""Adverse events, their criteria of seriousness, and what each drug had to do with them."""

from fhir_trial.domain.base import Entity, SourceColumn, When


class SeriousnessCriterion(Entity, frozen=True, kw_only=True):
    """One regulatory criterion: death, life-threatening, hospitalization, disability, congenital-anomaly, other."""

    criterion: str
    present: bool


class Suspect(Entity, frozen=True, kw_only=True):
    """A drug that an event may be due to: how it is related, and what was done with the drug."""

    study: str
    medication: str
    related: str | None = None
    action: str | None = None


class AdverseEvent(Entity, frozen=True, kw_only=True):
    """One reported adverse event; `severity` is never turned into a `grade`, nor the reverse.

    `related` and `action` are of the study's treatment as a whole, `suspects` of each drug by itself.
    """

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
    suspects: tuple[Suspect, ...] = ()
    expected: bool | None = None
    outcome: str | None = None
    start: When | None = None
    end: When | None = None
    reported_on: When | None = None
    source_columns: tuple[SourceColumn, ...] = ()
