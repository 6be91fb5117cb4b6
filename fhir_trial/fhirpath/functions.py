"""The table of functions: what each takes, what it yields and how it is done."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fhir_trial.fhirpath.nodes import Items


@dataclass(frozen=True, slots=True)
class Function:
    """A function over collections: called with the items before the dot and one collection for each argument given.

    `result` is the type of what it yields, or `items` (the base's own, any number), `item` (one of the base's), `any` (unknown).
    """

    run: Callable[..., Items]
    result: str
    least: int = 0
    most: int = 0
    many: bool = False


FUNCTIONS: dict[str, Function] = {}


def function(name: str, result: str, arguments: tuple[int, int] = (0, 0), many: bool = False) -> Callable[[Any], Any]:
    """Enter the decorated function into the table under FHIRPath's name; `arguments` are the fewest and the most."""

    def enter(run: Callable[..., Items]) -> Callable[..., Items]:
        FUNCTIONS[name] = Function(run, result, arguments[0], arguments[1], many)
        return run

    return enter


def answer(value: Any) -> Items:
    """A single result as a collection: None is empty."""
    return [] if value is None else [value]


def _elsewhere(result: str, least: int, most: int, many: bool = False) -> Function:
    """A function that needs more than collections: `compiler.py` knows how it is done."""
    return Function(_not_here, result, least, most, many)


def _not_here(*_: Items) -> Items:
    raise AssertionError("the compiler does this one itself")


EACH = {
    "where": _elsewhere("items", 1, 1),
    "select": _elsewhere("argument", 1, 1),
    "all": _elsewhere("boolean", 1, 1),
    "exists": _elsewhere("boolean", 0, 1),
    "repeat": _elsewhere("argument", 1, 1, many=True),
    "repeatAll": _elsewhere("argument", 1, 1, many=True),
    "iif": _elsewhere("branches", 2, 3),
    "aggregate": _elsewhere("any", 1, 2),
}
"""Functions whose arguments are evaluated on each item."""

TYPED = {
    "ofType": _elsewhere("items", 1, 1),
    "as": _elsewhere("items", 1, 1),
    "is": _elsewhere("boolean", 1, 1),
    "getReferenceKey": _elsewhere("string", 0, 1),
}
"""Functions whose argument is the name of a type."""

SPECIAL = {
    "extension": _elsewhere("Extension", 1, 1, many=True),
    "hasExtension": _elsewhere("boolean", 1, 1),
    "resolve": _elsewhere("any", 0, 0),
    "children": _elsewhere("any", 0, 0),
    "descendants": _elsewhere("any", 0, 0),
    "lowBoundary": _elsewhere("item", 0, 1),
    "highBoundary": _elsewhere("item", 0, 1),
}
"""Functions that need the type of their items, or the resource."""

_CLOCK = "its value changes with the clock, and the same data must give the same answer"
_TERMINOLOGY = "it needs a terminology server"
REFUSED = {
    "today": _CLOCK,
    "now": _CLOCK,
    "timeOfDay": _CLOCK,
    "memberOf": _TERMINOLOGY,
    "subsumes": _TERMINOLOGY,
    "subsumedBy": _TERMINOLOGY,
    "conformsTo": "it needs the profile's own definition",
}
"""Functions that are known and refused, with the reason."""
