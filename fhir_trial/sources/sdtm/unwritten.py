"""What the trial's tables hold and no SDTM file that is written has a place for: said, so that nothing is lost in silence."""

from collections.abc import Iterator

from fhir_trial.domain.tables import TrialData
from fhir_trial.errors import Finding

WITHOUT_DOMAIN = ("condition",)
"""Entities that no domain is written for."""

WITHOUT_COLUMN = {"adverse_event": ("suspects", "expected"), "dose": ("reduced", "interrupted", "rate", "rate_unit", "day")}
"""Fields that no variable is written for."""


def unwritten(data: TrialData) -> Iterator[Finding]:
    """A finding for each entity, and each field, that has values and is not written as SDTM."""
    for entity in WITHOUT_DOMAIN:
        if count := data.table(entity).num_rows:
            yield _finding(entity, None, count)
    for entity, names in WITHOUT_COLUMN.items():
        for name in names:
            if count := sum(1 for value in data.table(entity)[name].to_pylist() if value not in (None, [])):
                yield _finding(entity, name, count)


def _finding(entity: str, name: str | None, count: int) -> Finding:
    return Finding("not-in-sdtm", entity, field=name, found=f"{count} rows", severity="warning", effect="not written as SDTM")
