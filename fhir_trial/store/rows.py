"""Versions of resources as rows: reading, appending, ending."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_trial.store.moments import http_date, instant
from fhir_trial.store.schema import FOREVER

COLUMNS = "v.change, v.type, v.id, v.version, v.updated, v.method, v.body"


@dataclass(frozen=True, slots=True)
class Row:
    """One version of one resource; `body` is its JSON, None when this version is a deletion."""

    change: int
    type: str
    id: str
    version: int
    updated: int
    method: str
    body: bytes | None = field(repr=False)

    @property
    def etag(self) -> str:
        """The version as an ETag."""
        return f'W/"{self.version}"'

    @property
    def path(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"

    @property
    def headers(self) -> dict[str, str]:
        """ETag and Last-Modified."""
        return {"ETag": self.etag, "Last-Modified": http_date(self.updated)}

    @property
    def instant(self) -> str:
        """When it was written, as FHIR writes it."""
        return instant(self.updated)


def select(connection: sqlite3.Connection, where: str, parameters: Sequence[Any]) -> list[Row]:
    """The versions that a condition on `v` and what follows it (order, limit) name."""
    return [Row(*values) for values in connection.execute(f"SELECT {COLUMNS} FROM versions v WHERE {where}", parameters)]


def latest(connection: sqlite3.Connection, resource_type: str, identity: str) -> Row | None:
    """The last version of a resource, be it a deletion; None when there never was one."""
    found = select(connection, "v.type = ? AND v.id = ? ORDER BY v.version DESC LIMIT 1", (resource_type, identity))
    return found[0] if found else None


def numbered(connection: sqlite3.Connection, resource_type: str, identity: str, version: int) -> Row | None:
    """One version of a resource."""
    found = select(connection, "v.type = ? AND v.id = ? AND v.version = ?", (resource_type, identity, version))
    return found[0] if found else None


def last_change(connection: sqlite3.Connection) -> tuple[int, int]:
    """The number and time of the newest write; zeros in an empty store."""
    found: tuple[int, int] | None = connection.execute("SELECT change, updated FROM versions ORDER BY change DESC LIMIT 1").fetchone()
    return found or (0, 0)


def time_of(connection: sqlite3.Connection, change: int) -> int:
    """When the store was last written to as of a change, in microseconds; 0 when it was not yet."""
    query = "SELECT updated FROM versions WHERE change <= ? ORDER BY change DESC LIMIT 1"
    found: tuple[int] | None = connection.execute(query, (change,)).fetchone()
    return found[0] if found else 0


def append(connection: sqlite3.Connection, row: Row, previous: Row | None) -> Row:
    """Add a version, end the previous one; the row with its number."""
    cursor = connection.execute(
        "INSERT INTO versions (type, id, version, updated, ended, method, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (row.type, row.id, row.version, row.updated, FOREVER, row.method, row.body),
    )
    change = cursor.lastrowid or 0
    if row.body is None:
        connection.execute("UPDATE versions SET ended = ? WHERE change = ?", (change, change))
    if previous is not None and previous.body is not None:
        connection.execute("UPDATE versions SET ended = ? WHERE change = ?", (change, previous.change))
    return Row(change, row.type, row.id, row.version, row.updated, row.method, row.body)
