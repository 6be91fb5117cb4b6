"""The rule tree compiled to a reader: a FHIR resource as JSON data in, the row's values out, problems collected."""

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any

import msgspec

from fhir_trial.domain.entities import Entity
from fhir_trial.mapping.codecs import key_part
from fhir_trial.mapping.errors import BadValue
from fhir_trial.mapping.keys import split_key
from fhir_trial.mapping.matching import matcher, single_member
from fhir_trial.mapping.tree import Item, Leaf, Link, Node, Repeat, has_fields
from fhir_trial.mapping.writer import LOCAL_TIME, Json, Problems

Known = Mapping[str, str]
"""`Type/id` of the resources at hand to their business identifier's value."""

REMEMBERED = 8_192
"""How many keys of references a reader remembers."""

_LATER = "for later"
"""The key under which a reader puts aside what it can only judge when the rest is known: no field can be named so."""

Take = Callable[[Json, dict[str, Any], Problems, Known], None]


def compile_reader(root: Node, members: Mapping[str, type[Entity]]) -> Take:
    """A function that takes the values of a row out of a resource; `members` gives the class of each repeat."""
    parts: list[Take] = [_later(leaf) if leaf.derived or leaf.kept else _leaf(leaf) for leaf in root.leaves if not leaf.shown]
    if root.link is not None:
        parts.append(_link(root.link))
    parts += [_companion(json, value) for json, value in root.companions.items()]
    parts += [_object(name, child, members) for name, child in root.objects.items() if has_fields(child)]
    for name, items in root.lists.items():
        parts += _list(name, [i for i in items if has_fields(i.node)], members)

    def take(node: Json, values: dict[str, Any], problems: Problems, known: Known) -> None:
        for part in parts:
            part(node, values, problems, known)

    found = parts[0] if len(parts) == 1 else take
    members_read = {leaf.json for leaf in root.leaves}
    return _exact(found) if root.type == "Quantity" and "value" in members_read and "comparator" not in members_read else found


def _exact(take: Take) -> Take:
    """A quantity whose rules know no comparator: with one, its value is a limit and not what was measured."""

    def exact(node: Json, values: dict[str, Any], problems: Problems, known: Known) -> None:
        if node.get("comparator") is not None:
            problems.append(("comparator", BadValue(node["comparator"], "a quantity without a comparator")))
        else:
            take(node, values, problems, known)

    return exact


def _leaf(leaf: Leaf) -> Take:
    if leaf.fhir_type in ("date", "dateTime"):
        return _date_leaf(leaf)
    decode, json, path, field = leaf.codec.decode, leaf.json, leaf.path, leaf.field

    def take(node: Json, values: dict[str, Any], problems: Problems, _known: Known) -> None:
        found = node.get(json)
        if found is not None and field not in values:
            try:
                values[field] = decode(found)
            except BadValue as problem:
                problems.append((path, problem))

    return take


def _companion(json: str, expected: Any) -> Take:
    """A constant that goes with a field: a diameter in cm must not be read as mm."""

    def take(node: Json, _values: dict[str, Any], problems: Problems, _known: Known) -> None:
        if node.get(json, expected) != expected:
            problems.append((json, BadValue(node[json], repr(expected))))

    return take


def _later(leaf: Leaf) -> Take:
    """What follows from a field is compared, and the code beside a kept original is used, once the rest is known."""
    json = leaf.json

    def take(node: Json, values: dict[str, Any], _problems: Problems, _known: Known) -> None:
        found = node.get(json)
        if found is not None:
            values.setdefault(_LATER, []).append((leaf, found))

    return take


def _take_code(leaf: Leaf, found: Any, values: dict[str, Any], problems: Problems) -> None:
    """The code beside a text: it says what the text is where the text alone does not, and must not contradict it."""
    text = values.get(leaf.field)
    try:
        if text is None:
            values[leaf.field] = leaf.codec.decode(found)
        elif (own := _code_of(leaf, text)) is None:
            values[leaf.field] = _meaning(leaf, found, text)
        elif own != found:
            problems.append((leaf.path, BadValue(found, f"{own}, which is the code of the text beside it")))
    except BadValue as problem:
        problems.append((leaf.path, problem))


def _code_of(leaf: Leaf, text: Any) -> Any:
    """The code that a text itself has, or None."""
    try:
        return leaf.codec.encode(text)
    except BadValue:
        return None


def _meaning(leaf: Leaf, code: Any, text: Any) -> Any:
    """What a code stands for; the text where it stands for nothing in particular."""
    try:
        return leaf.codec.decode(code)
    except BadValue:
        return text


def _check_derived(row: Any, leaf: Leaf, found: Any, problems: Problems) -> None:
    value = getattr(row, leaf.field)
    try:
        expected = None if value is None else leaf.codec.encode(value)
    except BadValue:
        expected = None
    if found != expected:
        problems.append((leaf.path, BadValue(found, f"what follows from the field {leaf.field}")))


def _date_leaf(leaf: Leaf) -> Take:
    decode, json, path, shadow, field = leaf.codec.decode, leaf.json, leaf.path, "_" + leaf.json, leaf.field

    def take(node: Json, values: dict[str, Any], problems: Problems, _known: Known) -> None:
        found = node.get(json)
        if shadow in node:
            found = _local_time(node[shadow], found)
        if found is not None and field not in values:
            try:
                values[field] = decode(found)
            except BadValue as problem:
                problems.append((path, problem))

    return take


def _local_time(beside: Any, date: Any) -> Any:
    """The date or time as it was recorded, where that stands beside the date."""
    extensions = beside.get("extension") if type(beside) is dict else None
    for extension in extensions if type(extensions) is list else ():
        if type(extension) is dict and extension.get("url") == LOCAL_TIME:
            return extension.get("valueString")
    return date


def _link(link: Link) -> Take:
    path, system, parts_of = link.path, link.system, _parts_of(link)

    def take(node: Json, values: dict[str, Any], problems: Problems, known: Known) -> None:
        identifier, spelled = node.get("identifier"), node.get("reference")
        if type(identifier) is dict and identifier.get("system") == system:
            value = identifier.get("value")
        else:
            value = known.get(spelled) if type(spelled) is str else None
        if type(value) is not str:
            if "reference" in node or identifier:
                problems.append((path, BadValue(spelled, f"a reference with an identifier of {system}")))
            return
        for field, part, typed in parts_of(value):
            if type(typed) is BadValue:
                problems.append((path, typed))
            elif values.setdefault(field, typed) != typed:
                problems.append((path, BadValue(part, f"the {field} that the resource itself states")))

    return take


def _parts_of(link: Link) -> Callable[[str], tuple[tuple[str, str | None, Any], ...]]:
    """The fields that a key gives, each with its part and the typed value, or the problem in its place.

    Remembered, since the same subject and lesion are referred to again and again.
    """

    @lru_cache(maxsize=REMEMBERED)
    def parts_of(value: str) -> tuple[tuple[str, str | None, Any], ...]:
        parts = split_key(value)
        if len(parts) != len(link.parts):
            return (("", None, BadValue(value, f"a key of {len(link.parts)} parts")),)
        return tuple((field, part, _typed(part, kind)) for (field, kind, _), part in zip(link.parts, parts, strict=True))

    return parts_of


def _typed(part: str | None, python_type: Any) -> Any:
    try:
        return key_part(part, python_type)
    except BadValue as problem:
        return problem


def _object(name: str, node_rules: Node, members: Mapping[str, type[Entity]]) -> Take:
    inner = compile_reader(node_rules, members)

    def take(node: Json, values: dict[str, Any], problems: Problems, known: Known) -> None:
        child = node.get(name)
        if type(child) is dict:
            inner(child, values, problems, known)
        elif child is not None:
            problems.append((name, BadValue(None, "an object")))

    return take


def _list(name: str, entries: list[Item | Repeat], members: Mapping[str, type[Entity]]) -> list[Take]:
    """Readers of a list's entries; items told apart by the text of one member, such as extensions by url, are found in one pass."""
    apart: dict[str, dict[str, Take]] = {}
    takes: list[Take] = []
    for entry in entries:
        single = single_member(entry.where) if isinstance(entry, Item) else None
        if isinstance(entry, Repeat):
            takes.append(_repeat(name, entry, members))
        elif single is not None and isinstance(single[1], str) and single[1] not in apart.get(single[0], {}):
            apart.setdefault(single[0], {})[single[1]] = compile_reader(entry.node, members)
        else:
            takes.append(_item(name, entry, members))
    return takes + [_told_apart(name, member, readers) for member, readers in apart.items()]


def _told_apart(name: str, member: str, readers: Mapping[str, Take]) -> Take:
    """Items of a list by the value of one member."""

    def take(node: Json, values: dict[str, Any], problems: Problems, known: Known) -> None:
        if name not in node:
            return
        found: dict[str, list[Json]] = {}
        for child in objects_in(node[name]):
            value = child.get(member)
            if type(value) is str and value in readers:
                found.setdefault(value, []).append(child)
        for value, children in found.items():
            if len(children) > 1:
                problems.append((name, BadValue(len(children), "one item that the rule's filter matches")))
            else:
                readers[value](children[0], values, problems, known)

    return take


def _item(name: str, item: Item, members: Mapping[str, type[Entity]]) -> Take:
    matches, inner = matcher(item.where), compile_reader(item.node, members)

    def take(node: Json, values: dict[str, Any], problems: Problems, known: Known) -> None:
        if name not in node:
            return
        found = [child for child in objects_in(node[name]) if matches(child)]
        if len(found) > 1:
            problems.append((name, BadValue(len(found), "one item that the rule's filter matches")))
        elif found:
            inner(found[0], values, problems, known)

    return take


def objects_in(value: Any) -> list[Json]:
    """The objects of a list; a single object where a server unboxed it."""
    if type(value) is list:
        return [item for item in value if type(item) is dict]
    return [value] if type(value) is dict else []


def _repeat(name: str, repeat: Repeat, members: Mapping[str, type[Entity]]) -> Take:
    matches, inner, member = matcher(repeat.where), compile_reader(repeat.node, members), members[repeat.field]

    def take(node: Json, values: dict[str, Any], problems: Problems, known: Known) -> None:
        rows = []
        for child in objects_in(node.get(name)):
            if not matches(child):
                continue
            found: dict[str, Any] = {}
            inner(child, found, problems, known)
            row = build(member, found, repeat.path, problems)
            if row is not None:
                rows.append(row)
        values[repeat.field] = tuple(rows)

    return take


def build(entity: type[Entity], values: dict[str, Any], path: str, problems: Problems) -> Any:
    """The entity of those values, or None with the missing fields among the problems."""
    take_codes(values, problems)
    derived = values.pop(_LATER, ())
    missing = required_fields(entity) - values.keys()
    if missing:
        problems.append((path, BadValue(None, "a value for " + ", ".join(sorted(missing)))))
        return None
    row = entity(**values)
    for leaf, found in derived:
        _check_derived(row, leaf, found, problems)
    return row


def take_codes(values: dict[str, Any], problems: Problems) -> None:
    """Use what was put aside of codes beside texts, now that the texts are known; what follows from fields stays aside."""
    later = values.pop(_LATER, ())
    for leaf, found in later:
        if not leaf.derived:
            _take_code(leaf, found, values, problems)
    if derived := [(leaf, found) for leaf, found in later if leaf.derived]:
        values[_LATER] = derived


@cache
def required_fields(entity: type[Entity]) -> frozenset[str]:
    """The fields an entity cannot do without."""
    return frozenset(f.name for f in msgspec.structs.fields(entity) if f.required)
