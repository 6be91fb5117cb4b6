"""Writing inside one database transaction: versions, conditions, and the integrity of references at its end."""

import re
import sqlite3
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import uuid4

from fhir_trial.errors import InputError
from fhir_trial.fhir import json
from fhir_trial.store import index
from fhir_trial.store.call import Call
from fhir_trial.store.refusals import Refusal, invalid
from fhir_trial.store.rows import Row, append, latest
from fhir_trial.store.schema import FOREVER
from fhir_trial.store.trees import reference_texts, targets

_CONDITIONAL = re.compile(r"[A-Z][A-Za-z]+\?.")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def new_id() -> str:
    """A logical id that nobody has."""
    return str(uuid4())


def check_client_id(identity: Any) -> str:
    """An id that a client chose: FHIR's characters, and not only digits, which other servers keep for themselves."""
    if not isinstance(identity, str) or not _ID.fullmatch(identity):
        raise Refusal(400, "value", "expected an id of 1 to 64 letters, digits, - and .", expression=["Resource.id"])
    if identity.isdigit():
        raise Refusal(400, "business-rule", "a client's id needs a character that is no digit", expression=["Resource.id"])
    return identity


def check_match(if_match: str | None, current: Row | None) -> None:
    """Refuse (409, as HAPI does) a write that rests on another version than the current one."""
    if if_match is None:
        return
    wanted = if_match.strip().removeprefix("W/").strip('"')
    if current is None or current.body is None or (wanted not in ("*", str(current.version))):
        raise Refusal(409, "conflict", "the server's version is another one than If-Match names")


def is_conditional(reference: str) -> bool:
    """Whether a reference is a search, `Patient?identifier=a|1`, which transactions resolve."""
    return _CONDITIONAL.match(reference) is not None


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal to the digit: 1.50 is not 1.5."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(part, other[name]) for name, part in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return str(one) == str(other) if isinstance(one, Decimal) else bool(one == other)


def _unstamped(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource without what the server sets."""
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in ("versionId", "lastUpdated")}
    bare = {name: value for name, value in resource.items() if name != "meta"}
    return bare | ({"meta": meta} if meta else {})


def _stamped(resource: dict[str, Any], row: Row) -> bytes:
    """A resource with its id, version and time, as it is kept and sent."""
    meta = {"versionId": str(row.version), "lastUpdated": row.instant, **resource.get("meta", {})}
    rest = {name: value for name, value in resource.items() if name not in ("resourceType", "id", "meta")}
    return json.encode({"resourceType": row.type, "id": row.id, "meta": meta, **rest})


@dataclass(slots=True)
class Writer:
    """All writes of one request; `finish` checks what must hold when they are all done."""

    call: Call
    connection: sqlite3.Connection
    now: int = 0
    _targets: dict[tuple[str, str], str] = field(default_factory=dict)
    _deleted: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Take the time once: all writes of a request are of one moment."""
        self.now = self.call.store.timestamp(self.connection)

    def latest(self, resource_type: str, identity: str) -> Row | None:
        """The last version of a resource."""
        return latest(self.connection, resource_type, identity)

    def create(self, resource: dict[str, Any], identity: str | None = None) -> Row:
        """A new resource under an id of ours, or one given."""
        return self._write(resource, identity or new_id(), None, "POST")

    def put(self, resource: dict[str, Any], identity: str, if_match: str | None) -> tuple[Row, bool]:
        """The resource as the current version of `identity`, and whether that id had none before; an equal one makes no new version."""
        current = self.latest(resource["resourceType"], identity)
        check_match(if_match, current)
        stated = resource | {"id": identity}
        if current is not None and current.body is not None and same(_unstamped(json.decode(current.body)), _unstamped(stated)):
            return current, False
        return self._write(stated, identity, current, "PUT"), current is None or current.body is None

    def delete(self, current: Row) -> Row:
        """A version that says the resource is gone."""
        if current.body is None:
            return current
        row = append(self.connection, Row(0, current.type, current.id, current.version + 1, self.now, "DELETE", None), current)
        self._deleted.append(row)
        return row

    def _write(self, resource: dict[str, Any], identity: str, previous: Row | None, method: str) -> Row:
        """Check, keep and index one version."""
        resource_type = resource["resourceType"]
        self._check(resource)
        bare = _unstamped(resource) | {"id": identity}
        row = Row(0, resource_type, identity, previous.version + 1 if previous else 1, self.now, method, None)
        row = append(self.connection, Row(0, row.type, row.id, row.version, row.updated, method, _stamped(bare, row)), previous)
        texts = list(reference_texts(bare))
        found = targets(texts)
        index.write(self.connection, row.change, bare, self.call.parameters(resource_type).values(), found)
        for path, text in texts:
            if text.startswith(("urn:uuid:", "urn:oid:")) or is_conditional(text):
                raise Refusal(400, "not-found", "the reference cannot be resolved", expression=[f"{resource_type}.{path}"])
        self._targets |= dict.fromkeys(found, resource_type)
        return row

    def _check(self, resource: dict[str, Any]) -> None:
        """Refuse a resource of no known type, or that validation finds wrong."""
        if resource["resourceType"] not in self.call.store.shapes.resource_types:
            raise Refusal(400, "structure", "not a resource type of this FHIR version")
        if not isinstance(resource.get("meta", {}), dict):
            raise Refusal(400, "structure", "expected an object", expression=["Resource.meta"])
        if self.call.store.validate is not None:
            try:
                errors = [f for f in self.call.store.validate(resource, self.call.store.fhir.name) if f.severity == "error"]
            except InputError as error:
                errors = error.findings
            if errors:
                raise invalid(errors)

    def finish(self) -> None:
        """Refuse (400) references to what is not there, and (409) deletions of what others refer to."""
        for (kind, identity), source in self._targets.items():
            query = "SELECT 1 FROM versions WHERE type = ? AND id = ? AND ended = ?"
            if self.connection.execute(query, (kind, identity, FOREVER)).fetchone() is None:
                raise Refusal(400, "not-found", f"{source} refers to a {kind} that this server does not hold")
        for row in self._deleted:
            query = (
                "SELECT v.type FROM reference r JOIN versions v ON v.change = r.change "
                "WHERE r.param = ? AND r.id = ? AND r.type = ? AND v.ended = ? LIMIT 1"
            )
            holder = self.connection.execute(query, (index.ANY_REFERENCE, row.id, row.type, FOREVER)).fetchone()
            if holder:
                raise Refusal(409, "conflict", f"a {holder[0]} still refers to the {row.type}")
