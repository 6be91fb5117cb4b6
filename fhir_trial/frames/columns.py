"""Column types: from a view's declared types, its tags and its typed paths to Arrow, known before any data is read."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa

from fhir_trial.domain.arrow_types import DECIMAL
from fhir_trial.domain.decimals import EXACT
from fhir_trial.fhirpath.decimals import is_measure
from fhir_trial.fhirpath.kinds import INTEGERS, PRIMITIVES, STRINGS, TEMPORALS, Kind, Typed
from fhir_trial.fhirpath.syntax import Binary, Call

TEXT = pa.string()
_ANSI = {
    "CHARACTER": TEXT,
    "CHARACTER VARYING": TEXT,
    "VARCHAR": TEXT,
    "CHARACTER LARGE OBJECT": TEXT,
    "BOOLEAN": pa.bool_(),
    "INTEGER": pa.int64(),
    "INT": pa.int64(),
    "SMALLINT": pa.int64(),
    "BIGINT": pa.int64(),
    "DECIMAL": DECIMAL,
    "NUMERIC": DECIMAL,
    "FLOAT": pa.float64(),
    "REAL": pa.float64(),
    "DOUBLE PRECISION": pa.float64(),
}
"""The `ansi/type` tag of SQL on FHIR, its length or precision left out."""
_COMPUTED = {"power", "sqrt", "exp", "ln", "log", "sum", "aggregate"}


def arrow_type(fhir_type: str) -> pa.DataType:
    """The Arrow type of a FHIR primitive: decimals exact, dates and times as FHIR writes them (they may be partial).

    >>> arrow_type("positiveInt"), arrow_type("dateTime")
    (DataType(int64), DataType(string))
    """
    if fhir_type == "boolean":
        return pa.bool_()
    if fhir_type in INTEGERS:
        return pa.int64()
    return DECIMAL if fhir_type == "decimal" else TEXT


def tagged_type(tag: str) -> pa.DataType | None:
    """The Arrow type that an `ansi/type` tag asks for; None for one that is not known.

    >>> tagged_type("double precision"), tagged_type("CHARACTER VARYING(40)")
    (DataType(double), DataType(string))
    """
    return _ANSI.get(tag.partition("(")[0].strip().upper())


def inferred_type(kind: Kind) -> pa.DataType | None:
    """The one Arrow type of all types a path can have; text where nothing is known; None where they do not agree or are no primitives."""
    if not kind.types:
        return TEXT
    if not kind.within(PRIMITIVES):
        return None
    found = {arrow_type(name) for name in kind.types}
    if found == {pa.int64(), DECIMAL}:
        return DECIMAL
    return found.pop() if len(found) == 1 else None


def fits(kind: Kind, arrow: pa.DataType) -> bool:
    """Whether the values of a path can stand in a column of the Arrow type without being changed."""
    if not kind.types:
        return True
    if not kind.within(PRIMITIVES):
        return False
    if arrow == TEXT:
        return kind.within(STRINGS | TEMPORALS | INTEGERS | {"decimal"})
    if arrow in (DECIMAL, pa.float64()):
        return kind.within(INTEGERS | {"decimal"})
    return all(arrow_type(name) == arrow for name in kind.types)


def is_computed(typed: Typed) -> bool:
    """Whether a path's decimals are results of arithmetic, whose digits have no end, and not digits that someone recorded."""
    if isinstance(typed.node, Binary) and typed.node.operator in ("*", "/", "mod"):
        return True
    if isinstance(typed.node, Call) and typed.node.name in _COMPUTED:
        return True
    return any(is_computed(part) for part in typed.parts)


_TWELVE_DIGITS = Decimal(1).scaleb(-12)


def converter(arrow: pa.DataType, typed: Typed) -> Callable[[Any], Any] | None:
    """How a value found becomes a value of the column; None where it is one already. The converter raises `ValueError`."""
    if arrow == DECIMAL:
        return _rounded if is_computed(typed) else None
    known = {TEXT: STRINGS | TEMPORALS, pa.int64(): INTEGERS - {"integer64"}}.get(arrow, frozenset())
    return None if typed.kind.within(known) else _CONVERTERS.get(arrow)


def _rounded(value: Any) -> Any:
    return value.quantize(_TWELVE_DIGITS, context=EXACT).normalize(EXACT) if isinstance(value, Decimal) else value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("a text expected")
    return str(value) if isinstance(value, int) else format(_measured(value), "f")


def _integer(value: Any) -> int:
    return int(_measured(value))


def _float(value: Any) -> float:
    return float(_measured(value))


def _measured(value: Any) -> Any:
    if isinstance(value, Decimal) and not is_measure(value):
        raise ValueError("a number beyond any measure")
    return value


_CONVERTERS: dict[pa.DataType, Callable[[Any], Any]] = {TEXT: _text, pa.int64(): _integer, pa.float64(): _float}
