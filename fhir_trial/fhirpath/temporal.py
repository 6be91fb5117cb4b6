"""Dates, times and moments of any precision, compared and added to as FHIRPath N1 says."""

import calendar
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

_DATE = r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?"
_TIME = r"([0-9]{2})(?::([0-9]{2})(?::([0-9]{2}(?:\.[0-9]+)?))?)?"
_MOMENT = re.compile(rf"{_DATE}(T(?:{_TIME})?)?(Z|[+-][0-9]{{2}}:[0-9]{{2}})?")
_CLOCK = re.compile(rf"T?{_TIME}")
_DAY_PARTS = 3
_LIMITS = ((1, 9999), (1, 12), (1, 31), (0, 23), (0, 59), (0, Decimal("60.999999")))

_UNITS = ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
CALENDAR_UNITS = {unit + plural: unit for unit in _UNITS for plural in ("", "s")}
"""The words for calendar durations, to their singular."""


@dataclass(frozen=True, slots=True)
class Temporal:
    """A `date`, `dateTime` or `time` with as many `parts` as were given, and the zone's offset from UTC in minutes.

    Parts are year, month, day, hour, minute, second (of a time: hour, minute, second); seconds and their fractions are one part.
    """

    kind: str
    parts: tuple[int | Decimal, ...]
    offset_minutes: int | None = None

    def __str__(self) -> str:
        """As FHIR writes it."""
        return format_temporal(self)


@lru_cache(maxsize=4096)
def parse_temporal(text: str) -> Temporal | None:
    """A FHIR or FHIRPath date, dateTime, instant or time; None where the text is none.

    >>> parse_temporal("2010-10").parts
    (2010, 10)
    >>> parse_temporal("2010-13") is None
    True
    """
    if clock := _CLOCK.fullmatch(text):
        return _checked("time", clock.groups(), None, _LIMITS[_DAY_PARTS:])
    if moment := _MOMENT.fullmatch(text):
        year, month, day, has_time, *clock_parts, zone = moment.groups()
        return _checked("dateTime" if has_time else "date", (year, month, day, *clock_parts), zone, _LIMITS)
    return None


def _checked(kind: str, texts: tuple[str | None, ...], zone: str | None, limits: tuple[tuple[int, int | Decimal], ...]) -> Temporal | None:
    parts: list[int | Decimal] = []
    for text, (least, most) in zip(texts, limits, strict=True):
        if text is None:
            break
        number = Decimal(text) if "." in text else int(text)
        if not least <= number <= most:
            return None
        parts.append(number)
    if kind != "time" and len(parts) >= _DAY_PARTS and int(parts[2]) > calendar.monthrange(int(parts[0]), int(parts[1]))[1]:
        return None
    return Temporal(kind, tuple(parts), _offset(zone))


def _offset(zone: str | None) -> int | None:
    if zone is None or zone == "Z":
        return None if zone is None else 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    return -minutes if zone[0] == "-" else minutes


def format_temporal(moment: Temporal) -> str:
    """The text that FHIR uses for the moment.

    >>> format_temporal(parse_temporal("2010-10-10T08:05:01.50+02:00"))
    '2010-10-10T08:05:01.50+02:00'
    """
    if moment.kind == "time":
        return ":".join(_padded(part) for part in moment.parts)
    day = "-".join([f"{moment.parts[0]:04d}", *(_padded(part) for part in moment.parts[1:_DAY_PARTS])])
    if len(moment.parts) <= _DAY_PARTS:
        return day
    clock = ":".join(_padded(part) for part in moment.parts[_DAY_PARTS:])
    return f"{day}T{clock}{_zone(moment.offset_minutes)}"


def _padded(part: int | Decimal) -> str:
    return f"{part:02d}" if isinstance(part, int) else f"{int(part):02d}.{str(part).partition('.')[2]}"


def _zone(offset_minutes: int | None) -> str:
    if offset_minutes is None:
        return ""
    if offset_minutes == 0:
        return "Z"
    sign = "-" if offset_minutes < 0 else "+"
    return f"{sign}{abs(offset_minutes) // 60:02d}:{abs(offset_minutes) % 60:02d}"


def compare_temporal(left: Temporal, right: Temporal) -> int | None:
    """-1, 0 or 1; None where the precisions (or an unknown zone) leave it open, or a time meets a date.

    >>> compare_temporal(parse_temporal("2010"), parse_temporal("2011-02-01"))
    -1
    >>> compare_temporal(parse_temporal("2010"), parse_temporal("2010-02-01")) is None
    True
    >>> compare_temporal(parse_temporal("2010-01-01T10:00Z"), parse_temporal("2010-01-01T11:00+01:00"))
    0
    """
    if (left.kind == "time") != (right.kind == "time"):
        return None
    if left.kind != "time" and len(left.parts) > _DAY_PARTS < len(right.parts):
        if (left.offset_minutes is None) != (right.offset_minutes is None):
            return None
        left, right = _in_utc(left), _in_utc(right)
    for one, other in zip(left.parts, right.parts, strict=False):
        if one != other:
            return -1 if one < other else 1
    return 0 if len(left.parts) == len(right.parts) else None


def _in_utc(moment: Temporal) -> Temporal:
    if not moment.offset_minutes:
        return moment
    year, month, day, hour, *rest = moment.parts
    minute = int(rest[0]) if rest else 0
    try:
        shifted = datetime(int(year), int(month), int(day), int(hour), minute) - timedelta(minutes=moment.offset_minutes)
    except OverflowError:
        return moment
    parts = (shifted.year, shifted.month, shifted.day, shifted.hour, shifted.minute, *rest[1:])
    return Temporal(moment.kind, parts[: len(moment.parts)], 0)


_SECONDS = {"week": 604800, "day": 86400, "hour": 3600, "minute": 60, "second": 1}


def add_duration(moment: Temporal, amount: Decimal, unit: str) -> Temporal | None:
    """The moment so many calendar units later, at its own precision; None where the unit is no calendar unit or leaves the calendar.

    >>> str(add_duration(parse_temporal("2024-01-31"), Decimal(1), "month"))
    '2024-02-29'
    >>> str(add_duration(parse_temporal("2024-03-01"), Decimal(-1), "day"))
    '2024-02-29'
    """
    whole = int(amount)
    try:
        if unit in ("year", "month") and moment.kind != "time":
            return _add_months(moment, whole * (12 if unit == "year" else 1))
        if unit in _SECONDS or unit == "millisecond":
            exact = amount / 1000 if unit == "millisecond" else amount if unit == "second" else Decimal(whole)
            return _add_seconds(moment, exact * _SECONDS.get(unit, 1))
    except (OverflowError, ValueError):
        return None
    return None


def _add_months(moment: Temporal, months: int) -> Temporal:
    year, month = int(moment.parts[0]), int(moment.parts[1]) if len(moment.parts) > 1 else 1
    total = year * 12 + month - 1 + months
    year, month = total // 12, total % 12 + 1
    if not date.min.year <= year <= date.max.year:
        raise OverflowError
    day = min(int(moment.parts[2]), calendar.monthrange(year, month)[1]) if len(moment.parts) >= _DAY_PARTS else 1
    parts = (year, month, day, *moment.parts[_DAY_PARTS:])
    return Temporal(moment.kind, parts[: len(moment.parts)], moment.offset_minutes)


def _add_seconds(moment: Temporal, seconds: Decimal) -> Temporal:
    filled = (*(() if moment.kind != "time" else (2000, 1, 1)), *moment.parts)
    filled = (*filled, *(1, 1, 1, 0, 0, 0)[len(filled) :])
    year, month, day, hour, minute, second = filled
    clock = datetime(int(year), int(month), int(day), int(hour), int(minute)) + timedelta(0)
    total = Decimal(second) + seconds
    carried, rest = divmod(total, 60)
    if rest < 0:
        carried, rest = carried - 1, rest + 60
    clock += timedelta(minutes=int(carried))
    exact: int | Decimal = int(rest) if rest == int(rest) and isinstance(second, int) else rest
    parts: tuple[int | Decimal, ...] = (clock.year, clock.month, clock.day, clock.hour, clock.minute, exact)
    parts = parts[_DAY_PARTS:] if moment.kind == "time" else parts
    return Temporal(moment.kind, parts[: len(moment.parts)], moment.offset_minutes)
