"""Items found by a path to the value of a cell."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from fhir_trial.fhirpath.compiler import plain
from fhir_trial.fhirpath.errors import Unanswerable
from fhir_trial.fhirpath.nodes import Items, Run, Scope, bare

_MOST_DEPTH = 400
Convert = Callable[[Any], Any] | None


def one_value(items: Items, convert: Convert, name: str) -> Any:
    """The one value for a cell, None for none; several, or one that no cell can hold, are refused.

    >>> one_value(["a", "b"], None, "given")
    Traceback (most recent call last):
    ...
    fhir_trial.fhirpath.errors.Unanswerable: column given: several values, and collection is not true
    """
    if len(items) > 1:
        items = [item for item in items if bare(item) is not None]
    if len(items) > 1:
        several(name)
    return _value(items[0], convert, name) if items else None


def several(name: str) -> NoReturn:
    """Refuse a second value for one cell."""
    raise Unanswerable(f"column {name}: several values, and collection is not true")


def many_values(items: Items, convert: Convert, name: str) -> list[Any]:
    """All values for a cell that holds a list."""
    return [value for item in items if (value := _value(item, convert, name)) is not None]


def _value(item: Any, convert: Convert, name: str) -> Any:
    value = plain(item)
    if value is None or convert is None:
        if isinstance(value, dict):
            raise Unanswerable(f"column {name}: an element with members, where a primitive is expected")
        return value
    try:
        return convert(value)
    except (ValueError, TypeError):
        raise Unanswerable(f"column {name}: a value of another type") from None


def checked(items: Items) -> bool:
    """Whether a view's condition holds: true alone does, and what is no boolean is refused."""
    if not items:
        return False
    if len(items) > 1 or not isinstance(bare(items[0]), bool):
        raise Unanswerable("a condition that is no boolean")
    return bare(items[0]) is True


def repeated(item: Any, scope: Scope, paths: Sequence[Run], depth: int = 0) -> Iterator[Any]:
    """The items of all paths, each followed by what the paths find on it: parents before children, in document order."""
    if depth > _MOST_DEPTH:
        raise Unanswerable("a repeat that does not end")
    for path in paths:
        for found in path(item, scope):
            yield found
            yield from repeated(found, scope, paths, depth + 1)
