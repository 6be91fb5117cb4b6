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
