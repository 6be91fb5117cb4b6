"""What was done with a trial's data, by whom and when: entries that are only ever added, each sealed with the hash of the one before.

One SQLite file, readable by its owner only, whose table refuses changes and deletions; a change made past that breaks the chain. Entries
hold counts, servers and digests, no subject data. A chain shows what was altered inside it, not what was cut off its end: so `verify`
takes a head that was noted elsewhere.
"""

import datetime as dt
import getpass
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from fhir_trial.errors import ConfigurationError, FhirTrialError, Finding, of_database

FILE_NAME = "audit.sqlite"
START = "0" * 64
"""What stands for the hash before the first entry."""
Clock = Callable[[], dt.datetime]

_KEPT = "BEGIN SELECT RAISE(ABORT, 'entries of an audit log are kept'); END"
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS entry (number INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,"
    " details TEXT NOT NULL, hash TEXT NOT NULL)",
    f"CREATE TRIGGER IF NOT EXISTS entry_is_kept BEFORE DELETE ON entry {_KEPT}",
    f"CREATE TRIGGER IF NOT EXISTS entry_stays BEFORE UPDATE ON entry {_KEPT}",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: what was done, and the hash that seals it and all before it."""

    number: int
    at: str
    who: str
    what: str
    details: str
    hash: str

    def sealed(self, previous: str) -> str:
        """The hash that this entry must have behind the one before it."""
        parts = (previous, str(self.number), self.at, self.who, self.what, self.details)
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _user() -> str:
    """Who runs this, as the system names them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"


class AuditLog:
    """The log in a folder's `.fhir-trial`, or in any file; safe to use from several processes."""

    def __init__(self, path: Path | str, clock: Clock = _now) -> None:
        """Name the log; its file is made with the first entry. `ConfigurationError` for a file that is no log."""
        self.path, self._clock = Path(path), clock

    @classmethod
    def of_folder(cls, folder: Path | str) -> "AuditLog":
        """The log of a folder of data."""
        return cls(Path(folder) / ".fhir-trial" / FILE_NAME)

    def record(self, what: str, **details: str | int | None) -> str:
        """Add one entry and give its hash: the new head."""
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            last = db.execute("SELECT number, hash FROM entry ORDER BY number DESC LIMIT 1").fetchone() or (0, START)
            told = msgspec.json.encode({name: value for name, value in sorted(details.items()) if value is not None}).decode()
            entry = Entry(last[0] + 1, self._clock().isoformat(timespec="milliseconds"), _user(), what, told, "")
            values = (entry.number, entry.at, entry.who, entry.what, entry.details, entry.sealed(last[1]))
            db.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)", values)
            db.execute("COMMIT")
        return values[-1]

    @contextmanager
    def doing(self, what: str, **details: str | int | None) -> Iterator[dict[str, Any]]:
        """An entry before a deed and one after it, with what the block put into the dict; a deed that fails says so and goes on failing."""
        self.record(f"{what} begun", **details)
        counts: dict[str, Any] = {}
        try:
            yield counts
        except BaseException as error:
            with suppress(FhirTrialError):  # the deed's own error says more than that it could not be written down
                self.record(f"{what} failed", error=type(error).__name__, **details, **counts)
            raise
        self.record(f"{what} done", **details, **counts)

    def entries(self) -> list[Entry]:
        """All entries, oldest first; none where there is no log, or a process was killed as it made one."""
        if not self.path.exists() or not self._has_begun():
            return []
        with self._open() as db:
            return [Entry(*row) for row in db.execute("SELECT number, at, who, what, details, hash FROM entry ORDER BY number")]

    def _has_begun(self) -> bool:
        """Whether the file has anything in it; `ConfigurationError` where that is no log: opening it as one would write into it.

        Not opened read-only: what a killed process left half done is rolled back first.
        """
        try:
            with closing(sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=rw", uri=True, timeout=30)) as db:
                tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except sqlite3.Error as error:
            raise of_database(str(self.path), "the audit log cannot be used", error) from None
        if tables and "entry" not in tables:
            raise ConfigurationError(f"{self.path} is no audit log: it has no entries' table")
        return bool(tables)

    def verify(self, head: str | None = None) -> list[Finding]:
        """What is wrong with the chain; `head` is a hash that was noted before, and must still be in it."""
        findings, previous, seen = [], START, set()
        for position, entry in enumerate(self.entries(), 1):
            if entry.number != position:
                findings.append(self._broken(position, "number", "every number once, in order"))
            if entry.hash != entry.sealed(previous):
                findings.append(self._broken(position, "hash", "the hash of the entry and of all before it"))
            previous = entry.hash
            seen.add(entry.hash)
        if head is not None and head not in seen:
            findings.append(Finding("head-missing", str(self.path), field="hash", expected="the head that was noted: entries are gone"))
        return findings

    def _broken(self, position: int, name: str, expected: str) -> Finding:
        return Finding("chain-broken", str(self.path), row=position, field=name, expected=expected)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            db = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"{self.path}: the audit log cannot be opened ({type(error).__name__})") from None
        try:
            db.execute("PRAGMA synchronous = FULL")
            for statement in _SCHEMA:
                db.execute(statement)
            yield db
        except sqlite3.Error as error:
            raise of_database(str(self.path), "the audit log cannot be used", error) from None
        finally:
            db.close()
