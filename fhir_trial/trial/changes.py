"""What an edit of the data changed: each subject's responses and times to events, the figures, and which other files of the endpoints."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import groupby
from typing import Any

from fhir_trial.trial.lock_difference import OF_VISITS, leaves

SUMMARY = "summary.json"
TOLD = ("adrs.csv", "adtte.csv", SUMMARY)
"""The files whose changes are told value by value; of any other it is said that it changed."""

_KEY = ("USUBJID", "PARAMCD", "EVAL", "EVALID", "VISIT")


@dataclass(frozen=True)
class Change:
    """One value that differs; None where there was or is none. `subject` is None for a figure of a group."""

    subject: str | None
    parameter: str
    visit: str | None
    before: str | None
    after: str | None
    evaluator: str | None = None

    def describe(self) -> str:
        """The change in one line."""
        who = f"{self.subject} " if self.subject else ""
        at = f" at {self.visit}" if self.visit else ""
        by = f" by {self.evaluator}" if self.evaluator else ""
        return f"{who}{self.parameter}{at}{by}: {self.before or 'none'} -> {self.after or 'none'}"


@dataclass(frozen=True)
class Changes:
    """What differs between two runs: values of subjects, figures of the summary, and the other files that are not the same."""

    subjects: tuple[Change, ...] = ()
    figures: tuple[Change, ...] = ()
    files: tuple[str, ...] = ()


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> Changes:
    """The differences between two sets of endpoint files (name to text); none where there was no run before."""
    both = [name for name in after if name in before]
    subjects = [change for name in both if name in _VALUE for change in _of_file(name, before[name], after[name])]
    figures = _of_summary(json.loads(before[SUMMARY]), json.loads(after[SUMMARY])) if SUMMARY in both else ()
    return Changes(tuple(subjects), tuple(figures), tuple(name for name in both if name not in TOLD and before[name] != after[name]))


def _of_file(name: str, before: str, after: str) -> Iterator[Change]:
    old, new = _values(name, before), _values(name, after)
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            subject, parameter, evaluator, reader, visit = key
            by = " ".join(filter(None, (evaluator, reader))) if visit else None
            yield Change(subject, parameter, visit or None, old.get(key), new.get(key), by)


def _key(row: dict[str, str]) -> tuple[str, ...]:
    """Who, what and, for what is said of a visit, which visit and reader: a best response may move to another one, or to none."""
    of_visit = row["PARAMCD"] in OF_VISITS
    return tuple(row.get(name, "") if of_visit or name in ("USUBJID", "PARAMCD") else "" for name in _KEY)


def _values(name: str, text: str) -> dict[tuple[str, ...], str]:
    return {_key(row): _VALUE[name](row) for row in csv.DictReader(StringIO(text))}


def _response(row: dict[str, str]) -> str:
    value = row["AVALC"] or (f"{row['AVAL']} mm" if row["AVAL"] else "")
    return " ".join(filter(None, (value, row["ADT"])))


def _time(row: dict[str, str]) -> str:
    """The days until the event or the censoring, and why it is one."""
    how = f"censored ({row['CNSDTDSC']})" if row["CNSR"] == "1" else f"event ({row['EVNTDESC']})"
    return f"{row['AVAL']} days, {how}, {row['ADT']}"


_VALUE = {"adrs.csv": _response, "adtte.csv": _time}


def _of_summary(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """The figures of each endpoint that differ, of all subjects, arms, comparisons and subgroups; not what they rest on."""
    old, new = (leaves({name: value for name, value in s.items() if name not in _NO_FIGURES}) for s in (before, after))
    differing = sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
    for whose, paths in groupby(differing, lambda path: path[: _DEPTH.get(path[0], 1)]):
        names = list(paths)
        yield Change(None, " ".join(whose), None, *(_told(names, len(whose), values) for values in (old, new)))


def _told(paths: Sequence[tuple[str, ...]], depth: int, values: Mapping[tuple[str, ...], str]) -> str | None:
    """Those of the figures that are there, each by its name below an endpoint."""
    return ", ".join(f"{' '.join(path[depth:])} {_short(values[path])}" for path in paths if path in values) or None


def _short(value: str) -> str:
    try:
        return f"{float(value):.6g}"
    except ValueError:
        return value


_NO_FIGURES = ("study", "synthetic", "conventions", "departures", "findings")
_DEPTH = {"arms": 3, "comparisons": 2, "subgroups": 2}
"""How many names lead to an endpoint's figures, where it is more than the endpoint's own."""
