"""Sums of diameters as recorded (SUMDIAM) beside those that the lesions give: an edited lesion contradicts the sum written down."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import NO_DAY
from fhir_trial.endpoints.fact_tables import on_days
from fhir_trial.endpoints.observation import Observation
from fhir_trial.endpoints.recist import Assessments
from fhir_trial.endpoints.response_checks import place_of
from fhir_trial.errors import Finding, Findings

READER = ["subject", "evaluator", "evaluator_id"]
TOLERANCE_MM = 1e-6
"""Sums are exact; the column of the lesions' sums holds floats."""

EFFECT = "sums and derived responses rest on the lesions; the recorded sum is not used"


def check_sums(tables: Mapping[str, pd.DataFrame], assessments: Assessments, observation: Observation, findings: Findings) -> None:
    """A finding for each row of table `sum_of_diameters` that is not the sum of the measured targets of its visit, or of baseline."""
    recorded = tables.get("sum_of_diameters")
    if recorded is None or not len(recorded) or not len(assessments.frame):
        return
    known = pd.DataFrame({name: _words(recorded, name) for name in (*READER, "visit")})
    known = known.assign(sum_mm=col.numbers(recorded, "sum_mm"), source_sequence=col.numbers(recorded, "sequence"))
    known["on"] = col.days(col.column(recorded, "on"), "last")
    known["start"] = np.append(observation.start, NO_DAY)[observation.place(known["subject"])]
    frame = _of_lesions(assessments.frame)
    pairs = pd.concat([_at_visits(known, frame), _at_baseline(known, frame)], ignore_index=True)
    differs = ((pairs["sum_mm"] - pairs["computed"]).abs() > TOLERANCE_MM).to_numpy(dtype=bool)
    for row in pairs[differs].to_dict("records"):
        found, expected = f"{row['sum_mm']:g} mm recorded", f"{row['computed']:g} mm, the sum of the target lesions {row['of']}"
        place = place_of(row, "sum_of_diameters")
        findings.add(Finding("recorded-sum-differs", place, None, "sum_mm", found, expected, severity="warning", effect=EFFECT))


def _of_lesions(frame: pd.DataFrame) -> pd.DataFrame:
    """Each visit with the sum of the targets that were measured at it."""
    rows = pd.DataFrame({name: _words(frame, name) for name in (*READER, "visit")})
    rows = rows.assign(first=on_days(frame["first_on"], "last"), last=on_days(frame["last_on"], "last"))
    computed = frame["sum_mm"].where(frame["complete"].to_numpy(dtype=bool), frame["partial_sum_mm"])
    return rows.assign(computed=computed.to_numpy(dtype=float), baseline=frame["baseline_mm"].to_numpy(dtype=float))


def _at_visits(known: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Recorded sums after the start with their visit's sum; where visits share a name (UNSCHEDULED) the dates tell them apart."""
    pairs = known[known["visit"] != ""].merge(frame, on=[*READER, "visit"])
    dated = (pairs["on"] != NO_DAY) & (pairs["first"] != NO_DAY)
    apart = dated & ((pairs["on"] < pairs["first"]) | (pairs["on"] > pairs["last"]))
    alone = ~pairs.duplicated([*READER, "visit", "source_sequence"], keep=False)
    return pairs[alone | ~apart].assign(of="at this visit")


def _at_baseline(known: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """The last recorded sum of each reader up to the start, with the lesions' baseline."""
    early = known[(known["on"] <= known["start"]) & (known["on"] != NO_DAY) & (known["start"] != NO_DAY)]
    early = early.merge(frame[[*READER, "visit"]].drop_duplicates(), on=[*READER, "visit"], how="left", indicator=True)
    last = early[early["_merge"] == "left_only"].sort_values("on", kind="stable").drop_duplicates(READER, keep="last")
    baseline = frame[[*READER, "baseline"]].drop_duplicates(READER).rename(columns={"baseline": "computed"})
    return last.drop(columns="_merge").merge(baseline, on=READER).assign(of="at baseline")


def _words(frame: pd.DataFrame, name: str) -> "pd.Series[Any]":
    """A column of words, "" where there is none, so that it can be joined on."""
    values = col.column(frame, name).astype(object)
    return values.where(values.notna(), "").reset_index(drop=True)
