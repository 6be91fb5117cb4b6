"""The one JSON codec: decimals stay exact (`1.50` stays `1.50`), and every way to fail is an `InputError` without values."""

import json
import re
from collections import Counter
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
    except ArithmeticError:  # 1e99999999999999999999
        raise InputError([Finding("not-finite", place, expected="numbers of a size that can be held")]) from None
    except UnicodeError:
        raise InputError([Finding("not-utf-8", place, expected="text in UTF-8")]) from None
    except msgspec.DecodeError as error:
        # The decoder's own words give a byte position and no value.
        raise InputError([Finding("not-json", place, expected=f"JSON in UTF-8 ({error})")]) from None


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a value, itself too, each before those in it; without recursion, since hostile nesting is deep.

    >>> [list(item) for item in objects({"a": [{"b": 1}, {"c": {}}]})]
    [['a'], ['b'], ['c'], []]
    """
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(reversed(list(item.values())))
        elif isinstance(item, list):
            stack.extend(reversed(item))


def is_document(data: bytes) -> bool:
    """Whether a file begins as an object or a list of JSON does.

    >>> is_document(b'\\xef\\xbb\\xbf {"a": 1}'), is_document(b"<a/>"), is_document(b"")
    (True, False, False)
    """
    return data.removeprefix(_BOM).lstrip().startswith((b"{", b"["))


def repeated_keys(data: bytes | str, place: str = "JSON") -> list[Finding]:
    """A finding for each member name that stands twice in one object, of JSON that `decode` reads: it takes the last and says nothing.

    >>> [finding.describe() for finding in repeated_keys(b'{"id": 1, "id": 2}')]
    ["JSON, field id: found '1 object', expected each member once; the last one is taken"]
    """
    repeated: Counter[str] = Counter()

    def look(pairs: list[tuple[str, Any]]) -> None:
        if len({name for name, _ in pairs}) != len(pairs):
            repeated.update(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)

    try:
        json.loads(data, object_pairs_hook=look)
    except (ValueError, RecursionError):
        return []
    expected, effect = "each member once", "the last one is taken"
    counts = {name: f"{count} object{'s' if count > 1 else ''}" for name, count in repeated.items()}
    return [Finding("repeated-key", place, field=name, found=found, expected=expected, effect=effect) for name, found in counts.items()]


def ambiguities(data: bytes, value: Any, place: str) -> list[Finding]:
    """The repeated keys of JSON that `decode` has made `value` of; looked for only where `value` is written shorter than `data`.

    >>> len(ambiguities(b'{"id": 1}', {"id": 1}, "a")), len(ambiguities(b'{"id":1,"id":2}', {"id": 2}, "a"))
    (0, 1)
    """
    return [] if len(encode(value)) >= len(data.strip()) else repeated_keys(data, place)


def refuse_ambiguity(data: bytes, value: Any, place: str) -> None:
    """`InputError` for JSON whose objects name a member twice: which one counts is anybody's guess, and rows would be lost in silence."""
    if found := ambiguities(data, value, place):
        raise InputError(found)


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


def leaf_paths(value: Any, path: str = "") -> Iterator[str]:
    """The dotted path of every value in decoded JSON that is no object, list, null or empty text; places in lists do not count.

    >>> list(leaf_paths({"a": [{"b": 1}, {"b": None, "c": ""}], "d": False}))
    ['a.b', 'd']
    """
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaf_paths(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for item in value:
            yield from leaf_paths(item, path)
    elif value is not None and value != "":
        yield path
