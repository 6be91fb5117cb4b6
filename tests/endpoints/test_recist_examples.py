"""The worked examples: responses, sums, nadirs and best responses, under the default conventions and each variant."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fhir_trial.endpoints.conventions import Conventions, preset
from fhir_trial.endpoints.recist import assess
from fhir_trial.endpoints.response import respond

Build = Callable[[Mapping[str, Any]], dict[str, pd.DataFrame]]
DETAIL = {"sum": "sum_mm", "partial_sum": "partial_sum_mm", "nadir_before": "nadir_mm", "target": "target", "nontarget": "non_target"} | {
    "new_lesion": "new_lesion",
    "overall": "overall",
}
NAMES = [f"R{n:02d}" for n in (1, 4, 5, 9, 17, 21, 25, 30, 33, 34, 39, 44, 49, 54, 58, 60, 63, 65)]


@pytest.fixture(scope="module")
def examples(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "data" / "recist" / "recist_examples.json").read_text())


def test_no_example_is_left_out(examples: dict[str, Any]) -> None:
    assert [case["id"] for case in examples["cases"]] == NAMES


def outcome(tables: dict[str, pd.DataFrame], conventions: Conventions, on_day: Callable[[int], str]) -> dict[str, Any]:
    rows = respond(tables, conventions).table()
    values = {name: [None if pd.isna(v) else v for v in rows["value"][rows["parameter"] == name]] for name in rows["parameter"].unique()}
    pd_on = rows["on"][(rows["parameter"] == "OVR") & (rows["value"] == "PD")].min()
    zero = pd.Timestamp(on_day(0))
    return {
        "overall": values["OVR"],
        "target": values.get("TRGRESP"),
        "bor_unconfirmed": values["BOR"][0],
        "bor_confirmed": values["CBOR"][0],
        "pd_day": None if pd.isna(pd_on) else (pd_on - zero).days,
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_example_and_its_variants(examples: dict[str, Any], tables_of: Build, on_day: Callable[[int], str], name: str) -> None:
    case = next(c for c in examples["cases"] if c["id"] == name)
    for params, expected in [({}, case["expected"]), *((v["params"], v) for v in case["variants"])]:
        got = outcome(tables_of(case), preset("protocol").with_settings(params), on_day)
        wanted = {k: v for k, v in expected.items() if k in got}
        assert {k: got[k] for k in wanted} == wanted, params


@pytest.mark.parametrize("name", NAMES)
def test_the_details_of_each_visit(examples: dict[str, Any], tables_of: Build, name: str) -> None:
    case = next(c for c in examples["cases"] if c["id"] == name)
    frame = assess(tables_of(case), preset("protocol")).frame
    for expected, row in zip(case["expected"]["detail"], frame.to_dict("records"), strict=True):
        got = {ours: None if pd.isna(row[column]) else row[column] for ours, column in DETAIL.items()}
        wanted = {k: v for k, v in expected.items() if k in got}
        assert {k: got[k] for k in wanted} == wanted, expected["day"]


def test_the_baseline_limits_of_the_examples(examples: dict[str, Any], tables_of: Build) -> None:
    codes = {}
    for case in examples["validation"]:
        for rule in ("warn", "refuse"):
            tables = tables_of({**case, "visits": [{"day": 42, "target": {"T1": 0}}]})
            result = assess(tables, preset("protocol").with_settings({"baseline_limits": rule}))
            codes[case["id"], rule] = ([(f.code, f.severity) for f in result.findings], list(result.frame["overall"]))
    assert codes == {
        ("V01", "warn"): ([("target-below-limit", "warning")], ["CR"]),
        ("V01", "refuse"): ([("target-below-limit", "error")], ["NE"]),
        ("V02", "warn"): ([("node-below-limit", "warning")], ["CR"]),
        ("V02", "refuse"): ([("node-below-limit", "error")], ["NE"]),
    }
