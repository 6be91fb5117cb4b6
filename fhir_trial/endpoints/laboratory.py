"""Laboratory results against their baseline and their range, with candidate CTCAE grades: one row a result that is a number."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.domain.study import StudyDefinition
from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints import ctcae
from fhir_trial.endpoints.columns import NO_DAY, Bools
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.fact_tables import on_days
from fhir_trial.endpoints.subjects import study_day
from fhir_trial.errors import Finding, Findings

WORDS = ("subject", "test", "name", "category", "specimen", "comparator", "unit", "indicator", "visit")
NUMBERS = ("sequence", "value", "low", "high", "visit_number", "fasting", "baseline")
COLUMNS = (
    *("study", "subject", "arm", "test", "name", "category", "specimen", "visit", "visit_number", "on", "day", "sequence"),
    *("value", "comparator", "unit", "low", "high", "range", "indicator", "is_baseline", "on_treatment", "base", "change", "change_pct"),
    *("ctcae", "term_low", "grade_low", "base_grade_low", "term_high", "grade_high", "base_grade_high"),
)
"""`range`: LOW, NORMAL or HIGH by the limits in force. `base`: the baseline in the same unit. Grades are candidates, from 0 to 4."""


def results(
    tables: Mapping[str, pd.DataFrame], adsl: pd.DataFrame, study: StudyDefinition, conventions: Conventions, findings: Findings
) -> pd.DataFrame:
    """`COLUMNS` of each numeric result of the subjects of `adsl`.

    The baseline is the result that the source says is it, else the last one on or before the day of the first dose. On treatment: later
    than baseline and the first dose's day, until `te_window_days` after the last dose; without a date of the last dose treatment goes on.
    """
    laboratory = tables.get("laboratory")
    if laboratory is None or not len(laboratory):
        return pd.DataFrame(columns=list(COLUMNS))
    version = ctcae.version_of(study.grading)
    if study.grading is not None and not ctcae.has_criteria(study.grading):
        effect = f"laboratory results are graded by CTCAE {version}"
        findings.add(Finding("no-criteria", "study definition", field="grading", found=study.grading, severity="warning", effect=effect))
    rows = _placed(_numeric(laboratory, findings), adsl, conventions)
    _report_undated(rows, findings)
    rows = _with_baseline(_checked_range(rows, findings), findings)
    rows = pd.concat([rows, ctcae.grades(rows, version)], axis=1)
    _report_ungraded(rows, version, findings)
    at = rows["base_row"].to_numpy()
    for direction in ctcae.DIRECTIONS:
        rows[f"base_grade_{direction}"] = np.append(rows[f"grade_{direction}"].to_numpy(), np.nan)[at]
    rows = rows.assign(study=study.id, ctcae=version, range=_range(rows), **_changes(rows))
    return rows[list(COLUMNS)]


def _numeric(laboratory: pd.DataFrame, findings: Findings) -> pd.DataFrame:
    """The results that are numbers, as plain columns."""
    value = col.numbers(laboratory, "value")
    kept = laboratory[~np.isnan(value)].reset_index(drop=True)
    words = int((np.isnan(value) & col.column(laboratory, "text").notna().to_numpy(dtype=bool)).sum())
    if words:
        effect = "they are in the data and in no laboratory table"
        findings.add(Finding("result-in-words", "laboratory", found=f"{words} results", severity="information", effect=effect))
    rows = pd.DataFrame({name: col.column(kept, name).astype(object).where(lambda v: v.notna(), None) for name in WORDS})
    for name in NUMBERS:
        rows[name] = col.numbers(kept, name)
    rows["on_text"] = col.column(kept, "on").astype(object)
    return rows


def _placed(rows: pd.DataFrame, adsl: pd.DataFrame, conventions: Conventions) -> pd.DataFrame:
    """The rows with their subject's arm, their day and whether they fall on treatment, ordered by subject, test and day."""
    at = pd.Index(adsl["subject"]).get_indexer(pd.Index(rows["subject"]))
    rows, at = rows[at >= 0].reset_index(drop=True), at[at >= 0]
    first, last = (on_days(adsl[name], "mid")[at] for name in ("first_dose_on", "last_dose_on"))
    days = col.days(rows["on_text"], conventions.partial_date)
    treated = adsl["safety"].to_numpy(dtype=bool)[at]
    until = np.where(last == NO_DAY, NO_DAY - 1, np.minimum(last, NO_DAY // 2) + conventions.te_window_days)
    known = (days != NO_DAY) & (first != NO_DAY)
    rows = rows.assign(
        arm=adsl["arm"].to_numpy()[at],
        on=col.to_dates(days).to_numpy(),
        days=days,
        day=study_day(days, first),
        before=treated & known & (days <= first),
        during=treated & known & (days >= first) & (days <= until),
        after_first=known & (days > first),
    )
    if conventions.data_cutoff is not None:
        seen = (days <= col.day_number(conventions.data_cutoff, "last")) | (days == NO_DAY)
        rows = rows[seen]
    return rows.sort_values(["subject", "test", "days", "sequence"], kind="stable", ignore_index=True)


def _checked_range(rows: pd.DataFrame, findings: Findings) -> pd.DataFrame:
    """The rows without limits of normal of which the lower is the higher one; negative amounts are said too."""
    wrong = (rows["low"] > rows["high"]).to_numpy(dtype=bool)
    _report(findings, "limits-crossed", wrong, "high", "a lower limit below the upper one", "the limits do not count")
    negative = (rows["value"] < 0).to_numpy(dtype=bool)
    _report(findings, "negative-result", negative, "value", "an amount of 0 or more", "they have no candidate grade")
    return rows.assign(low=rows["low"].mask(wrong), high=rows["high"].mask(wrong))


def _report(findings: Findings, code: str, rows: Bools, field: str, expected: str, effect: str) -> None:
    if count := int(rows.sum()):
        findings.add(
            Finding(code, "laboratory", field=field, found=f"{count} results", expected=expected, severity="warning", effect=effect)
        )


def _report_undated(rows: pd.DataFrame, findings: Findings) -> None:
    undated = (rows["days"] == NO_DAY).to_numpy(dtype=bool)
    _report(findings, "undated-result", undated, "on", "a date", "they are neither baseline nor on treatment")


def _with_baseline(rows: pd.DataFrame, findings: Findings) -> pd.DataFrame:
    """Each row with the place and numbers of its subject's baseline of the test, in the same unit."""
    group = rows.groupby(["subject", "test"], sort=False).ngroup().to_numpy()
    said = np.flatnonzero(rows["baseline"].to_numpy() == 1)
    before = np.flatnonzero(rows["before"].to_numpy(dtype=bool))
    place = np.full(int(group.max(initial=-1)) + 1, -1, dtype=np.int64)
    place[group[before]] = before  # rows stand by day: the last one stays
    place[group[said]] = said
    at = place[group]
    is_baseline = at == np.arange(len(rows))
    unit = rows["unit"].fillna("").to_numpy(dtype=object)
    other = (at >= 0) & (unit != np.append(unit, "")[at])
    _report(findings, "baseline-unit-differs", other, "unit", "one unit a test and subject", "they have no baseline and no change")
    at = np.where(other, -1, at)
    numbers = {
        name: np.append(rows[of].to_numpy(), np.nan)[at] for name, of in (("base", "value"), ("base_low", "low"), ("base_high", "high"))
    }
    later = rows["days"].to_numpy() > np.append(rows["days"].to_numpy(), -1)[at]
    during = rows["during"].to_numpy(dtype=bool) & ~is_baseline & np.where(at >= 0, later, rows["after_first"].to_numpy(dtype=bool))
    return rows.assign(base_row=at, is_baseline=is_baseline, on_treatment=during, **numbers)


def _changes(rows: pd.DataFrame) -> dict[str, Any]:
    """Change from baseline, of numbers only: a limit given instead of one has none."""
    limits = rows["comparator"].notna().to_numpy(dtype=bool)
    limit_at_base = np.append(limits, False)[rows["base_row"].to_numpy()]
    exact = ~limits & ~limit_at_base & ~rows["is_baseline"].to_numpy(dtype=bool)
    base = rows["base"].to_numpy()
    change = np.where(exact, rows["value"].to_numpy() - base, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = np.where(base != 0, 100 * change / base, np.nan)
    return {"change": change, "change_pct": percent}


def _range(rows: pd.DataFrame) -> Any:
    """Where each result stands in its limits; None without any."""
    value, low, high = (rows[name].to_numpy() for name in ("value", "low", "high"))
    known = ~(np.isnan(low) & np.isnan(high))
    return np.select([value < low, value > high, known], ["LOW", "HIGH", "NORMAL"], default=None)  # type: ignore[call-overload]


def _report_ungraded(rows: pd.DataFrame, version: str, findings: Findings) -> None:
    """One finding a test, term and unit of results that have a term and lack what its criteria need."""
    for direction in ctcae.DIRECTIONS:
        lacking = rows[(rows[f"term_{direction}"].notna() & rows[f"grade_{direction}"].isna()).to_numpy(dtype=bool)]
        by = lacking.groupby(["test", f"term_{direction}", lacking["unit"].fillna("no unit")], as_index=False).size()
        for test, term, unit, count in by.itertuples(index=False):
            expected = f"the limits of normal and units that CTCAE {version} has for {term}"
            effect = "they have no candidate grade"
            found = f"{count} results in {unit}"
            findings.add(
                Finding("no-candidate-grade", "laboratory", field=test, found=found, expected=expected, severity="warning", effect=effect)
            )
