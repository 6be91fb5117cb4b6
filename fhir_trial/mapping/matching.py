"""Which items of a list a filter means."""

from collections.abc import Callable
from typing import Any

from fhir_trial.mapping.paths import Condition, Literal, Step

Json = dict[str, Any]


def matcher(where: tuple[Condition, ...]) -> Callable[[Json], bool]:
    """Whether an item meets all conditions."""
    if not where:
        return lambda _: True
    if (single := single_member(where)) is not None:
        name, value = single
        return lambda item: bool(item.get(name) == value)
    # Most items fail by a member of their own, such as their url: that is asked first.
    own = [pair for condition in where if (pair := single_member((condition,))) is not None]
    inside = [(values_at(c.path), c.value) for c in where if single_member((c,)) is None]

    def matches(item: Json) -> bool:
        for name, value in own:
            if item.get(name) != value:
                return False
        return all(value in values(item) for values, value in inside)

    return matches


def single_member(where: tuple[Condition, ...]) -> tuple[str, Literal] | None:
    """The member and its value, where that alone is what the conditions ask for: `url='...'`."""
    if len(where) != 1 or len(where[0].path) != 1 or where[0].path[0].where:
        return None
    return _json(where[0].path[0]), where[0].value


def _json(step: Step) -> str:
    return step.name + (step.type[0].upper() + step.type[1:] if step.type else "")


def values_at(path: tuple[Step, ...]) -> Callable[[Json], list[Any]]:
    """A function that gives all that a path leads to in a resource or an item."""
    steps = [(_json(step), matcher(step.where) if step.where else None) for step in path]

    def values(node: Json) -> list[Any]:
        found: list[Any] = [node]
        for name, matches in steps:
            inner = [n[name] for n in found if type(n) is dict and name in n]
            found = [item for value in inner for item in (value if type(value) is list else [value])]
            if matches is not None:
                found = [item for item in found if type(item) is dict and matches(item)]
        return found

    return values
