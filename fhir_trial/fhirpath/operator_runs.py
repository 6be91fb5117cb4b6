"""Operators as closures: from the closures of both sides to that of the whole."""

from collections.abc import Callable
from typing import Any

from fhir_trial.fhirpath.nodes import Items, Run, Scope
from fhir_trial.fhirpath.operators import (
    both,
    calculate,
    contains,
    differs,
    either,
    equals,
    equivalent,
    implied,
    joined,
    order,
    truth,
    unioned,
)


def binary_run(operator: str, left: Run, right: Run, temporal: bool) -> Run:
    """The closure of an operator; `temporal` where a side may be a date or time, so that texts are compared as such."""
    if operator in _LOGIC:
        return _logic(operator, left, right)
    if operator in _COMPARISONS:
        compare = _COMPARISONS[operator]
        return lambda this, scope: compare(left(this, scope), right(this, scope), temporal)
    if operator in _JOINS:
        join = _JOINS[operator]
        return lambda this, scope: join(left(this, scope), right(this, scope))
    return lambda this, scope: calculate(operator, left(this, scope), right(this, scope))


def _answer(value: bool | None) -> Items:
    return [] if value is None else [value]


def _opposite(value: bool | None) -> Items:
    return [] if value is None else [not value]


def _ordered(test: Callable[[int], bool]) -> Callable[[Items, Items, bool], Items]:
    def compare(left: Items, right: Items, temporal: bool) -> Items:
        found = order(left, right, temporal)
        return [] if found is None else [test(found)]

    return compare


def _logic(operator: str, left: Run, right: Run) -> Run:
    combine, settled = _LOGIC[operator]

    def logic(this: Any, scope: Scope) -> Items:
        one = truth(left(this, scope))
        if one is settled:
            return [combine(one, None)]
        return _answer(combine(one, truth(right(this, scope))))

    return logic


_NEVER = object()
_LOGIC: dict[str, tuple[Callable[[bool | None, bool | None], bool | None], object]] = {
    "and": (both, False),
    "or": (either, True),
    "implies": (implied, False),
    "xor": (differs, _NEVER),
}
"""Each operator with the left side that settles it alone."""
_COMPARISONS: dict[str, Callable[[Items, Items, bool], Items]] = {
    "=": lambda a, b, temporal: _answer(equals(a, b, temporal)),
    "!=": lambda a, b, temporal: _opposite(equals(a, b, temporal)),
    "~": lambda a, b, temporal: [equivalent(a, b, temporal)],
    "!~": lambda a, b, temporal: [not equivalent(a, b, temporal)],
    "<": _ordered(lambda found: found < 0),
    "<=": _ordered(lambda found: found <= 0),
    ">": _ordered(lambda found: found > 0),
    ">=": _ordered(lambda found: found >= 0),
    "in": lambda a, b, temporal: _answer(contains(b, a, temporal)),
    "contains": lambda a, b, temporal: _answer(contains(a, b, temporal)),
}
_JOINS: dict[str, Callable[[Items, Items], Items]] = {"|": unioned, "&": joined}
