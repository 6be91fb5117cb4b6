"""Which decimals are worked with: a few bytes of JSON can name a number whose digits fill the memory."""

from collections.abc import Iterable
from decimal import Decimal

_MOST_EXPONENT = 400
"""Beyond what a double can hold, and far beyond what anybody measures."""


def is_measure(number: Decimal) -> bool:
    """Whether a number is finite and of a size that can be written out.

    >>> is_measure(Decimal("1e300")), is_measure(Decimal("1e-999999999")), is_measure(Decimal("NaN"))
    (True, False, False)
    """
    return number.is_finite() and abs(number.adjusted()) <= _MOST_EXPONENT


def are_measures(numbers: Iterable[Decimal]) -> bool:
    """The same of many at once; those that are not finite have no exponent and count as measures."""
    exponents = set(map(Decimal.adjusted, numbers))
    return not exponents or (max(exponents) <= _MOST_EXPONENT and min(exponents) >= -_MOST_EXPONENT)
