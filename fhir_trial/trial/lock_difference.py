"""What differs between two locks: what they rest on, the cells of their tables, and their figures with the subjects behind each."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from itertools import count
from typing import Any

from fhir_trial.endpoints.analysis import LABELS, SAFETY
from fhir_trial.endpoints.response import RATES
from fhir_trial.endpoints.safety import ANY, TOTAL
from fhir_trial.endpoints.time_to_event_rules import ENDPOINTS
from fhir_trial.trial.lock import HEAD, SUMMARY, Lock

KEYS = {
    "adsl.csv": ("USUBJID",),
    "adrs.csv": ("USUBJID", "PARAMCD", "EVAL", "EVALID", "VISIT"),
    "adtte.csv": ("USUBJID", "PARAMCD"),
    "adae.csv": ("USUBJID", "AESEQ"),
    "safety.csv": ("ARM", "AESOC", "AEDECOD"),
    "exposure.csv": ("USUBJID", "EXTRT"),
    "serious_events.csv": ("USUBJID", "AESEQ"),
    "deaths.csv": ("USUBJID",),
    "adlb.csv": ("USUBJID", "PARAMCD", "LBSEQ"),
}
"""What tells the rows of a table apart; those of any other table are told apart by their cells that are words."""

OF_VISITS = ("OVR", "TRGRESP", "SDIAM")
"""Parameters of adrs.csv that stand at each visit; the others may move to another one and are the same row."""

COUNTS = dict.fromkeys(("safety.csv", "teae.csv", "overview.csv"), "adae.csv") | dict.fromkeys(
    ("lab_grades.csv", "lab_shift.csv", "lab_change.csv"), "adlb.csv"
)
"""Tables that count subjects, and the table that their subjects' rows stand in; any other counts rows of adsl.csv."""

SHARED = ("AESOC", "AEDECOD", "PARAMCD")
"""Columns by which a count and the rows that it counts belong together."""

POPULATION = ("ARM", "ACTARM", "ITTFL", "SAFFL", "EFFFL")
"""Columns of adsl.csv that say in which figures a subject is at all."""

TOLD = ("conventions", "departures", "study", "synthetic")
"""Keys of the summary that the lock's own head has."""

SUBJECT = "USUBJID"
Row = dict[str, str]
Key = tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """One thing that differs: a cell of a table, a figure of the summary, or what a lock says of itself.

    `row` names the row by its key; `column` is None where the whole row is in one lock only. `subjects` are those behind the change.
    """

    file: str | None
    row: Key = field(repr=False)
    column: str | None
    before: str | None = field(repr=False)
    after: str | None = field(repr=False)
    subjects: tuple[str, ...] = field(default=(), repr=False)

    def describe(self) -> str:
        """The change in one line."""
        place = " ".join(part for part in (self.file or "", *self.row, self.column or "the row") if part)
        behind = f"; subjects {', '.join(self.subjects)}" if self.subjects and self.subjects != self.row[:1] else ""
        return f"{place}: {_word(self.before)} -> {_word(self.after)}{behind}"


def _word(value: str | None) -> str:
    return "none" if value is None or value == "" else value


@dataclass(frozen=True)
class LockDifference:
    """What differs: `rests_on` (cutoff, data, conventions, versions), `cells` of tables, `figures` of the summary."""

    rests_on: tuple[Change, ...]
    cells: tuple[Change, ...]
    figures: tuple[Change, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the two locks hold the same."""
        return not (self.rests_on or self.cells or self.figures)


def difference(first: Lock, other: Lock) -> LockDifference:
    """What `other` holds that `first` does not, and the other way round."""
    tables = sorted((first.texts.keys() | other.texts.keys()) - {SUMMARY})
    rows = {name: _pair(name, first.texts.get(name, ""), other.texts.get(name, "")) for name in tables}
    behind = _Behind(rows)
    cells = tuple(change for name, (before, after) in rows.items() for change in _cells(name, before, after, behind))
    return LockDifference(tuple(_said(first.head, other.head)), cells, tuple(_figures(first.summary, other.summary, behind)))


def _said(first: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Change]:
    """Where what the locks rest on differs; departures follow from the conventions."""
    for name in (name for name in HEAD if name != "departures"):
        before, after = leaves(first[name], (name,)), leaves(other[name], (name,))
        for path in sorted(before.keys() | after.keys()):
            if before.get(path) != after.get(path):
                yield Change(None, (), ".".join(path), before.get(path), after.get(path))


def leaves(value: Any, path: Key = ()) -> dict[Key, str]:
    """Every plain value under `path`; of the items of a list, one that says its time or arm by that."""
    if isinstance(value, dict):
        return {leaf: text for name, item in value.items() for leaf, text in leaves(item, (*path, name)).items()}
    if isinstance(value, list):
        return {leaf: text for number, item in enumerate(value) for leaf, text in leaves(item, (*path, _label(item, number))).items()}
    return {path: "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)}


def _label(item: Any, number: int) -> str:
    if not isinstance(item, dict):
        return str(number)
    return f"{item['at']} {item.get('unit')}" if "at" in item else str(item.get("arm", number))


def _pair(name: str, first: str, other: str) -> tuple[dict[Key, Row], dict[Key, Row]]:
    """The rows of a table in both locks, by key."""
    tables = [list(csv.DictReader(StringIO(text))) for text in (first, other)]
    columns = KEYS.get(name) or _words([*tables[0], *tables[1]])
    return _keyed(tables[0], columns), _keyed(tables[1], columns)


def _words(rows: list[Row]) -> Key:
    """The columns that hold no number anywhere, and a subject's; the mark of synthetic data tells nothing apart."""
    names = dict.fromkeys(column for row in rows for column in row)
    numeric = {column for row in rows for column, text in row.items() if _is_number(text)}
    return tuple(name for name in names if name == SUBJECT or (name not in numeric and name != "SYNTHETIC"))


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True


def _keyed(rows: Iterable[Row], columns: Key) -> dict[Key, Row]:
    """The rows by key; of those that share one, the second and later are numbered."""
    found: dict[Key, Row] = {}
    for row in rows:
        moves = row.get("PARAMCD") is not None and row["PARAMCD"] not in OF_VISITS
        key = tuple(row.get(column) or "" for column in columns if not (moves and column in ("EVAL", "EVALID", "VISIT")))
        numbered = (key if number == 1 else (*key, f"({number})") for number in count(1))
        found[next(each for each in numbered if each not in found)] = row
    return found


def _cells(name: str, before: Mapping[Key, Row], after: Mapping[Key, Row], behind: "_Behind") -> Iterator[Change]:
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key), after.get(key)
        subjects = behind.row(name, new or old or {})
        if old is None or new is None:
            yield Change(name, key, None, "absent" if old is None else "present", "absent" if new is None else "present", subjects)
            continue
        for column in [*old, *(column for column in new if column not in old)]:
            if old.get(column) != new.get(column):
                yield Change(name, key, column, old.get(column), new.get(column), subjects)


def _figures(before: Any, after: Any, behind: "_Behind") -> Iterator[Change]:
    old, new = (leaves({name: value for name, value in summary.items() if name not in TOLD}) for summary in (before, after))
    for path in [*old, *(path for path in new if path not in old)]:
        if old.get(path) != new.get(path):
            yield Change(SUMMARY, (), ".".join(path), old.get(path), new.get(path), behind.figure(path))


class _Behind:
    """The subjects behind a changed figure: those whose own rows of the tables differ."""

    def __init__(self, rows: Mapping[str, tuple[Mapping[Key, Row], Mapping[Key, Row]]]) -> None:
        of_subjects = {name: pair for name, pair in rows.items() if name in KEYS and KEYS[name][0] == SUBJECT}
        self._changed = {name: list(_differing(*pair)) for name, pair in of_subjects.items()}
        before, after = rows.get("adsl.csv", ({}, {}))
        self._arms = {(row[SUBJECT], row["ARM"]) for table in (before, after) for row in table.values()}
        self._moved = {key[0] for key in before.keys() | after.keys() if _population(before.get(key)) != _population(after.get(key))}

    def row(self, name: str, row: Row) -> tuple[str, ...]:
        """Who is behind a row of a table: its subject, or those whose records it counts or whose arm or population changed."""
        if row.get(SUBJECT):
            return (row[SUBJECT],)
        named = {column: row[column] for column in SHARED if row.get(column, ANY) != ANY}
        counted = self._of(COUNTS.get(name, "adsl.csv"), lambda record: named.items() <= record.items() and _is_counted(record))
        return self._in_arm(counted | self._moved, row.get("ARM", TOTAL))

    def figure(self, path: Key) -> tuple[str, ...]:
        """Who is behind a figure of the summary, by the endpoint and the arm that its path names."""
        endpoint = next((step for step in path if step in ENDPOINTS or step in LABELS), None)
        if endpoint is None:
            return ()
        wanted = {endpoint, RATES.get(endpoint)}
        own = self._of("adtte.csv", lambda row: row["PARAMCD"] in wanted) | self._of("adrs.csv", lambda row: row["PARAMCD"] in wanted)
        events = self._of("adae.csv", _is_counted) if endpoint == SAFETY else set()
        return self._in_arm(own | events | self._moved, path[path.index("arms") + 1] if "arms" in path else TOTAL)

    def _of(self, name: str, wanted: Callable[[Row], bool] = lambda _: True) -> set[str]:
        return {row[SUBJECT] for row in self._changed.get(name, ()) if wanted(row)}

    def _in_arm(self, subjects: set[str], arm: str) -> tuple[str, ...]:
        return tuple(sorted(s for s in subjects if arm == TOTAL or (s, arm) in self._arms))


def _is_counted(record: Row) -> bool:
    """Whether tables count a record: of events those under treatment."""
    return record.get("TRTEMFL", "Y") == "Y"


def _population(row: Row | None) -> list[str | None]:
    return [row.get(column) for column in POPULATION] if row else []


def _differing(old: Mapping[Key, Row], new: Mapping[Key, Row]) -> Iterator[Row]:
    """The rows of either that are not the same in the other."""
    for one, two in ((old, new), (new, old)):
        yield from (row for key, row in one.items() if two.get(key) != row)
