"""Valid resources broken in one way each, by what HL7's shapes say of every element: the same list every time."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from fhir_trial.fhir.shapes import Element, Shapes, shapes

Json = dict[str, Any]
Path = tuple[str | int, ...]
GONE = object()
UCUM = "http://unitsofmeasure.org"
MOST_OF_A_KIND = 20
"""How many mutants of one kind are taken, spread over the resources and elements they can be made in."""


@dataclass(frozen=True)
class Mutant:
    """A resource with one fault."""

    kind: str
    place: str
    """The element, without the positions in lists."""
    resource: Json


@dataclass(frozen=True)
class Node:
    """A value in a resource: where it stands, and what HL7's shapes say of it."""

    path: Path
    value: Any
    element: Element
    type_name: str


def nodes(resource: Json, shape: Shapes) -> Iterator[Node]:
    """Every value of a resource that the shapes know, the items of lists one by one."""
    yield from _members(resource, resource["resourceType"], (), shape)


def _members(value: Json, type_name: str, path: Path, shape: Shapes) -> Iterator[Node]:
    for name, inner in value.items():
        element = shape.element(type_name, name)
        if element is None or element.name in ("id", "contained"):
            continue
        types = [code for code, json_name in element.json_names.items() if json_name == name]
        kind = types[0] if types else ""
        items = enumerate(inner) if isinstance(inner, list) else [(None, inner)]
        for index, item in items:
            here = (*path, name) if index is None else (*path, name, index)
            yield Node(here, item, element, kind)
            if isinstance(item, dict) and not shape.is_primitive(kind):
                yield from _members(item, kind, here, shape)


def changed(resource: Json, path: Path, value: Any) -> Json:
    """A copy with another value at a path, or without it."""
    copy: Any = deepcopy(resource)
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    if value is GONE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return dict(copy)


def _list_of(node: Node) -> Path:
    """The path of the member that a value stands under: of its list, where it is in one."""
    return node.path[:-1] if isinstance(node.path[-1], int) else node.path


Change = Callable[[Node, Shapes], Any]
"""The value to put in a node's place, None where this fault cannot be made there."""

DATES = ("date", "dateTime", "instant")
TEXTS = ("string", "markdown", "code", "uri", "canonical", "url", "id")
NUMBERS = ("decimal", "integer", "positiveInt", "unsignedInt")


def _of(types: tuple[str, ...], value: Any) -> Change:
    return lambda node, _: value if node.type_name in types else None


def _wrong_target(node: Node, shape: Shapes) -> Any:
    targets = node.element.targets
    if node.type_name != "Reference" or not targets or "Resource" in targets:
        return None
    other = next(name for name in ("Slot", "Basic", "Account") if name not in targets)
    return {"reference": f"{other}/x"}


def _unit(code: str) -> Change:
    quantity = {"value": Decimal(5), "unit": "u", "system": UCUM, "code": code}
    return lambda node, _: quantity if node.type_name == "Quantity" and node.value.get("system") == UCUM else None


def _inside(name: str, value: Any, *types: str) -> Change:
    """A member put into an object of one of these types (of any, where none is named)."""

    def change(node: Node, shape: Shapes) -> Any:
        fits = isinstance(node.value, dict) and (node.type_name in types if types else True)
        return node.value | {name: value} if fits else None

    return change


def _with_code(code: str) -> Change:
    """A code in the place of one whose value set is required."""
    return lambda node, _: code if node.type_name == "code" and node.element.binding else None


def _with_concept(node: Node, shape: Shapes) -> Any:
    if node.type_name not in ("CodeableConcept", "Coding") or not node.element.binding:
        return None
    coding = {"system": "http://example.org/none", "code": "none"}
    return {"coding": [coding]} if node.type_name == "CodeableConcept" else coding


VALUES: dict[str, Change] = {
    "code outside its required value set": _with_code("no-such-code"),
    "code in capitals": lambda n, _: n.value.upper() if n.type_name == "code" and n.element.binding and n.value.islower() else None,
    "concept outside its required value set": _with_concept,
    "month 13": _of(DATES, "2023-13-01"),
    "30 February": _of(DATES, "2023-02-30"),
    "date with slashes": _of(DATES, "01/02/2023"),
    "clock time without a zone": _of(("dateTime", "instant"), "2023-02-01T10:30:00"),
    "date in words": _of(DATES, "in May"),
    "number for a date": _of(DATES, 2023),
    "number for a text": _of(TEXTS, 7),
    "text for a number": _of(NUMBERS, "many"),
    "text for a truth value": _of(("boolean",), "true"),
    "fraction for a whole number": _of(("integer", "positiveInt", "unsignedInt"), Decimal("1.5")),
    "zero for a positive number": _of(("positiveInt",), 0),
    "empty text": _of(TEXTS, ""),
    "blank inside a uri": _of(("uri", "url", "canonical"), "http://example.org/a b"),
    "two blanks inside a code": lambda n, _: "a  b" if n.type_name == "code" and not n.element.binding else None,
    "empty object": lambda n, _: {} if isinstance(n.value, dict) else None,
    "text for an object": lambda n, _: "text" if isinstance(n.value, dict) else None,
    "object for a text": _of(TEXTS, {"value": "x"}),
    "null": lambda n, _: None if n.value is None else NULL,
    "unknown element": _inside("unknownThing", "x"),
    "element of another version": _inside("occurence", "2023"),
    "reference to another type": _wrong_target,
    "reference of nothing": lambda n, _: {"type": "Patient"} if n.type_name == "Reference" else None,
    "reference to a contained resource that is not there": lambda n, _: {"reference": "#none"} if n.type_name == "Reference" else None,
    "end before start": lambda n, _: {"start": "2023-05-02", "end": "2023-05-01"} if n.type_name == "Period" else None,
    "unit that UCUM lacks": _unit("milligrams"),
    "unit misspelt": _unit("mg/m^2"),
    "unit code without a system": lambda n, _: {"value": Decimal(5), "code": "mg"} if n.type_name == "Quantity" else None,
    "extension without url": _inside("extension", [{"valueString": "x"}]),
    "extension with value and extensions": _inside(
        "extension", [{"url": "http://example.org/e", "valueString": "x", "extension": [{"url": "a", "valueString": "y"}]}]
    ),
    "extension of nothing": _inside("extension", [{"url": "http://example.org/e"}]),
    "extension that is no list": _inside("extension", {"url": "http://example.org/e", "valueString": "x"}),
    "comparator that there is not": _inside("comparator", "about", "Quantity"),
    "identifier use that there is not": _inside("use", "mine", "Identifier"),
    "display alone in a coding": lambda n, _: {"system": "http://loinc.org", "display": "x"} if n.type_name == "Coding" else None,
}
NULL = object()
"""Stands for JSON's null, since None says that a fault cannot be made."""


def _values(resource: Json, shape: Shapes) -> Iterator[tuple[str, Node, Json]]:
    for node in nodes(resource, shape):
        for kind, change in VALUES.items():
            value = change(node, shape)
            if value is not None:
                yield kind, node, changed(resource, node.path, None if value is NULL else value)


def _structures(resource: Json, shape: Shapes) -> Iterator[tuple[str, Node, Json]]:
    """Faults of a member: missing where it must be, a list where one value stands, one value where a list does, a list of none, twice."""
    seen = set()
    for node in nodes(resource, shape):
        member = _list_of(node)
        if member in seen:
            continue
        seen.add(member)
        in_list = member != node.path
        if node.element.min > 0:
            yield "required element missing", node, changed(resource, member, GONE)
        if in_list:
            yield "one value for a list", node, changed(resource, member, node.value)
            yield "empty list", node, changed(resource, member, [])
        else:
            yield "list for one value", node, changed(resource, member, [node.value])
        if node.element.is_choice and (other := _other_choice(node)):
            copy = changed(resource, member, node.value)
            yield "value of two types", node, changed(copy, (*member[:-1], other[0]), other[1])


def _other_choice(node: Node) -> tuple[str, Any] | None:
    samples = {"dateTime": "2023-01-01", "boolean": True, "string": "x", "CodeableConcept": {"text": "x"}, "Reference": {"display": "x"}}
    for type_name, json_name in node.element.json_names.items():
        if type_name in samples and type_name != node.type_name:
            return json_name, samples[type_name]
    return None


def _wholes(resource: Json) -> Iterator[tuple[str, Json]]:
    """Faults of the whole resource."""
    contained = {"resourceType": "Basic", "id": "c", "code": {"text": "x"}}
    yield "id with a blank", resource | {"id": "a b"}
    yield "id of 65 characters", resource | {"id": "a" * 65}
    yield "contained and never referred to", resource | {"contained": [contained]}
    yield "contained in the contained", resource | {"contained": [contained | {"contained": [contained | {"id": "d"}]}]}
    yield "narrative without status", resource | {"text": {"div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}}
    yield (
        "narrative with a script",
        resource | {"text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>'}},
    )
    yield "language that there is not", resource | {"language": "not a language"}
    yield "meta of the wrong type", resource | {"meta": "x"}
    yield "unknown resource type", resource | {"resourceType": "Trial"}


def mutants(resources: list[Json], version: str) -> list[Mutant]:
    """At most `MOST_OF_A_KIND` of each kind of fault, spread over the resources that can have it."""
    shape = shapes(version)
    found: dict[str, list[Mutant]] = {}
    for resource in resources:
        for make in (_values, _structures):
            for kind, node, broken in make(resource, shape):
                steps = ".".join(str(step) for step in node.path if isinstance(step, str))
                found.setdefault(kind, []).append(Mutant(kind, f"{resource['resourceType']}.{steps}", broken))
        for kind, broken in _wholes(resource):
            found.setdefault(kind, []).append(Mutant(kind, resource["resourceType"], broken))
    chosen = []
    for kind in sorted(found):
        once = list({mutant.place: mutant for mutant in found[kind]}.values())
        chosen += sorted(Random(kind).sample(once, min(len(once), MOST_OF_A_KIND)), key=lambda mutant: mutant.place)
    return chosen
