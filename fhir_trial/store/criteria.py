"""Search criteria to SQL: each becomes one condition on a version `v`; what is not understood is refused, never ignored."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from fhir_trial.fhir.references import literal
from fhir_trial.store.index import OF_THE_ROW, Indexed
from fhir_trial.store.index_values import folded
from fhir_trial.store.moments import span
from fhir_trial.store.refusals import bad_value, unknown_parameter

Pairs = list[tuple[str, str]]
"""Names and values of a query string, in order."""
_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)
_TOP = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL over `v`, with its values."""

    sql: str
    values: tuple[Any, ...]
    is_selective: bool = False
    """Whether it lists the changes it holds for: then SQLite should start from that list."""

    @staticmethod
    def either(conditions: "list[Condition]") -> "Condition":
        """What holds when one of `conditions` holds."""
        return Condition(" OR ".join(f"({c.sql})" for c in conditions), tuple(v for c in conditions for v in c.values))


def split(text: str, separator: str) -> list[str]:
    r"""The parts of a value between separators that no backslash escapes; escapes stay.

    >>> split(r"a\,b,c", ",")
    ['a\\,b', 'c']
    """
    parts, current, escaped = [], "", False
    for character in text:
        if character == separator and not escaped:
            parts.append(current)
            current = ""
        else:
            current += character
        escaped = character == "\\" and not escaped
    return [*parts, current]


def plain(text: str) -> str:
    r"""A value without its escapes.

    >>> plain(r"a\,b\|c")
    'a,b|c'
    """
    return re.sub(r"\\([\\,|$])", r"\1", text)


def prefixed(name: str, text: str) -> tuple[str, str]:
    """The comparison prefix of a value (`eq` when it has none) and the rest."""
    match = _PREFIXED.fullmatch(text)
    prefix, rest = (match[1] or "eq", match[2]) if match else ("eq", text)
    if prefix == "ap":
        raise unknown_parameter(name, "the prefix ap is not supported")
    return prefix, rest


_SPANS = {
    "eq": ("low >= ? AND high <= ?", "both"),
    "ne": ("NOT (low >= ? AND high <= ?)", "both"),
    "gt": ("high > ?", "high"),
    "ge": ("high >= ?", "low"),
    "lt": ("low < ?", "low"),
    "le": ("low <= ?", "high"),
    "sa": ("low > ?", "high"),
    "eb": ("high < ?", "low"),
}
"""By prefix: the comparison of an indexed span with the searched one, and which ends of the latter it needs (search.html#prefix)."""


def _compared(prefix: str, low: Any, high: Any, column: str | None = None) -> Condition:
    """A span comparison; `column` is a point that stands for both ends."""
    sql, ends = _SPANS[prefix]
    if column:
        sql = re.sub(r"\b(low|high)\b", column, sql)
    return Condition(sql, {"both": (low, high), "low": (low,), "high": (high,)}[ends])


def _date(name: str, text: str, column: str | None = None) -> Condition:
    """A date with its prefix."""
    prefix, rest = prefixed(name, text)
    found = span(rest.replace(" ", "+"))  # a plus sign that nobody encoded arrives as a space
    if found is None:
        raise bad_value(name, "a date or dateTime")
    return _compared(prefix, *found, column)


def _token(name: str, text: str) -> Condition:
    """`code`, `system|code`, `|code` or `system|`."""
    system, *rest = (plain(part) for part in split(text, "|"))
    if not rest:
        return Condition("code = ?", (system,))
    code = rest[0] if len(rest) == 1 else "|".join(rest)
    if not code and not system:
        raise bad_value(name, "a code, system|code, |code or system|")
    return Condition("code = ? AND system = ?", (code, system)) if code else Condition("system = ?", (system,))


def _string(name: str, text: str) -> Condition:
    """The beginning of a text, without case and accents."""
    start = folded(plain(text))
    return Condition("folded >= ? AND folded < ?", (start, start + _TOP))


def _string_exact(name: str, text: str) -> Condition:
    """A whole text as it is."""
    return Condition("folded = ? AND exact = ?", (folded(plain(text)), plain(text)))


def _string_contains(name: str, text: str) -> Condition:
    """Any part of a text, without case and accents."""
    return Condition("instr(folded, ?) > 0", (folded(plain(text)),))


def _uri(name: str, text: str) -> Condition:
    """A whole uri."""
    return Condition("value = ?", (plain(text),))


def _number(name: str, text: str) -> Condition:
    """A number with its prefix; without one all that rounds to it."""
    prefix, rest = prefixed(name, text)
    try:
        number = Decimal(rest)
        exponent = number.as_tuple().exponent
        if not isinstance(exponent, int):
            raise bad_value(name, "a finite number")
        half = Decimal(5).scaleb(exponent - 1) if prefix in ("eq", "ne") else Decimal(0)
        return _compared(prefix, float(number - half), float(number + half), "value")
    except (InvalidOperation, OverflowError):
        raise bad_value(name, "a number") from None


def _quantity(name: str, text: str) -> Condition:
    """`number`, `number|system|code` or `number||unit`."""
    number, *unit = (plain(part) for part in split(text, "|"))
    condition = _number(name, number)
    if not unit:
        return condition
    if len(unit) != 2:
        raise bad_value(name, "number|system|code or number||code")
    system, code = unit
    if system:
        return Condition(f"{condition.sql} AND system = ? AND code = ?", (*condition.values, system, code))
    return Condition(f"{condition.sql} AND (code = ? OR unit = ?)", (*condition.values, code, code))


def _reference(parameter: Indexed, only: str | None, base: str) -> Callable[[str, str], Condition]:
    """`Type/id`, a url of this server, another url, or a bare id of the types that the parameter allows."""

    def read(name: str, text: str) -> Condition:
        value = plain(text).removeprefix(base + "/")
        place = literal(value)
        if place and place.base is None:
            return Condition("id = ? AND type = ?", (place.id, place.type))
        if ":" in value or "/" in value:
            return Condition("id = ? AND type = ''", (value,))
        allowed = (only,) if only else parameter.definition.targets
        marks = ", ".join("?" * len(allowed))
        return Condition(f"id = ? AND type IN ({marks})" if allowed else "id = ? AND type <> ''", (value, *allowed))

    return read


_READERS: dict[tuple[str, str], tuple[str, Callable[[str, str], Condition]]] = {
    ("token", ""): ("token", _token),
    ("token", "not"): ("token", _token),
    ("string", ""): ("string", _string),
    ("string", "exact"): ("string", _string_exact),
    ("string", "contains"): ("string", _string_contains),
    ("uri", ""): ("uri", _uri),
    ("date", ""): ("date", _date),
    ("number", ""): ("quantity", _number),
    ("quantity", ""): ("quantity", _quantity),
}
"""By parameter type and modifier: the index table and the reader of one value."""


def _row_condition(name: str, values: list[str], resource_type: str) -> Condition:
    """`_id` and `_lastUpdated`, which the version itself answers."""
    if name == "_lastUpdated":
        return Condition.either([_date(name, value, "v.updated") for value in values])
    listed = f"SELECT change FROM versions WHERE type = ? AND id IN ({', '.join('?' * len(values))})"
    return Condition(f"v.change IN ({listed})", (resource_type, *map(plain, values)), is_selective=True)


def condition(parameters: dict[str, Indexed], name: str, text: str, base: str, resource_type: str) -> Condition:
    """The condition of one criterion `name=text`; Refusal 400 when it is not known, not supported or not readable."""
    bare, _, modifier = name.partition(":")
    values = split(text, ",")
    if not all(values):
        raise bad_value(name, "a value")
    if bare in OF_THE_ROW and not modifier:
        return _row_condition(bare, values, resource_type)
    if bare not in parameters:
        raise unknown_parameter(name)
    parameter = parameters[bare]
    key, kind = parameter.key, parameter.definition.type
    if kind == "reference":
        table, read = "reference", _reference(parameter, modifier or None, base)
        if modifier == "identifier":
            table, key, read = "token", parameter.identifier_key, _token
        elif modifier and modifier not in parameter.definition.targets:
            raise unknown_parameter(name, "the modifier is not supported")
        elif modifier:
            read = _of_type(modifier, read)
    elif (kind, modifier) in _READERS:
        table, read = _READERS[kind, modifier]
    else:
        raise unknown_parameter(name, "the modifier is not supported")
    found = Condition.either([read(name, value) for value in values])
    listed = f"IN (SELECT change FROM {table} WHERE param = ? AND ({found.sql}))"
    if modifier == "not":
        return Condition(f"v.change NOT {listed}", (key, *found.values))
    return Condition(f"v.change {listed}", (key, *found.values), is_selective=True)


def _of_type(resource_type: str, read: Callable[[str, str], Condition]) -> Callable[[str, str], Condition]:
    """A reader of references to one type, as `subject:Patient=1` asks."""

    def read_type(name: str, text: str) -> Condition:
        found = read(name, text)
        return Condition(f"{found.sql} AND type = ?", (*found.values, resource_type))

    return read_type


def current(parameters: dict[str, Indexed], pairs: Iterable[tuple[str, str]], base: str, resource_type: str, snapshot: int) -> Condition:
    """What holds for the versions of a type that were current at a change and meet all criteria.

    A plus sign keeps SQLite from walking the whole type where a criterion lists its matches.
    """
    found = [condition(parameters, name, text, base, resource_type) for name, text in pairs]
    plus = "+" if any(c.is_selective for c in found) else ""
    sql = " AND ".join([f"{plus}v.type = ? AND {plus}v.change <= ? AND v.ended > ?", *(f"({c.sql})" for c in found)])
    return Condition(sql, (resource_type, snapshot, snapshot, *(value for c in found for value in c.values)))
