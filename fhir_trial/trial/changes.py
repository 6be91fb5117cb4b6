"""What an edit of the data changed: whose responses, best response and progression-free survival differ from the run before."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO

SHOWN = {"adrs.csv": ("OVR", "BOR", "CBOR"), "adtte.csv": ("PFS", "OS")}
"""The parameters of each file that a change report follows."""

_KEY = ("USUBJID", "PARAMCD", "EVAL", "EVALID", "VISIT")
_VALUE = {"adrs.csv": ("AVALC", "ADT"), "adtte.csv": ("AVAL", "CNSR", "ADT")}


@dataclass(frozen=True)
class Change:
    """One value that differs; None where there was or is none."""

    subject: str
    parameter: str
    visit: str | None
    before: str | None
    after: str | None

    def describe(self) -> str:
        """The change in one line."""
        at = f" at {self.visit}" if self.visit else ""
        return f"{self.subject} {self.parameter}{at}: {self.before or 'none'} -> {self.after or 'none'}"


def changes(before: dict[str, str], after: dict[str, str]) -> list[Change]:
    """The values that differ between two sets of endpoint files (name to text)."""
    return [change for name in SHOWN if name in before and name in after for change in _of_file(name, before[name], after[name])]


def _of_file(name: str, before: str, after: str) -> Iterator[Change]:
    old, new = _values(name, before), _values(name, after)
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield Change(key[0], key[1], key[4] or None, old.get(key), new.get(key))


def _key(row: dict[str, str]) -> tuple[str, ...]:
    """Who, what and, for what is said of a visit, which visit: a best response may move to another one."""
    return tuple(row.get(name, "") if name != "VISIT" or row["PARAMCD"] == "OVR" else "" for name in _KEY)


def _values(name: str, text: str) -> dict[tuple[str, ...], str]:
    rows = (row for row in csv.DictReader(StringIO(text)) if row["PARAMCD"] in SHOWN[name])
    return {_key(row): " ".join(filter(None, (row[v] for v in _VALUE[name]))) for row in rows}
