"""`lowBoundary` and `highBoundary`: the least and greatest value that a number, date or time of limited precision can stand for."""

import calendar
from decimal import Decimal, localcontext

from fhir_trial.fhirpath.temporal import Temporal

_LAST_CLOCK = (23, 59, Decimal("59.999"))
_FIRST_CLOCK = (0, 0, Decimal("0.000"))
_WIDEST_LOW_OFFSET = 14 * 60
_WIDEST_HIGH_OFFSET = -12 * 60
_DIGITS_OF_PARTS = {4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 14: 6, 17: 6}
_CLOCK_DIGITS_OF_PARTS = {2: 1, 4: 2, 6: 3, 9: 3}


def decimal_boundary(value: Decimal, high: bool, digits: int | None = None) -> Decimal | None:
    """Half a unit of the last digit given below (or above) the value; with `digits`, rounded outwards to so many decimal places.

    >>> decimal_boundary(Decimal("1.0"), high=False), decimal_boundary(Decimal("1.0"), high=True)
    (Decimal('0.95'), Decimal('1.05'))
    >>> decimal_boundary(Decimal("1.587"), high=True, digits=2)
    Decimal('1.59')
    """
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or (digits is not None and not 0 <= digits <= 28):
        return None
    with localcontext(prec=60):
        half = Decimal(5).scaleb(min(exponent, 0) - 1)
        edge = value + half if high else value - half
        if digits is None:
            return edge
        return edge.quantize(Decimal(1).scaleb(-digits), "ROUND_CEILING" if high else "ROUND_FLOOR")


def temporal_boundary(moment: Temporal, kind: str, high: bool, digits: int | None = None) -> Temporal | None:
    """The first (or last) moment that the partial one can stand for, as a `kind`; without a zone, the widest zone is meant.

    >>> from fhir_trial.fhirpath.temporal import parse_temporal
    >>> str(temporal_boundary(parse_temporal("1970-06"), "date", high=True))
    '1970-06-30'
    >>> str(temporal_boundary(parse_temporal("2010-10-10"), "dateTime", high=False))
    '2010-10-10T00:00:00.000+14:00'
    """
    sizes = _CLOCK_DIGITS_OF_PARTS if kind == "time" else _DIGITS_OF_PARTS
    if digits is not None and digits not in sizes:
        return None
    if kind == "time":
        return Temporal(kind, _clock(moment.parts, high)[: sizes.get(digits or 9, 3)])
    full = (*_day(moment.parts, high), *_clock(moment.parts[3:], high))
    wanted = sizes[digits] if digits else 3 if kind == "date" else 6
    if kind == "date" or wanted <= 3:
        return Temporal(kind, full[: min(wanted, 3)])
    offset = moment.offset_minutes
    if offset is None:
        offset = _WIDEST_HIGH_OFFSET if high else _WIDEST_LOW_OFFSET
    return Temporal(kind, full[:wanted], offset)


def _day(parts: tuple[int | Decimal, ...], high: bool) -> tuple[int, int, int]:
    year = int(parts[0])
    month = int(parts[1]) if len(parts) > 1 else 12 if high else 1
    day = int(parts[2]) if len(parts) > 2 else calendar.monthrange(year, month)[1] if high else 1
    return year, month, day


def _clock(parts: tuple[int | Decimal, ...], high: bool) -> tuple[int | Decimal, ...]:
    edge = _LAST_CLOCK if high else _FIRST_CLOCK
    clock = [*parts[:3], *edge[len(parts[:3]) :]]
    second = clock[2]
    if len(parts) > 2:
        # Seconds without a fraction stand for a whole second; a shorter fraction is filled to milliseconds.
        fraction = format(second, "f").partition(".")[2] if isinstance(second, Decimal) else ""
        filled = fraction + ("9" if high else "0") * (3 - len(fraction))
        clock[2] = Decimal(f"{int(second)}.{filled}")
    return tuple(clock)
