"""Dates moved by whole days, in the precision they were recorded with."""

import calendar
import datetime as dt

from fhir_trial.domain.dates import first_day
from fhir_trial.domain.entities import When


def moved(when: When, days: int) -> When:
    """`when` moved by `days`; the time of day stays.

    What names no day is moved by its middle, so that it stays in the month or year that most of its days come to.

    >>> moved(When("2023-03-01T10:30:00Z"), -1), moved(When("2023-05"), -40), moved(When("2023"), -200)
    ('2023-02-28T10:30:00Z', '2023-04', '2022')
    """
    day, rest = when[:10], when[10:]
    precision = len(day)
    there = _middle(day) + dt.timedelta(days=days)
    return When(there.isoformat()[:precision] + rest)


def _middle(day: str) -> dt.date:
    """The day, or the middle of the month or year."""
    first = first_day(day)
    if len(day) == 7:
        return first.replace(day=(calendar.monthrange(first.year, first.month)[1] + 1) // 2)
    return first.replace(month=7) if len(day) == 4 else first
