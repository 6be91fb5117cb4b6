"""What is odd about adverse events and subjects' arms, with what follows from it for the safety tables."""

from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import NO_DAY, Bools
from fhir_trial.endpoints.safety import GRADES
from fhir_trial.endpoints.subjects import NO_ARM
from fhir_trial.errors import Finding, Findings


def check_arms(adsl: pd.DataFrame, findings: Findings) -> None:
    """A finding an enrolled subject without an arm, in a study of several."""
    lacking = adsl[(adsl["intention_to_treat"] & (adsl["arm"] == NO_ARM)).to_numpy(dtype=bool)]
    for subject in lacking["subject"]:
        effect = f"tables have the subject under {NO_ARM!r}"
        findings.add(
            Finding("missing-arm", f"subject: {subject}", field="arm_planned", expected="an arm", severity="warning", effect=effect)
        )


def check_events(events: pd.DataFrame, adsl: pd.DataFrame, findings: Findings) -> None:
    """A finding an event that the safety tables cannot count, or count otherwise than it may have been meant."""
    start, end = (col.days(col.column(events, name), bound) for name, bound in (("start", "first"), ("end", "last")))
    grade = col.numbers(events, "grade")
    known = events["subject"].astype(object).isin(adsl["subject"]).to_numpy(dtype=bool)
    treated = events["subject"].astype(object).isin(adsl["subject"][adsl["safety"].to_numpy(dtype=bool)]).to_numpy(dtype=bool)
    undated = (start == NO_DAY) & (end == NO_DAY)
    checks: list[tuple[Bools, str, str, str, str]] = [
        (~known, "unknown-subject", "subject", "a subject of the study", "it is in no table"),
        (known & ~treated, "event-of-untreated", "subject", "a subject who was treated", "it is in no table of those treated"),
        ((end < start) & (start != NO_DAY), "ends-before-start", "end", "a date not before the start", "its start counts"),
        (undated & treated, "undated-event", "start", "a date", "it counts as treatment-emergent"),
        (~np.isnan(grade) & ~np.isin(grade, GRADES), "unknown-grade", "grade", "a CTCAE grade from 1 to 5", "it counts, and has no grade"),
    ]
    for rows, code, field, expected, effect in checks:
        chosen = events[rows]
        for subject, sequence in zip(chosen["subject"], col.column(chosen, "sequence"), strict=True):
            place = f"ae: subject {subject}, record {_number(sequence)}"
            findings.add(Finding(code, place, field=field, expected=expected, severity="warning", effect=effect))


def _number(sequence: Any) -> str:
    return "without a number" if pd.isna(sequence) else str(int(sequence))
