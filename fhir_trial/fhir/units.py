"""Conversion between units of UCUM, by the library ucumvert; never by guess: what UCUM does not relate is not converted."""

from decimal import Decimal, localcontext
from functools import cache, lru_cache
from importlib import import_module
from typing import Any

from fhir_trial.fhir.ucum import is_unit

_DIGITS = 12
"""Significant digits of a factor: the library computes in binary floating point, which keeps three more."""


def convert(value: Decimal, from_unit: str, to_unit: str) -> Decimal | None:
    """`value` of one UCUM unit in another; None where either is no unit of UCUM or they measure different things.

    >>> convert(Decimal("1.5"), "g/dL", "g/L") == 15, convert(Decimal("1"), "mmol/L", "mg/dL") is None
    (True, True)
    """
    if from_unit == to_unit and is_unit(from_unit):
        return value
    if (line := _line(from_unit, to_unit)) is None:
        return None
    slope, offset = line
    with localcontext(prec=60):
        return value * slope + offset


@lru_cache(maxsize=1024)
def _line(from_unit: str, to_unit: str) -> tuple[Decimal, Decimal] | None:
    """Slope and offset of a conversion: the offset is 0 but for temperatures."""
    if not (is_unit(from_unit) and is_unit(to_unit)):
        return None
    one, other = _unit(from_unit), _unit(to_unit)
    if one is None or other is None or one.dimensionality != other.dimensionality:
        return None
    ends = (_registry().Quantity(float(size * one.magnitude), one.units).to(other.units).magnitude / other.magnitude for size in (0, 1))
    zero, unity = ends
    return _rounded(unity - zero), _rounded(zero)


def _rounded(number: float) -> Decimal:
    return Decimal(format(Decimal(format(number, f".{_DIGITS}g")).normalize(), "f"))


def _unit(code: str) -> Any:
    """The unit as a quantity (`100.g` is a hundred grams), None where the library cannot say what it measures."""
    from lark.exceptions import LarkError

    try:
        quantity = _registry().from_ucum(code)
    except LarkError:
        return None
    return quantity if hasattr(quantity, "dimensionality") else None


@cache
def _registry() -> Any:
    # Imported where a unit is first converted: the library takes a second.
    return import_module("ucumvert").PintUcumRegistry()
