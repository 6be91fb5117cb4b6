"""The store's database: one writer at a time, readers beside it, and the clock of its changes."""

import datetime as dt
import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fhir_trial.errors import ConfigurationError, Finding
from fhir_trial.fhir.shapes import Shapes, shapes
from fhir_trial.fhir.versions import DEFAULT, version
from fhir_trial.store.limits import Limits
from fhir_trial.store.moments import microseconds
from fhir_trial.store.rows import last_change
from fhir_trial.store.schema import migrate
from fhir_trial.validate import validate

Validate = Callable[[dict[str, Any], str], Iterable[Finding]]
"""Says what is wrong with a resource of a FHIR version."""
Clock = Callable[[], dt.datetime]


def parameter_key(resource_type: str, name: str) -> int:
    """The number under which a search parameter's index rows stand: the same in every database."""
    return int.from_bytes(hashlib.blake2b(f"{resource_type}.{name}".encode(), digest_size=4).digest(), "big")


def _now() -> dt.datetime:
    """The time of the machine, in UTC."""
    return dt.datetime.now(dt.UTC)


def _make_private(path: Path) -> None:
    """Make a new database file that only its owner may read: it holds subject data."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise ConfigurationError(f"the store's database cannot be opened: {error.strerror}") from None


class Store:
    """An embedded FHIR server's resources in one SQLite file, or in memory; safe to use from many threads.

    In a file, readers see the last committed state while one writer works (WAL). In memory all take turns on one connection.
    """

    limits: Limits | None = None
    """What it refuses to be like a server of another kind; None refuses nothing more."""

    def __init__(self, path: str | Path, fhir: str = DEFAULT, *, validate: Validate | None = validate, clock: Clock = _now) -> None:
        """Open or make the store; `validate` finds what is wrong with a resource before it is kept, None keeps what it is sent."""
        self.fhir = version(fhir)
        self.shapes: Shapes = shapes(fhir)
        self.validate = validate
        self._path = str(path)
        self._clock = clock
        self._lock = threading.RLock()
        self._opening = threading.Lock()
        self._readers = threading.local()
        self._opened: list[sqlite3.Connection] = []
        if self._path != ":memory:":
            _make_private(Path(self._path))
        self._writer = self._connect()
        try:
            migrate(self._writer, fhir)
        except BaseException:
            self.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        """A connection, known to `close`."""
        try:
            connection = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False, cached_statements=512)
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error as error:
            raise ConfigurationError(f"the store's database cannot be opened: {error}") from error
        # NORMAL is durable against a killed process in WAL mode; only a power cut may lose the last commits, never consistency.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute("PRAGMA temp_store = MEMORY")
        with self._opening:
            self._opened.append(connection)
        return connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the store."""
        if self._path == ":memory:":
            with self._lock:
                yield self._writer
            return
        connection: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            connection = self._readers.connection = self._connect()
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The writing connection; everything inside is kept together or not at all."""
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def timestamp(self, connection: sqlite3.Connection) -> int:
        """Microseconds of now in whole milliseconds, never before the latest write: `_since` must not miss one."""
        return max(microseconds(self._clock()) // 1000 * 1000, last_change(connection)[1])

    def close(self) -> None:
        """Close every connection."""
        with self._lock, self._opening:
            for connection in self._opened:
                connection.close()
            self._opened.clear()
