"""Arrow types that tables and views share, without what tables need beside them."""

from decimal import Context, Decimal

import pyarrow as pa

_DIGITS, _PLACES = 38, 12
DECIMAL = pa.decimal128(_DIGITS, _PLACES)
"""Every decimal column: exact, 26 digits before the point and 12 after it."""


def is_held(number: Decimal) -> bool:
    """Whether a decimal column holds a number as it stands.

    >>> is_held(Decimal("1.50000000000000")), is_held(Decimal("0.3333333333333333")), is_held(Decimal("1e26"))
    (True, False, False)
    """
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or len(digits) > _DIGITS:
        return False
    if number.is_zero():
        return exponent < _DIGITS - _PLACES
    if not -_PLACES <= number.adjusted() < _DIGITS - _PLACES:
        return False
    return exponent >= -_PLACES or not any(digits[_PLACES + exponent :])


def rounded(number: Decimal) -> Decimal:
    """The number to the last place that a decimal column has; as it stands where it is too large for one.

    >>> rounded(Decimal("66.899999999999991473487")), rounded(Decimal("1e26"))
    (Decimal('66.900000000000'), Decimal('1E+26'))
    """
    if not number.is_finite() or number.adjusted() >= _DIGITS - _PLACES:
        return number
    return number.quantize(Decimal(1).scaleb(-_PLACES), context=Context(prec=_DIGITS + 1))
