"""Which items of a list a filter means."""

from collections.abc import Callable
from typing import Any

from fhir_trial.mapping.paths import Condition, Step

Json = dict[str, Any]


def matcher(where: tuple[Condition, ...]) -> Callable[[Json], bool]:
    """Whether an item meets all conditions."""
    if not where:
        return lambda _: True
    checks = [(condition.path, condition.value) for condition in where]
    if len(checks) == 1 and len(checks[0][0]) == 1:
        name, value = _json(checks[0][0][0]), checks[0][1]
        return lambda item: bool(item.get(name) == value)
    return lambda item: all(value in _values(item, path) for path, value in checks)


def _json(step: Step) -> str:
    return step.name + (step.type[0].upper() + step.type[1:] if step.type else "")


def _values(node: Json, path: tuple[Step, ...]) -> list[Any]:
    found: list[Any] = [node]
    for step in path:
        name = _json(step)
        inner = [n[name] for n in found if type(n) is dict and name in n]
        found = [item for value in inner for item in (value if type(value) is list else [value])]
        if step.where:
            matches = matcher(step.where)
            found = [item for item in found if type(item) is dict and matches(item)]
    return found
