"""Laboratory results by arm: worst candidate grades, shifts from baseline, and change from baseline by visit."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.endpoints import ctcae
from fhir_trial.endpoints.safety import TOTAL

GRADES = (0, 1, 2, 3, 4)
MISSING = "MISSING"
RANGES = ("LOW", "NORMAL", "HIGH", "LOW AND HIGH", MISSING)

WORST_COLUMNS = ("arm", "test", "name", "term", "n", *(f"grade{g}" for g in GRADES), "grade3plus")
"""Subjects by their worst candidate grade on treatment; `n` those with any graded result on treatment."""

SHIFT_COLUMNS = ("arm", "test", "name", "kind", "term", "baseline", "worst", "n", "subjects", "percent")
"""`kind`: range (LOW, NORMAL, HIGH) or grade; `n` the subjects of the arm with such a result on treatment, `percent` of them."""

_FIGURES = ("n", "mean", "sd", "median", "minimum", "maximum")
CHANGE_COLUMNS = ("arm", "test", "name", "unit", "visit_number", "visit", *_FIGURES, *(f"change_{figure}" for figure in _FIGURES))
"""Figures of the results at a visit and of their change from baseline; one result a subject and visit, the last one."""

_TEST = ["arm", "test", "name"]


def worst_grades(results: pd.DataFrame) -> pd.DataFrame:
    """`WORST_COLUMNS` for each arm and all of them, test and term."""
    worst = _worst(results)
    if worst.empty:
        return pd.DataFrame(columns=list(WORST_COLUMNS))
    by = worst.assign(**{f"grade{g}": worst["worst"] == g for g in GRADES}).groupby([*_TEST, "term"], sort=True)
    counts = {"n": by.size()} | {f"grade{g}": by[f"grade{g}"].sum() for g in GRADES}
    table = pd.DataFrame(counts).reset_index()
    return _in_order(table.assign(grade3plus=table["grade3"] + table["grade4"]))[list(WORST_COLUMNS)]


def shifts(results: pd.DataFrame) -> pd.DataFrame:
    """`SHIFT_COLUMNS`: subjects by their baseline and their worst result on treatment, by range and by candidate grade."""
    parts = [part for part in (_range_shifts(results), _grade_shifts(results)) if len(part)]
    if not parts:
        return pd.DataFrame(columns=list(SHIFT_COLUMNS))
    rows = pd.concat(parts, ignore_index=True)
    group = [*_TEST, "kind", "term"]
    counts = rows.groupby([*group, "baseline", "worst"], sort=True).size().rename("subjects").reset_index()
    counts["n"] = counts.groupby(group)["subjects"].transform("sum")
    counts["percent"] = 100 * counts["subjects"] / counts["n"]
    return _in_order(counts)[list(SHIFT_COLUMNS)]


def changes(results: pd.DataFrame) -> pd.DataFrame:
    """`CHANGE_COLUMNS` by arm, test, unit and scheduled visit."""
    scheduled = results[~results["visit"].fillna("UNSCHEDULED").astype(str).str.upper().str.startswith("UNSCH").to_numpy(dtype=bool)]
    scheduled = scheduled[scheduled["comparator"].isna().to_numpy(dtype=bool)]
    if scheduled.empty:
        return pd.DataFrame(columns=list(CHANGE_COLUMNS))
    at_visit = ["subject", *_TEST, "unit", "visit_number", "visit"]
    last = _with_total(scheduled.sort_values(["on", "sequence"]).drop_duplicates(at_visit, keep="last"))
    last["unit"] = last["unit"].fillna("")
    by = last.groupby([*_TEST, "unit", "visit_number", "visit"], sort=True, dropna=False)
    figures = {f"{prefix}{name}": values for prefix, of in (("", "value"), ("change_", "change")) for name, values in _described(by[of])}
    return _in_order(pd.DataFrame(figures).reset_index())[list(CHANGE_COLUMNS)]


def _described(by: Any) -> Sequence[tuple[str, Any]]:
    return [("n", by.count()), ("mean", by.mean()), ("sd", by.std()), ("median", by.median()), ("minimum", by.min()), ("maximum", by.max())]


def _worst(results: pd.DataFrame) -> pd.DataFrame:
    """Each subject's worst grade on treatment by test and term, with the grade at baseline; in its arm and in all."""
    parts = []
    for direction in ctcae.DIRECTIONS:
        grade = f"grade_{direction}"
        rows = results[(results["on_treatment"].astype(bool) & results[grade].notna()).to_numpy(dtype=bool)]
        rows = rows.assign(term=rows[f"term_{direction}"], worst=rows[grade], baseline=rows[f"base_{grade}"])
        parts.append(rows[["subject", *_TEST, "term", "worst", "baseline"]])
    every = pd.concat(parts, ignore_index=True)
    every["name"] = every["name"].fillna(every["test"])
    worst = every.groupby(["subject", *_TEST, "term"], sort=False).agg(worst=("worst", "max"), baseline=("baseline", "first")).reset_index()
    return _with_total(worst)


def _grade_shifts(results: pd.DataFrame) -> pd.DataFrame:
    worst = _worst(results)
    baseline = worst["baseline"].map(lambda grade: MISSING if pd.isna(grade) else str(int(grade)))
    return worst.assign(kind="grade", baseline=baseline.astype(object), worst=worst["worst"].astype(int).astype(str))


def _range_shifts(results: pd.DataFrame) -> pd.DataFrame:
    """Each subject's range at baseline, and whether any result on treatment was low, high, or both."""
    known = results[results["range"].notna().to_numpy(dtype=bool)]
    during = known[known["on_treatment"].to_numpy(dtype=bool)]
    if during.empty:
        return pd.DataFrame()
    base = known[known["is_baseline"].to_numpy(dtype=bool)].set_index(["subject", "test"])["range"]
    seen = during.assign(low=during["range"] == "LOW", high=during["range"] == "HIGH", name=during["name"].fillna(during["test"]))
    rows = seen.groupby(["subject", *_TEST], sort=False)[["low", "high"]].any().reset_index()
    rows["worst"] = np.select([rows["low"] & rows["high"], rows["low"], rows["high"]], ["LOW AND HIGH", "LOW", "HIGH"], "NORMAL")
    place = pd.MultiIndex.from_frame(rows[["subject", "test"]])
    rows["baseline"] = base[~base.index.duplicated()].reindex(place).fillna(MISSING).to_numpy(dtype=object)
    return _with_total(rows.drop(columns=["low", "high"]).assign(kind="range", term=""))


def _with_total(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows, rows.assign(arm=TOTAL)], ignore_index=True)


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Arms by name and all of them last, as every table has them; the rest stays as it stands."""
    order = [(arm == TOTAL, str(arm)) for arm in table["arm"]]
    return table.iloc[sorted(range(len(table)), key=order.__getitem__)].reset_index(drop=True)
