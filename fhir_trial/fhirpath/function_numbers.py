"""Functions on one number, and conversions between the primitive types (each is the FHIRPath function it is entered as)."""

import math
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from fhir_trial.fhirpath.errors import Unanswerable
from fhir_trial.fhirpath.functions import FUNCTIONS, Function, answer, function
from fhir_trial.fhirpath.nodes import Items
from fhir_trial.fhirpath.operators import is_number, same_unit, single
from fhir_trial.fhirpath.syntax import Quantity
from fhir_trial.fhirpath.temporal import CALENDAR_UNITS, Temporal, parse_temporal


def _number(items: Items) -> Any:
    value = single(items)
    if value is None or is_number(value):
        return value
    raise Unanswerable("a number expected")


def _exact(calculate: Callable[[Decimal], Decimal | int | None]) -> Callable[[Items], Items]:
    def run(items: Items) -> Items:
        number = _number(items)
        try:
            return [] if number is None else answer(calculate(Decimal(number)))
        except (InvalidOperation, OverflowError):
            return []

    return run


for _name, _result, _calculate in (
    ("ceiling", "integer", math.ceil),
    ("floor", "integer", math.floor),
    ("truncate", "integer", math.trunc),
    ("exp", "decimal", Decimal.exp),
    ("ln", "decimal", lambda number: number.ln() if number > 0 else None),
    ("sqrt", "decimal", lambda number: number.sqrt() if number >= 0 else None),
):
    FUNCTIONS[_name] = Function(_exact(_calculate), _result)


@function("abs", "item")
def _abs(items: Items) -> Items:
    number = _number(items)
    return answer(None if number is None else abs(number))


@function("round", "decimal", (0, 1))
def _round(items: Items, digits: Items | None = None) -> Items:
    number = _number(items)
    places = _number(digits) if digits else 0
    if number is None or places < 0:
        return []
    return [Decimal(number).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)]


@function("log", "decimal", (1, 1))
def _log(items: Items, base: Items) -> Items:
    number, root = _number(items), _number(base)
    if number is None or root is None or number <= 0 or root <= 0 or root == 1:
        return []
    return [Decimal(number).ln() / Decimal(root).ln()]


@function("power", "decimal", (1, 1))
def _power(items: Items, exponent: Items) -> Items:
    number, power = _number(items), _number(exponent)
    if number is None or power is None:
        return []
    try:
        return [Decimal(number) ** Decimal(power)]
    except InvalidOperation:
        return []


@function("comparable", "boolean", (1, 1))
def _comparable(items: Items, other: Items) -> Items:
    return answer(same_unit(items, other))


_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_QUANTITY = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?)\s*(?:'([^']+)'|([a-zA-Z]+))?")
_TRUE = {"true", "t", "yes", "y", "1", "1.0"}
_FALSE = {"false", "f", "no", "n", "0", "0.0"}


def _to_boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    text = (str(value.normalize()) if isinstance(value, Decimal) else str(value)).lower()
    return True if text in _TRUE else False if text in _FALSE else None


def _to_integer(value: Any) -> int | None:
    if isinstance(value, int):
        return int(value)
    return int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else None


def _to_decimal(value: Any) -> Decimal | None:
    if isinstance(value, int | Decimal):
        return Decimal(value)
    return Decimal(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else None


def _to_string(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Quantity):
        return f"{value.value} '{value.unit}'"
    return str(value) if isinstance(value, str | int | Temporal) else None


def _to_quantity(value: Any) -> Quantity | None:
    if isinstance(value, Quantity):
        return value
    if is_number(value):
        return Quantity(Decimal(value), "1")
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    return Quantity(Decimal(match[1]), match[2] or CALENDAR_UNITS.get(match[3], match[3]) or "1") if match else None


def _moment(kind: str) -> Callable[[Any], Temporal | None]:
    def convert(value: Any) -> Temporal | None:
        moment = value if isinstance(value, Temporal) else parse_temporal(value) if isinstance(value, str) else None
        if moment is None or (moment.kind == "time") != (kind == "time"):
            return None
        parts = moment.parts[:3] if kind == "date" else moment.parts
        return Temporal(kind, parts, None if kind == "date" else moment.offset_minutes)

    return convert


def _enter_conversion(name: str, result: str, convert: Callable[[Any], Any]) -> None:
    def to(items: Items) -> Items:
        value = single(items)
        return [] if value is None else answer(convert(value))

    def converts(items: Items) -> Items:
        value = single(items)
        return [] if value is None else [convert(value) is not None]

    # A conversion to a quantity names no unit here: units are compared, never converted.
    FUNCTIONS[f"to{name}"] = Function(to, result)
    FUNCTIONS[f"convertsTo{name}"] = Function(converts, "boolean")


for _name, _result, _convert in (
    ("Boolean", "boolean", _to_boolean),
    ("Integer", "integer", _to_integer),
    ("Decimal", "decimal", _to_decimal),
    ("String", "string", _to_string),
    ("Quantity", "Quantity", _to_quantity),
    ("Date", "date", _moment("date")),
    ("DateTime", "dateTime", _moment("dateTime")),
    ("Time", "time", _moment("time")),
):
    _enter_conversion(_name, _result, _convert)
