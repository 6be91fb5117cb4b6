"""Views interpreted plainly, over plain dicts, with no types and no compiling: what tests compare the engine with."""

from collections.abc import Callable, Iterator
from typing import Any

from fhir_trial.fhirpath import parse
from fhir_trial.fhirpath.syntax import Binary, Call, Constant, Expr, Index, Literal, Member, Variable

CONSTANTS: dict[str, Any] = {"official": "official", "url": "http://e.org/a", "limit": 5}
"""What the views that are compared may name."""


class Refused(Exception):
    """The resource gives no rows: a cell would hold several values."""


def members(item: Any, name: str) -> list[Any]:
    """A primitive that has a `_` sibling is a pair (value, sibling); so `extension` is found there too."""
    if isinstance(item, tuple):
        item = item[1]
    if not isinstance(item, dict):
        return []
    value, element = item.get(name), item.get(f"_{name}")
    if element is None:
        return [each for each in (value if isinstance(value, list) else [value]) if each is not None]
    values, elements = (each if isinstance(each, list) else [each] for each in (value, element))
    size = max(len(values), len(elements))
    values, elements = values + [None] * (size - len(values)), elements + [None] * (size - len(elements))
    return [(v, e) for v, e in zip(values, elements, strict=True) if v is not None or e is not None]


def bare(item: Any) -> Any:
    return item[0] if isinstance(item, tuple) else item


def evaluate(node: Expr, item: Any, root: Any, index: int) -> list[Any]:  # noqa: PLR0911  one line a construct
    match node:
        case Literal():
            return [node.value]
        case Variable():
            return [item]
        case Constant():
            return [index if node.name == "rowIndex" else CONSTANTS[node.name]]
        case Member():
            return [found for owner in base(node, item, root, index) for found in members(owner, node.name)]
        case Index():
            at = evaluate(node.index, item, root, index)[0]
            return evaluate(node.base, item, root, index)[at : at + 1]
        case Binary():
            return operate(node, evaluate(node.left, item, root, index), evaluate(node.right, item, root, index))
        case Call():
            return call(node, item, root, index)
    raise AssertionError(node)


def base(node: Member | Call, item: Any, root: Any, index: int) -> list[Any]:
    return [item] if node.base is None else evaluate(node.base, item, root, index)


def operate(node: Binary, left: list[Any], right: list[Any]) -> list[Any]:  # noqa: PLR0911  one line an operator
    if node.operator in ("=", "!="):
        if not left or not right:
            return []
        same = len(left) == len(right) and all(bare(a) == bare(b) for a, b in zip(left, right, strict=True))
        return [same is (node.operator == "=")]
    if node.operator in (">", "<="):
        if not left or not right or bare(left[0]) is None:
            return []
        return [(bare(left[0]) > bare(right[0])) is (node.operator == ">")]
    if node.operator == "|":
        return [each for i, each in enumerate([*left, *right]) if each not in [*left, *right][:i]]
    one, other = (bare(side[0]) if side else None for side in (left, right))
    settled = node.operator == "or"
    if settled in (one, other):
        return [settled]
    return [not settled] if None not in (one, other) else []


def call(node: Call, item: Any, root: Any, index: int) -> list[Any]:
    arguments = node.arguments
    if node.name == "ofType":
        assert isinstance(node.base, Member)
        name, kind = node.base.name, arguments[0].name  # type: ignore[union-attr]
        json = name + kind[0].upper() + kind[1:]
        return [found for owner in base(node.base, item, root, index) for found in members(owner, json)]
    items = base(node, item, root, index)
    if node.name == "where":
        return [each for each in items if evaluate(arguments[0], each, root, index) == [True]]
    if node.name == "extension":
        url = evaluate(arguments[0], item, root, index)[0]
        return [found for owner in items for found in members(owner, "extension") if found.get("url") == url]
    if node.name == "join":
        return [",".join(bare(each) for each in items if bare(each) is not None)]
    if node.name == "exists" and arguments:
        items = [each for each in items if evaluate(arguments[0], each, root, index) == [True]]
    simple: dict[str, Callable[[], list[Any]]] = {
        "first": lambda: items[:1],
        "last": lambda: items[-1:],
        "exists": lambda: [bool(items)],
        "empty": lambda: [not items],
        "count": lambda: [len(items)],
        "not": lambda: [not bare(items[0])] if items else [],
        "getResourceKey": lambda: [each["id"] for each in items if "id" in each],
        "getReferenceKey": lambda: [key for each in items if (key := key_of(each, arguments[0].name if arguments else None))],  # type: ignore[attr-defined]
    }
    return simple[node.name]()


def key_of(reference: dict[str, Any], wanted: str | None) -> str | None:
    text = reference.get("reference", "")
    if text.startswith("urn:"):
        return text if wanted in (None, reference.get("type")) else None
    kind, slash, key = text.partition("/")
    return key if slash and wanted in (None, kind) else None


Row = dict[str, Any]


def columns_of(select: dict[str, Any]) -> list[str]:
    names = [column["name"] for column in select.get("column", [])]
    names += [name for inner in select.get("select", []) for name in columns_of(inner)]
    return names + (columns_of(select["unionAll"][0]) if "unionAll" in select else [])


def cell(column: dict[str, Any], item: Any, root: Any, index: int) -> Any:
    # A primitive that has extensions only is an item, and no value.
    values = [value for each in evaluate(parse(column["path"]).root, item, root, index) if (value := bare(each)) is not None]
    if column.get("collection"):
        return values
    if len(values) > 1:
        raise Refused
    return values[0] if values else None


def rows_of_all(selects: list[dict[str, Any]], item: Any, root: Any, index: int) -> list[Row]:
    rows: list[Row] = [{}]
    for select in selects:
        rows = [{**row, **more} for row in rows for more in rows_of(select, item, root, index)]
    return rows


def rows_of(select: dict[str, Any], item: Any, root: Any, index: int) -> list[Row]:
    if "repeat" in select:
        found = list(repeated(select["repeat"], item, root, index))
        return [row for i, each in enumerate(found) for row in rows_at(select, each, root, i)]
    path = select.get("forEach") or select.get("forEachOrNull")
    if path is None:
        return rows_at(select, item, root, index)
    found = evaluate(parse(path).root, item, root, index)
    if not found and "forEachOrNull" in select:
        own = {column["name"]: 0 for column in select.get("column", []) if column["path"] == "%rowIndex" and not column.get("collection")}
        return [{**dict.fromkeys(columns_of(select)), **own}]
    return [row for i, each in enumerate(found) for row in rows_at(select, each, root, i)]


def repeated(paths: list[str], item: Any, root: Any, index: int) -> Iterator[Any]:
    for path in paths:
        for found in evaluate(parse(path).root, item, root, index):
            yield found
            yield from repeated(paths, found, root, index)


def rows_at(select: dict[str, Any], item: Any, root: Any, index: int) -> list[Row]:
    own = {column["name"]: cell(column, item, root, index) for column in select.get("column", [])}
    rows = [{**own, **row} for row in rows_of_all(select.get("select", []), item, root, index)]
    if "unionAll" in select:
        rows = [{**row, **more} for row in rows for branch in select["unionAll"] for more in rows_of(branch, item, root, index)]
    return rows


def interpret(view: dict[str, Any], resources: list[Any]) -> list[Row]:
    rows: list[Row] = []
    for resource in resources:
        if resource["resourceType"] != view["resource"]:
            continue
        if all(evaluate(parse(each["path"]).root, resource, resource, 0) == [True] for each in view.get("where", [])):
            try:
                rows += rows_of_all(view["select"], resource, resource, 0)
            except Refused:
                continue
    return rows
