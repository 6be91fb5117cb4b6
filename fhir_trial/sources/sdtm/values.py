"""Kinds of SDTM values: text to the domain's value and back, or `ValueError`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

from fhir_trial.domain.dates import parse_when
from fhir_trial.domain.entities import When

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


_DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+")
_LOCAL_DATE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-](\d{2}|\d{4})|\d{1,2}[ -]?[A-Za-z]{3}[ -]?(\d{2}|\d{4})|(19|20)\d{6}")


@dataclass(frozen=True)
class Kind:
    """How a value is read and written; `finding` names what text that cannot be read is, `expected` what it should be."""

    parse: Callable[[str], Any]
    format: Callable[[Any], str]
    finding: str
    expected: str


def expectation(kind: Kind, text: str) -> str:
    """What a kind expects, with a hint where the text is in a local format that is not guessed at.

    >>> expectation(AMOUNT, "1,5")
    'a number that is not negative, with a decimal point and no comma'
    >>> expectation(DATE, "03/04/2023").partition(": ")[2]
    'which is the day and which the month is not guessed'
    """
    if kind.finding in ("not-a-number", "not-an-amount") and _DECIMAL_COMMA.fullmatch(text):
        return f"{kind.expected}, with a decimal point and no comma"
    if kind.finding == "impossible-date" and _LOCAL_DATE.fullmatch(text):
        return f"{kind.expected}: which is the day and which the month is not guessed"
    return kind.expected


def parse_text(text: str) -> str:
    """Text as it stands, unless it holds what no JSON or XML may."""
    if not is_text(text):
        raise ValueError
    return text


def is_text(text: str) -> bool:
    """Whether text holds nothing that no JSON or XML may."""
    return _CONTROL.search(text) is None


def parse_decimal(text: str) -> Decimal:
    """An exact decimal of at most 28 digits, 12 of them after the point, as tables hold it.

    >>> parse_decimal("1.50"), parse_decimal("1E+2")
    (Decimal('1.50'), Decimal('100'))
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError
    value = Decimal(text)
    if value.adjusted() >= _MOST_DIGITS - _MOST_DECIMALS or len(value.as_tuple().digits) > _MOST_DIGITS:
        raise ValueError
    plain = Decimal(format(value, "f"))
    if _decimals(plain) > _MOST_DECIMALS:
        raise ValueError
    return plain


_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,2})?", re.ASCII)
_MOST_DIGITS, _MOST_DECIMALS = 28, 12


def _decimals(value: Decimal) -> int:
    """Digits after the point, padding zeros not counted."""
    text = format(value, "f")
    return len(text.partition(".")[2].rstrip("0"))


def converted(value: Decimal, factor: Decimal) -> Decimal:
    """`value` times an exact factor, to 12 digits after the point; `ValueError` if it outgrows the tables.

    >>> converted(Decimal("150.5"), Decimal("0.45359237"))
    Decimal('68.265651685')
    """
    with localcontext(prec=100):
        product = value * factor
        plain = product if _decimals(product) <= _MOST_DECIMALS else product.quantize(Decimal(1).scaleb(-_MOST_DECIMALS))
    return parse_decimal(format_decimal(plain))


def parse_rounded(text: str) -> Decimal:
    """A decimal, to 12 digits after the point: converted results come with the noise of the machine that converted them.

    >>> parse_rounded("0.0833333333333333")
    Decimal('0.083333333333')
    """
    value = Decimal(text) if _NUMBER.fullmatch(text) else None
    if value is None or value.adjusted() >= _MOST_DIGITS - _MOST_DECIMALS:
        raise ValueError
    return parse_decimal(format_decimal(round(value, _MOST_DECIMALS)) if _decimals(value) > _MOST_DECIMALS else text)


def parse_amount(text: str) -> Decimal:
    """A decimal that is not negative."""
    value = parse_decimal(text)
    if value < 0:
        raise ValueError
    return value.copy_abs()


def parse_integer(text: str) -> int:
    """A whole number; `3.0` is one, since statistical software writes it so.

    >>> parse_integer("3.0")
    3
    """
    value = parse_decimal(text)
    if value != int(value) or abs(value) >= 2**63:
        raise ValueError
    return int(value)


def format_decimal(value: Decimal) -> str:
    """A decimal without an exponent and without padding zeros, as tables give it back.

    >>> format_decimal(Decimal("1.500")), format_decimal(Decimal("100"))
    ('1.5', '100')
    """
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


_UNKNOWN_PART = re.compile(r"(\d{4}(?:-\d{2}){0,2})(?:--|-$|T-)[-\d:T]*")
"""SDTM puts a hyphen where a part of a date is not known."""


def parse_date(text: str) -> When:
    """An ISO 8601 date or dateTime that exists; of one with a part unknown in the middle what stands before it.

    >>> parse_date("2003---15"), parse_date("2003-12-15T-:30"), parse_date("2003-12")
    ('2003', '2003-12-15', '2003-12')
    """
    when = parse_when(text)
    if when is None and (match := _UNKNOWN_PART.fullmatch(text)):
        when = parse_when(match[1])
    if when is None:
        raise ValueError
    return when


def coded(table: Mapping[str, Any]) -> Kind:
    """A code list: SDTM's term, in any case, to the domain's value; the first term of a value is the one written.

    >>> role = coded({"TARGET": "target", "NON-TARGET": "non-target"})
    >>> role.parse("Target"), role.format("non-target")
    ('target', 'NON-TARGET')
    """
    back: dict[Any, str] = {}
    for term, value in table.items():
        back.setdefault(value, term)

    def parse(text: str) -> Any:
        key = text.upper()
        if key not in table:
            raise ValueError
        return table[key]

    return Kind(parse, back.__getitem__, "unknown-code", f"one of {', '.join(table)}")


TEXT = Kind(parse_text, str, "invalid-text", "text without control characters")
INTEGER = Kind(parse_integer, str, "not-a-number", "a whole number")
DECIMAL = Kind(parse_decimal, format_decimal, "not-a-number", "a number")
ROUNDED = Kind(parse_rounded, format_decimal, "not-a-number", "a number")
AMOUNT = Kind(parse_amount, format_decimal, "not-an-amount", "a number that is not negative")
DATE = Kind(parse_date, str, "impossible-date", "an ISO 8601 date that exists, such as 2023-05-04")
YES_NO = coded({"Y": True, "N": False})
