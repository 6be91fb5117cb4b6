"""Search and history: Bundles in pages that stay the same whatever is written between two of them.

The first page fixes the number of the last change; a following page asks as of that change, behind the last row it was given.
The link says both and the total, so the server keeps nothing and a link works after a restart.
"""

import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import msgspec

from fhir_trial.fhir.http import Response
from fhir_trial.store.call import Call, body_response
from fhir_trial.store.criteria import Condition, Pairs, current
from fhir_trial.store.included import include, own_criteria
from fhir_trial.store.moments import instant, span
from fhir_trial.store.refusals import Refusal, bad_value, unknown_parameter
from fhir_trial.store.rows import Row, last_change, latest, select, time_of

PAGE, LARGEST_PAGE = 100, 1000
CONTROLS = frozenset({"_count", "_sort", "_total", "_summary", "_page", "_format", "_pretty"})
_ORDERS = {
    "": ("v.change", "v.change > ?"),
    "_lastUpdated": ("v.change", "v.change > ?"),
    "-_lastUpdated": ("v.change DESC", "v.change < ?"),
    "_id": ("v.id", None),
    "-_id": ("v.id DESC", None),
}
"""By `_sort`: the order, and the condition of what comes behind a change; None where a page is found by counting rows."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which page is asked for: as of which change, behind what, of how many."""

    snapshot: int
    behind: int | None
    total: int | None
    size: int


def _controls(pairs: Pairs) -> dict[str, str]:
    """The controls of a search by name; each may stand once."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in CONTROLS:
            if name in found:
                raise bad_value(name, "one value")
            found[name] = value
    return found


def _size(controls: dict[str, str]) -> int:
    """How many entries a page has at most."""
    text = controls.get("_count", str(PAGE))
    if not re.fullmatch(r"\d{1,9}", text):
        raise bad_value("_count", "a number")
    return min(int(text), LARGEST_PAGE)


def _page(controls: dict[str, str], connection: sqlite3.Connection) -> Page:
    """The page that `_page` names, or the first one of now."""
    size = _size(controls)
    if "_page" not in controls:
        return Page(last_change(connection)[0], None, None, size)
    match = re.fullmatch(r"(\d{1,18})-(\d{1,18})-(\d{0,18})", controls["_page"])
    if match is None:
        raise bad_value("_page", "what a link of this server says")
    return Page(int(match[1]), int(match[2]), int(match[3]) if match[3] else None, size)


def _link(call: Call, relation: str, pairs: Pairs) -> dict[str, str]:
    """One link of a Bundle: the same query on the same path."""
    path = "/".join(part for part in call.path if part != "_search")
    query = urlencode(pairs, safe="|,:/$")
    return {"relation": relation, "url": f"{call.base}/{path}" + (f"?{query}" if query else "")}


def _links(call: Call, page: Page, following: int | None, total: int | None) -> list[dict[str, str]]:
    """The link to this page, and to the next when there is one."""
    links = [_link(call, "self", call.query)]
    if following is not None:
        kept = [(name, value) for name, value in call.query if name not in ("_page", "_count")]
        marker = f"{page.snapshot}-{following}-{'' if total is None else total}"
        links.append(_link(call, "next", [*kept, ("_count", str(page.size)), ("_page", marker)]))
    return links


def _rows(connection: sqlite3.Connection, where: Condition, page: Page, sort: str) -> tuple[list[Row], int | None]:
    """The rows of a page, and what the next one is behind."""
    order, behind = _ORDERS[sort]
    values: tuple[Any, ...] = where.values
    sql, skipped = where.sql, 0
    if page.behind is not None and behind:
        sql, values = f"{sql} AND {behind}", (*values, page.behind)
    elif page.behind is not None:
        skipped = page.behind
    rows = select(connection, f"{sql} ORDER BY {order} LIMIT ? OFFSET ?", (*values, page.size + 1, skipped))
    if len(rows) <= page.size or not page.size:
        return rows[: page.size], None
    rows.pop()
    return rows, rows[-1].change if behind else skipped + page.size


def _total(connection: sqlite3.Connection, where: Condition, page: Page, controls: dict[str, str]) -> int | None:
    """How many match, counted once and carried through the links."""
    if page.behind is not None or controls.get("_total") == "none":
        return page.total
    count: int = connection.execute(f"SELECT COUNT(*) FROM versions v WHERE {where.sql}", where.values).fetchone()[0]
    return count


def _check(controls: dict[str, str]) -> None:
    """Refuse what the controls ask and this server does not do."""
    known = {"_total": ("none", "accurate", "estimate"), "_summary": ("count", "false"), "_sort": tuple(_ORDERS)}
    for name, values in known.items():
        if controls.get(name, values[0]) not in values:
            raise unknown_parameter(name, f"only {', '.join(filter(None, values))} supported")


def _bundle(call: Call, kind: str, as_of: int, total: int | None, page_links: list[dict[str, str]], entries: list[Any]) -> Response:
    """A Bundle of rows; its time is that of the newest change it could see, so that `_since` with it misses nothing."""
    whole: dict[str, Any] = {"resourceType": "Bundle", "meta": {"lastUpdated": instant(as_of)}, "type": kind}
    whole |= {} if total is None else {"total": total}
    whole |= {"link": page_links} | ({"entry": entries} if entries else {})
    return body_response(200, whole)


def _entry(call: Call, row: Row, mode: str) -> dict[str, Any]:
    """One entry of a searchset; its body is not decoded."""
    return {"fullUrl": f"{call.base}/{row.path}", "resource": msgspec.Raw(row.body or b"null"), "search": {"mode": mode}}


def search(call: Call) -> Response:
    """The resources of a type that meet all criteria."""
    if call.store.limits is not None:
        call = replace(call, query=call.store.limits.criteria(call.type, call.query))
    controls = _controls(call.query)
    _check(controls)
    criteria = [pair for pair in own_criteria(call.query) if pair[0] not in CONTROLS]
    with call.reading() as connection:
        page = _page(controls, connection)
        where = current(call.parameters(call.type), criteria, call.base, call.type, page.snapshot)
        total = _total(connection, where, page, controls)
        wanted = page.size and controls.get("_summary") != "count"
        rows, following = _rows(connection, where, page, controls.get("_sort", "")) if wanted else ([], None)
        brought = include(call, connection, rows, page.snapshot)
        as_of = time_of(connection, page.snapshot)
    entries = [*(_entry(call, row, "match") for row in rows), *(_entry(call, row, "include") for row in brought)]
    return _bundle(call, "searchset", as_of, total, _links(call, page, following, total), entries)


def matches(call: Call, connection: sqlite3.Connection, resource_type: str, pairs: Pairs) -> list[Row]:
    """The first two current resources that a condition names: one is the match, two are too many."""
    if not pairs or any(name in CONTROLS for name, _ in pairs):
        raise Refusal(400, "invalid", "a condition needs search criteria, and nothing else")
    where = current(call.parameters(resource_type), pairs, call.base, resource_type, last_change(connection)[0])
    return select(connection, f"{where.sql} LIMIT 2", where.values)


def _history_entry(call: Call, row: Row) -> dict[str, Any]:
    """One version in a history, with the request that made it."""
    held = {"resource": msgspec.Raw(row.body)} if row.body is not None else {}
    status = {"DELETE": "204 No Content"}.get(row.method, "201 Created" if row.version == 1 else "200 OK")
    url = row.type if row.method == "POST" else row.path
    response = {"status": status, "etag": row.etag, "lastModified": row.instant}
    return {"fullUrl": f"{call.base}/{row.path}", **held, "request": {"method": row.method, "url": url}, "response": response}


def _since(value: str) -> Condition:
    """At or after an instant."""
    found = span(value.replace(" ", "+"))
    if found is None or "T" not in value:
        raise bad_value("_since", "an instant")
    return Condition("v.updated >= ?", (found[0],))


def history(narrowed: Callable[[Call], Condition]) -> Callable[[Call], Response]:
    """The handler of a history: the versions that `narrowed` names, newest first, with `_since`, `_count` and pages."""

    def answer(call: Call) -> Response:
        controls = _controls([pair for pair in call.query if pair[0] != "_since"])
        unknown = [name for name, _ in call.query if name not in {"_since", "_count", "_page", "_format", "_pretty"}]
        if unknown:
            raise unknown_parameter(unknown[0])
        found = [narrowed(call), *(_since(value) for name, value in call.query if name == "_since")]
        with call.reading() as connection:
            page = _page(controls, connection)
            sql, values = " AND ".join(f"({c.sql})" for c in found), tuple(value for c in found for value in c.values)
            where = Condition(f"v.change <= ? AND {sql}", (page.snapshot, *values))
            total = _total(connection, where, page, controls)
            rows, following = _rows(connection, where, page, "-_lastUpdated")
            if len(call.path) > 2 and not total and latest(connection, call.type, call.id) is None:
                raise Refusal(404, "not-found", "no such resource")
            as_of = time_of(connection, page.snapshot)
        return _bundle(call, "history", as_of, total, _links(call, page, following, total), [_history_entry(call, row) for row in rows])

    return answer


system_history = history(lambda call: Condition("1", ()))
type_history = history(lambda call: Condition("v.type = ?", (call.type,)))
instance_history = history(lambda call: Condition("v.type = ? AND v.id = ?", (call.type, call.id)))
