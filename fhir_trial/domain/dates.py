"""Dates in the precision they were recorded with: checked, compared and bounded without inventing a day."""

import calendar
import datetime as dt
import re

from fhir_trial.domain.entities import When

_ISO = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2})"
    r"(?:T(?P<hour>\d{2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?)?(?P<zone>Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))?)?)?)?",
    re.ASCII,
)


def parse_when(text: str) -> When | None:
    """`text` as a `When` if it is an ISO 8601 date or dateTime that exists, else None.

    >>> parse_when("2023-02"), parse_when("2023-02-30"), parse_when("2014-07-02T11:45")
    ('2023-02', None, '2014-07-02T11:45')
    """
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    part = {name: int(value) for name, value in match.groupdict(default="0").items() if name != "zone"}
    try:
        dt.datetime(part["year"], part["month"] or 1, part["day"] or 1, part["hour"], part["minute"], part["second"])
    except ValueError:
        return None
    if any(match[name] is not None and part[name] == 0 for name in ("month", "day")):
        return None
    return When(text)


def is_local_time(when: str) -> bool:
    """Whether `when` has a clock time and no zone, which no FHIR dateTime may.

    >>> is_local_time("2014-07-02T11:45"), is_local_time("2014-07-02T11:45:00Z"), is_local_time("2014-07-02")
    (True, False, False)
    """
    return "T" in when and not re.search(r"(Z|[+-]\d{2}:\d{2})$", when)


def is_full_date(when: str | None) -> bool:
    """Whether `when` names a day."""
    return when is not None and len(when) >= 10


def first_day(when: str) -> dt.date:
    """The earliest day `when` can mean.

    >>> first_day("2023-05").isoformat()
    '2023-05-01'
    """
    year, month, day = (*(int(p) for p in when[:10].split("-")), 1, 1)[:3]
    return dt.date(year, month, day)


def last_day(when: str) -> dt.date:
    """The latest day `when` can mean.

    >>> last_day("2024-02").isoformat(), last_day("2023").isoformat()
    ('2024-02-29', '2023-12-31')
    """
    if len(when) >= 10:
        return first_day(when)
    year = int(when[:4])
    month = int(when[5:7]) if len(when) >= 7 else 12
    return dt.date(year, month, calendar.monthrange(year, month)[1])
