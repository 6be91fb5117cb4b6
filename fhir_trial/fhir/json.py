"""The one JSON codec: decimals stay exact (`1.50` stays `1.50`), and every way to fail is an `InputError` without values."""

import re
from collections.abc import Iterator
from decimal import Decimal
from math import isfinite
from typing import Any

import msgspec

from fhir_trial.errors import Finding, InputError

_BOM = b"\xef\xbb\xbf"
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")
# msgspec writes float NaN as null and Decimal NaN as NaN: neither is what was meant, so output holding one of these is looked at again.
_NOT_FINITE = re.compile(rb"null|NaN|Infinity")


def decode(data: bytes | str, place: str = "JSON") -> Any:
    """The value that `data` holds, numbers with a point as `Decimal`; `place` names the source in the error.

    A byte order mark in front, which some editors write, is no part of the value.

    >>> decode(b'{"value": 1.50}')
    {'value': Decimal('1.50')}
    >>> decode(b'{"value": 1.5')
    Traceback (most recent call last):
    ...
    fhir_trial.errors.InputError: JSON: not json
    """
    try:
        return _DECODER.decode(data.removeprefix(_BOM) if isinstance(data, bytes) else data.removeprefix("\ufeff"))
    except RecursionError:
        raise InputError([Finding("json-too-deep", place, expected="fewer levels of nesting")]) from None
    except UnicodeError:
        raise InputError([Finding("not-utf-8", place, expected="text in UTF-8")]) from None
    except msgspec.DecodeError as error:
        # The decoder's own words give a byte position and no value.
        raise InputError([Finding("not-json", place, expected=f"JSON in UTF-8 ({error})")]) from None


def encode(value: Any) -> bytes:
    """The shortest JSON of `value`; members keep their order, decimals their digits.

    >>> encode({"value": Decimal("1.50")})
    b'{"value":1.50}'
    """
    try:
        data = _ENCODER.encode(value)
    except RecursionError:
        raise InputError([Finding("json-too-deep", "JSON", expected="fewer levels of nesting")]) from None
    except UnicodeError:
        raise InputError([Finding("not-utf-8", "JSON", expected="text without lone surrogates")]) from None
    except TypeError as error:
        raise InputError([Finding("not-json", "JSON", expected=f"values that JSON can hold ({error})")]) from None
    if _NOT_FINITE.search(data) and not all(isfinite(number) for number in _numbers(value)):
        raise InputError([Finding("not-finite", "JSON", expected="finite numbers")])
    return data


def _numbers(value: Any) -> Iterator[float | Decimal]:
    """Every float and `Decimal` in a nested value."""
    if isinstance(value, float | Decimal):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from _numbers(member)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
