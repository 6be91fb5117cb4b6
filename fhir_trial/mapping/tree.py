"""Rules as a tree over the resource: every path resolved against the version's shapes, shared elements once.

A `Node` is a JSON object. What a list holds are `Item`s (one filtered item each) or `Repeat`s (one item a row of a repeat). Constants
belong to the nearest list item or to the resource, and are written whenever that is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fhir_trial.fhir.shapes import Element, Shapes
from fhir_trial.mapping.codecs import Codec
from fhir_trial.mapping.errors import RuleError
from fhir_trial.mapping.paths import Condition, Literal, Step, parse_path

THIS = "$this"
"""The path of a link that is the item of a repeat itself."""


@dataclass(slots=True)
class Leaf:
    """A primitive element and what stands there: the value of `field`, through `codec`; a `derived` one is checked on reading only."""

    json: str
    fhir_type: str
    field: str
    path: str
    codec: Codec
    derived: bool = False
    kept: bool = False
    """The code beside an original that is kept: left out where its table lacks the value, read where the original is missing."""
    shown: bool = False
    """Written for others and never read: a code's display, which languages and editions change, and a unit's system."""


@dataclass(frozen=True, slots=True)
class Link:
    """A Reference: the target's resource type, identifier system, and the row's field and type for each part of the target's key."""

    path: str
    entity: str
    resource_type: str
    system: str
    parts: tuple[tuple[str, Any, bool], ...]
    """(field of the row, its type, whether it may be None)."""


@dataclass(slots=True)
class Node:
    """A JSON object of FHIR type `type`."""

    type: str
    leaves: list[Leaf] = field(default_factory=list)
    objects: dict[str, "Node"] = field(default_factory=dict)
    lists: dict[str, list["Item | Repeat"]] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    companions: dict[str, Any] = field(default_factory=dict)
    """Constants that go with the node's fields: written where one of them is."""
    binding: frozenset[str] | None = None
    """The codes of the required binding of the CodeableConcept, Coding or Quantity this node is, or is in."""
    absent: dict[str, tuple[str, str]] = field(default_factory=dict)
    """JSON name of a required element to the data-absent-reason code that stands for it, and the element's type."""
    link: Link | None = None


@dataclass(slots=True)
class Item:
    """One item of a list, chosen by conditions; with no conditions, the only one. A `required` one is written even if it is
    empty, to say so."""

    where: tuple[Condition, ...]
    node: Node
    required: bool = False


@dataclass(slots=True)
class Repeat:
    """The items of a list that are rows of the repeat `field`."""

    where: tuple[Condition, ...]
    node: Node
    field: str
    path: str


def has_fields(node: Node) -> bool:
    """Whether any field, link or repeat stands in the node."""
    return bool(
        node.leaves
        or node.link
        or any(has_fields(child) for child in node.objects.values())
        or any(isinstance(i, Repeat) or has_fields(i.node) for items in node.lists.values() for i in items)
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path ends: the node above, the JSON name there, and what the shapes say of it."""

    node: Node
    json: str
    element: Element
    type: str
    step: Step


class TreeBuilder:
    """Puts paths into one tree, resolving each step against the shapes of a version."""

    def __init__(self, shapes: Shapes, root_type: str) -> None:
        """Start with an empty resource of `root_type`."""
        self.shapes = shapes
        self.root = Node(root_type)

    def place(self, path: str, start: Node | None = None) -> Place:
        """Walk `path` from `start` (default: the resource), making nodes on the way, and say where it ends.

        Raises `RuleError` for an element that the version lacks, a choice without its type, or a repeat without a filter.
        """
        steps = parse_path(path)
        node = start or self.root
        for step in steps[:-1]:
            node = self._descend(node, step, path)
        last = steps[-1]
        element, json, fhir_type = self._resolve(node, last, path)
        return Place(node, json, element, fhir_type, last)

    def _resolve(self, node: Node, step: Step, path: str) -> tuple[Element, str, str]:
        element = self.shapes.element(node.type, step.name)
        if element is None:
            hint = self.shapes.suggest(node.type, step.name)
            raise RuleError(f"path {path!r}: {node.type} has no element {step.name!r}" + (f"; did you mean {hint!r}?" if hint else ""))
        if not element.is_choice:
            return element, step.name, element.types[0]
        if step.type is None or step.type not in element.json_names:
            raise RuleError(f"path {path!r}: {step.name} needs ofType({' | '.join(sorted(element.json_names)[:10])})")
        return element, element.json_names[step.type], step.type

    def _descend(self, node: Node, step: Step, path: str) -> Node:
        element, json, fhir_type = self._resolve(node, step, path)
        if element.many:
            child = self._item(node, json, element, fhir_type, step, path).node
            child.binding = _binding(node, element, fhir_type)
            return child
        if self.shapes.is_primitive(fhir_type):
            return node.objects.setdefault("_" + json, Node("Element"))
        child = node.objects.setdefault(json, Node(fhir_type))
        child.binding = _binding(node, element, fhir_type)
        return child

    def _item(self, node: Node, json: str, element: Element, fhir_type: str, step: Step, path: str) -> Item:
        if not step.where and not step.single:
            raise RuleError(f"path {path!r}: {step.name} repeats and needs where(...) or single()")
        items = node.lists.setdefault(json, [])
        for item in items:
            if item.where == step.where:
                if isinstance(item, Repeat):
                    raise RuleError(f"path {path!r}: {step.name} already belongs to the repeat {item.field}")
                return item
        item = Item(step.where, Node(fhir_type))
        items.append(item)
        for condition in step.where:
            self._set_constant(item.node, condition.path, condition.value, path)
        if items[1:] and any(i.where == () for i in items):
            raise RuleError(f"path {path!r}: {step.name} is said to be single, and another rule filters it")
        return item

    def _set_constant(self, node: Node, steps: tuple[Step, ...], value: Literal, path: str) -> None:
        for step in steps[:-1]:
            node = self._descend(node, step, path)
        self._constant(node, steps[-1], value, path)

    def companion(self, path: str, value: str, start: Node | None = None) -> None:
        """Write `value` at `path` where a field of the same object is written; an object of constants goes with the item around it."""
        place = self.place(path, start)
        here = place.node.companions if has_fields(place.node) else place.node.constants
        here[place.json] = _literal(value, place.type)

    def _constant(self, node: Node, step: Step, value: Literal, path: str) -> None:
        element, json, fhir_type = self._resolve(node, step, path)
        typed = _literal(value, fhir_type)
        binding = element.binding or (node.binding if step.name == "code" else None)
        if binding is not None and typed not in binding:
            raise RuleError(f"path {path!r}: {value!r} is not in its required value set ({', '.join(sorted(binding)[:12])})")
        if node.constants.setdefault(json, typed) != typed:
            raise RuleError(f"path {path!r}: {json} is both {node.constants[json]!r} and {typed!r}")

    def constant(self, path: str, value: str, start: Node | None = None) -> None:
        """Write `value` at `path` always; `exists` writes the item that the path's filter describes."""
        place = self.place(path, start)
        if value == "exists":
            self._item(place.node, place.json, place.element, place.type, place.step, path)
            return
        self._constant(place.node, place.step, value, path)

    def absent(self, path: str, code: str, start: Node | None = None) -> None:
        """Say `code` where nothing is written at `path`, in the object above it or in a list item made for that."""
        place = self.place(path, start)
        place.node.absent[place.json] = (code, place.type)
        for item in _items(start or self.root):
            if item.node is place.node:
                item.required = True

    def leaf(self, path: str, start: Node | None = None) -> Place:
        """The place of a primitive at `path`; `RuleError` if another rule stands there."""
        place = self.place(path, start)
        if not self.shapes.is_primitive(place.type):
            raise RuleError(f"path {path!r}: a {place.type} is no primitive; name the element inside it")
        if place.element.many:
            raise RuleError(f"path {path!r}: {place.step.name} repeats and cannot hold one value")
        if any(leaf.json == place.json for leaf in place.node.leaves) or place.json in place.node.constants:
            raise RuleError(f"path {path!r}: another rule already stands there")
        return place

    def link(self, path: str, link: Link, start: Node | None = None) -> None:
        """Put a Reference at `path`, which must be one that may point to the target's type and is owned by no other rule.

        `$this` is the item of a repeat itself.
        """
        if path == THIS and start is not None:
            self._own(start, link)
            return
        place = self.place(path, start)
        if place.type != "Reference":
            raise RuleError(f"path {path!r}: found {place.type}, expected Reference")
        if place.element.targets and not {link.resource_type, "Resource"} & set(place.element.targets):
            raise RuleError(f"path {path!r}: a {link.resource_type} is not among {', '.join(place.element.targets)}")
        if place.element.many:
            node = self._item(place.node, place.json, place.element, place.type, place.step, path).node
        else:
            node = place.node.objects.setdefault(place.json, Node("Reference"))
        self._own(node, link)

    @staticmethod
    def _own(node: Node, link: Link) -> None:
        if node.type != "Reference":
            raise RuleError(f"path {link.path!r}: found {node.type}, expected Reference")
        if node.link is not None:
            raise RuleError(f"path {link.path!r}: another rule already stands there")
        node.link = link

    def repeat(self, path: str, name: str, start: Node | None = None) -> Repeat:
        """Give the list at `path` (with its filter) to the repeat `name`."""
        place = self.place(path, start)
        if not place.element.many:
            raise RuleError(f"path {path!r}: {place.step.name} does not repeat")
        items = place.node.lists.setdefault(place.json, [])
        if any(item.where == place.step.where for item in items):
            raise RuleError(f"path {path!r}: another rule owns this list and filter")
        repeat = Repeat(place.step.where, Node(place.type), name, path)
        items.append(repeat)
        for condition in place.step.where:
            self._set_constant(repeat.node, condition.path, condition.value, path)
        return repeat


def _items(node: Node) -> Iterator[Item]:
    """Every filtered list item in a node, those of repeats left out."""
    for child in node.objects.values():
        yield from _items(child)
    for entries in node.lists.values():
        for entry in entries:
            if isinstance(entry, Item):
                yield entry
                yield from _items(entry.node)


def _binding(node: Node, element: Element, fhir_type: str) -> frozenset[str] | None:
    return element.binding if element.binding is not None else node.binding if fhir_type == "Coding" else None


def _literal(value: Literal, fhir_type: str) -> Literal:
    if fhir_type == "boolean":
        return value in (True, "true")
    return int(value) if fhir_type in ("integer", "positiveInt", "unsignedInt") else value
