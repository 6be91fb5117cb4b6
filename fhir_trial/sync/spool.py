"""Resources on disk, in the order of writing: what is referred to comes first, and resources that refer to each other stay together.

A sync of any size reads its resources here piece by piece. They are in a private temporary database of SQLite, which the system unlinks as
it is made: nothing is left of it, however the process ends.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from fhir_trial.errors import Finding, Findings, of_database
from fhir_trial.fhir import json
from fhir_trial.progress import Progress, silent
from fhir_trial.sync.compare import keys_of
from fhir_trial.sync.locate import patient_of
from fhir_trial.sync.order import batches, place_of, references
from fhir_trial.sync.ranks import SCHEMA as RANKS
from fhir_trial.sync.ranks import rank

Resource = dict[str, Any]

PIECE = 1000
"""Resources of one piece: about 10 MB in memory, with the server's and what is decided on them."""
_IDENTITY = {"resourceType": re.compile("[A-Z][A-Za-z]{1,63}"), "id": re.compile(r"(?!\.{1,2}$)[A-Za-z0-9.-]{1,64}")}
"""What goes into the path of a URL: anything else there might lead to another type or out of the server's base path."""
_SETTINGS = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE; PRAGMA cache_size = -16000;"
_SCHEMA = """
    CREATE TABLE ours (id INTEGER PRIMARY KEY, place TEXT NOT NULL UNIQUE, key TEXT, about INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE TABLE target (id INTEGER PRIMARY KEY, place TEXT NOT NULL UNIQUE);
    CREATE TABLE refers (source INTEGER, target INTEGER, PRIMARY KEY (source, target)) WITHOUT ROWID;
    CREATE TABLE moved (place TEXT PRIMARY KEY, there TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX moved_there ON moved (there);
"""
_ORDERED = """
    SELECT ranked.rank, ranked.together, ours.body FROM ranked CROSS JOIN ours ON ours.id = ranked.id
    ORDER BY ranked.rank {0}, ranked.about {0}, ranked.id {0}
"""


class Spool:
    """Resources as a sync goes through them; `keys` and `where` are looked up on disk. Use it as a context manager.

    What is taken can be read when it is arranged; `Spool.of` does both.
    """

    def __init__(self) -> None:
        """Make the database, with nothing in it."""
        self._db = sqlite3.connect("", isolation_level=None)
        self._taken = self._count = 0
        self._findings = Findings()
        self._target = lru_cache(maxsize=4096)(self._new_target)
        self._db.executescript(_SETTINGS + _SCHEMA + RANKS)
        self._db.execute("BEGIN")
        self.keys: Mapping[str, str] = _Keys(self._db)
        self.where: MutableMapping[str, str] = _Moved(self._db)
        """Our `Type/id` to the server's, where it gave an id of its own."""

    @classmethod
    def of(cls, resources: Iterable[Resource], progress: Progress = silent) -> "Spool":
        """All of `resources`, arranged."""
        spool = cls()
        try:
            for rows in batches(resources, PIECE):
                progress("reading", spool._taken, None)
                spool.take(rows)
            spool.arrange()
        except BaseException:
            spool.close()
            raise
        return spool

    def take(self, resources: Iterable[Resource]) -> None:
        """Add resources."""
        with _disk():
            for resource in resources:
                self._taken += 1
                self._findings.extend(self._take(resource))

    def arrange(self) -> None:
        """Put all in order; `InputError` for those without a type or id and for two different ones of one id, all of them."""
        self._findings.raise_errors()
        with _disk():
            self._count = self._db.execute("SELECT count(*) FROM ours").fetchone()[0]
            rank(self._db)
            self._db.execute("COMMIT")

    def pieces(self, size: int) -> Iterator[list[Resource]]:
        """The resources, so many at a time or more where a circle is larger; what each refers to is in its piece or an earlier one.

        The same resources in the same order make the same pieces. Those about one patient stand together as far as the order allows: some
        servers are asked patient by patient.
        """
        return self._pieces(_ORDERED.format("ASC"), size)

    def pieces_backwards(self, size: int) -> Iterator[list[Resource]]:
        """The resources from the last to the first: each before what it refers to."""
        return self._pieces(_ORDERED.format("DESC"), size)

    def outside(self) -> Iterator[str]:
        """`Type/id` of what is referred to and is not here."""
        rows = self._db.execute("SELECT place FROM target WHERE place NOT IN (SELECT place FROM ours) ORDER BY id")
        return (row[0] for row in rows)

    def refers_to(self, place: str) -> bool:
        """Whether any resource here refers to that `Type/id`."""
        return self._db.execute("SELECT 1 FROM target WHERE place = ?", (place,)).fetchone() is not None

    def __contains__(self, place: str) -> bool:
        """Whether the resource of that `Type/id` is here."""
        return self._db.execute("SELECT 1 FROM ours WHERE place = ?", (place,)).fetchone() is not None

    def __len__(self) -> int:
        """How many resources are here."""
        return self._count

    def __enter__(self) -> "Spool":
        """The spool itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the database, which was never to be seen and is no more."""
        self._db.close()

    def _take(self, resource: Resource) -> Iterator[Finding]:
        if not all(isinstance(said := resource.get(name), str) and form.fullmatch(said) for name, form in _IDENTITY.items()):
            expected = "a resourceType and an id: letters, digits, - and ., at most 64"
            yield Finding("no-identity", "resources", row=self._taken, expected=expected)
            return
        place, body, patient = place_of(resource), json.encode(resource), patient_of(resource)
        row = (place, min(keys_of(resource), default=None), self._target(patient) if patient else 0, body)
        added = self._db.execute("INSERT OR IGNORE INTO ours (place, key, about, body) VALUES (?, ?, ?, ?)", row)
        if added.rowcount == 1:
            identity = added.lastrowid
            targets = [(identity, self._target(target)) for target in references(resource)]
            self._db.executemany("INSERT OR IGNORE INTO refers VALUES (?, ?)", targets)
        elif not self._holds(place, body):
            yield Finding("duplicate-id", place, row=self._taken, expected="one resource an id")

    def _holds(self, place: str, body: bytes) -> bool:
        """Whether the resource of that place is the same, in whatever order its members stand."""
        (held,) = self._db.execute("SELECT body FROM ours WHERE place = ?", (place,)).fetchone()
        return bool(held == body or json.decode(held) == json.decode(body))

    def _new_target(self, place: str) -> int:
        self._db.execute("INSERT OR IGNORE INTO target (place) VALUES (?)", (place,))
        return int(self._db.execute("SELECT id FROM target WHERE place = ?", (place,)).fetchone()[0])

    def _pieces(self, ordered: str, size: int) -> Iterator[list[Resource]]:
        piece: list[Resource] = []
        last = None
        for place_in_order, together, body in self._db.execute(ordered):
            if len(piece) >= size and not (together and place_in_order == last):
                yield piece
                piece = []
            piece.append(json.decode(body))
            last = place_in_order
        if piece:
            yield piece


@contextmanager
def _disk() -> Iterator[None]:
    """An error that says which disk is meant."""
    try:
        yield
    except sqlite3.Error as error:
        raise of_database("the system's temporary directory", "resources cannot be put in order there", error) from None


class _Keys(Mapping[str, str]):
    """Business key by `Type/id`, ours and the server's."""

    _FOUND = (
        "SELECT key FROM moved JOIN ours USING (place) WHERE moved.there = ? AND key IS NOT NULL",
        "SELECT key FROM ours WHERE place = ? AND key IS NOT NULL",
    )
    _NAMES = "SELECT place FROM ours WHERE key IS NOT NULL UNION SELECT there FROM moved JOIN ours USING (place) WHERE key IS NOT NULL"

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __getitem__(self, place: str) -> str:
        for statement in self._FOUND:
            if row := self._db.execute(statement, (place,)).fetchone():
                return str(row[0])
        raise KeyError

    def __iter__(self) -> Iterator[str]:
        return (row[0] for row in self._db.execute(self._NAMES))

    def __len__(self) -> int:
        return int(self._db.execute(f"SELECT count(*) FROM ({self._NAMES})").fetchone()[0])


class _Moved(MutableMapping[str, str]):
    """A table that is empty for most servers: nothing is asked of the disk then."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db, self._is_empty = db, True

    def __getitem__(self, place: str) -> str:
        row = None if self._is_empty else self._db.execute("SELECT there FROM moved WHERE place = ?", (place,)).fetchone()
        if row is None:
            raise KeyError
        return str(row[0])

    def __setitem__(self, place: str, there: str) -> None:
        self._is_empty = False
        with _disk():
            self._db.execute("INSERT OR REPLACE INTO moved VALUES (?, ?)", (place, there))

    def __delitem__(self, place: str) -> None:
        if self._db.execute("DELETE FROM moved WHERE place = ?", (place,)).rowcount == 0:
            raise KeyError

    def __iter__(self) -> Iterator[str]:
        return (row[0] for row in self._db.execute("SELECT place FROM moved ORDER BY place"))

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM moved").fetchone()[0])

    def __bool__(self) -> bool:
        return not self._is_empty
