"""Figures of a group of subjects from their derived rows: medians, rates at given times, proportions."""

import calendar
import math
from dataclasses import replace
from decimal import Decimal

import pandas as pd

from fhir_trial.domain.results import Estimate
from fhir_trial.domain.study import ReadingTime
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.proportions import Proportion, proportion
from fhir_trial.endpoints.survival import KaplanMeier, Reading, follow_up_median, kaplan_meier

WEEKS_A_MONTH = 4
"""With `month_days` weeks, a month is four weeks: four months are 16 weeks."""


def curve_of(rows: pd.DataFrame, conventions: Conventions) -> KaplanMeier:
    """The Kaplan-Meier curve of derived times, in days."""
    kept = times(rows, conventions)
    return kaplan_meier(kept["days"], kept["censored"] == 0, conventions.interval, float(conventions.level))


def times(rows: pd.DataFrame, conventions: Conventions) -> pd.DataFrame:
    """The rows that the curve is of: without times of zero where `keep_zero_times` is false."""
    return rows if conventions.keep_zero_times else rows[(rows["days"] > 0).to_numpy(dtype=bool)]


def time_to_event(
    rows: pd.DataFrame, curve: KaplanMeier, reading: tuple[ReadingTime, ...], conventions: Conventions
) -> tuple[Estimate, ...]:
    """Median, median follow-up and the rate at each reading time."""
    kept = times(rows, conventions)
    follow_up = follow_up_median(kept["days"], kept["censored"] == 0, conventions.interval, float(conventions.level))
    median = curve.quantile(0.5, conventions.median_at_half)
    figures = [_days("median", median, conventions), _days("follow_up_median", follow_up, conventions)]
    return (*figures, *(_rate(kept, curve, at, conventions) for at in reading))


def _days(name: str, reading: Reading, conventions: Conventions) -> Estimate:
    level, method = float(conventions.level), conventions.interval
    return Estimate(name, known(reading.estimate), known(reading.lower), known(reading.upper), level, method, "days")


def known(figure: float) -> float | None:
    """The figure, None where it is not reached or not estimable."""
    return None if math.isnan(figure) else float(figure)


def _rate(rows: pd.DataFrame, curve: KaplanMeier, at: ReadingTime, conventions: Conventions) -> Estimate:
    day, level = in_days(at, rows, conventions), float(conventions.level)
    at_risk = curve.number_at_risk(day)
    if conventions.rate_method == "proportion":
        free = int(((rows["days"] > day) | ((rows["days"] >= day) & (rows["censored"] == 1))).sum())
        found = proportion(free, len(rows), conventions.proportion_interval, level)
        given = Estimate("rate", found.estimate, found.lower, found.upper, level, found.method)
    else:
        read = curve.at(day)
        given = Estimate("rate", known(read.estimate), known(read.lower), known(read.upper), level, conventions.interval)
    return replace(given, at=at.at, at_unit=at.unit, at_risk=at_risk)


def in_days(at: ReadingTime, rows: pd.DataFrame, conventions: Conventions) -> float:
    """A reading time in days, by convention `month_days`; calendar months count from the earliest start.

    >>> from fhir_trial.endpoints.conventions import preset
    >>> in_days(ReadingTime(at=Decimal(4)), pd.DataFrame(), preset("protocol"))
    121.75
    """
    if at.unit in FIXED:
        return float(at.at) * FIXED[at.unit]
    months = at.at * (12 if at.unit == "years" else 1)
    if conventions.month_days == "weeks":
        return float(months) * 7 * WEEKS_A_MONTH
    if conventions.month_days == "calendar":
        return _calendar_days(months, rows)
    return float(months * Decimal(conventions.month_days))


FIXED = {"days": 1, "weeks": 7}
"""Units of reading times that are the same number of days everywhere."""


def _calendar_days(months: Decimal, rows: pd.DataFrame) -> float:
    start = pd.Timestamp(rows["start"].min()) if len(rows) else pd.Timestamp("2001-01-01")
    whole = start.year * 12 + start.month - 1 + int(months)
    last = calendar.monthrange(whole // 12, whole % 12 + 1)[1]
    end = start.replace(year=whole // 12, month=whole % 12 + 1, day=min(start.day, last))
    return float((end - start).days)


def rate(found: Proportion) -> Estimate:
    """A proportion as an estimate."""
    return Estimate("proportion", found.estimate, found.lower, found.upper, found.level, found.method)
