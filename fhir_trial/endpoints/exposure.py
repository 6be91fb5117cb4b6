"""Exposure a subject and drug: cycles, cumulative dose, dose intensity and relative dose intensity, reductions and delays."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.domain.study import PlannedExposure, StudyDefinition
from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import Bools, Floats, Ints
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.dose_records import planned_weekly, records, unit_of
from fhir_trial.endpoints.safety import TOTAL
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
    "delayed_cycles",
    "unit",
)
"""The columns of the exposure table; a figure that the data or the plan do not allow is missing, never guessed. `unit` of the cumulative
dose; `delayed_cycles` began later than planned."""

FIGURES = ("cycles", "duration_days", "cumulative_dose", "cumulative_dose_m2", "relative_intensity_pct", "max_delay_days")
SUMMARY_COLUMNS = ("arm", "medication", "figure", "n", "mean", "sd", "median", "minimum", "maximum", "subjects", "percent")
"""Of a number its figures; of `reduced` and `delayed` the subjects, of `n` who got the drug."""


def table(tables: Mapping[str, pd.DataFrame], study: StudyDefinition, conventions: Conventions, findings: Findings) -> pd.DataFrame:
    """One row a subject and drug with `COLUMNS`: doses in mg (what is no mass in the records' own unit) and per m2 of body surface.

    Relative intensity is the actual dose a week over the planned one, per m2 where the plan is. The cost grows with the records alone.
    """
    dose = tables.get("dose")
    if dose is None or not len(dose):
        findings.add(Finding("no-doses", "dose", expected="exposure records", severity="warning", effect="there is no exposure table"))
        return pd.DataFrame(columns=list(COLUMNS))
    plans = {drug.medication: drug.planned for drug in study.drugs}
    doses = records(dose, tables, plans, conventions, findings)
    if not len(doses):
        return pd.DataFrame(columns=list(COLUMNS))
    _report_missing_surface(doses, findings)
    return _Groups(doses, plans).figures(conventions, findings)


def _report_missing_surface(doses: pd.DataFrame, findings: Findings) -> None:
    lacking = int((doses["per_m2"] & doses["no_surface"]).sum())
    if lacking:
        effect = f"{lacking} doses have no dose per m2; dose intensity is missing for their subjects"
        findings.add(Finding("no-body-surface", "dose", field="bsa_used", expected="body surface area", severity="warning", effect=effect))


class _Groups:
    """The doses of each subject and drug, which stand together and by day."""

    def __init__(self, doses: pd.DataFrame, plans: Mapping[str, PlannedExposure | None]) -> None:
        codes = [pd.factorize(doses[name])[0].astype(np.int64) for name in ("subject", "medication")]
        self.doses, self.at = doses, col.combined(codes)
        self.first = col.first_places(self.at)
        self.heads = doses.iloc[self.first].reset_index(drop=True)
        drug, names = pd.factorize(self.heads["medication"])
        planned = [plans.get(str(name)) for name in names]
        units = [unit_of(p.unit) if p else None for p in planned]
        self.planned = np.array([p is not None for p in planned], dtype=bool)[drug]
        self.planned_m2 = np.array([u is not None and u.per_m2 for u in units], dtype=bool)[drug]
        self.kind = np.array([u.kind if u else None for u in units], dtype=object)[drug]
        self.cycle_days = np.array([p.cycle_days if p and p.cycle_days else np.nan for p in planned], dtype=float)[drug]
        self.weekly = np.array([planned_weekly(p) for p in planned])[drug]
        self.full = np.array([float(p.dose) * (u.factor or 1.0) if p and u else np.nan for p, u in zip(planned, units, strict=True)])[drug]

    def figures(self, conventions: Conventions, findings: Findings) -> pd.DataFrame:
        """The table, a row a group."""
        by = self.doses.groupby(self.at, sort=False)
        starts, ends = self.doses["start"].to_numpy()[self.first], by["end"].max().to_numpy()
        duration = self._duration(starts, by["start"].max().to_numpy(), ends, conventions)
        per_m2, kind = by["per_m2"].all().to_numpy(dtype=bool), self._kind()
        total, total_m2 = self._sum("amount"), np.where(per_m2, self._sum("amount_m2"), np.nan)
        total, total_m2 = (np.where(kind != None, values, np.nan) for values in (total, total_m2))  # noqa: E711 - by element
        planned_m2 = np.where(self.planned, self.planned_m2, per_m2)
        weekly = np.where(planned_m2, total_m2, total) / (duration / 7)
        comparable = self._comparable(kind, findings)
        delay, delayed = self._delays()
        columns = {
            "cycles": self._cycles(),
            "first_dose_on": col.to_dates(starts),
            "last_dose_on": col.to_dates(ends),
            "cumulative_dose": total,
            "cumulative_dose_m2": total_m2,
            "duration_days": duration,
            "intensity_m2_per_week": np.where(per_m2, total_m2 / (duration / 7), np.nan),
            "relative_intensity_pct": np.where(comparable, 100 * weekly / self.weekly, np.nan),
            "reduced": self._reduced(planned_m2.astype(bool), comparable),
            "max_delay_days": delay,
            "delayed_cycles": delayed,
            "unit": kind,
        }
        heads = {name: self.heads[name].astype(object) for name in ("subject", "medication")}
        return pd.DataFrame(heads | columns)[list(COLUMNS)]

    def _sum(self, name: str) -> Floats:
        """The sum of each group; NaN where any dose has none."""
        total = np.zeros(len(self.first))
        np.add.at(total, self.at, self.doses[name].to_numpy())
        return total

    def _duration(self, first: Ints, last: Ints, end: Ints, conventions: Conventions) -> Ints:
        by_cycle = ~np.isnan(self.cycle_days) & (conventions.exposure_duration == "last_dose_plus_cycle")
        cycle = np.where(by_cycle, np.nan_to_num(self.cycle_days), 0).astype(np.int64)
        return np.where(by_cycle, last - first + cycle, end - first + 1)

    def _kind(self) -> Any:
        """The one unit that a group's doses are in; None where they do not add up."""
        kinds = self.doses["kind"].to_numpy(dtype=object)
        same = np.ones(len(self.first), dtype=bool)
        np.logical_and.at(same, self.at, kinds == kinds[self.first][self.at])
        return np.array([kind if one else None for kind, one in zip(kinds[self.first], same, strict=True)], dtype=object)

    def _comparable(self, kind: Any, findings: Findings) -> Bools:
        """Which groups' doses are in the plan's unit."""
        comparable: Bools = self.planned & (kind == self.kind)
        unlike = self.planned & ~comparable
        for name in sorted({str(m) for m in self.heads["medication"][unlike]}):
            count = int((unlike & (self.heads["medication"] == name).to_numpy(dtype=bool)).sum())
            effect = f"{count} subjects have no relative dose intensity of {name}"
            expected = "doses in units that convert to the planned one"
            findings.add(Finding("unit-not-convertible", "dose", field="unit", expected=expected, severity="warning", effect=effect))
        return comparable

    def _cycles(self) -> Ints:
        """How many cycles were begun: those numbered, else the days on which doses began."""
        return np.bincount(self._begun()["group"].to_numpy(), minlength=len(self.first)).astype(np.int64)

    def _begun(self) -> pd.DataFrame:
        """The first day of each cycle, by group and day."""
        numbered = np.zeros(len(self.first), dtype=bool)
        cycle = self.doses["cycle"].to_numpy()
        np.logical_or.at(numbered, self.at, ~np.isnan(cycle))
        start = self.doses["start"].to_numpy()
        rows = pd.DataFrame({"group": self.at, "cycle": np.where(numbered[self.at], cycle, start), "start": start})
        begun = rows.dropna().groupby(["group", "cycle"], sort=False)["start"].min().reset_index()
        return begun.sort_values(["group", "start"], ignore_index=True)

    def _delays(self) -> tuple[Floats, Floats]:
        """The most days by which a cycle began later than planned after the one before it, and how many did."""
        begun = self._begun()
        group, start = begun["group"].to_numpy(), begun["start"].to_numpy()
        late = np.where(col.first_of_group(group), 0, np.diff(start, prepend=start[:1]) - self.cycle_days[group])
        most, count = np.zeros(len(self.first)), np.zeros(len(self.first))
        np.maximum.at(most, group, np.nan_to_num(late))
        np.add.at(count, group, np.nan_to_num(late) > 0)
        unplanned = np.isnan(self.cycle_days)
        return np.where(unplanned, np.nan, most), np.where(unplanned, np.nan, count)

    def _reduced(self, per_m2: Bools, comparable: Bools) -> Bools:
        """Whether a dose was reduced: said so, or below the plan, else (where nothing is planned in its unit) below an earlier dose."""
        level = np.where(per_m2[self.at], self.doses["level"].to_numpy(), self.doses["given"].to_numpy())
        highest = pd.Series(level).groupby(self.at, sort=False).cummax().to_numpy()
        full = np.where(comparable[self.at], self.full[self.at], highest)
        reduced = np.zeros(len(self.first), dtype=bool)
        with np.errstate(invalid="ignore"):
            np.logical_or.at(reduced, self.at, self.doses["reduced"].to_numpy(dtype=bool) | (level < full - 1e-9))
        return reduced


def summary(exposure: pd.DataFrame, adsl: pd.DataFrame) -> pd.DataFrame:
    """`SUMMARY_COLUMNS` of each arm and all, and each drug."""
    arm = dict(zip(adsl["subject"], adsl["arm"], strict=True))
    rows = exposure.assign(arm=np.array([arm.get(name) for name in exposure["subject"]], dtype=object))
    every = pd.concat([rows[rows["arm"].notna()], rows.assign(arm=TOTAL)], ignore_index=True)
    order = [*sorted({str(a) for a in every["arm"]} - {TOTAL}), TOTAL]
    found: list[dict[str, Any]] = []
    groups = {(str(key[0]), str(key[1])): group for key, group in every.groupby(["arm", "medication"])}
    for (name, medication), group in sorted(groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1])):
        for figure in FIGURES:
            known = group[figure].dropna().astype(float)
            if len(known):
                described = {"n": len(known), "mean": known.mean(), "sd": known.std(), "median": known.median()}
                described |= {"minimum": known.min(), "maximum": known.max()}
                found.append({"arm": name, "medication": medication, "figure": figure} | described)
        for figure, chosen in (("reduced", group["reduced"]), ("delayed", group["delayed_cycles"] > 0)):
            subjects = int(chosen.sum())
            shares = {"n": len(group), "subjects": subjects, "percent": 100 * subjects / len(group)}
            found.append({"arm": name, "medication": medication, "figure": figure} | shares)
    return pd.DataFrame(found, columns=list(SUMMARY_COLUMNS))
