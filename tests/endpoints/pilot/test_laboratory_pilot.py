"""Candidate grades against the ATOXGR of pharmaverse's adlb, CTCAE 4.03: equal, or for a listed reason."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fhir_trial.endpoints import ctcae

pytestmark = pytest.mark.pilot

REASONS = pd.read_csv(Path(__file__).parent / "adlb_reasons.csv")
TESTS = {"ALKPH": "ALP", "CHOLES": "CHOL", "LYMPH": "LYM", "POTAS": "K"}
"""adlb's parameters that are not named as CDISC names the test."""

COLUMNS = ["PARAMCD", "PARAM", "PARCAT1", "AVAL", "BASE", "ANRLO", "ANRHI", "ATOXGR", "ATOXGRL", "ATOXGRH"]


@pytest.fixture(scope="module")
def adlb(pilot: Any) -> pd.DataFrame:
    return pd.read_parquet(pilot.folder / "pharmaverseadam" / "adlb.parquet", columns=COLUMNS)


@pytest.fixture(scope="module")
def graded(adlb: pd.DataFrame) -> pd.DataFrame:
    results = pd.DataFrame(
        {
            "test": adlb["PARAMCD"].astype(object).replace(TESTS),
            "value": adlb["AVAL"],
            "unit": adlb["PARAM"].str.extract(r"\(([^()]*)\)\s*$")[0].astype(object),
            "low": adlb["ANRLO"],
            "high": adlb["ANRHI"],
            "base": adlb["BASE"],
            "category": adlb["PARCAT1"].astype(object),
        }
    )
    return ctcae.grades(results, "4.03")


def test_every_atoxgr_is_equal_or_has_a_reason(adlb: pd.DataFrame, graded: pd.DataFrame) -> None:
    low, high = graded["grade_low"], graded["grade_high"]
    ours = np.select([high >= 1, low >= 1, (high == 0) | (low == 0)], [high, -low, 0], np.nan)
    theirs = pd.to_numeric(adlb["ATOXGR"]).to_numpy(dtype=float)
    rows = pd.DataFrame({"PARAMCD": adlb["PARAMCD"].astype(object), "ATOXGR": theirs, "OURS": ours})[~np.isnan(theirs)]
    assert len(rows) == 42_553
    unequal = rows[rows["ATOXGR"].to_numpy() != rows["OURS"].to_numpy()]
    counts = unequal.groupby(["PARAMCD", "ATOXGR", "OURS"], dropna=False).size()
    assert {(*map(str, key[:1]), *key[1:]): n for key, n in counts.items()} == {
        (r.PARAMCD, r.ATOXGR, r.OURS): r.ROWS for r in REASONS.itertuples()
    }
    assert len(rows) - len(unequal) == 42_486


@pytest.mark.parametrize(("direction", "column", "unequal"), [("low", "ATOXGRL", {"LYMPH": 40, "POTAS": 18}), ("high", "ATOXGRH", {})])
def test_each_direction(adlb: pd.DataFrame, graded: pd.DataFrame, direction: str, column: str, unequal: dict[str, int]) -> None:
    theirs = pd.to_numeric(adlb[column])
    differs = theirs.notna() & (theirs.astype(float) != graded[f"grade_{direction}"])
    assert adlb["PARAMCD"][differs].value_counts().to_dict() == unequal
