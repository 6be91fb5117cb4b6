"""Dose records as numbers: amounts in mg or their own unit, per m2 of body surface, days and cycles; what is odd is said."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.domain.study import PlannedExposure
from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.body_surface import Numbers, at_doses
from fhir_trial.endpoints.columns import NO_DAY, Bools, Floats, Ints
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.subjects import DOSES_A_DAY, given_doses
from fhir_trial.errors import Finding, Findings

IN_MG = {"mg": 1.0, "g": 1000.0, "kg": 1e6, "ug": 0.001, "mcg": 0.001, "µg": 0.001, "μg": 0.001, "ng": 1e-6}
"""What a unit of mass is in mg, by its spelling in small letters; the same per m2."""
PER_M2 = ("/m2", "/m^2", "/m²")
DAYS_BETWEEN = {"QOD": 2, "Q2D": 2, "QW": 7, "Q1W": 7, "Q2W": 14, "Q3W": 21, "Q4W": 28, "Q6W": 42}
"""Days from one dose to the next of a record that covers a period, by its frequency (CDISC FREQ)."""


@dataclass(frozen=True)
class Unit:
    """A unit of dose: its factor to mg (None where it is no mass), whether it is per m2, and how it is written."""

    factor: float | None
    per_m2: bool
    text: str

    @property
    def kind(self) -> str:
        """What converts into each other: mg, or the unit itself."""
        return "mg" if self.factor is not None else self.text


def unit_of(text: object) -> Unit:
    """A unit from its spelling.

    >>> unit_of("g/m2"), unit_of("TABLET").kind
    (Unit(factor=1000.0, per_m2=True, text='g/m2'), 'tablet')
    """
    spelling = str(text).strip().casefold() if isinstance(text, str) else ""
    ending = next((e for e in PER_M2 if spelling.endswith(e)), "")
    mass = spelling.removesuffix(ending) if ending else spelling
    return Unit(IN_MG.get(mass), bool(ending), spelling)


def planned_weekly(plan: PlannedExposure | None) -> float:
    """The planned amount a week, in mg (or mg/m2) or the plan's own unit; NaN where the plan does not say how often."""
    if plan is None:
        return float("nan")
    dose = float(plan.dose) * (unit_of(plan.unit).factor or 1.0)
    if plan.frequency in DOSES_A_DAY:
        return dose * DOSES_A_DAY[plan.frequency] * 7
    every = plan.cycle_days or DAYS_BETWEEN.get(plan.frequency or "")
    return dose / every * 7 if every else float("nan")


def records(
    dose: pd.DataFrame,
    tables: Mapping[str, pd.DataFrame],
    plans: Mapping[str, PlannedExposure | None],
    conventions: Conventions,
    findings: Findings,
) -> pd.DataFrame:
    """One row a dose record that was given and has a day, ordered by subject, drug and day.

    `amount` and `given` in mg or, of what is no mass, in the unit `kind`; `amount_m2` per m2 of body surface; `level` the dose per m2 as
    planned for the record; `per_m2` where the drug is planned or recorded per m2. Nothing after the data cutoff is seen.
    """
    dose = dose[given_doses(dose)].reset_index(drop=True)
    amount = col.numbers(dose, "dose")
    start, end = _period(dose, conventions, findings)
    usable = (start != NO_DAY) & ~(amount < 0)
    _report(findings, "undated-dose", start == NO_DAY, ("start", "a date"), "they are in no exposure figure")
    _report(findings, "negative-dose", amount < 0, ("dose", "an amount of 0 or more"), "they are in no exposure figure")
    if conventions.data_cutoff is not None:
        cutoff = col.day_number(conventions.data_cutoff, "last")
        usable, end = usable & (start <= cutoff), np.minimum(end, cutoff)
    units = _units(dose, findings)
    times = _times(dose, start, end, findings)
    surface = _above_nothing(at_doses(dose, start, tables, conventions), findings)
    given = amount * units["factor"].to_numpy()
    unit_m2 = units["per_m2"].to_numpy(dtype=bool)
    planned_m2 = {name for name, plan in plans.items() if plan is not None and unit_of(plan.unit).per_m2}
    medication = dose["medication"].astype(object)
    found = pd.DataFrame(
        {
            "subject": dose["subject"].astype(object),
            "medication": medication,
            "start": start,
            "end": np.where(end == NO_DAY, start, end),
            "cycle": col.numbers(dose, "cycle"),
            "amount": np.where(unit_m2, given * surface, given) * times,
            "amount_m2": np.where(unit_m2, given, given / surface) * times,
            "level": np.where(unit_m2, given, col.numbers(dose, "planned_per_m2")),
            "given": given,
            "kind": units["kind"],
            "reduced": _said_reduced(dose),
            "per_m2": medication.isin(planned_m2).to_numpy(dtype=bool) | unit_m2,
            "no_surface": np.isnan(surface) & ~unit_m2,
        }
    )
    kept: pd.DataFrame = found.loc[usable]
    # as codes: sorting words costs more than all the rest
    words = [np.asarray(pd.factorize(kept[name], sort=True)[0]) for name in ("medication", "subject")]
    ordered: pd.DataFrame = kept.iloc[np.lexsort([kept["cycle"].to_numpy(), kept["start"].to_numpy(), *words])]
    return ordered.reset_index(drop=True)


def _above_nothing(surface: Numbers, findings: Findings) -> Numbers:
    """Body surfaces above 0, the others not known."""
    _report(findings, "no-body-surface", surface <= 0, ("bsa_used", "a body surface above 0"), "their doses per m2 are not known")
    return np.where(surface <= 0, np.nan, surface)


def _period(dose: pd.DataFrame, conventions: Conventions, findings: Findings) -> tuple[Ints, Ints]:
    """First and last day of each record; an end before the start does not count."""
    start, end = (col.days(col.column(dose, name), conventions.partial_date) for name in ("start", "end"))
    crossed = (end < start) & (start != NO_DAY)
    _report(findings, "ends-before-start", crossed, ("end", "a date not before the start"), "each counts as one dose on its first day")
    return start, np.where(crossed, start, end)


def _units(dose: pd.DataFrame, findings: Findings) -> pd.DataFrame:
    """Each record's unit: its factor to mg (1 for what is no mass), whether it is per m2, and its kind."""
    codes, spellings = pd.factorize(col.column(dose, "unit").astype(object))
    known = [unit_of(text) for text in [*spellings, None]]
    table = pd.DataFrame(
        {
            "factor": [1.0 if u.factor is None else u.factor for u in known],
            "per_m2": [u.per_m2 for u in known],
            "kind": [u.kind for u in known],
        }
    )
    units = table.iloc[codes].reset_index(drop=True)
    amounts = ~np.isnan(col.numbers(dose, "dose"))
    _report(findings, "missing-unit", (codes < 0) & amounts, ("unit", "a unit"), "they are not compared with the planned dose")
    return units


def _times(dose: pd.DataFrame, start: Ints, end: Ints, findings: Findings) -> Floats:
    """How many doses a record is of: one, or those of its period at its frequency."""
    frequency = col.column(dose, "frequency").astype(object)
    a_day = frequency.map(DOSES_A_DAY).astype("float64").to_numpy()
    between = frequency.map(DAYS_BETWEEN).astype("float64").to_numpy()
    known = (start != NO_DAY) & (end != NO_DAY)
    length = np.where(known, end - np.where(known, start, 0), 0)
    is_open = ~np.isnan(a_day) & ~known & (start != NO_DAY)
    _report(findings, "open-period", is_open, ("end", "the last day of daily doses"), "each counts as one dose")
    daily = np.where(np.isnan(a_day), 1.0, a_day * (length + 1))
    repeated = np.where(np.isnan(between), daily, length // np.where(np.isnan(between), 1, between) + 1)
    return np.where(known, repeated, 1.0)


def _said_reduced(dose: pd.DataFrame) -> Bools:
    words: Any = col.column(dose, "adjustment").astype(object).fillna("").astype(str).str.upper().str.contains("REDUC")
    said: Bools = words.to_numpy(dtype=bool) | (col.numbers(dose, "reduced") == 1)
    return said


def _report(findings: Findings, code: str, rows: Bools, wanted: tuple[str, str], effect: str) -> None:
    if count := int(rows.sum()):
        field, expected = wanted
        found = f"{count} doses"
        findings.add(Finding(code, "dose", field=field, found=found, expected=expected, severity="warning", effect=effect))
