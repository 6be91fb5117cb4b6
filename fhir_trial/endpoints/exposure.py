"""Exposure a subject and drug: cycles, cumulative dose, dose intensity and relative dose intensity, reductions and delays."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.domain.study import PlannedExposure, StudyDefinition
from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.body_surface import at_doses
from fhir_trial.endpoints.columns import NO_DAY
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.subjects import DOSES_A_DAY, given_doses
from fhir_trial.errors import Finding, Findings

COLUMNS = (
    "subject",
    "medication",
    "cycles",
    "first_dose_on",
    "last_dose_on",
    "cumulative_dose",
    "cumulative_dose_m2",
    "duration_days",
    "intensity_m2_per_week",
    "relative_intensity_pct",
    "reduced",
    "max_delay_days",
)
"""The columns of the exposure table; a figure that the data or the plan do not allow is missing, never guessed."""


def table(tables: Mapping[str, pd.DataFrame], study: StudyDefinition, conventions: Conventions, findings: Findings) -> pd.DataFrame:
    """One row a subject and drug with `COLUMNS`: doses in the unit of the records (mg) and per m2 of body surface.

    Relative intensity is the actual dose a week over the planned one, per m2 where the plan is.
    """
    dose = tables.get("dose")
    if dose is None or not len(dose):
        findings.add(Finding("no-doses", "dose", expected="exposure records", severity="warning", effect="there is no exposure table"))
        return pd.DataFrame(columns=list(COLUMNS))
    doses = _doses(dose[given_doses(dose)].reset_index(drop=True), tables, conventions)
    plans = {drug.medication: drug.planned for drug in study.drugs}
    per_m2 = {name for name, plan in plans.items() if plan is not None and plan.unit == "mg/m2"}
    doses["per_m2"] = doses["medication"].isin(per_m2) | doses["unit_m2"]
    _report_missing_surface(doses, findings)
    rows = [
        _row(str(key[0]), str(key[1]), group, plans.get(str(key[1])), conventions)
        for key, group in doses.groupby(["subject", "medication"])
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _report_missing_surface(doses: pd.DataFrame, findings: Findings) -> None:
    lacking = int((doses["per_m2"] & doses["surface"].isna() & ~doses["unit_m2"]).sum())
    if lacking:
        effect = f"{lacking} doses have no dose per m2; dose intensity is missing for their subjects"
        findings.add(Finding("no-body-surface", "dose", field="bsa_used", expected="body surface area", severity="warning", effect=effect))


def _doses(dose: pd.DataFrame, tables: Mapping[str, pd.DataFrame], conventions: Conventions) -> pd.DataFrame:
    """The doses given as numbers: amount, per m2, days, cycle."""
    start = col.days(col.column(dose, "start"), conventions.partial_date)
    end = col.days(col.column(dose, "end"), conventions.partial_date)
    frequency = col.column(dose, "frequency").astype(object).map(DOSES_A_DAY).astype("float64").to_numpy()
    times = np.where(np.isnan(frequency) | (end == NO_DAY) | (start == NO_DAY), 1, frequency * (end - start + 1))
    amount = col.column(dose, "dose").astype("float64").to_numpy() * times
    unit_m2 = (col.column(dose, "unit").astype(object) == "mg/m2").to_numpy(dtype=bool)
    surface = at_doses(dose, start, tables, conventions)
    doses = pd.DataFrame(
        {
            "subject": dose["subject"].astype(object),
            "medication": dose["medication"].astype(object),
            "start": start,
            "end": np.where(end == NO_DAY, start, end),
            "cycle": col.column(dose, "cycle").astype("float64"),
            "amount": np.where(unit_m2, amount * surface, amount),
            "amount_m2": np.where(unit_m2, amount, amount / surface),
            "level": np.where(unit_m2, amount, col.column(dose, "planned_per_m2").astype("float64")),
            "given": col.column(dose, "dose").astype("float64"),
            "adjusted": col.column(dose, "adjustment").astype(object).fillna("").str.upper().str.contains("REDUC"),
            "surface": surface,
            "unit_m2": unit_m2,
        }
    )
    dated: pd.DataFrame = doses.loc[start != NO_DAY]
    return dated


def _row(subject: str, medication: str, doses: pd.DataFrame, plan: PlannedExposure | None, conventions: Conventions) -> tuple[Any, ...]:
    doses = doses.sort_values(["start", "cycle"])
    first, last, end = int(doses["start"].iloc[0]), int(doses["start"].iloc[-1]), int(doses["end"].max())
    cycle_days = plan.cycle_days if plan is not None else None
    by_cycle = conventions.exposure_duration == "last_dose_plus_cycle" and cycle_days is not None
    duration = last - first + cycle_days if by_cycle and cycle_days is not None else end - first + 1
    per_m2 = bool(doses["per_m2"].all())
    total, total_m2 = doses["amount"].sum(skipna=False), doses["amount_m2"].sum(skipna=False) if per_m2 else np.nan
    weekly = (total_m2 if per_m2 else total) / (duration / 7)
    planned = float(plan.dose) / cycle_days * 7 if plan is not None and cycle_days else np.nan
    cycles = doses["cycle"].nunique() if doses["cycle"].notna().any() else doses["start"].nunique()
    return (
        subject,
        medication,
        int(cycles),
        pd.Timestamp(first, unit="D").as_unit("s"),
        pd.Timestamp(end, unit="D").as_unit("s"),
        total,
        total_m2,
        duration,
        weekly if per_m2 else np.nan,
        100 * weekly / planned,
        _is_reduced(doses, plan, per_m2),
        _longest_delay(doses, cycle_days),
    )


def _is_reduced(doses: pd.DataFrame, plan: PlannedExposure | None, per_m2: bool) -> bool:
    """Whether a dose was reduced: said so, or at a level below the plan, else below an earlier dose."""
    level = doses["level"] if per_m2 else doses["given"]
    full = float(plan.dose) if plan is not None else level.cummax()
    return bool(doses["adjusted"].any() or (level < full - 1e-9).any())


def _longest_delay(doses: pd.DataFrame, cycle_days: int | None) -> float:
    """The most days by which a cycle began later than planned after the one before it."""
    if cycle_days is None:
        return float("nan")
    starts = doses.groupby("cycle")["start"].min() if doses["cycle"].notna().any() else doses["start"].drop_duplicates()
    gaps = np.diff(np.sort(starts.to_numpy()))
    return float(max(0, (gaps - cycle_days).max(initial=0)))
