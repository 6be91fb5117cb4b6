"""The order of a spool's resources, worked out in SQL: memory does not grow with their number, and time grows with their references.

From the front, round after round, goes whatever refers to nothing that has no rank yet; where circles stop that, from the back whatever
nothing without a rank refers to. What is left are circles and what lies between them: with the patients out of the way they hang together
in small islands, as a rule, and each island is put in order in memory.
"""

import sqlite3

from fhir_trial.sync.order import groups

SCHEMA = """
    CREATE TABLE edge (source INTEGER, target INTEGER, PRIMARY KEY (source, target)) WITHOUT ROWID;
    CREATE TABLE ranked (id INTEGER PRIMARY KEY, about INTEGER, rank INTEGER, together INTEGER DEFAULT 0, open INTEGER);
    CREATE TABLE front (id INTEGER PRIMARY KEY);
    CREATE TABLE reached (id INTEGER PRIMARY KEY, times INTEGER);
"""


def rank(db: sqlite3.Connection) -> None:
    """Give each resource of `ours` a rank above those that it refers to; the members of a circle share theirs and stay `together`."""
    db.execute("""
        INSERT INTO edge SELECT refers.source, ours.id
        FROM refers CROSS JOIN target ON target.id = refers.target CROSS JOIN ours ON ours.place = target.place
    """)
    db.execute("CREATE INDEX edge_target ON edge (target)")
    db.execute("INSERT INTO ranked (id, about) SELECT id, about FROM ours")
    following = _peel(db, "target", "source", 0, 1)
    _peel(db, "source", "target", db.execute("SELECT count(*) FROM ranked").fetchone()[0], -1)
    _rank_islands(db, following)
    db.execute("CREATE INDEX ranked_order ON ranked (rank, about)")


def _peel(db: sqlite3.Connection, near: str, far: str, next_rank: int, step: int) -> int:
    """Rank, round after round, what no edge holds back whose `near` end has no rank; the rank that would be next comes back."""
    db.execute("UPDATE ranked SET open = 0 WHERE rank IS NULL")
    db.execute(f"""
        INSERT INTO ranked (id, open) SELECT edge.{far}, count(*) FROM edge JOIN ranked ON ranked.id = edge.{near}
        WHERE ranked.rank IS NULL GROUP BY edge.{far} ON CONFLICT (id) DO UPDATE SET open = excluded.open
    """)
    db.execute("INSERT INTO front SELECT id FROM ranked WHERE open = 0 AND rank IS NULL")
    while db.execute("UPDATE ranked SET rank = ? WHERE id IN front", (next_rank,)).rowcount:
        next_rank += step
        # CROSS JOIN: the few of the front are looked up among the edges, not the other way round.
        db.execute(f"INSERT INTO reached SELECT edge.{far}, count(*) FROM front CROSS JOIN edge ON edge.{near} = front.id GROUP BY 1")
        db.execute("DELETE FROM front")
        db.execute("""
            INSERT INTO ranked (id, open) SELECT id, times FROM reached WHERE true
            ON CONFLICT (id) DO UPDATE SET open = open - excluded.open
        """)
        db.execute("INSERT INTO front SELECT id FROM reached CROSS JOIN ranked USING (id) WHERE open = 0 AND rank IS NULL")
        db.execute("DELETE FROM reached")
    return next_rank


def _rank_islands(db: sqlite3.Connection, next_rank: int) -> None:
    """Rank what is left: everything outside that it refers to has a lower rank already, everything that refers to it a higher one."""
    last = 0
    unranked = "SELECT id FROM ranked WHERE rank IS NULL AND id > ? ORDER BY id LIMIT 1"
    while (first := db.execute(unranked, (last,)).fetchone()) is not None:
        (last,) = first
        for group in groups(_island(db, last)):
            db.executemany("UPDATE ranked SET rank = ?, together = ? WHERE id = ?", ((next_rank, len(group) > 1, one) for one in group))
            next_rank += 1


def _island(db: sqlite3.Connection, start: int) -> dict[int, list[int]]:
    """A resource and all that it refers to, straight or by way of others, among those without a rank: each with those it refers to."""
    targets = "SELECT target FROM edge CROSS JOIN ranked ON id = target WHERE source = ? AND rank IS NULL"
    found: dict[int, list[int]] = {}
    waiting = [start]
    while waiting:
        at = waiting.pop()
        if at not in found:
            found[at] = [row[0] for row in db.execute(targets, (at,))]
            waiting += found[at]
    return found
