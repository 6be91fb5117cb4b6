"""Operators over items: equality, order, arithmetic and three-valued logic (FHIRPath N1, section 6)."""

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from fhir_trial.fhirpath.errors import Unanswerable
from fhir_trial.fhirpath.nodes import Items, bare
from fhir_trial.fhirpath.syntax import Quantity
from fhir_trial.fhirpath.temporal import Temporal, add_duration, compare_temporal, parse_temporal

_SPACES = re.compile(r"\s+")


def single(items: Items) -> Any:
    """The one value of a collection that may hold one at most; None where it holds none."""
    if not items:
        return None
    if len(items) > 1:
        raise Unanswerable(f"one item expected, {len(items)} found")
    return bare(items[0])


def truth(items: Items) -> bool | None:
    """A collection as a condition: its boolean; true for one item of another kind; None for none."""
    value = single(items)
    if value is None:
        return bool(items) or None
    return value if isinstance(value, bool) else True


def is_number(value: Any) -> bool:
    """Whether the value is a number: a boolean is none."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def as_moment(value: Any) -> Temporal | None:
    """The value as a date or time, where it is one."""
    return value if isinstance(value, Temporal) else parse_temporal(value) if isinstance(value, str) else None


def _as_quantity(value: Any) -> tuple[Decimal, str] | None:
    if isinstance(value, Quantity):
        return value.value, _unit(value.unit)
    if isinstance(value, dict) and is_number(value.get("value")):
        unit = value.get("code") or value.get("unit") or "1"
        return (Decimal(value["value"]), _unit(unit)) if isinstance(unit, str) else None
    return (Decimal(value), "1") if is_number(value) else None


_UCUM_OF_CALENDAR = {"second": "s", "millisecond": "ms", "week": "wk", "day": "d", "hour": "h", "minute": "min"}
# Years and months of the calendar are no multiples of UCUM's `a` and `mo`: these never equal each other.


def _unit(unit: str) -> str:
    return _UCUM_OF_CALENDAR.get(unit, unit)


def same_value(left: Any, right: Any, temporal: bool) -> bool | None:
    """Whether two single values are equal; None where precisions or units leave it open."""
    if temporal or isinstance(left, Temporal) or isinstance(right, Temporal):
        one, other = as_moment(left), as_moment(right)
        if one is not None and other is not None:
            order = compare_temporal(one, other)
            differ_in_kind = (one.kind == "time") != (other.kind == "time")
            return order == 0 if order is not None else False if differ_in_kind else None
    if isinstance(left, Quantity) or isinstance(right, Quantity):
        order = _compare_quantities(left, right)
        return None if order is None else order == 0
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def equals(left: Items, right: Items, temporal: bool = False) -> bool | None:
    """`=`: None where a side is empty, else item by item in order.

    >>> equals([1], [Decimal("1.0")]), equals([], [1]), equals(["a", "b"], ["b", "a"])
    (True, None, False)
    """
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    answers = [same_value(bare(one), bare(other), temporal) for one, other in zip(left, right, strict=True)]
    return False if False in answers else None if None in answers else True


def equivalent(left: Items, right: Items, temporal: bool = False) -> bool:
    """`~`: order and, in text, case and runs of space make no difference; two empties are equivalent.

    >>> equivalent(["a  B"], ["A b"]), equivalent([], []), equivalent([1], [])
    (True, True, False)
    """
    rest = [_folded(bare(item)) for item in right]
    if len(left) != len(rest):
        return False
    for item in left:
        folded = _folded(bare(item))
        match = next((i for i, other in enumerate(rest) if same_value(folded, other, temporal) is True), None)
        if match is None:
            return False
        del rest[match]
    return True


def _folded(value: Any) -> Any:
    return _SPACES.sub(" ", value.casefold()) if isinstance(value, str) else value


def _compare_quantities(left: Any, right: Any) -> int | None:
    one, other = _as_quantity(left), _as_quantity(right)
    if one is None or other is None or one[1] != other[1]:
        return None
    return (one[0] > other[0]) - (one[0] < other[0])


def order(left: Items, right: Items, temporal: bool = False) -> int | None:
    """-1, 0 or 1 for two single values; None where a side is empty or precisions or units leave it open."""
    one, other = single(left), single(right)
    if one is None or other is None:
        return None
    if is_number(one) and is_number(other):
        return int(one > other) - int(one < other)
    if temporal or isinstance(one, Temporal) or isinstance(other, Temporal):
        moment, later = as_moment(one), as_moment(other)
        if moment is not None and later is not None:
            return compare_temporal(moment, later)
    if isinstance(one, str) and isinstance(other, str):
        return int(one > other) - int(one < other)
    if isinstance(one, dict | Quantity) or isinstance(other, dict | Quantity):
        return _compare_quantities(one, other)
    raise Unanswerable("values of two kinds have no order")


def same_unit(left: Items, right: Items) -> bool | None:
    """Whether two quantities can be compared: units are never converted."""
    one, other = _as_quantity(single(left)), _as_quantity(single(right))
    return None if one is None or other is None else one[1] == other[1]


def contains(items: Items, value: Items, temporal: bool = False) -> bool | None:
    """Whether the one value is among the items; None for no value."""
    if not value:
        return None
    wanted = single(value)
    return any(same_value(bare(item), wanted, temporal) is True for item in items)


def both(left: bool | None, right: bool | None) -> bool | None:
    """`and`: false wins over unknown."""
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def either(left: bool | None, right: bool | None) -> bool | None:
    """`or`: true wins over unknown."""
    if left is True or right is True:
        return True
    return None if left is None or right is None else False


def differs(left: bool | None, right: bool | None) -> bool | None:
    """`xor`."""
    return None if left is None or right is None else left is not right


def implied(left: bool | None, right: bool | None) -> bool | None:
    """`implies`: true after anything false, and before anything true."""
    return either(None if left is None else not left, right)


def _quotient(left: Decimal, right: Decimal) -> Decimal | None:
    return left / right if right else None


def _whole(left: Decimal, right: Decimal) -> int | None:
    return int(left // right) if right else None


def _rest(left: Decimal, right: Decimal) -> Decimal | None:
    return left % right if right else None


_ON_INTEGERS: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}
_ON_DECIMALS: dict[str, Callable[[Decimal, Decimal], Decimal | int | None]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _quotient,
    "div": _whole,
    "mod": _rest,
}


def calculate(operator: str, left: Items, right: Items) -> Items:
    """Arithmetic on two single values; empty where a side is, and for a division by zero.

    >>> calculate("/", [3], [2]), calculate("mod", [5], [3]), calculate("/", [1], [0]), calculate("+", ["a"], ["b"])
    ([Decimal('1.5')], [2], [], ['ab'])
    """
    one, other = single(left), single(right)
    if one is None or other is None:
        return []
    result = _calculate(operator, one, other)
    return [] if result is None else [result]


def _calculate(operator: str, one: Any, other: Any) -> Any:
    if is_number(one) and is_number(other):
        return _numbers(operator, one, other)
    if operator == "+" and isinstance(one, str) and isinstance(other, str):
        return one + other
    if operator in ("+", "-") and isinstance(other, Quantity) and (moment := as_moment(one)) is not None:
        return add_duration(moment, other.value if operator == "+" else -other.value, other.unit)
    quantities = _as_quantity(one), _as_quantity(other)
    if quantities[0] is not None and quantities[1] is not None:
        return _quantities(operator, quantities[0], quantities[1])
    raise Unanswerable(f"'{operator}' has no meaning for these values")


def _numbers(operator: str, one: Any, other: Any) -> Any:
    if isinstance(one, int) and isinstance(other, int):
        if operator in _ON_INTEGERS:
            return _ON_INTEGERS[operator](one, other)
        if operator == "mod":
            return int(Decimal(one) % Decimal(other)) if other else None
    try:
        return _ON_DECIMALS[operator](Decimal(one), Decimal(other))
    except InvalidOperation:
        raise Unanswerable("a number too large to calculate with") from None


def _quantities(operator: str, one: tuple[Decimal, str], other: tuple[Decimal, str]) -> Quantity | None:
    if operator in ("+", "-"):
        return Quantity(one[0] + other[0] if operator == "+" else one[0] - other[0], one[1]) if one[1] == other[1] else None
    if other[1] == "1" and operator == "*":
        return Quantity(one[0] * other[0], one[1])
    if other[1] == "1" and operator == "/" and other[0]:
        return Quantity(one[0] / other[0], one[1])
    raise Unanswerable(f"'{operator}' has no meaning for these quantities")


def joined(left: Items, right: Items) -> Items:
    """`&`: two texts as one, an empty side as no text."""
    one, other = single(left), single(right)
    if not isinstance(one, str | None) or not isinstance(other, str | None):
        raise Unanswerable("'&' joins texts only")
    return [(one or "") + (other or "")]


def unioned(left: Items, right: Items) -> Items:
    """`|`: the items of both sides, each value once."""
    return distinct([*left, *right])


def distinct(items: Items) -> Items:
    """Each value once, at its first place.

    >>> distinct([1, "a", 1, "b", "a", True])
    [1, 'a', 'b', True]
    """
    found: Items = []
    if all(item.__class__ is str for item in items):
        return list(dict.fromkeys(items))
    for item in items:
        if not any(same_value(bare(item), bare(other), False) is True for other in found):
            found.append(item)
    return found
