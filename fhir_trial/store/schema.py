"""The tables of the store, and the steps from each schema version to the next.

`versions` holds every version of every resource, the present one with `ended` = FOREVER; a deletion is a version without body that
ends with its own change, so that it is found in histories and in no search. `change` counts all writes of the store in
order, so that a search can be answered as of one change: pages stay stable whatever is written meanwhile, and need no state.
Index rows belong to a version, never to a resource, for the same reason. Row 0 of `reference` is every reference of a resource.
A `job` is an export: the change it is as of, and what was asked.
"""

import sqlite3

from fhir_trial.errors import ConfigurationError

FOREVER = 2**62
"""`ended` of a version that is current."""

_FIRST = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE versions (
    change INTEGER PRIMARY KEY AUTOINCREMENT,
    type TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
    updated INTEGER NOT NULL, ended INTEGER NOT NULL, method TEXT NOT NULL, body BLOB,
    UNIQUE (type, id, version));
CREATE INDEX versions_by_type ON versions (type, change, ended, updated);
CREATE TABLE token (param INTEGER, code TEXT, system TEXT, change INTEGER, PRIMARY KEY (param, code, system, change)) WITHOUT ROWID;
CREATE TABLE string (param INTEGER, folded TEXT, exact TEXT, change INTEGER, PRIMARY KEY (param, folded, exact, change)) WITHOUT ROWID;
CREATE TABLE uri (param INTEGER, value TEXT, change INTEGER, PRIMARY KEY (param, value, change)) WITHOUT ROWID;
CREATE TABLE date (param INTEGER, low INTEGER, high INTEGER, change INTEGER, PRIMARY KEY (param, low, high, change)) WITHOUT ROWID;
CREATE TABLE quantity (param INTEGER, value REAL, code TEXT, system TEXT, unit TEXT, change INTEGER,
    PRIMARY KEY (param, value, code, system, unit, change)) WITHOUT ROWID;
CREATE TABLE reference (param INTEGER, id TEXT, type TEXT, change INTEGER, PRIMARY KEY (param, id, type, change)) WITHOUT ROWID;
"""

_JOBS = "CREATE TABLE job (id TEXT PRIMARY KEY, snapshot INTEGER NOT NULL, asked BLOB NOT NULL) WITHOUT ROWID;\n"

MIGRATIONS: tuple[str, ...] = (_FIRST, _JOBS)
"""Step n leads from schema version n to n + 1; a step that has been released is never edited."""


def migrate(connection: sqlite3.Connection, fhir: str) -> None:
    """Bring the database to this schema, step by step, and hold it to one FHIR version."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found > len(MIGRATIONS):
            raise ConfigurationError(f"the store has schema {found}, this program knows {len(MIGRATIONS)}: use a newer fhir_trial")
        for step in MIGRATIONS[found:]:
            for statement in step.split(";\n"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("INSERT OR IGNORE INTO about VALUES ('fhir', ?)", (fhir,))
        held = connection.execute("SELECT value FROM about WHERE name = 'fhir'").fetchone()[0]
        if held != fhir:
            raise ConfigurationError(f"the store holds FHIR {held}, not {fhir}: one database is one FHIR version")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
