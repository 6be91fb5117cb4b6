"""The rule tree compiled to a writer: a row in, a FHIR resource as JSON data out, problems collected.

Three passes a list item (or resource): its fields; then its constants, once it turned out not to be empty; then what is required.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from fhir_trial.fhir.shapes import Shapes
from fhir_trial.mapping.codecs import is_fhir_date
from fhir_trial.mapping.errors import BadValue
from fhir_trial.mapping.keys import BASE, join_key, reference
from fhir_trial.mapping.matching import matcher
from fhir_trial.mapping.tree import Item, Leaf, Link, Node, Repeat, has_fields

LOCAL_TIME = f"{BASE}StructureDefinition/local-time"
DATA_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

Json = dict[str, Any]
Problems = list[tuple[str, BadValue]]
Fill = Callable[[Any, Json, Problems], None]
Finish = Callable[[Json, Problems], None]


def compile_writer(root: Node, shapes: Shapes) -> Fill:
    """A function that fills an empty resource from a row and appends (path, BadValue) for what could not be written."""
    fill, constants, finish = _fill(root, shapes), _constants(root), _finish(root, shapes, "")

    def write(row: Any, out: Json, problems: Problems) -> None:
        fill(row, out, problems)
        constants(out)
        if finish is not None:
            finish(out, problems)

    return write


def _fill(node: Node, shapes: Shapes) -> Fill:
    parts: list[Fill] = [_leaf(leaf) for leaf in node.leaves]
    if node.link is not None:
        parts.append(_link(node.link))
    parts += [_object(name, child, shapes) for name, child in node.objects.items() if has_fields(child)]
    parts += [_list(name, items, shapes) for name, items in node.lists.items() if any(has_fields(i.node) for i in items)]

    def fill(row: Any, out: Json, problems: Problems) -> None:
        for part in parts:
            part(row, out, problems)

    return parts[0] if len(parts) == 1 else fill


def _leaf(leaf: Leaf) -> Fill:
    if leaf.fhir_type in ("date", "dateTime") and not leaf.derived:
        return _date_leaf(leaf)
    get, encode, json, path, kept = attrgetter(leaf.field), leaf.codec.encode, leaf.json, leaf.path, leaf.kept

    def write(row: Any, out: Json, problems: Problems) -> None:
        value = get(row)
        if value is not None:
            try:
                out[json] = encode(value)
            except BadValue as problem:
                if not kept:
                    problems.append((path, problem))

    return write


def _date_leaf(leaf: Leaf) -> Fill:
    """A date or dateTime; what FHIR cannot hold (a clock time without a zone) stands beside its date as it was."""
    get, json, path, shadow, encode = attrgetter(leaf.field), leaf.json, leaf.path, "_" + leaf.json, leaf.codec.encode
    longest = 10 if leaf.fhir_type == "date" else 99

    def write(row: Any, out: Json, problems: Problems) -> None:
        value = get(row)
        if value is None:
            return
        try:
            encode(value)
        except BadValue as problem:
            problems.append((path, problem))
            return
        if len(value) <= longest and is_fhir_date(value):
            out[json] = value
        else:
            out[json] = value[:10]
            out.setdefault(shadow, {}).setdefault("extension", []).append({"url": LOCAL_TIME, "valueString": value})

    return write


def _link(link: Link) -> Fill:
    getters = [(attrgetter(name), optional) for name, _, optional in link.parts]
    resource_type, system = link.resource_type, link.system

    def write(row: Any, out: Json, _problems: Problems) -> None:
        parts = []
        for get, optional in getters:
            value = get(row)
            if value is None and not optional:
                return
            parts.append(value)
        out.update(reference(resource_type, system, join_key(parts)))

    return write


def _object(name: str, node: Node, shapes: Shapes) -> Fill:
    fill, companions = _fill(node, shapes), node.companions

    def write(row: Any, out: Json, problems: Problems) -> None:
        child = out.get(name) or {}
        fill(row, child, problems)
        if child:
            child.update(companions)
            out[name] = child

    return write


def _list(name: str, entries: list[Item | Repeat], shapes: Shapes) -> Fill:
    writers = [_repeat(e, shapes) if isinstance(e, Repeat) else _item(e, shapes) for e in entries if has_fields(e.node)]

    def write(row: Any, out: Json, problems: Problems) -> None:
        items: list[Json] = []
        for writer in writers:
            writer(row, items, problems)
        if items:
            out[name] = out[name] + items if name in out else items

    return write


Append = Callable[[Any, list[Json], Problems], None]


def _item(item: Item, shapes: Shapes) -> Append:
    node = item.node
    fill, constants, finish = _fill(node, shapes), _constants(node), _finish(node, shapes, "")
    companions = node.companions
    if not _is_plain(node) or finish is not None:

        def write(row: Any, items: list[Json], problems: Problems) -> None:
            child: Json = {}
            fill(row, child, problems)
            if child:
                child.update(companions)
                constants(child)
                if finish is not None:
                    finish(child, problems)
                items.append(child)

        return write
    return _simple_item(fill, {**node.constants, **companions})


def _is_plain(node: Node) -> bool:
    """Whether the node's constants stand in it itself, and none of its fields can stand where one does."""
    inside = any(_has_constants(child) for child in node.objects.values())
    listed = any(isinstance(i, Item) and (i.required or not has_fields(i.node)) for items in node.lists.values() for i in items)
    return not (inside or listed or node.link is not None)


def _simple_item(fill: Fill, constants: Json) -> Append:
    """An item whose constants are known beforehand and which nothing else is asked of: most extensions are such."""
    empty = len(constants)

    def write(row: Any, items: list[Json], problems: Problems) -> None:
        child = constants.copy()
        fill(row, child, problems)
        if len(child) > empty:
            items.append(child)

    return write


def _repeat(repeat: Repeat, shapes: Shapes) -> Append:
    get, companions = attrgetter(repeat.field), repeat.node.companions
    fill, constants, finish = _fill(repeat.node, shapes), _constants(repeat.node), _finish(repeat.node, shapes, f"{repeat.path}.")

    def write(row: Any, items: list[Json], problems: Problems) -> None:
        for member in get(row):
            child: Json = {}
            fill(member, child, problems)
            if not child:
                problems.append((repeat.path, BadValue(None, "an item with at least one fact")))
                continue
            child.update(companions)
            constants(child)
            if finish is not None:
                finish(child, problems)
            items.append(child)

    return write


def _constants(node: Node) -> Callable[[Json], None]:
    """Writes the constants of one list item or resource: those of its objects, and its list items that hold nothing else."""
    plain = tuple(node.constants.items())
    objects = [(name, _constants(child)) for name, child in node.objects.items() if _has_constants(child)]
    fixed = [
        (name, _constants(item.node))
        for name, items in node.lists.items()
        for item in items
        if isinstance(item, Item) and item.where and not has_fields(item.node)
    ]
    required = [
        (name, _absent_item(item)) for name, items in node.lists.items() for item in items if isinstance(item, Item) and item.required
    ]

    def write(out: Json) -> None:
        for name, value in plain:
            out.setdefault(name, value)
        for name, inner in objects:
            inner(out.setdefault(name, {}))
        for name, inner in fixed:
            item: Json = {}
            inner(item)
            out.setdefault(name, []).append(item)
        for name, add in required:
            add(out.setdefault(name, []))

    return write


def _absent_item(item: Item) -> Callable[[list[Json]], None]:
    """Adds an item that says why it is empty, where the list has none that the filter matches."""
    matches, constants, reasons = matcher(item.where), _constants(item.node), _reasons(item.node)

    def add(items: list[Json]) -> None:
        if not any(matches(other) for other in items):
            child: Json = {}
            constants(child)
            reasons(child)
            items.append(child)

    return add


def _has_constants(node: Node) -> bool:
    fixed = any(i.where and not has_fields(i.node) for items in node.lists.values() for i in items if isinstance(i, Item))
    return bool(node.constants) or fixed or any(_has_constants(child) for child in node.objects.values())


def _reasons(node: Node) -> Callable[[Json], None]:
    absent = [(json, "_" + json if fhir_type[0].islower() else json, code) for json, (code, fhir_type) in node.absent.items()]

    def write(out: Json) -> None:
        for json, place, code in absent:
            if json not in out:
                out[place] = {"extension": [{"url": DATA_ABSENT, "valueCode": code}]}

    return write


def _finish(node: Node, shapes: Shapes, path: str) -> Finish | None:
    """Names what is required and missing, or says why it is absent; None where nothing can be missing."""
    required = []
    for name, element in shapes.elements(node.type).items():
        jsons = tuple(dict.fromkeys(element.json_names.values())) or (name,)
        if element.min and not set(jsons) & set(node.constants) and node.link is None:
            required.append((name, jsons))
    reasons = _reasons(node)
    below = [(name, _finish(child, shapes, f"{path}{name}.")) for name, child in node.objects.items() if not name.startswith("_")]
    inner = [(name, check) for name, check in below if check is not None]
    if not (node.absent or required or inner):
        return None

    def finish(out: Json, problems: Problems) -> None:
        reasons(out)
        for name, jsons in required:
            if not any(json in out or "_" + json in out for json in jsons):
                problems.append((path + name, BadValue(None, f"{node.type}.{name}, which is required")))
        for name, check in inner:
            if (child := out.get(name)) is not None:
                check(child, problems)

    return finish
