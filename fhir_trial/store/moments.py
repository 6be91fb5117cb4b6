"""Dates and dateTimes as spans of microseconds since 1970 UTC, by FHIR's rule that a date means all of its precision."""

import datetime as dt
import re
from email.utils import formatdate

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2})"
    r"(?:T(?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d{1,9}))?)?(?P<zone>Z|[+-]\d{2}:\d{2})?)?)?)?"
)
EARLIEST, LATEST = -(2**62), 2**62
"""Bounds of a period that is open at one end."""


def microseconds(moment: dt.datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def instant(micros: int) -> str:
    """A FHIR instant in UTC to the millisecond.

    >>> instant(1_700_000_000_123_000)
    '2023-11-14T22:13:20.123Z'
    """
    return (_EPOCH + dt.timedelta(microseconds=micros)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def http_date(micros: int) -> str:
    """The form of `Last-Modified`.

    >>> http_date(1_700_000_000_123_000)
    'Tue, 14 Nov 2023 22:13:20 GMT'
    """
    return formatdate(micros / 1_000_000, usegmt=True)


def span(text: str) -> tuple[int, int] | None:
    """The first and last microsecond that `text` can mean, or None when it is no date; without a zone UTC is taken.

    >>> first, last = span("2023-02")
    >>> instant(first), instant(last)
    ('2023-02-01T00:00:00.000Z', '2023-02-28T23:59:59.999Z')
    >>> span("2023-02-30") is None
    True
    """
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    try:
        start = _start(match)
        return microseconds(start), microseconds(start + _length(match, start)) - 1
    except (ValueError, OverflowError):
        return None


def _start(match: re.Match[str]) -> dt.datetime:
    """The first moment of a matched date."""
    part = {name: int(match[name] or default) for name, default in (("year", 1), ("month", 1), ("day", 1), ("hour", 0), ("minute", 0))}
    micro = int((match["fraction"] or "0").ljust(6, "0")[:6])
    start = dt.datetime(part["year"], part["month"], part["day"], part["hour"], part["minute"], int(match["second"] or 0), micro)
    return start.replace(tzinfo=_zone(match["zone"] or "Z"))


def _zone(text: str) -> dt.tzinfo:
    """A zone as FHIR writes it."""
    if text == "Z":
        return dt.UTC
    sign = -1 if text[0] == "-" else 1
    return dt.timezone(sign * dt.timedelta(hours=int(text[1:3]), minutes=int(text[4:6])))


def _length(match: re.Match[str], start: dt.datetime) -> dt.timedelta:
    """How long a matched date lasts, by its precision."""
    if match["month"] is None:
        return start.replace(year=start.year + 1) - start
    if match["day"] is None:
        return (start + dt.timedelta(days=31)).replace(day=1) - start
    if match["hour"] is None:
        return dt.timedelta(days=1)
    if match["second"] is None:
        return dt.timedelta(minutes=1)
    digits = len(match["fraction"] or "")
    return dt.timedelta(microseconds=max(1, 10 ** (6 - min(digits, 6))))
