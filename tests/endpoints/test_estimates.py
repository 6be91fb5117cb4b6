"""Figures of a group: reading times in days, the median, and rates as proportions."""

from decimal import Decimal

import pandas as pd
import pytest

from fhir_trial.domain.study import ReadingTime
from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.estimates import curve_of, in_days, time_to_event

DAYS = [
    (4, "months", {}, ["2023-01-01"], 121.75),
    (4, "months", {"month_days": "weeks"}, ["2023-01-01"], 112),
    (1, "years", {}, ["2023-01-01"], 365.25),
    (1, "years", {"month_days": "30"}, ["2023-01-01"], 360),
    (10, "days", {}, ["2023-01-01"], 10),
    (10, "weeks", {"month_days": "weeks"}, ["2023-01-01"], 70),
    # the last day of a shorter month; across a year; from the earliest start
    (1, "months", {"month_days": "calendar"}, ["2023-01-31"], 28),
    (1, "months", {"month_days": "calendar"}, ["2016-01-31"], 29),
    (3, "months", {"month_days": "calendar"}, ["2023-11-30"], 91),
    (12, "months", {"month_days": "calendar"}, ["2023-12-15"], 366),
    (1, "months", {"month_days": "calendar"}, ["2023-03-01", "2023-02-01"], 28),
]


@pytest.mark.parametrize(("at", "unit", "settings", "starts", "expected"), DAYS)
def test_a_reading_time_in_days(at: int, unit: str, settings: dict[str, str], starts: list[str], expected: float) -> None:
    rows = pd.DataFrame({"start": pd.to_datetime(starts)})
    reading = ReadingTime(at=Decimal(at), unit=unit)  # type: ignore[arg-type]
    assert in_days(reading, rows, preset("protocol").with_settings(settings)) == expected


def test_the_median_is_of_a_half() -> None:
    rows = pd.DataFrame({"start": pd.to_datetime(["2023-01-01"] * 20), "days": range(1, 21), "censored": 0})
    median = next(figure for figure in time_to_event(rows, curve_of(rows, preset("protocol")), (), preset("protocol")))
    assert (median.name, median.value) == ("median", 10.5)


@pytest.mark.parametrize(("day", "free"), [(99, 3), (100, 2), (101, 1), (150, 0), (40, 4)])
def test_a_rate_as_a_proportion_is_of_those_seen_free_on_the_day(day: int, free: int) -> None:
    """An event on the day is one; who is censored on the day was free on it."""
    conventions = preset("protocol").with_settings({"rate_method": "proportion"})
    rows = pd.DataFrame({"start": pd.to_datetime(["2023-01-01"] * 4), "days": [50, 100, 100, 150], "censored": [0, 0, 1, 0]})
    reading = (ReadingTime(at=Decimal(day), unit="days"),)
    assert time_to_event(rows, curve_of(rows, conventions), reading, conventions)[-1].value == pytest.approx(free / 4)
