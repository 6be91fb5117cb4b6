"""How a step reads its member from an item: one reader a field, chosen when the path is compiled."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from fhir_trial.fhir.shapes import Shapes
from fhir_trial.fhirpath.decimals import is_measure
from fhir_trial.fhirpath.errors import Unanswerable
from fhir_trial.fhirpath.kinds import ANY_RESOURCE, Field, Kind
from fhir_trial.fhirpath.nodes import Items, Node, bare, read
from fhir_trial.fhirpath.syntax import Quantity
from fhir_trial.fhirpath.temporal import Temporal

Reader = Callable[[Any], Items]
_SCALARS = {bool: "boolean", int: "integer", Decimal: "decimal", str: "string", Quantity: "Quantity"}


def field_reader(field: Field, names_type: bool) -> Reader:
    """A reader of one JSON member; `names_type` where items must carry the type, because the step can find others."""
    type_name = field.type if names_type else None
    if field.type == "decimal":
        return _measuring(_primitive_reader(field.json, type_name))
    if field.is_primitive:
        return _primitive_reader(field.json, type_name)
    return _typed_reader(field.json, type_name) if type_name else _plain_reader(field.json)


def _plain_reader(name: str) -> Reader:
    def plain(owner: Any) -> Items:
        value = read(owner, name)
        if value is None:
            return []
        return [item for item in value if item is not None] if value.__class__ is list else [value]

    return plain


def _typed_reader(name: str, type_name: str) -> Reader:
    plain = _plain_reader(name)

    def typed(owner: Any) -> Items:
        return [Node(item, type_name) for item in plain(owner)]

    return typed


def _primitive_reader(name: str, type_name: str | None) -> Reader:
    plain = _typed_reader(name, type_name) if type_name else _plain_reader(name)
    sibling = f"_{name}"

    def primitive(owner: Any) -> Items:
        element = read(owner, sibling)
        return plain(owner) if element is None else _with_elements(read(owner, name), element, type_name)

    return primitive


def _measuring(reader: Reader) -> Reader:
    """The reader, refusing numbers that no operation could write out."""

    def measuring(owner: Any) -> Items:
        items = reader(owner)
        if any(isinstance(value := bare(item), Decimal) and not is_measure(value) for item in items):
            raise Unanswerable("a number beyond any measure")
        return items

    return measuring


def _with_elements(value: Any, element: Any, type_name: str | None) -> Items:
    """Primitives with their `_` siblings: the arrays run in parallel, and null stands on either side for nothing."""
    values = value if isinstance(value, list) else [value]
    elements = element if isinstance(element, list) else [element]
    length = max(len(values), len(elements))
    pairs = zip([*values, *[None] * (length - len(values))], [*elements, *[None] * (length - len(elements))], strict=True)
    return [Node(one, type_name, other) for one, other in pairs if one is not None or other is not None]


def untyped_reader(name: str, shapes: Shapes) -> Reader:
    """A reader for items whose type only the data tells: by the plain name, else by a choice's JSON name."""
    plain = _measuring(_primitive_reader(name, None))

    def untyped(owner: Any) -> Items:
        if found := plain(owner):
            return found
        value = bare(owner)
        members = value if isinstance(value, dict) else {}
        return [
            Node(member, type_name)
            for key, member in members.items()
            if key.startswith(name) and (type_name := _suffix_type(key[len(name) :], shapes)) and member is not None
        ]

    return untyped


def _suffix_type(suffix: str, shapes: Shapes) -> str | None:
    if not suffix[:1].isupper():
        return None
    lower = suffix[0].lower() + suffix[1:]
    return lower if lower in shapes.types else suffix if suffix in shapes.types else None


def type_of(item: Any, kind: Kind) -> str | None:
    """The most that is known of an item's type: by its wrapper, its `resourceType`, the path, or the JSON value itself."""
    if item.__class__ is Node and item.type:
        return str(item.type)
    value = bare(item)
    named = read(value, "resourceType")
    if named is not None:
        return str(named)
    if len(kind.types) == 1 and kind.types[0] not in ANY_RESOURCE:
        return kind.types[0]
    return value.kind if isinstance(value, Temporal) else _SCALARS.get(value.__class__)


def children(item: Any, type_name: str | None, shapes: Shapes) -> Iterator[Any]:
    """The items of all members, each with its type where the owner's type is known."""
    value = item.element if item.__class__ is Node and not isinstance(item.value, dict) else bare(item)
    if not isinstance(value, dict):
        return
    type_name = value.get("resourceType", type_name)
    done: set[str] = set()
    for key in value:
        name = key.removeprefix("_")
        if name == "resourceType" or name in done:
            continue
        done.add(name)
        element = shapes.element(type_name, name) if type_name else None
        child_type = element.types_as(name)[0] if element else None
        yield from _members(value, name, None if child_type in ANY_RESOURCE else child_type)


def _members(owner: dict[str, Any], name: str, type_name: str | None) -> Items:
    value, element = owner.get(name), owner.get(f"_{name}")
    if element is not None:
        return _with_elements(value, element, type_name)
    values = value if isinstance(value, list) else [value]
    return [Node(item, type_name) for item in values if item is not None]


def descendants(items: Items, kind: Kind, shapes: Shapes) -> Items:
    """The children of the items, their children and so on, parents before their own."""
    found: Items = []
    waiting = [child for item in items for child in children(item, type_of(item, kind), shapes)]
    while waiting:
        found.extend(waiting)
        waiting = [child for item in waiting for child in children(item, item.type, shapes)]
    return found
