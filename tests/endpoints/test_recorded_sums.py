"""Recorded sums of diameters that the lesions contradict are said, and those that agree are not."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.response import respond
from fhir_trial.errors import Finding

TARGETS = [{"id": "T1", "mm": 30, "nodal": False}, {"id": "T2", "mm": 20, "nodal": False}]
CASE = {
    "baseline": {"target": TARGETS},
    "visits": [
        {"name": "W6", "day": 42, "target": {"T1": 20, "T2": 12}},
        {"name": "W12", "day": 84, "target": {"T1": 18, "T2": "NE"}},
        {"name": "UNSCHEDULED", "day": 90, "target": {"T1": 17, "T2": 10}},
        {"name": "UNSCHEDULED", "day": 120, "target": {"T1": 16, "T2": 10}},
    ],
}


@pytest.fixture
def said(tables_of: Callable[..., Any], on_day: Callable[[int], str]) -> Callable[..., list[Finding]]:
    """What is said of recorded sums: (visit, day, mm) each, by an evaluator."""

    def of(*sums: tuple[str, int, float], evaluator: str = "INVESTIGATOR") -> list[Finding]:
        rows = [
            {"subject": "S1", "evaluator": evaluator, "evaluator_id": None, "visit": v, "on": on_day(d), "sum_mm": mm, "sequence": n}
            for n, (v, d, mm) in enumerate(sums, 1)
        ]
        found = respond(tables_of(CASE) | {"sum_of_diameters": pd.DataFrame(rows)}, preset("protocol")).findings
        return [f for f in found if f.code == "recorded-sum-differs"]

    return of


def test_a_contradicted_sum_names_subject_visit_both_sums_and_what_follows(said: Callable[..., list[Finding]]) -> None:
    (found,) = said(("SCREENING", -7, 50), ("W6", 42, 30))
    assert found.severity == "warning"
    assert found.describe() == (
        "sum_of_diameters: subject S1, INVESTIGATOR, visit W6, sequence 2, field sum_mm: found '30 mm recorded', "
        "expected 32 mm, the sum of the target lesions at this visit; "
        "sums and derived responses rest on the lesions; the recorded sum is not used"
    )


def test_a_contradicted_baseline_is_said(said: Callable[..., list[Finding]]) -> None:
    (found,) = said(("SCREENING", -7, 48.5))
    assert (found.found, found.expected) == ("48.5 mm recorded", "50 mm, the sum of the target lesions at baseline")


@pytest.mark.parametrize(
    "sums",
    [
        [("SCREENING", -7, 50), ("W6", 42, 32)],
        [("W12", 84, 18)],  # the sum of what was measured
        [("UNSCHEDULED", 90, 27), ("UNSCHEDULED", 120, 26)],  # one name, told apart by the dates
        [("W99", 200, 1)],  # of no visit that has lesions
    ],
)
def test_what_agrees_is_not_said(said: Callable[..., list[Finding]], sums: list[tuple[str, int, float]]) -> None:
    assert said(*sums) == []


def test_sums_of_another_reader_are_compared_with_that_readers_lesions(said: Callable[..., list[Finding]]) -> None:
    assert said(("W6", 42, 1), evaluator="INDEPENDENT ASSESSOR") == []
