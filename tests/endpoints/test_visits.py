"""Which records make a visit, in which order visits are judged, and which of them is the baseline."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.recist import Assessments, assess

Day = Callable[[int], str]
WHO = {"subject": "S1", "evaluator": "INVESTIGATOR", "evaluator_id": None}
FIRST_DOSE = 0


@pytest.fixture
def judge(on_day: Day) -> Callable[..., Assessments]:
    """Assess target lesions from records (visit, visit number, day, lesion, mm)."""

    def go(*records: tuple[str | None, float | None, int | None, str, float], starts: bool = True) -> Assessments:
        rows = [
            {**WHO, "visit": visit, "visit_number": number, "on": None if day is None else on_day(day), "lesion": lesion, "role": "target"}
            | {"longest_mm": Decimal(str(mm)), "longest_sequence": n}
            for n, (visit, number, day, lesion, mm) in enumerate(records, 1)
        ]
        known = [{**WHO, "lesion": name, "role": "target", "organ": "LUNG", "nodal": False} for name in sorted({r[3] for r in records})]
        subject = {"study": "X", "subject": "S1", "state": "enrolled", "first_dose_on": on_day(FIRST_DOSE) if starts else None}
        tables = {"measurement": pd.DataFrame(rows), "lesion": pd.DataFrame(known), "subject": pd.DataFrame([subject])}
        return assess(tables, preset("protocol"))

    return go


def sums(found: Assessments) -> list[tuple[str | None, float | None]]:
    """Visit and sum of each assessment, in the order in which they are judged."""
    frame = found.frame
    return [
        (None if pd.isna(visit) else str(visit), None if pd.isna(mm) else float(mm))
        for visit, mm in zip(frame["visit"], frame["sum_mm"], strict=True)
    ]


@pytest.mark.parametrize(
    ("names", "numbers"), [(("BASELINE", "WEEK 6"), (None, None)), ((None, None), (1, 2)), (("BASELINE", "WEEK 6"), (1, 2))]
)
def test_scans_of_several_days_are_one_visit_where_its_name_or_number_says_so(judge: Any, on_day: Day, names: Any, numbers: Any) -> None:
    """Half of the lesions alone would be an incomplete assessment, at baseline as well as later."""
    (first, second), (one, two) = names, numbers
    records = [(first, one, -9, "T1", 30), (first, one, -7, "T2", 20), (second, two, 42, "T1", 15), (second, two, 44, "T2", 10)]
    for rows in (records, records[::-1]):
        found = judge(*rows)
        assert (sums(found), found.frame["overall"].tolist()) == ([(second, 25.0)], ["PR"])
        assert [str(found.frame[name][0])[:10] for name in ("first_on", "last_on")] == [on_day(42), on_day(44)]


def test_scans_of_several_days_without_a_name_or_number_are_visits_of_their_own(judge: Any) -> None:
    found = judge(("BASELINE", 1, -7, "T1", 30), (None, None, 42, "T1", 15), (None, None, 44, "T1", 12))
    assert sums(found) == [(None, 15.0), (None, 12.0)]


def test_visits_of_one_day_are_in_the_order_of_their_numbers(judge: Any) -> None:
    """In whatever order the records stand."""
    later = [("WEEK 6", 6, 42, "T1", 15), ("EXTRA", 6.1, 42, "T1", 29)]
    for rows in (later, later[::-1]):
        assert sums(judge(("BASELINE", 1, -7, "T1", 30), *rows)) == [("WEEK 6", 15.0), ("EXTRA", 29.0)]


@pytest.mark.parametrize("name", ["SCREENING", "BASELINE", "Baseline 1"])
def test_a_scan_after_the_first_dose_is_the_baseline_where_it_is_named_so_and_there_is_no_other(judge: Any, name: str) -> None:
    found = judge((name, 1, 3, "T1", 30), ("WEEK 6", 6, 42, "T1", 15))
    assert (sums(found), found.frame["overall"].tolist()) == ([("WEEK 6", 15.0)], ["PR"])


@pytest.mark.parametrize("name", ["RE-SCREENING", "BASELINE 2"])
def test_a_visit_that_is_named_like_a_baseline_after_the_baseline_is_an_assessment(judge: Any, name: str) -> None:
    found = judge(("SCREENING", 1, -7, "T1", 30), (name, 2, 42, "T1", 15))
    assert (sums(found), found.frame["overall"].tolist()) == ([(name, 15.0)], ["PR"])


def test_a_scan_after_the_first_dose_without_a_name_is_no_baseline(judge: Any) -> None:
    found = judge((None, 1, 3, "T1", 30), ("WEEK 6", 6, 42, "T1", 15))
    assert [visit for visit, _ in sums(found)] == [None, "WEEK 6"]
    assert set(found.frame["overall"]) == {"NE"}


def test_what_was_never_dated_is_no_baseline_of_a_subject_without_any_date(judge: Any) -> None:
    found = judge(("VISIT 1", 1, None, "T1", 30), ("VISIT 2", 2, None, "T1", 15), starts=False)
    assert sums(found) == []
    assert found.findings.counts()["assessment-without-date"] == 2
