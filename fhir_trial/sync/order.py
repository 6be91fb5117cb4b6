"""The order of writing: what is referred to comes first, and resources that refer to each other go together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

from fhir_trial.fhir import json
from fhir_trial.fhir.references import literal

Resource = dict[str, Any]
T = TypeVar("T", str, int)
"""A place, or the number that stands for it."""
Row = TypeVar("Row")


def place_of(resource: Resource) -> str:
    """`Type/id` of a resource."""
    return f"{resource['resourceType']}/{resource['id']}"


def references(value: Any) -> Iterator[str]:
    """`Type/id` of everything that a resource refers to, contained and logical references left out.

    >>> list(references({"subject": {"reference": "Patient/a"}, "focus": [{"reference": "BodyStructure/b/_history/2"}]}))
    ['Patient/a', 'BodyStructure/b']
    """
    for item in json.objects(value):
        reference = item.get("reference")
        at = literal(reference) if isinstance(reference, str) else None
        if at is not None:
            yield f"{at.type}/{at.id}"


def groups(targets: Mapping[T, Sequence[T]]) -> list[list[T]]:
    """The places in groups, each after those it refers to; a group of more than one is a circle. The same input gives the same order.

    Tarjan's strongly connected components, without recursion: a chain of references may be as long as the data.

    >>> groups({"Observation/o": ["Patient/p"], "Patient/p": [], "Group/g": ["List/l"], "List/l": ["Group/g"]})
    [['Group/g', 'List/l'], ['Patient/p'], ['Observation/o']]
    """
    search = _Components(targets)
    for place in sorted(targets):
        search.visit(place)
    return search.found


class _Components(Generic[T]):
    def __init__(self, targets: Mapping[T, Sequence[T]]) -> None:
        self._targets: dict[T, list[T]] = {place: sorted({t for t in listed if t in targets}) for place, listed in targets.items()}
        self._number: dict[T, int] = {}
        self._low: dict[T, int] = {}
        self._stack: list[T] = []
        self._on_stack: set[T] = set()
        self.found: list[list[T]] = []

    def visit(self, root: T) -> None:
        if root in self._number:
            return
        path = [(root, self._enter(root))]
        while path:
            place, rest = path[-1]
            target = next(rest, None)
            if target is None:
                path.pop()
                self._leave(place, path[-1][0] if path else None)
            elif target not in self._number:
                path.append((target, self._enter(target)))
            elif target in self._on_stack:
                self._low[place] = min(self._low[place], self._number[target])

    def _enter(self, place: T) -> Iterator[T]:
        self._number[place] = self._low[place] = len(self._number)
        self._stack.append(place)
        self._on_stack.add(place)
        return iter(self._targets[place])

    def _leave(self, place: T, parent: T | None) -> None:
        if parent is not None:
            self._low[parent] = min(self._low[parent], self._low[place])
        if self._low[place] == self._number[place]:
            group = [self._stack.pop()]
            while group[-1] != place:
                group.append(self._stack.pop())
            self._on_stack.difference_update(group)
            self.found.append(sorted(group))


def chunks(grouped: Iterable[list[str]], size: int) -> Iterator[list[str]]:
    """Groups put together to at most `size` places; a group is never split, a larger one stands alone.

    >>> list(chunks([["a"], ["b", "c"], ["d"]], 2))
    [['a'], ['b', 'c'], ['d']]
    """
    chunk: list[str] = []
    for group in grouped:
        if chunk and len(chunk) + len(group) > size:
            yield chunk
            chunk = []
        chunk = [*chunk, *group]
    if chunk:
        yield chunk


def batches(items: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """The items, so many at a time.

    >>> list(batches("abc", 2))
    [['a', 'b'], ['c']]
    """
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
