"""Bulk Data export (HL7 Bulk Data Access 2.0.0, "Bulk Data Export Operation Request Flow") of the system, of all patients, or of a Group's.

A job is a snapshot of the store: which change was the last, and what was asked. Its files are not made beforehand; each is a range of
changes, read from the versions when somebody asks for it, so that a job costs one row, survives a restart and is ready at once.
"""

import re
import sqlite3
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec

from fhir_trial.fhir import json
from fhir_trial.fhir.http import Response
from fhir_trial.store.call import Call
from fhir_trial.store.criteria import Condition
from fhir_trial.store.database import parameter_key
from fhir_trial.store.moments import instant, span
from fhir_trial.store.refusals import Refusal, bad_value, unknown_parameter
from fhir_trial.store.rows import last_change, latest, time_of

PART = 10_000
"""How many resources a file has at most."""
NDJSON = "application/fhir+ndjson"
_FORMATS = (NDJSON, "application/ndjson", "ndjson")
_OF_A_PATIENT = ("patient", "subject", "individual")
"""The search parameters by which a resource is in a patient's compartment."""


class Asked(msgspec.Struct, frozen=True):
    """What a job exports, as it is kept."""

    url: str
    scope: str
    group: int | None
    """The change by which the Group had its members."""
    types: tuple[str, ...]
    since: int


@dataclass(frozen=True)
class Job:
    """A job that was started."""

    id: str
    asked: Asked
    snapshot: int


def start(call: Call) -> Response:
    """Kick-off: 202 and where to ask for the job."""
    if not call.prefers("respond-async"):
        raise Refusal(400, "invalid", "an export is asked for with Prefer: respond-async")
    settings = _settings(call)
    with call.store.writing() as connection:
        asked = _asked(call, connection, settings)
        identity = str(uuid4())
        values = (identity, last_change(connection)[0], json.encode(msgspec.to_builtins(asked)))
        connection.execute("INSERT INTO job (id, snapshot, asked) VALUES (?, ?, ?)", values)
    return Response(202, {"Content-Location": f"{call.base}/$export-poll-status?_jobId={identity}"})


def _settings(call: Call) -> dict[str, list[str]]:
    """The parameters of a kick-off by name, from the url and from a Parameters resource."""
    pairs = list(call.query)
    if call.request.method == "POST" and call.request.body:
        parameters = call.resource().get("parameter")
        for each in parameters if isinstance(parameters, list) else []:
            values = [value for name, value in each.items() if name.startswith("value")] if isinstance(each, dict) else []
            pairs += [(str(each["name"]), value if isinstance(value, str) else "") for value in values if "name" in each]
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if name not in ("_type", "_since", "_outputFormat"):
            raise unknown_parameter(name, "only _type, _since and _outputFormat are supported")
        found.setdefault(name, []).append(value)
    return found


def _asked(call: Call, connection: sqlite3.Connection, settings: dict[str, list[str]]) -> Asked:
    """What a kick-off asks for, all of it understood."""
    if any(value not in _FORMATS for value in settings.get("_outputFormat", ())):
        raise bad_value("_outputFormat", NDJSON)
    types = tuple(name for value in settings.get("_type", ()) for name in value.split(","))
    if not call.store.shapes.resource_types.issuperset(types):
        raise bad_value("_type", "resource types of this FHIR version")
    since = [span(value.replace(" ", "+")) if "T" in value else None for value in settings.get("_since", ())]
    if None in since or len(since) > 1:
        raise bad_value("_since", "one instant")
    scope, group = _scope(call, connection)
    url = f"{call.base}/{'/'.join(call.path)}"
    return Asked(url, scope, group, tuple(sorted(set(types))), since[0][0] if since and since[0] else 0)


def _scope(call: Call, connection: sqlite3.Connection) -> tuple[str, int | None]:
    """Whose data: the system's, all patients', or those of a Group as it is now."""
    if call.path == ("$export",):
        return "system", None
    if call.path[0] == "Patient" and len(call.path) == 2:
        return "patient", None
    found = latest(connection, "Group", call.path[1]) if call.path[0] == "Group" and len(call.path) == 3 else None
    if found is None or found.body is None:
        raise Refusal(404, "not-found", "exported are the system, Patient and a Group that is here")
    return "group", found.change


def _job(call: Call, connection: sqlite3.Connection) -> Job:
    """The job that a url names; 404 where there is none."""
    identity = dict(call.query).get("_jobId", "")
    row = connection.execute("SELECT id, snapshot, asked FROM job WHERE id = ?", (identity,)).fetchone()
    if row is None:
        raise Refusal(404, "not-found", "no such export")
    return Job(row[0], msgspec.convert(json.decode(row[2]), Asked), row[1])


def _in_scope(call: Call, job: Job, resource_type: str) -> Condition | None:
    """What holds for a version `v` of a type that belongs to whose data are exported; None where nothing of the type does."""
    if job.asked.scope == "system":
        return Condition("1", ())
    members = ""
    of_group: tuple[int, ...] = ()
    if job.asked.group is not None:
        members = " AND {}.id IN (SELECT id FROM reference WHERE param = ? AND type = 'Patient' AND change = ?)"
        of_group = (parameter_key("Group", "member"), job.asked.group)
    if resource_type == "Patient":
        return Condition("1" + members.format("v"), of_group)
    parameters = call.parameters(resource_type)
    keys = tuple(parameters[name].key for name in _OF_A_PATIENT if name in parameters)
    if not keys:
        return None
    listed = f"SELECT r.change FROM reference r WHERE r.param IN ({', '.join('?' * len(keys))}) AND r.type = 'Patient'"
    return Condition(f"v.change IN ({listed}{members.format('r')})", (*keys, *of_group))


def _held(call: Call, job: Job, resource_type: str) -> Condition | None:
    """The versions of a type that a job exports."""
    scope = _in_scope(call, job, resource_type)
    if scope is None:
        return None
    sql = f"v.type = ? AND v.change <= ? AND v.ended > ? AND v.body IS NOT NULL AND v.updated >= ? AND {scope.sql}"
    return Condition(sql, (resource_type, job.snapshot, job.snapshot, job.asked.since, *scope.values))


def _gone(call: Call, job: Job, resource_type: str) -> Condition | None:
    """The deletions `d` of a type since the time that a job names, with `v` what each of them deleted."""
    scope = _in_scope(call, job, resource_type)
    if scope is None or not job.asked.since:
        return None
    sql = (
        "d.type = ? AND d.change <= ? AND d.updated >= ? AND d.body IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM versions n WHERE n.type = d.type AND n.id = d.id AND n.version > d.version AND n.change <= ?)"
        f" AND v.type = d.type AND v.id = d.id AND v.version = d.version - 1 AND {scope.sql}"
    )
    return Condition(sql, (resource_type, job.snapshot, job.asked.since, job.snapshot, *scope.values))


def _parts(connection: sqlite3.Connection, where: Condition) -> list[tuple[int, int, int]]:
    """The files of a type: each the changes behind one and up to another, and how many there are."""
    numbered = f"SELECT v.change AS change, (row_number() OVER (ORDER BY v.change) - 1) / {PART} AS part FROM versions v WHERE {where.sql}"
    ends = connection.execute(f"SELECT max(change), count(*) FROM ({numbered}) GROUP BY part ORDER BY part", where.values).fetchall()
    starts = [0, *(end for end, _ in ends)]
    return [(start, end, count) for start, (end, count) in zip(starts, ends, strict=False)]


def status(call: Call) -> Response:
    """The manifest of a job; nobody waits for it."""
    with call.reading() as connection:
        job = _job(call, connection)
        output, deleted = [], []
        for name in _exported(call, job):
            if held := _held(call, job, name):
                output += [_file(call, job, name, part) for part in _parts(connection, held)]
            gone = _gone(call, job, name)
            if gone and (
                count := connection.execute(f"SELECT count(*) FROM versions d, versions v WHERE {gone.sql}", gone.values).fetchone()[0]
            ):
                deleted.append({"type": "Bundle", "url": _url(call, job, f"_deleted={name}"), "count": 1 if count else 0})
        moment = instant(time_of(connection, job.snapshot))
    manifest: dict[str, Any] = {"transactionTime": moment, "request": job.asked.url, "requiresAccessToken": True}
    manifest |= {"output": output, "error": []} | ({"deleted": deleted} if job.asked.since else {})
    return Response(200, {"Content-Type": "application/json"}, json.encode(manifest))


def _exported(call: Call, job: Job) -> list[str]:
    """The types that a job exports."""
    types = job.asked.types or sorted(call.store.shapes.resource_types)
    return [name for name in types if call.store.limits is None or name not in call.store.limits.not_exported]


def _url(call: Call, job: Job, query: str) -> str:
    """Where a file of a job is."""
    return f"{call.base}/$export-file?_jobId={job.id}&{query}"


def _file(call: Call, job: Job, resource_type: str, part: tuple[int, int, int]) -> dict[str, Any]:
    """One file of the manifest."""
    behind, until, count = part
    return {"type": resource_type, "url": _url(call, job, f"_type={resource_type}&_part={behind}-{until}"), "count": count}


def file(call: Call) -> Response:
    """One file of a job as NDJSON: resources of a type, or one Bundle of the deletions of a type."""
    asked = dict(call.query)
    part = re.fullmatch(r"(\d{1,18})-(\d{1,18})", asked.get("_part", ""))
    with call.reading() as connection:
        job = _job(call, connection)
        if where := _gone(call, job, asked["_deleted"]) if "_deleted" in asked else None:
            return Response(200, {"Content-Type": NDJSON}, _deletions(connection, where))
        held = _held(call, job, asked.get("_type", "")) if part else None
        if part is None or held is None:
            raise Refusal(404, "not-found", "no such file of the export")
        sql = f"SELECT v.body FROM versions v WHERE {held.sql} AND v.change > ? AND v.change <= ? ORDER BY v.change"
        bodies = connection.execute(sql, (*held.values, int(part[1]), int(part[2])))
        return Response(200, {"Content-Type": NDJSON}, b"".join(bytes(body) + b"\n" for (body,) in bodies))


def _deletions(connection: sqlite3.Connection, where: Condition) -> bytes:
    """The deletions as the transaction that would repeat them."""
    rows = connection.execute(f"SELECT v.type, v.id FROM versions d, versions v WHERE {where.sql} ORDER BY d.change", where.values)
    entries = [{"request": {"method": "DELETE", "url": f"{kind}/{identity}"}} for kind, identity in rows]
    return json.encode({"resourceType": "Bundle", "type": "transaction", "entry": entries}) + b"\n"


def forget(call: Call) -> Response:
    """DELETE of a job: its row goes, its files with it."""
    with call.store.writing() as connection:
        connection.execute("DELETE FROM job WHERE id = ?", (_job(call, connection).id,))
    return Response(202)
