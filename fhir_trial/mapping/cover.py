"""Which parts of a resource the rules look at: what they pass over is said, so that nothing is left out in silence."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fhir_trial.mapping.matching import matcher
from fhir_trial.mapping.plain import words
from fhir_trial.mapping.tree import Node

Json = dict[str, Any]


@dataclass
class Cover:
    """What rules look at in one JSON object: members by name, objects inside, and items of lists by their filters."""

    members: set[str] = field(default_factory=set)
    objects: dict[str, "Cover"] = field(default_factory=dict)
    lists: dict[str, list[tuple[Callable[[Json], bool], "Cover"]]] = field(default_factory=dict)
    whole: bool = False
    """Whether all of it is read, as a reference is."""


def cover(nodes: Iterable[Node]) -> Cover:
    """What the trees look at together."""
    made = Cover()
    for node in nodes:
        made.members |= {leaf.json for leaf in node.leaves} | set(node.constants) | set(node.companions)
        made.whole |= node.link is not None
        for name, child in node.objects.items():
            _merge(made.objects.setdefault(name, Cover()), cover([child]))
        for name, entries in node.lists.items():
            made.lists.setdefault(name, []).extend((matcher(entry.where), cover([entry.node])) for entry in entries)
    return made


def _merge(into: Cover, more: Cover) -> None:
    into.members |= more.members
    into.whole |= more.whole
    for name, child in more.objects.items():
        _merge(into.objects.setdefault(name, Cover()), child)
    for name, entries in more.lists.items():
        into.lists.setdefault(name, []).extend(entries)


def passed_over(value: Json, covers: list[Cover], path: str) -> Iterator[str]:
    """The paths of the outermost elements that no rule looks at; items of a list are not told apart."""
    if any(c.whole for c in covers):
        return
    for name, child in value.items():
        at = f"{path}.{name}"
        if any(name in c.members for c in covers) or (name == "text" and child == words(value.get("coding"))):
            continue
        inside = [c.objects[name] for c in covers if name in c.objects]
        entries = [entry for c in covers for entry in c.lists.get(name, ())]
        if inside and isinstance(child, dict):
            yield from passed_over(child, inside, at)
        elif entries:
            yield from _items_passed_over(child, entries, at)
        else:
            yield at


def _items_passed_over(items: Any, entries: list[tuple[Callable[[Json], bool], Cover]], path: str) -> Iterator[str]:
    for item in items if isinstance(items, list) else [items]:
        matched = [c for matches, c in entries if isinstance(item, dict) and matches(item)]
        if matched:
            yield from passed_over(item, matched, path)
        else:
            yield path
