"""Baseline characteristics by arm ("Table 1"): numbers described, words counted, what is missing said."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.body_surface import TO_STANDARD
from fhir_trial.endpoints.columns import NO_DAY
from fhir_trial.endpoints.safety import TOTAL
from fhir_trial.errors import Finding, Findings

COLUMNS = ("arm", "characteristic", "category", "n", "subjects", "percent", "mean", "sd", "median", "q1", "q3", "minimum", "maximum")
"""Of a number: `n` known, and its figures. Of a word: `subjects` of `n` in each category, `MISSING` among them."""

MISSING = "MISSING"
IN_YEARS = {"YEARS": 1.0, "YEAR": 1.0, "A": 1.0, "MONTHS": 1 / 12, "MONTH": 1 / 12, "MO": 1 / 12, "WEEKS": 7 / 365.25, "DAYS": 1 / 365.25}
"""What an age's unit is in years (CDISC AGEU; UCUM's a and mo)."""

AGE_GROUPS = ((-np.inf, "<18"), (18, "18-64"), (65, "65-84"), (85, ">=85"))
"""Age groups of the registries (EudraCT and ClinicalTrials.gov), by the age each begins at."""

MEASURES = {"weight": "Weight (kg)", "height": "Height (cm)", "bsa": "Body surface area (m2)"}


def table(tables: Mapping[str, pd.DataFrame], adsl: pd.DataFrame, findings: Findings) -> pd.DataFrame:
    """`COLUMNS` for each arm and all enrolled subjects; a characteristic that nobody has is left out.

    Weight, height, body surface and ECOG are the last recorded on or before the first dose (of those not treated, enrolment).
    """
    enrolled = adsl[adsl["intention_to_treat"].to_numpy(dtype=bool)].reset_index(drop=True)
    numbers = _numbers(tables, enrolled, findings)
    words = _words(tables, enrolled, numbers["Age (years)"])
    arms = [*sorted({str(arm) for arm in enrolled["arm"]}), TOTAL]
    rows: list[dict[str, Any]] = []
    for name, values in [*numbers.items(), *words.items()]:
        if pd.isna(values).all():
            continue
        for arm in arms:
            chosen = values if arm == TOTAL else values[(enrolled["arm"] == arm).to_numpy(dtype=bool)]
            described = _described(chosen) if name in numbers else _counted(chosen, values)
            rows += [{"arm": arm, "characteristic": name, "category": ""} | row for row in described]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.iloc[sorted(range(len(table)), key=lambda row: arms.index(table["arm"].iloc[row]))].reset_index(drop=True)


def characteristics(tables: Mapping[str, pd.DataFrame], enrolled: pd.DataFrame, findings: Findings) -> dict[str, Any]:
    """Every characteristic of the enrolled subjects by its title, in their order."""
    numbers = _numbers(tables, enrolled, findings)
    return numbers | _words(tables, enrolled, numbers["Age (years)"])


def _numbers(tables: Mapping[str, pd.DataFrame], enrolled: pd.DataFrame, findings: Findings) -> dict[str, Any]:
    age = _years(enrolled, findings)
    measured = {title: _last(tables.get("body_measure"), test, enrolled) for test, title in MEASURES.items()}
    height, weight = measured["Height (cm)"], measured["Weight (kg)"]
    with np.errstate(divide="ignore", invalid="ignore"):
        index = np.where(height > 0, weight / (height / 100) ** 2, np.nan)
    return {"Age (years)": age, **measured, "Body mass index (kg/m2)": index}


def _words(tables: Mapping[str, pd.DataFrame], enrolled: pd.DataFrame, age: Any) -> dict[str, Any]:
    starts = np.array([start for start, _ in AGE_GROUPS])
    names = np.array([name for _, name in AGE_GROUPS], dtype=object)
    groups = np.where(np.isnan(age), None, names[np.searchsorted(starts, np.nan_to_num(age), side="right") - 1])
    score = _last(tables.get("performance_status"), None, enrolled, value="score")
    ecog = np.array([None if np.isnan(s) else str(int(s)) for s in score], dtype=object)
    own = {title: enrolled[name].to_numpy(dtype=object) for name, title in _OWN.items()}
    return {"Age group": groups, **own, "ECOG performance status": ecog}


_OWN = {"sex": "Sex", "race": "Race", "ethnicity": "Ethnicity", "country": "Country"}


def _years(enrolled: pd.DataFrame, findings: Findings) -> Any:
    """Ages in years; one in a unit that is none of age is left out with a finding, one without a unit is taken for years."""
    age, unit = col.numbers(enrolled, "age"), enrolled["age_unit"].fillna("YEARS").astype(str).str.strip().str.upper()
    factor = unit.map(IN_YEARS).to_numpy(dtype=float)
    for code, wrong, expected in (
        ("unknown-unit", np.isnan(factor) & ~np.isnan(age), f"one of {', '.join(IN_YEARS)}"),
        ("impossible-age", (age * factor < 0) | (age * factor > 130), "an age from 0 to 130 years"),
    ):
        if count := int(wrong.sum()):
            effect = f"{count} subjects' ages are not in the baseline table"
            findings.add(Finding(code, "subject", field="age", expected=expected, severity="warning", effect=effect))
        age = np.where(wrong, np.nan, age)
    return age * factor


def _last(measured: pd.DataFrame | None, test: str | None, enrolled: pd.DataFrame, value: str = "value") -> Any:
    """The last measurement of each subject on or before the first dose, in m2, kg or cm; an undated one where there is no other."""
    if measured is None or not len(measured) or not len(enrolled):
        return np.full(len(enrolled), np.nan)
    rows = measured if test is None else measured[(measured["test"] == test).to_numpy(dtype=bool)]
    at = pd.Index(enrolled["subject"]).get_indexer(pd.Index(rows["subject"].astype(object)))
    day = col.days(col.column(rows, "on"), "first")
    limit = enrolled["first_dose_on"].fillna(enrolled["enrolled_on"]).to_numpy(dtype="datetime64[D]")
    until = np.where(np.isnat(limit), NO_DAY, limit.astype(np.int64))
    factor = 1.0 if test is None else rows["unit"].astype(object).map(TO_STANDARD).to_numpy(dtype=float)
    found = pd.DataFrame({"at": at, "day": np.where(day == NO_DAY, -1, day), "value": col.numbers(rows, value) * factor})
    found["sequence"] = col.numbers(rows, "sequence")
    found = found[(at >= 0) & (found["day"].to_numpy() <= until[at]) & found["value"].notna().to_numpy()]
    last = found.sort_values(["day", "sequence"]).drop_duplicates("at", keep="last")
    values = np.full(len(enrolled), np.nan)
    values[last["at"].to_numpy()] = last["value"].to_numpy()
    return values


def _described(values: Any) -> Iterator[dict[str, Any]]:
    known = pd.Series(values[~np.isnan(values)], dtype=float)
    yield {
        "n": len(known),
        "mean": known.mean(),
        "sd": known.std(),
        "median": known.median(),
        "q1": known.quantile(0.25),
        "q3": known.quantile(0.75),
        "minimum": known.min(),
        "maximum": known.max(),
    }


def _counted(chosen: Any, every: Any) -> Iterator[dict[str, Any]]:
    """Each word that any arm has, and `MISSING` where any arm lacks one."""
    words = pd.Series(chosen, dtype=object).where(lambda v: v.notna(), MISSING)
    known = {str(word) for word in every if not pd.isna(word)}
    order = [name for _, name in AGE_GROUPS if name in known] or sorted(known)
    for word in [*order, *([MISSING] if pd.isna(every).any() else [])]:
        subjects = int((words == word).sum())
        yield {"category": word, "n": len(words), "subjects": subjects, "percent": 100 * subjects / len(words) if len(words) else np.nan}
