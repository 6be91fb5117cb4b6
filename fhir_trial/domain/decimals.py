"""Decimals as they were recorded: nothing is rounded where only zeros are taken away."""

from decimal import Context, Decimal

EXACT = Context(prec=500)
"""Python's own context rounds to 28 digits whatever is done to a number; tables hold 38, and views whatever was written."""


def without_padding(value: Decimal) -> Decimal:
    """The same number without a column's padding zeros and without an exponent.

    >>> without_padding(Decimal("1.500000000000")), without_padding(Decimal("1E+2"))
    (Decimal('1.5'), Decimal('100'))
    >>> without_padding(Decimal("12345678901234567890.123456789012"))
    Decimal('12345678901234567890.123456789012')
    """
    return Decimal(format(value.normalize(EXACT), "f"))
