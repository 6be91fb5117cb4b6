"""The worked examples of progression-free survival and of dates without a day, every case and variant."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.facts import gather
from fhir_trial.endpoints.time_to_event import derive
from fhir_trial.endpoints.time_to_event_rules import ENDPOINTS

PATH = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "recist" / "pfs_examples.json"
EXAMPLES: dict[str, Any] = json.loads(PATH.read_text()) if PATH.exists() else {"cases": [], "partial_dates": []}
ENROLLED = dt.date(2023, 1, 2)

pytestmark = pytest.mark.skipif(not EXAMPLES["cases"], reason="the reference data beside the project is absent")


def date(day: int) -> str:
    return (ENROLLED + dt.timedelta(day)).isoformat()


def tables(case: dict[str, Any]) -> dict[str, pd.DataFrame]:
    scans = [(f"V{a['day']}", day) for a in case["assessments"] for day in a.get("scans", [])]
    scans += [("BASELINE", case["baseline_scan"])] if "baseline_scan" in case else []
    measured = pd.DataFrame(
        [{"subject": "S", "lesion": "T01", "evaluator": "INVESTIGATOR", "evaluator_id": None, "visit": v, "on": date(d)} for v, d in scans],
        columns=["subject", "lesion", "evaluator", "evaluator_id", "visit", "on"],
    )
    therapy = (
        [
            {
                "subject": "S",
                "sequence": 1,
                "category": "SUBSEQUENT ANTI-CANCER THERAPY",
                "start": date(case["nact"]),
            }
        ]
        if "nact" in case
        else []
    )
    return {
        "subject": pd.DataFrame(
            [{"study": "X", "subject": "S", "state": "enrolled", "enrolled_on": date(0), "enrolled_source": "ENROLLED"}]
        ),
        "patient": pd.DataFrame([{"subject": "S", "death_date": date(case["death"]) if "death" in case else None}]),
        "therapy": pd.DataFrame(therapy, columns=["subject", "sequence", "category", "start"]),
        "measurement": measured,
    }


def overall(case: dict[str, Any]) -> pd.DataFrame:
    rows = [
        {
            "subject": "S",
            "evaluator": "INVESTIGATOR",
            "evaluator_id": None,
            "parameter": "OVR",
            "visit": f"V{a['day']}",
            "value": a["resp"],
            "on": date(a["day"]),
            "source_domain": "RS",
            "source_sequence": i,
        }
        for i, a in enumerate(case["assessments"], 1)
    ]
    return pd.DataFrame(
        rows, columns=["subject", "evaluator", "evaluator_id", "parameter", "visit", "value", "on", "source_domain", "source_sequence"]
    )


def variants() -> list[Any]:
    found = []
    for case in EXAMPLES["cases"]:
        found.append(pytest.param(case, {}, case["expected"], id=case["id"]))
        found += [pytest.param(case, v["params"], v["expected"], id=f"{case['id']}-{v['params']}") for v in case["variants"]]
    return found


@pytest.mark.parametrize(("case", "settings", "expected"), variants())
def test_worked_example(case: dict[str, Any], settings: dict[str, Any], expected: dict[str, Any]) -> None:
    conventions = preset("protocol").with_settings({**EXAMPLES["default_params"], **settings})
    rows = derive(ENDPOINTS["PFS"], gather(tables(case), overall(case), conventions), conventions)
    row = rows.iloc[0]
    assert len(rows) == 1
    assert (1 - row["censored"], row["days"], row["on"].date().isoformat()) == (expected["event"], expected["days"], expected["date"])
    assert row["reason"].startswith(expected["reason"])


@pytest.mark.parametrize(
    ("death", "alive", "partial", "expected"),
    [
        ("2023-05", "2023-04-28", "first", "2023-05-01"),
        ("2023-05", "2023-04-28", "mid", "2023-05-15"),
        ("2023-05", "2023-04-28", "last", "2023-05-31"),
        ("2023-05", "2023-05-20", "mid", "2023-05-21"),
        ("2023-05", "2023-05-20", "first", "2023-05-21"),
        ("2023-05-19", "2023-05-20", "mid", "2023-05-19"),
    ],
)
def test_death_without_a_day(death: str, alive: str, partial: str, expected: str) -> None:
    case = tables({"assessments": []})
    case["patient"] = pd.DataFrame([{"subject": "S", "death_date": death}])
    case["subject"]["contacts"] = [[{"source": "DM", "on": alive}]]
    conventions = preset("ema").with_settings({"partial_date": partial})
    rows = derive(ENDPOINTS["OS"], gather(case, overall({"assessments": []}), conventions), conventions)
    assert (rows["on"].iloc[0].date().isoformat(), rows["reason"].iloc[0], rows["source_variable"].iloc[0]) == (expected, "death", "DTHDTC")
