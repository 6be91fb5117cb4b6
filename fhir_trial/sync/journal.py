"""What was sent and what became of it, on disk before it is sent: a kill at any moment leaves a row that the next run settles.

SQLite with a schema version; it holds `Type/id`s and digests, no content. One sync at a time: the file stays locked while it is open,
and the system lets go of the lock when the process ends, however it ends.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from fhir_trial.errors import ConfigurationError, PartlyDone, of_database
from fhir_trial.sync.merge import Base
from fhir_trial.sync.synced import Synced

FOLDER = ".fhir-trial"
FILE_NAME = "journal.sqlite"
Outcome = Literal["done", "refused", "unknown", "settled"]
_Packed = tuple[dict[str, bytes], dict[str, bytes] | None]

STEPS = (
    """
    CREATE TABLE request (
        number INTEGER PRIMARY KEY,
        server TEXT NOT NULL,
        places TEXT NOT NULL,
        outcome TEXT,
        status INTEGER
    );
    CREATE INDEX request_open ON request (server) WHERE outcome IS NULL;
    CREATE TABLE synced (
        server TEXT NOT NULL,
        place TEXT NOT NULL,
        digest TEXT NOT NULL,
        PRIMARY KEY (server, place)
    ) WITHOUT ROWID;
    CREATE TABLE attempt (
        server TEXT NOT NULL,
        place TEXT NOT NULL,
        digest TEXT NOT NULL,
        PRIMARY KEY (server, place, digest)
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE synced ADD COLUMN source TEXT;
    ALTER TABLE synced ADD COLUMN elements BLOB;
    ALTER TABLE synced ADD COLUMN at TEXT;
    """,
)
"""The SQL of each schema version; step n makes version n + 1. Steps are only ever added."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request of a run that ended before its answer was written down."""

    number: int
    places: tuple[str, ...]


class Journal:
    """The journal of one folder (or database); use it as a context manager.

    `ConfigurationError` (exit 3) where another sync has it open, where it is from a later version, or where it cannot be opened.
    """

    def __init__(self, path: Path | str) -> None:
        """Open or make the journal at `path` (":memory:" for one that ends with the process) and lock it."""
        self._path = str(path)
        if self._path != ":memory:":
            _make_private(Path(path))
        try:
            self._db = sqlite3.connect(self._path, timeout=0, isolation_level=None)
            self._lock_and_migrate()
        except sqlite3.Error as error:
            if hasattr(self, "_db"):
                self._db.close()
            if "locked" in str(error):
                raise ConfigurationError(f"{self._path}: another sync of it is running") from None
            raise of_database(self._path, "it cannot be opened", error) from None
        except ConfigurationError:
            self._db.close()
            raise

    @classmethod
    def of_folder(cls, folder: Path | str) -> "Journal":
        """The journal of a folder of resources, `FOLDER/.fhir-trial/journal.sqlite`."""
        return cls(Path(folder) / FOLDER / FILE_NAME)

    def begin(self, server: str, digests: Mapping[str, str | None]) -> int:
        """Write down that a request for these places is about to be sent, with the digest of what is sent (None: a deletion).

        Its number closes it. What was sent stays an attempt until the place is remembered: should the answer be lost for good, a later run
        still knows its own writing from that of others.
        """
        with self._writing() as db:
            sent = [(server, place, digest) for place, digest in digests.items() if digest is not None]
            db.executemany("INSERT OR IGNORE INTO attempt VALUES (?, ?, ?)", sent)
            row = db.execute("INSERT INTO request (server, places) VALUES (?, ?)", (server, "\n".join(digests)))
            return int(row.lastrowid or 0)

    def close_request(self, number: int, outcome: Outcome, status: int | None = None) -> None:
        """Write down what became of a request."""
        with self._writing() as db:
            db.execute("UPDATE request SET outcome = ?, status = ? WHERE number = ?", (outcome, status, number))

    def remember(self, server: str, held: Mapping[str, Synced], gone: Iterable[str] = ()) -> None:
        """Keep what the server is now known to hold, and forget what is gone; all of it or nothing."""
        gone = list(gone)
        rows = ((server, place, *_row(synced)) for place, synced in held.items())
        with self._writing() as db:
            db.executemany("DELETE FROM attempt WHERE server = ? AND place = ?", ((server, place) for place in (*held, *gone)))
            db.executemany("INSERT OR REPLACE INTO synced (server, place, digest, source, elements, at) VALUES (?, ?, ?, ?, ?, ?)", rows)
            db.executemany("DELETE FROM synced WHERE server = ? AND place = ?", ((server, place) for place in gone))

    def synced(self, server: str) -> Mapping[str, Synced]:
        """What the server may hold of our writing, by `Type/id`: what was last synced, and what was sent since; read when looked up."""
        return _OfServer(self._db, server)

    def unanswered(self, server: str) -> list[Sent]:
        """The requests of an earlier run whose answers were never written down."""
        rows = self._db.execute("SELECT number, places FROM request WHERE server = ? AND outcome IS NULL ORDER BY number", (server,))
        return [Sent(number, tuple(places.split("\n"))) for number, places in rows]

    def close(self) -> None:
        """Close the file and let go of the lock."""
        self._db.close()

    def __enter__(self) -> "Journal":
        """The journal itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _lock_and_migrate(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("BEGIN EXCLUSIVE")
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version > len(STEPS):
            raise ConfigurationError(f"{self._path}: schema version {version} is from a later fhir-trial, which is needed to open it")
        for step in STEPS[version:]:
            for statement in filter(str.strip, step.split(";")):
                self._db.execute(statement)
        self._db.execute(f"PRAGMA user_version = {len(STEPS)}")
        self._db.execute("COMMIT")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction on disk; a full disk ends the run, resumable, before anything is sent."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise PartlyDone(f"{self._path}: the journal cannot be written ({error}); run again to resume") from None


class _OfServer(Mapping[str, Synced]):
    """What the journal holds of one server, a place at a time: it may be of a million."""

    _PLACES = """
        SELECT place FROM synced WHERE server = :server AND place > :last
        UNION SELECT place FROM attempt WHERE server = :server AND place > :last ORDER BY place LIMIT 1000
    """

    def __init__(self, db: sqlite3.Connection, server: str) -> None:
        self._db, self._server = db, server

    def __getitem__(self, place: str) -> Synced:
        at = (self._server, place)
        row = self._db.execute("SELECT digest, source, elements, at FROM synced WHERE server = ? AND place = ?", at).fetchone()
        sent = self._db.execute("SELECT digest FROM attempt WHERE server = ? AND place = ?", at).fetchall()
        if row is None and not sent:
            raise KeyError
        known = Synced(()) if row is None else _synced(*row)
        return replace(known, digests=(*known.digests, *(digest for (digest,) in sent))) if sent else known

    def __iter__(self) -> Iterator[str]:
        """All places in order, some at a time: the journal is written to meanwhile."""
        last = ""
        while places := [row[0] for row in self._db.execute(self._PLACES, {"server": self._server, "last": last})]:
            yield from places
            last = places[-1]

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _row(synced: Synced) -> tuple[str, str | None, bytes | None, str | None]:
    """A row's columns; the elements are packed, and the source's digest stands only where it differs from the server's."""
    base = synced.base
    packed = msgspec.msgpack.encode((base.theirs, None if base.ours == base.theirs else base.ours)) if base else None
    return synced.digests[0], synced.source, packed, synced.at


def _synced(digest: str, source: str | None, packed: bytes | None, at: str | None) -> Synced:
    theirs, ours = msgspec.msgpack.decode(packed, type=_Packed) if packed else ({}, None)
    return Synced((digest,), source, Base(theirs if ours is None else ours, theirs) if packed else None, at)


def _make_private(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise ConfigurationError(f"{path}: the journal cannot be made ({type(error).__name__})") from None
