"""Laboratory results of a few subjects by hand: baseline, on treatment, change, shift, and what is odd about them."""

from typing import Any

import pandas as pd
import pytest

from fhir_trial.domain.study import Sponsor, StudyDefinition
from fhir_trial.endpoints import laboratory, laboratory_tables
from fhir_trial.endpoints.conventions import preset
from fhir_trial.errors import Findings

STUDY = StudyDefinition(
    id="X",
    title="X",
    status="UNKNOWN",
    sponsor=Sponsor(id="x", name="x"),
    arms=(),
    drugs=(),
    outcomes=(),
    endpoints=(),
    grading="CTCAE 4.03",
)
DATES = ("first_dose_on", "last_dose_on")
SUBJECTS = pd.DataFrame(
    [("A1", "A", True, "2023-01-10", "2023-02-10"), ("A2", "A", True, "2023-01-10", None), ("B1", "B", False, None, None)],
    columns=["subject", "arm", "safety", *DATES],
).assign(**{name: lambda f, name=name: pd.to_datetime(f[name]).astype("datetime64[s]") for name in DATES})


def alt(subject: str, sequence: int, on: str | None, value: float | None, **more: Any) -> dict[str, Any]:
    row = {
        "subject": subject,
        "sequence": sequence,
        "test": "ALT",
        "name": "Alanine",
        "on": on,
        "value": value,
        "unit": "U/L",
        "high": 40.0,
    }
    return row | {"visit": f"WEEK {sequence}", "visit_number": float(sequence)} | more


def results(rows: list[dict[str, Any]], **settings: object) -> tuple[pd.DataFrame, Findings]:
    findings = Findings()
    conventions = preset("protocol").with_settings(settings)
    found = laboratory.results({"laboratory": pd.DataFrame(rows)}, SUBJECTS, STUDY, conventions, findings)
    assert tuple(found.columns) == laboratory.COLUMNS
    return found.set_index(["subject", "sequence"]), findings


ROWS = [
    alt("A1", 1, "2023-01-02", 30),
    alt("A1", 2, "2023-01-10T09:00", 38),  # the last one up to the first dose
    alt("A1", 3, "2023-01-24", 130),
    alt("A1", 4, "2023-03-12", 250),  # day 30 after the last dose
    alt("A1", 5, "2023-03-13", 900),  # day 31
    alt("A2", 1, "2023-01-05", 60),
    alt("A2", 2, "2024-01-05", 50),  # treatment goes on
    alt("B1", 1, "2023-01-05", 50),  # never treated
]


def test_baseline_treatment_and_grades() -> None:
    found, findings = results(list(reversed(ROWS)))
    assert found["is_baseline"].tolist() == [False, True, False, False, False, True, False, False]
    assert found["on_treatment"].tolist() == [False, False, True, True, False, False, True, False]
    assert found.loc["A1", "base"].tolist() == [38] * 5
    assert found.loc["A1", "change"].tolist()[2:] == [92, 212, 862]
    assert found.loc[("A1", 3), ["day", "range", "ctcae"]].tolist() == [15, "HIGH", "4.03"]
    assert found.loc["A1", "day"].tolist()[:2] == [-8, 1]
    assert found["grade_high"].tolist() == [0, 0, 2, 3, 4, 1, 1, 1]
    assert found.loc["A2", "base_grade_high"].tolist() == [1, 1]
    assert pd.isna(found.loc[("B1", 1), "base"])
    assert len(findings) == 0


def test_the_baseline_that_the_source_names_goes_first() -> None:
    found, _ = results([alt("A1", 1, "2023-01-02", 30, baseline=True), *ROWS[1:4]])
    assert found["is_baseline"].tolist() == [True, False, False, False]
    assert found["base"].tolist() == [30] * 4
    assert found["on_treatment"].tolist() == [False, True, True, True]


def test_worst_grades_and_shifts() -> None:
    found = results(ROWS)[0].reset_index()
    worst = laboratory_tables.worst_grades(found).set_index("arm")
    assert worst.index.tolist() == ["A", "TOTAL"]
    assert worst.loc["TOTAL", ["n", "grade0", "grade1", "grade2", "grade3", "grade4", "grade3plus"]].tolist() == [2, 0, 1, 0, 1, 0, 1]
    shifts = laboratory_tables.shifts(found)
    of_arm = shifts[shifts["arm"] == "A"][["kind", "baseline", "worst", "n", "subjects", "percent"]].to_numpy().tolist()
    assert of_arm == [
        ["grade", "0", "3", 2, 1, 50],
        ["grade", "1", "1", 2, 1, 50],
        ["range", "HIGH", "HIGH", 2, 1, 50],
        ["range", "NORMAL", "HIGH", 2, 1, 50],
    ]


def test_a_subject_that_was_low_and_high_and_one_without_a_baseline() -> None:
    potassium = {"test": "K", "unit": "mmol/L", "low": 3.5, "high": 5.0, "name": None}
    rows = [alt("A1", n, f"2023-01-{day}", value, **potassium) for n, day, value in [(1, 20, 3.4), (2, 25, 5.1), (3, 28, 4.0)]]
    shifts = laboratory_tables.shifts(results(rows)[0].reset_index())
    by_range = shifts[(shifts["kind"] == "range") & (shifts["arm"] == "A")]
    assert by_range[["test", "name", "baseline", "worst"]].to_numpy().tolist() == [["K", "K", "MISSING", "LOW AND HIGH"]]
    assert set(shifts[shifts["kind"] == "grade"]["term"]) == {"Hypokalemia", "Hyperkalemia"}


def test_change_by_visit() -> None:
    rows = [
        *ROWS,
        alt("A1", 6, "2023-01-25", 140, visit="WEEK 3", visit_number=3.0),
        alt("A1", 7, "2023-01-26", 1, visit="UNSCHEDULED 3.1"),
    ]
    found = laboratory_tables.changes(results(rows)[0].reset_index()).set_index(["arm", "visit"])
    at = found.loc[("A", "WEEK 3")]
    assert at[["n", "mean", "change_n", "change_mean", "change_maximum"]].tolist() == [1, 140, 1, 102, 102]  # the later of two
    assert pd.isna(at["sd"])
    assert found.loc[("TOTAL", "WEEK 1"), ["n", "mean", "median", "minimum", "maximum"]].tolist() == [3, (30 + 60 + 50) / 3, 50, 30, 60]
    assert not [visit for _, visit in found.index if visit.startswith("UNSCH")]


@pytest.mark.parametrize(
    ("row", "code", "what"),
    [
        (alt("A1", 3, None, 130), "undated-result", "on_treatment"),
        (alt("A1", 3, "2023-01-24", 130, unit="ukat/L"), "baseline-unit-differs", "base"),
        (alt("A1", 3, "2023-01-24", 130, low=90.0), "limits-crossed", "high"),
        (alt("A1", 3, "2023-01-24", -5.0), "negative-result", "grade_high"),
        (alt("A1", 3, "2023-01-24", 130, high=None), "no-candidate-grade", "grade_high"),
    ],
)
def test_what_is_odd_is_said_with_its_effect(row: dict[str, Any], code: str, what: str) -> None:
    found, findings = results([*ROWS[:2], row])
    assert [(f.place, bool(f.effect)) for f in findings if f.code == code] == [("laboratory", True)]
    value = found.loc[("A1", 3), what]
    assert pd.isna(value) or not value


def test_a_baseline_in_another_unit_is_none_and_equal_limits_are_limits() -> None:
    found, findings = results([alt("A1", 1, "2023-01-02", 30, unit="ukat/L"), alt("A1", 2, "2023-01-24", 50, low=40.0)])
    assert findings.counts() == {"baseline-unit-differs": 1}
    assert pd.isna(found.loc[("A1", 2), "base"])
    assert found.loc[("A1", 2), "range"] == "HIGH"


def test_words_and_limits_have_no_change() -> None:
    below = alt("A1", 3, "2023-01-24", 5, comparator="<")
    words = alt("A1", 4, "2023-01-25", None, text="HAEMOLYSED")
    found, findings = results([*ROWS[:2], below, words])
    assert found.index.tolist() == [("A1", 1), ("A1", 2), ("A1", 3)]
    assert pd.isna(found.loc[("A1", 3), "change"])
    assert [(f.code, f.found) for f in findings] == [("result-in-words", "1 results")]


def test_nothing_after_the_cutoff_is_seen_and_nobody_has_tables() -> None:
    assert results(ROWS, data_cutoff="2023-01-24")[0].index.tolist() == [("A1", 1), ("A1", 2), ("A1", 3), ("A2", 1), ("B1", 1)]
    nobody = laboratory.results({}, SUBJECTS, STUDY, preset("protocol"), Findings())
    for table in (laboratory_tables.worst_grades, laboratory_tables.shifts, laboratory_tables.changes):
        assert table(nobody).empty


def test_a_grading_without_criteria_is_said() -> None:
    findings = Findings()
    study = StudyDefinition(**{f: getattr(STUDY, f) for f in STUDY.__struct_fields__} | {"grading": "CTCAE 3.0"})
    found = laboratory.results({"laboratory": pd.DataFrame(ROWS)}, SUBJECTS, study, preset("protocol"), findings)
    assert set(found["ctcae"]) == {"5.0"}
    assert findings.counts() == {"no-criteria": 1}
