"""ViewDefinitions from the rules: a rule is a column. Views yield raw FHIR values; `decode` turns their columns into domain values."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fhir_trial.mapping.compile import Compiled
from fhir_trial.mapping.keys import system_of
from fhir_trial.mapping.tree import THIS, Leaf, Link, Node, Repeat
from fhir_trial.mapping.writer import LOCAL_TIME

KEY_COLUMN = "identifier"
"""The column of every view that holds the business identifier's value (a repeat's: its parent's)."""

INDEX_COLUMN = "item_index"
"""The column of a repeat's view that holds the item's place in its list."""

ID_COLUMNS = ("resource_id", "version_id")
"""The lineage of every row."""


@dataclass(frozen=True)
class Column:
    """A column of a view: its FHIRPath, its FHIR type, and the leaf or link it comes from."""

    name: str
    path: str
    type: str
    leaf: Leaf | None = None
    link: Link | None = None


def entity_columns(compiled: Compiled) -> list[Column]:
    """The columns of the entity's own table."""
    columns = [Column("resource_id", "id", "id"), Column("version_id", "meta.versionId", "id")]
    if compiled.rules.identifier is not None:
        columns.append(Column(KEY_COLUMN, f"{_ours(compiled)}.value", "string"))
    return columns + list(_columns(compiled.root))


def _ours(compiled: Compiled) -> str:
    """The business identifier: it tells rows of ours from resources of the same kind that others wrote."""
    return f"identifier.where(system='{system_of(compiled.rules.entity)}')"


def repeat_columns(repeat: Repeat) -> list[Column]:
    """The columns of a repeat's own table, its parent's key and its position not counted."""
    return list(_columns(repeat.node))


def _columns(node: Node) -> Iterator[Column]:
    for leaf in (leaf for inner in _nodes(node) for leaf in inner.leaves):
        if leaf.derived:
            continue
        kept = "_code" if leaf.kept else ""
        yield Column(leaf.field + kept, leaf.path, leaf.fhir_type, leaf)
        if leaf.fhir_type in ("date", "dateTime"):
            local = f"{leaf.path}.extension('{LOCAL_TIME}').value.ofType(string)"
            yield Column(f"{leaf.field}_local", local, "string", leaf)
    for link in (inner.link for inner in _nodes(node) if inner.link is not None):
        path = "identifier.value" if link.path == THIS else f"{link.path}.identifier.value"
        yield Column(f"{link.entity}_key", path, "string", link=link)


def _nodes(node: Node) -> Iterator[Node]:
    """The node and those inside it, repeats left out."""
    yield node
    for child in node.objects.values():
        yield from _nodes(child)
    for items in node.lists.values():
        for item in items:
            if not isinstance(item, Repeat):
                yield from _nodes(item.node)


def repeats(node: Node) -> Iterator[Repeat]:
    """The repeats of a resource, or of an item of another repeat."""
    for child in node.objects.values():
        yield from repeats(child)
    for items in node.lists.values():
        for item in items:
            if isinstance(item, Repeat):
                yield item
            else:
                yield from repeats(item.node)


def entity_views(compiled: Compiled) -> dict[str, dict[str, Any]]:
    """The ViewDefinitions by table name: the entity's own, and one for each repeat."""
    rules = compiled.rules
    own = entity_columns(compiled)
    views = {rules.entity: _view(compiled, rules.entity, [{"column": [_column(c) for c in own]}])}
    keys = {"column": [_column(c) for c in own if c.name in (*ID_COLUMNS, KEY_COLUMN)]}
    for chain in _chains(compiled.root):
        name = "_".join((rules.entity, *(repeat.field for repeat in chain)))
        views[name] = _view(compiled, name, [keys, _for_each(chain)])
    return views


def _chains(node: Node) -> Iterator[tuple[Repeat, ...]]:
    """Every repeat with those it is in, outermost first."""
    for repeat in repeats(node):
        yield (repeat,)
        for inner in _chains(repeat.node):
            yield (repeat, *inner)


def _for_each(chain: tuple[Repeat, ...]) -> dict[str, Any]:
    """The items of the innermost repeat, each with its place and the places of the items it is in."""
    repeat, *inner = chain
    if inner:
        place = {"name": index_column(repeat), "path": "%rowIndex", "type": "integer"}
        return {"forEach": repeat.path, "column": [place], "select": [_for_each(tuple(inner))]}
    place = {"name": INDEX_COLUMN, "path": "%rowIndex", "type": "integer"}
    return {"forEach": repeat.path, "column": [place, *(_column(c) for c in repeat_columns(repeat))]}


def index_column(repeat: Repeat) -> str:
    """The column that says in which item of an outer repeat a row stands."""
    return f"{repeat.field}_index"


def _column(column: Column) -> dict[str, str]:
    return {"name": column.name, "path": column.path, "type": column.type}


def _view(compiled: Compiled, name: str, select: list[dict[str, Any]]) -> dict[str, Any]:
    view: dict[str, Any] = {
        "resourceType": "ViewDefinition",
        "name": name,
        "status": "active",
        "resource": compiled.rules.resource,
        "select": select,
    }
    where = [{"path": _test(path, value)} for path, value in compiled.rules.constants.items()]
    if compiled.rules.identifier is not None:
        where.append({"path": f"{_ours(compiled)}.exists()"})
    if where:
        view["where"] = where
    return view


def _test(path: str, value: str) -> str:
    if value == "exists":
        return f"{path}.exists()"
    literal = value if value in ("true", "false") else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return f"{path} = {literal}"
