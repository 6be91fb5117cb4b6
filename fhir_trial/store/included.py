"""Resources that a search brings along: `_include` what matches refer to, `_revinclude` what refers to them (search.html#include)."""

import sqlite3
from collections.abc import Sequence

from fhir_trial.store.call import Call
from fhir_trial.store.criteria import Pairs
from fhir_trial.store.refusals import Refusal, bad_value, unknown_parameter
from fhir_trial.store.rows import Row, select

INCLUDES = frozenset({"_include", "_revinclude"})
MOST = 10_000
"""How many resources a page brings along at most; beyond it the search is refused, never cut."""


def include(call: Call, connection: sqlite3.Connection, found: Sequence[Row], snapshot: int) -> list[Row]:
    """What the matches of a page bring along, each once and none that matched, as of a change."""
    wanted: dict[int, Row] = {}
    for name, value in call.query:
        if name in INCLUDES:
            wanted |= {row.change: row for row in _brought(call, connection, (name, value), found, snapshot)}
        elif name.partition(":")[0] in INCLUDES:
            raise unknown_parameter(name, "the modifier is not supported")
    here = {row.change for row in found}
    rows = [row for change, row in sorted(wanted.items()) if change not in here]
    if len(rows) > MOST:
        raise Refusal(400, "too-costly", f"a page brings along more than {MOST} resources: ask for a smaller _count")
    return rows


def own_criteria(pairs: Pairs) -> list[tuple[str, str]]:
    """The criteria of a search without what it brings along."""
    return [(name, value) for name, value in pairs if name.partition(":")[0] not in INCLUDES]


def _brought(call: Call, connection: sqlite3.Connection, asked: tuple[str, str], found: Sequence[Row], snapshot: int) -> list[Row]:
    """The rows of one `_include=Type:parameter[:Target]` or `_revinclude`."""
    name, value = asked
    source, _, rest = value.partition(":")
    parameter, _, target = rest.partition(":")
    known = call.parameters(source) if source in call.store.shapes.resource_types else {}
    if parameter not in known or known[parameter].definition.type != "reference":
        raise bad_value(name, "Type:parameter of a reference")
    key, current = known[parameter].key, "v.change <= ? AND v.ended > ? AND v.body IS NOT NULL"
    rows: list[Row] = []
    for start in range(0, len(found), 500):
        part = found[start : start + 500]
        marks = ", ".join("?" * len(part))
        if name == "_include":
            listed = f"SELECT r.type, r.id FROM reference r WHERE r.param = ? AND r.change IN ({marks})" + " AND r.type = ?" * bool(target)
            values = (key, *(row.change for row in part), *((target,) if target else ()))
            rows += select(connection, f"(v.type, v.id) IN ({listed}) AND {current}", (*values, snapshot, snapshot))
        elif not target or part[0].type == target:
            listed = f"SELECT r.change FROM reference r WHERE r.param = ? AND r.type = ? AND r.id IN ({marks})"
            values = (key, part[0].type, *(row.id for row in part))
            rows += select(connection, f"v.change IN ({listed}) AND {current}", (*values, snapshot, snapshot))
    return rows
