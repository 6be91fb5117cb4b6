"""Dose intensity by hand, for the first study's regimen and for what is missing."""

from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from fhir_trial.domain.study import Drug, PlannedExposure, Sponsor, StudyDefinition
from fhir_trial.endpoints import exposure
from fhir_trial.endpoints.conventions import preset
from fhir_trial.errors import Findings


def planned(dose: int, unit: str) -> PlannedExposure:
    return PlannedExposure(dose=Decimal(dose), unit=unit, route="INTRAVENOUS", cycle_days=21, day=1)


STUDY = StudyDefinition(
    id="X",
    title="X",
    status="UNKNOWN",
    sponsor=Sponsor(id="x", name="x"),
    arms=(),
    drugs=(
        Drug(medication="NAB", name="nab-paclitaxel", planned=planned(300, "mg/m2")),
        Drug(medication="CAM", name="camrelizumab", planned=planned(200, "mg")),
        Drug(medication="PATCH", name="patch"),
    ),
    outcomes=(),
    endpoints=(),
)


def dose(medication: str, cycle: int | None, start: str | None, amount: float, **more: Any) -> dict[str, Any]:
    return {
        "subject": "S",
        "medication": medication,
        "cycle": cycle,
        "start": start,
        "dose": amount,
        "unit": "mg",
        "planned_per_m2": 300.0,
        "bsa_used": None,
    } | more


def table(doses: list[dict[str, Any]], body: list[dict[str, Any]] | None = None, **settings: object) -> tuple[pd.DataFrame, Findings]:
    tables = {"dose": pd.DataFrame(doses)} | ({"body_measure": pd.DataFrame(body)} if body else {})
    findings = Findings()
    found = exposure.table(tables, STUDY, preset("protocol").with_settings(settings), findings)
    assert tuple(found.columns) == exposure.COLUMNS
    return found.set_index("medication"), findings


NAB = [
    dose("NAB", 1, "2023-01-02", 540, bsa_used=1.8),
    dose("NAB", 2, "2023-01-30", 432, bsa_used=1.8, planned_per_m2=240.0),  # a week late, reduced to 240 mg/m2
    dose("NAB", 3, "2023-02-20", 0, status="not-done"),
    dose("NAB", 3, "2023-02-21", 432, bsa_used=1.8, planned_per_m2=240.0),
]


def test_dose_per_square_metre() -> None:
    row = table(NAB)[0].loc["NAB"]
    assert (row["cycles"], row["cumulative_dose"], row["cumulative_dose_m2"]) == (3, 1404, pytest.approx(780))
    assert row["duration_days"] == 50 + 21
    assert row["intensity_m2_per_week"] == pytest.approx(780 / (71 / 7))
    assert row["relative_intensity_pct"] == pytest.approx(100 * 780 / (71 / 7) / 100)
    assert (bool(row["reduced"]), row["max_delay_days"]) == (True, 7)
    assert (str(row["first_dose_on"].date()), str(row["last_dose_on"].date())) == ("2023-01-02", "2023-02-21")


def test_duration_to_the_last_dose() -> None:
    assert table(NAB, exposure_duration="last_dose_plus_one")[0].loc["NAB", "duration_days"] == 51


def test_flat_dose() -> None:
    row = table([dose("CAM", 1, "2023-01-02", 200), dose("CAM", 2, "2023-01-23", 200)])[0].loc["CAM"]
    assert (row["cumulative_dose"], row["duration_days"], row["relative_intensity_pct"]) == (400, 42, pytest.approx(100))
    assert pd.isna(row["cumulative_dose_m2"])
    assert pd.isna(row["intensity_m2_per_week"])
    assert (bool(row["reduced"]), row["max_delay_days"]) == (False, 0)


BODY = [
    {"subject": "S", "test": "height", "value": 170.0, "unit": "cm", "on": "2022-12-20"},
    {"subject": "S", "test": "weight", "value": 70.0, "unit": "kg", "on": "2022-12-20"},
    {"subject": "S", "test": "weight", "value": 80.0, "unit": "kg", "on": "2023-01-25"},
    {"subject": "S", "test": "bsa", "value": 1.5, "unit": "m2", "on": "2022-12-20"},
]


@pytest.mark.parametrize(
    ("bsa", "areas"),
    [("recorded", (1.5, 1.5)), ("mosteller", ((170 * 70 / 3600) ** 0.5, (170 * 80 / 3600) ** 0.5)), ("dubois", (1.80971, 1.91538))],
)
def test_body_surface(bsa: str, areas: tuple[float, float]) -> None:
    doses = [dose("NAB", 1, "2023-01-02", 540), dose("NAB", 2, "2023-01-30", 540)]
    assert table(doses, BODY, bsa=bsa)[0].loc["NAB", "cumulative_dose_m2"] == pytest.approx(sum(540 / area for area in areas), rel=1e-5)


def test_an_absent_body_surface_is_said_and_not_guessed() -> None:
    found, findings = table([dose("NAB", 1, "2023-01-02", 540)])
    assert found.loc["NAB", ["cumulative_dose_m2", "intensity_m2_per_week", "relative_intensity_pct"]].isna().all()
    assert found.loc["NAB", "cumulative_dose"] == 540
    assert findings.counts() == {"no-body-surface": 1}


def test_daily_doses_of_a_period_without_a_plan() -> None:
    doses = [
        dose("PATCH", None, "2023-01-02", 54, end="2023-01-11", frequency="QD"),
        dose("PATCH", None, "2023-01-12", 81, end="2023-01-21", frequency="QD"),
    ]
    row = table(doses)[0].loc["PATCH"]
    assert (row["cumulative_dose"], row["duration_days"], row["cycles"]) == (1350, 20, 2)
    assert row[["relative_intensity_pct", "max_delay_days"]].isna().all()
    assert not row["reduced"]
    assert table([*doses, dose("PATCH", None, "2023-02-01", 54)])[0].loc["PATCH", "reduced"]


def test_no_doses_at_all() -> None:
    findings = Findings()
    assert exposure.table({}, STUDY, preset("protocol"), findings).empty
    assert findings.counts() == {"no-doses": 1}


def codes(findings: Findings) -> dict[str | None, str | None]:
    return {f.code: f.effect for f in findings}


@pytest.mark.parametrize(
    ("doses", "code", "cumulative", "duration"),
    [
        ([dose("CAM", 1, None, 200), dose("CAM", 2, "2023-01-23", 200)], "undated-dose", 200, 21),
        ([dose("CAM", 1, "2023-01-02", -200), dose("CAM", 2, "2023-01-23", 200)], "negative-dose", 200, 21),
        ([dose("CAM", 1, "2023-01-02", 200, end="2022-12-01")], "ends-before-start", 200, 21),
        ([dose("PATCH", None, "2023-01-02", 54, frequency="QD")], "open-period", 54, 1),
    ],
)
def test_odd_doses_are_said_with_their_effect(doses: list[dict[str, Any]], code: str, cumulative: float, duration: int) -> None:
    found, findings = table(doses)
    assert codes(findings)[code]
    assert found.iloc[0][["cumulative_dose", "duration_days"]].tolist() == [cumulative, duration]


@pytest.mark.parametrize(
    ("unit", "amount", "cumulative", "relative", "code"),
    [
        ("g", 0.2, 200, 100, None),
        ("ug", 200_000, 200, 100, None),
        ("mL", 20, 20, None, "unit-not-convertible"),
        (None, 200, 200, None, "missing-unit"),
    ],
)
def test_units_of_dose(unit: str | None, amount: float, cumulative: float, relative: float | None, code: str | None) -> None:
    found, findings = table([dose("CAM", 1, "2023-01-02", amount, unit=unit)])
    row = found.loc["CAM"]
    assert row["cumulative_dose"] == pytest.approx(cumulative)
    assert pd.isna(row["relative_intensity_pct"]) if relative is None else row["relative_intensity_pct"] == pytest.approx(relative)
    assert set(findings.counts()) - {"unit-not-convertible"} == ({code} - {None, "unit-not-convertible"})
    effect = "1 subjects have no relative dose intensity of CAM"
    assert [f.effect for f in findings if f.code == "unit-not-convertible"] == ([effect] if relative is None else [])


def test_doses_in_units_that_do_not_add_up_have_no_sum() -> None:
    row = table([dose("PATCH", 1, "2023-01-02", 200), dose("PATCH", 2, "2023-01-23", 2, unit="TABLET")])[0].loc["PATCH"]
    assert row[["cumulative_dose", "unit"]].isna().all()
    assert row["cycles"] == 2


def test_nothing_after_the_cutoff_is_seen() -> None:
    row = table(NAB, data_cutoff="2023-01-31")[0].loc["NAB"]
    assert (row["cycles"], row["cumulative_dose"]) == (2, 972)
    patch = [dose("PATCH", None, "2023-01-02", 54, end="2023-01-11", frequency="QD")]
    assert table(patch, data_cutoff="2023-01-03")[0].loc["PATCH", "cumulative_dose"] == 108


def test_a_period_of_doses_some_days_apart() -> None:
    row = table([dose("PATCH", None, "2023-01-02", 10, end="2023-02-13", frequency="Q3W")])[0].loc["PATCH"]
    assert row["cumulative_dose"] == 30


def test_a_dose_of_zero_is_a_dose() -> None:
    """A placebo's doses are of 0 mg."""
    row = table([dose("PATCH", 1, "2023-01-02", 0), dose("PATCH", 2, "2023-01-23", 0)])[0].loc["PATCH"]
    assert row[["cycles", "cumulative_dose"]].tolist() == [2, 0]


def test_delayed_cycles_are_counted() -> None:
    row = table(NAB)[0].loc["NAB"]
    assert row["delayed_cycles"] == 2  # 28 and 22 days instead of 21


def test_subjects_do_not_touch_each_other() -> None:
    many = [row | {"subject": name} for name in ("S2", "S1", "S3") for row in reversed(NAB)]
    found = exposure.table({"dose": pd.DataFrame(many)}, STUDY, preset("protocol"), Findings())
    assert found["subject"].tolist() == ["S1", "S2", "S3"]
    alone = table(NAB)[0].reset_index()
    for _, row in found.iterrows():
        pd.testing.assert_series_equal(row.drop("subject"), alone.iloc[0].drop("subject")[row.index[1:]], check_names=False)


def test_summary_by_arm() -> None:
    adsl = pd.DataFrame({"subject": ["S", "T"], "arm": ["A", "B"]})
    doses = [*NAB, *(row | {"subject": "T", "planned_per_m2": 300.0} for row in NAB[:1])]
    found = exposure.summary(exposure.table({"dose": pd.DataFrame(doses)}, STUDY, preset("protocol"), Findings()), adsl)
    rows = found.set_index(["arm", "medication", "figure"])
    assert rows.loc[("TOTAL", "NAB", "cycles"), ["n", "mean", "minimum", "maximum"]].tolist() == [2, 2, 1, 3]
    assert rows.loc[("TOTAL", "NAB", "reduced"), ["n", "subjects", "percent"]].tolist() == [2, 1, 50]
    assert rows.loc[("B", "NAB", "delayed"), "subjects"] == 0
    assert list(found["arm"].unique()) == ["A", "B", "TOTAL"]


@pytest.mark.parametrize("surface", [0, -1.8])
def test_a_body_surface_of_nothing_gives_no_dose_per_m2_and_is_said(surface: float) -> None:
    found, findings = table([dose("NAB", 1, "2023-01-02", 180, bsa_used=surface)])
    assert codes(findings)["no-body-surface"]
    assert found.iloc[0]["cumulative_dose"] == 180
    assert found["cumulative_dose_m2"].isna().all()
