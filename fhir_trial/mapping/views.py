"""ViewDefinitions from the rules: a rule is a column. Views yield raw FHIR values; `decode` turns their columns into domain values."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fhir_trial.mapping.compile import Compiled
from fhir_trial.mapping.keys import system_of
from fhir_trial.mapping.tree import Leaf, Link, Node, Repeat
from fhir_trial.mapping.writer import LOCAL_TIME

KEY_COLUMN = "identifier"
"""The column of every view that holds the business identifier's value (a repeat's: its parent's)."""

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
        columns.append(Column(KEY_COLUMN, f"identifier.where(system='{system_of(compiled.rules.entity)}').value", "string"))
    return columns + list(_columns(compiled.root))


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
        yield Column(f"{link.entity}_key", f"{link.path}.identifier.value", "string", link=link)


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
    for repeat in repeats(compiled.root):
        keys = [_column(c) for c in own if c.name in (*ID_COLUMNS, KEY_COLUMN)]
        items = [{"name": "item_index", "path": "%rowIndex", "type": "integer"}] + [_column(c) for c in repeat_columns(repeat)]
        name = f"{rules.entity}_{repeat.field}"
        views[name] = _view(compiled, name, [{"column": keys}, {"forEach": repeat.path, "column": items}])
    return views


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
    if where := [{"path": _test(path, value)} for path, value in compiled.rules.constants.items()]:
        view["where"] = where
    return view


def _test(path: str, value: str) -> str:
    if value == "exists":
        return f"{path}.exists()"
    literal = value if value in ("true", "false") else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return f"{path} = {literal}"
