"""Random views over random resources agree with an interpreter written plainly, over plain dicts, with no types and no compiling."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_trial.errors import Findings
from fhir_trial.fhir.json import decode, encode
from fhir_trial.fhirpath import parse
from fhir_trial.fhirpath.syntax import Binary, Call, Constant, Expr, Index, Literal, Member, Variable
from fhir_trial.frames import run_view

# --- the plain interpreter -------------------------------------------------------------------------------------------------------------


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
            return [index]
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


def operate(node: Binary, left: list[Any], right: list[Any]) -> list[Any]:
    if node.operator == "=":
        if not left or not right:
            return []
        if len(left) != len(right):
            return [False]
        return [all(bare(a) == bare(b) for a, b in zip(left, right, strict=True))]
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
        "getReferenceKey": lambda: [each["reference"].split("/")[-1] for each in items if "reference" in each],
    }
    return simple[node.name]()


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
    path = select.get("forEach") or select.get("forEachOrNull")
    if path is None:
        return rows_at(select, item, root, index)
    found = evaluate(parse(path).root, item, root, index)
    if not found and "forEachOrNull" in select:
        own = {column["name"]: 0 for column in select.get("column", []) if column["path"] == "%rowIndex" and not column.get("collection")}
        return [{**dict.fromkeys(columns_of(select)), **own}]
    return [row for i, each in enumerate(found) for row in rows_at(select, each, root, i)]


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


# --- random resources ------------------------------------------------------------------------------------------------------------------

TEXTS = st.sampled_from(["a", "b", "official", "Ä ö", "", "=1", "x" * 50])
URLS = st.sampled_from(["http://e.org/a", "http://e.org/b"])


def some(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=parts)


def up_to(number: int, part: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(part, min_size=1, max_size=number)


EXTENSION = st.one_of(
    st.fixed_dictionaries({"url": URLS, "valueString": TEXTS}),
    st.fixed_dictionaries({"url": URLS, "valueDecimal": st.decimals(-1000, 1000, places=2)}),
)
NAME = some(use=st.sampled_from(["official", "usual"]), family=TEXTS, given=up_to(3, TEXTS), period=some(start=st.just("2020-01")))
GAPPED = st.just(
    {"family": "gap", "given": [None, "b"], "_given": [{"extension": [{"url": "http://e.org/a", "valueString": "why"}]}, None]}
)
TELECOM = some(system=st.sampled_from(["phone", "email"]), value=TEXTS, rank=st.integers(1, 9))
PATIENT = some(
    id=st.sampled_from(["p1", "p2"]),
    active=st.booleans(),
    name=up_to(3, st.one_of(NAME, GAPPED)),
    telecom=up_to(2, TELECOM),
    birthDate=st.sampled_from(["1950", "1950-02-03"]),
    _birthDate=st.fixed_dictionaries({"extension": up_to(2, EXTENSION)}),
    deceasedBoolean=st.booleans(),
    deceasedDateTime=st.just("2020-01-01T10:00:00Z"),
    extension=up_to(3, EXTENSION),
    managingOrganization=some(reference=st.just("Organization/o1"), display=TEXTS),
    contact=up_to(2, some(name=NAME, telecom=up_to(2, TELECOM), gender=st.just("female"))),
    maritalStatus=some(text=TEXTS, coding=up_to(2, some(system=URLS, code=TEXTS))),
    photo=up_to(1, some(size=st.integers(0, 9))),
).map(lambda resource: {"resourceType": "Patient", **resource})
RESOURCES = st.lists(st.one_of(PATIENT, st.just({"resourceType": "Device", "id": "d1", "name": "not a list"})), max_size=4)

# --- random views ----------------------------------------------------------------------------------------------------------------------

HUMAN_NAME = [
    "family",
    "use",
    "given",
    "given.first()",
    "given.join(',')",
    "period.start",
    "given[0]",
    "given.count()",
    "given.last()",
    "%rowIndex",
]
CONTACT_POINT = ["system", "value", "rank", "value.exists()", "%rowIndex", "$this.system", "system = 'phone'"]
COLUMNS = {
    "Patient": [
        *(
            "id",
            "active",
            "birthDate",
            "name.family",
            "name.first().family",
            "name.given",
            "name.where(use = 'official').family",
            "%rowIndex",
        ),
        *(
            "name.where(use = 'official').given.first()",
            "name.exists(use = 'usual')",
            "birthDate.extension('http://e.org/a').value.ofType(string)",
        ),
        *(
            "birthDate.extension.url.first()",
            "deceased.ofType(boolean)",
            "deceased.ofType(dateTime)",
            "telecom.count()",
            "birthDate.exists()",
        ),
        *(
            "extension('http://e.org/a').value.ofType(decimal)",
            "extension('http://e.org/b').first().value.ofType(string)",
            "maritalStatus.text",
        ),
        *(
            "managingOrganization.reference",
            "managingOrganization.getReferenceKey()",
            "getResourceKey()",
            "'constant'",
            "contact.name.family",
        ),
        *(
            "maritalStatus.coding.where(system = 'http://e.org/a').code",
            "maritalStatus.coding.first().code",
            "name[1].family",
            "photo.size",
        ),
        *(
            "active.not()",
            "active = true and name.exists()",
            "active or deceased.ofType(boolean)",
            "contact.where(gender = 'female').count()",
        ),
        *(
            "name.given.first()",
            "telecom.where(system = 'phone').value.first()",
            "contact.telecom.value.first()",
            "name.last().given.last()",
        ),
    ],
    "name": HUMAN_NAME,
    "telecom": CONTACT_POINT,
    "contact": ["name.family", "gender", "name.given.first()", "telecom.value.first()", "%rowIndex", "telecom.exists()"],
}
STEPS = {
    "Patient": {
        "name": "name",
        "telecom": "telecom",
        "contact": "contact",
        "name.where(use = 'official')": "name",
        "contact.telecom": "telecom",
    },
    "contact": {"telecom": "telecom", "name": "name"},
    "name": {},
    "telecom": {},
}
WHERE = ["active", "name.exists()", "birthDate.exists() and name.empty()", "name.where(use = 'usual').exists()", "active = false"]


@st.composite
def selects(draw: st.DrawFn, context: str = "Patient", depth: int = 2) -> dict[str, Any]:
    select: dict[str, Any] = {}
    if depth and STEPS[context] and draw(st.booleans()):
        path = draw(st.sampled_from(sorted(STEPS[context])))
        context = STEPS[context][path]
        select[draw(st.sampled_from(["forEach", "forEachOrNull"]))] = path
    paths = draw(st.lists(st.sampled_from(COLUMNS[context]), min_size=1, max_size=4))
    select["column"] = [{"name": "c", "path": path, "collection": draw(st.booleans())} for path in paths]
    if depth and draw(st.booleans()):
        select["select"] = draw(st.lists(selects(context, depth - 1), min_size=1, max_size=2))
    if depth and draw(st.booleans()):
        select["unionAll"] = [draw(branch(context, paths)) for _ in range(draw(st.integers(1, 2)))]
    return select


@st.composite
def branch(draw: st.DrawFn, context: str, paths: list[str]) -> dict[str, Any]:
    """A union's branch: the same columns from another set of rows."""
    column = [{"name": f"u{i}", "path": path, "collection": True} for i, path in enumerate(paths)]
    kind = draw(st.sampled_from(["", "forEach", "forEachOrNull"]))
    return {kind: "$this", "column": column} if kind else {"column": column}


def named(selects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Column names made unique; a union's branches share theirs."""
    number = iter(range(10_000))

    def name(select: dict[str, Any], given: list[str] | None = None) -> dict[str, Any]:
        columns = [{**each, "name": f"c{next(number)}"} for each in select.get("column", [])]
        unions = select.get("unionAll", [])
        prefix = f"u{next(number)}_"
        return {
            **select,
            "column": columns,
            **({"select": [name(inner) for inner in select["select"]]} if "select" in select else {}),
            **({"unionAll": [{**b, "column": [{**c, "name": prefix + c["name"]} for c in b["column"]]} for b in unions]} if unions else {}),
        }

    return [name(select) for select in selects]


VIEWS = st.builds(
    lambda chosen, where: {"resource": "Patient", "select": named(chosen), "where": [{"path": path} for path in where]},
    st.lists(selects(), min_size=1, max_size=3),
    st.lists(st.sampled_from(WHERE), max_size=1),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(view=VIEWS, resources=RESOURCES, as_text=st.booleans())
def test_views_agree_with_the_plain_interpreter(view: dict[str, Any], resources: list[Any], as_text: bool) -> None:
    decoded = [decode(encode(resource)) for resource in resources]
    source = b"\n".join(encode(resource) for resource in resources) if as_text else decoded
    table = run_view(view, source, bad="skip", findings=Findings())
    assert table.to_pylist() == interpret(view, decoded)
