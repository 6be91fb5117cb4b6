"""Codecs: pairs of functions between a domain value and a FHIR value, each the other's inverse."""

import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from fhir_trial.domain.dates import parse_when
from fhir_trial.domain.entities import Entity, When
from fhir_trial.fhir.ucum import is_unit
from fhir_trial.mapping.errors import BadValue, RuleError

TEXT_TYPES = frozenset({"string", "markdown", "code", "id", "uri", "url", "canonical", "oid", "uuid"})
DATE_TYPES = frozenset({"date", "dateTime", "instant"})

UCUM = "http://unitsofmeasure.org"

# What `str` makes of an integer of 64 bits, and nothing else that `int` takes: spaces, underscores, digits of other scripts.
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_DATE_TIME = re.compile(r"\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2}))?)?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Codec:
    """`encode` and `decode` are inverse; both raise `BadValue` for what they cannot carry."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


def base_type(annotation: Any) -> Any:
    """The type of a field without its None: `str`, `int`, `bool`, `Decimal`, `When` or `tuple[...]`."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(a for a in get_args(annotation) if a is not type(None))
    return annotation


def field_types(entity: type[Entity]) -> dict[str, Any]:
    """The type of each field of an entity, None left out."""
    return {name: base_type(hint) for name, hint in get_type_hints(entity).items()}


def _text(value: Any) -> str:
    if type(value) is not str or not value or value.isspace():
        raise BadValue(value, "text that is not empty")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise BadValue(value, "an integer")
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise BadValue(value, "true or false")
    return value


def _decimal(value: Any) -> Decimal:
    if type(value) is Decimal:
        return value
    if type(value) is int:
        return Decimal(value)
    raise BadValue(value, "a number")


# The days of a trial are few, and every one of them is met in many rows.
_parsed_when = lru_cache(maxsize=16_384)(parse_when)


def _when(value: Any) -> When:
    when = _parsed_when(value) if type(value) is str else None
    if when is None:
        raise BadValue(value, "a date or dateTime of ISO 8601 that exists")
    return when


_PLAIN: dict[Any, tuple[Callable[[Any], Any], frozenset[str]]] = {
    str: (_text, TEXT_TYPES),
    int: (_integer, frozenset({"integer", "positiveInt", "unsignedInt", "integer64"})),
    bool: (_boolean, frozenset({"boolean"})),
    Decimal: (_decimal, frozenset({"decimal"})),
    When: (_when, DATE_TYPES),
}


def plain_codec(python_type: Any, fhir_type: str, binding: frozenset[str] | None = None) -> Codec:
    """The codec of a field that stands in FHIR as it is; `RuleError` where the two types do not fit."""
    check, fitting = _PLAIN[python_type]
    if fhir_type not in fitting:
        raise RuleError(f"a {python_type.__name__} cannot stand in a FHIR {fhir_type}; expected {', '.join(sorted(fitting))}")
    if binding is None:
        return Codec(check, check)

    def bound(value: Any) -> Any:
        if check(value) not in binding:
            raise BadValue(value, "one of " + ", ".join(sorted(binding)[:12]))
        return value

    return Codec(bound, bound)


def table_codec(name: str, table: Mapping[str, str], python_type: Any, binding: frozenset[str] | None = None) -> Codec:
    """The codec of a one-to-one code table; an entry is a code, or `code|display`.

    Raises `RuleError` for a table that is not one-to-one, or that has a code its required binding lacks.
    """
    forth = {_typed(value, python_type): entry.split("|")[0] for value, entry in table.items()}
    back = {code: value for value, code in forth.items()}
    if len(back) != len(forth):
        twice = sorted(code for code in back if list(forth.values()).count(code) > 1)
        raise RuleError(
            f"codes.yaml#{name}: {', '.join(twice)} stands for more than one value; a table is one-to-one, or its rule names keep"
        )
    if binding is not None and (strange := sorted(set(back) - binding)):
        raise RuleError(f"codes.yaml#{name}: {', '.join(strange)} is not in the required value set ({', '.join(sorted(binding)[:12])})")
    return Codec(_lookup(forth, f"codes.yaml#{name}"), _lookup(back, f"codes.yaml#{name}"))


def _lookup(table: Mapping[Any, Any], place: str) -> Callable[[Any], Any]:
    expected = f"one of {place} ({', '.join(map(str, table))})"

    def look(value: Any) -> Any:
        try:
            return table[value]
        except (KeyError, TypeError):
            raise BadValue(value, expected) from None

    return look


def _typed(text: str, python_type: Any) -> Any:
    if python_type is bool:
        return text == "true"
    return int(text) if python_type is int else text


def is_fhir_date(when: str) -> bool:
    """Whether a `When` is a valid FHIR dateTime as it stands: a date, or a time with seconds and a zone."""
    return _DATE_TIME.fullmatch(when) is not None


def key_part(text: str | None, python_type: Any) -> Any:
    """One part of a key as its field's type; `BadValue` where it cannot be."""
    if text is None or python_type is not int:
        return text
    if not _INTEGER.fullmatch(text):
        raise BadValue(text, "an integer as it is written in a key")
    return int(text)


def one_way_codec(table: Mapping[str, str]) -> Codec:
    """The code beside an original that is kept: written where the table has it, read back where only one value has that code."""
    forth = {value: entry.split("|")[0] for value, entry in table.items()}
    codes = list(forth.values())
    back = {code: value for value, code in forth.items() if codes.count(code) == 1}
    return Codec(_lookup(forth, "its code table"), _lookup(back, "the codes that stand for one value"))


def display_codec(codec: Codec, displays: Mapping[str, str]) -> Codec:
    """The display of a code, never read back."""
    shown = _lookup(displays, "the displays of its code table")
    return Codec(lambda value: shown(codec.encode(value)), shown)


def unit_codec(table: Mapping[str, str]) -> Codec:
    """UCUM's code of a unit: the table's, or the text itself where it is one of UCUM; no other text has a code.

    >>> units = unit_codec({"mcg": "ug"})
    >>> units.encode("mcg"), units.encode("10*9/L"), units.decode("ug")
    ('ug', '10*9/L', 'mcg')
    """
    entries = [(value, entry.split("|")[0]) for value, entry in table.items()]
    forth, codes = dict(entries), [code for _, code in entries]
    back = {code: value for value, code in entries if codes.count(code) == 1}

    def encode(value: Any) -> str:
        code = forth.get(value, value)
        if type(code) is not str or not is_unit(code):
            raise BadValue(value, "a unit that UCUM has a code for")
        return code

    def decode(code: Any) -> str:
        if type(code) is not str or not is_unit(code):
            raise BadValue(code, "a unit of UCUM")
        return back.get(code, code)

    return Codec(encode, decode)


def unit_system_codec(units: Codec) -> Codec:
    """UCUM's url for a unit that has a code there, never read back."""

    def encode(value: Any) -> str:
        units.encode(value)
        return UCUM

    return Codec(encode, _text)
