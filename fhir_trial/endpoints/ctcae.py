"""CTCAE grades of laboratory results, as candidates: a result tells a grade's numbers, and never the symptoms that may go with it.

The criteria are data, `ctcae.yaml` beside this file, with their source.
"""

import importlib.resources
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import yaml

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import Bools, Floats

DIRECTIONS = ("low", "high")
"""The ways in which a result can be abnormal; a test has at most one term in each."""

LATEST = "5.0"

_CLAUSE = re.compile(r"(<=|>=|<|>)\s*([0-9.]+) (.+?)( over ULN)?(?: if (baseline normal|baseline abnormal|fasting))?")
_NOISE = 1e-9
"""Results and limits have far fewer digits: what differs by less than this part of the limit is equal."""


@dataclass(frozen=True)
class Clause:
    """One comparison: `of` is ULN, LLN, baseline, or the unit that `bound` is in; `over` compares what exceeds the upper limit."""

    comparison: str
    bound: float
    of: str
    over: bool
    condition: str | None


@dataclass(frozen=True)
class Term:
    """A CTCAE term with the tests it is graded from, and for each grade the clauses of which any suffices."""

    name: str
    direction: str
    tests: tuple[str, ...]
    grades: Mapping[int, tuple[Clause, ...]]


@dataclass(frozen=True)
class Criteria:
    """One version's terms, and the source they are from."""

    version: str
    source: str
    terms: tuple[Term, ...]

    def term(self, test: str, direction: str) -> Term | None:
        """The term that a test is graded by in a direction."""
        return next((term for term in self.terms if test in term.tests and term.direction == direction), None)


def version_of(grading: str | None) -> str:
    """The version of CTCAE that a study's grading names; the latest where it names none.

    >>> version_of("CTCAE v4.03"), version_of("NCI-CTCAE 4.0"), version_of(None)
    ('4.03', '4.03', '5.0')
    """
    return next((version for version in sorted(_document()["sources"]) if _major(version) == _major(grading)), LATEST)


def has_criteria(grading: str) -> bool:
    """Whether the criteria here are of the version that a study's grading names, or it names none."""
    return _major(grading) in {"", *map(_major, _document()["sources"])}


def _major(text: str | None) -> str:
    number = re.search(r"\d+", text or "")
    return number[0] if number else ""


@cache
def criteria(version: str) -> Criteria:
    """The criteria of a version (4.03 or 5.0); KeyError for another.

    >>> [len(criteria(version).terms) for version in ("4.03", "5.0")]
    [40, 41]
    """
    document = _document()
    terms = [
        Term(t["term"], t["direction"], tuple(t["tests"]), {int(g): _clauses(c) for g, c in t[version].items()})
        for t in document["terms"]
        if version in t
    ]
    return Criteria(version, document["sources"][version], tuple(terms))


@cache
def _document() -> dict[str, Any]:
    text = importlib.resources.files(__package__).joinpath("ctcae.yaml").read_text("utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def _clauses(texts: str | list[str]) -> tuple[Clause, ...]:
    return tuple(_clause(text) for text in ([texts] if isinstance(texts, str) else texts))


def _clause(text: str) -> Clause:
    """A clause from its text.

    >>> _clause(">1.5 ULN if baseline normal")
    Clause(comparison='>', bound=1.5, of='ULN', over=False, condition='baseline normal')
    """
    match = _CLAUSE.fullmatch(text)
    if match is None:
        raise ValueError(f"no clause of a criterion: {text}")
    return Clause(match[1], float(match[2]), match[3], match[4] is not None, match[5])


@cache
def unit_factors(unit: str) -> dict[str, float]:
    """What a result in each spelling of a unit is times, to be in `unit`; nothing of another kind.

    >>> factors = unit_factors("g/dL")
    >>> factors["g/L"], "mmol/L" in factors
    (0.1, False)
    """
    kind = next(kind for kind in _document()["units"] if unit in kind)
    return {str(spelling): factor / kind[unit] for spelling, factor in kind.items()}


def factors_to(units: "pd.Series[Any]", unit: str) -> Floats:
    """The factor of each result's unit to `unit`, NaN where it does not convert; spelling goes before letter case."""
    known = unit_factors(unit)
    folded = {spelling.casefold(): factor for spelling, factor in known.items()}
    codes, spellings = pd.factorize(units)
    table = [known.get(str(s), folded.get(str(s).casefold(), np.nan)) for s in spellings]
    # a unit of one is often left out
    return np.array([*table, 1.0 if unit == "1" else np.nan])[codes]


def gradable(results: pd.DataFrame) -> Bools:
    """Which results are amounts found in blood: glucose in urine has the same name as glucose in blood."""
    document = _document()
    specimen = _words(results, "specimen")
    elsewhere = _words(results, "category").isin(document["other_categories"])
    in_blood: Bools = (specimen.isin(document["specimens"]) | ((specimen == "") & ~elsewhere)).to_numpy(dtype=bool)
    return in_blood & (col.numbers(results, "value") >= 0)


def _words(results: pd.DataFrame, name: str) -> "pd.Series[Any]":
    return col.column(results, name).astype(object).fillna("").astype(str).str.strip().str.upper()


def grades(results: pd.DataFrame, version: str) -> pd.DataFrame:
    """Candidate grades of results: `term_low`, `grade_low`, `term_high`, `grade_high` beside each, from 0 (within the criteria) to 4.

    `results`: test, value, unit, low, high, and where known comparator, category, specimen, fasting, and base, base_low, base_high (the
    baseline in the same unit, with its own limits). A grade is missing where its criteria need what the row lacks. A baseline that is not
    known counts as normal.
    """
    found = pd.DataFrame(index=results.index)
    numbers = _Numbers(results, gradable(results))
    tests, names = pd.factorize(results["test"].astype(object), use_na_sentinel=False)
    tests_of = {str(name): code for code, name in enumerate(names)}
    for direction in DIRECTIONS:
        terms, values = np.full(len(results), None, dtype=object), np.full(len(results), np.nan)
        for term in criteria(version).terms:
            if term.direction == direction:
                rows = np.flatnonzero(numbers.usable & np.isin(tests, [tests_of.get(name, -1) for name in term.tests]))
                if len(rows):
                    terms[rows], values[rows] = term.name, numbers.grade(term, rows)
        found[f"term_{direction}"], found[f"grade_{direction}"] = terms, values
    return found


class _Numbers:
    """The columns that criteria compare."""

    def __init__(self, results: pd.DataFrame, usable: Bools) -> None:
        names = ("value", "low", "high", "base", "base_low", "base_high")
        self.usable = usable
        self.columns = {name: col.numbers(results, name) for name in names}
        for name in ("low", "high"):
            own = self.columns[f"base_{name}"]
            self.columns[f"base_{name}"] = np.where(np.isnan(own), self.columns[name], own)
        self.fasting: Bools = col.numbers(results, "fasting") == 1
        self.units = col.column(results, "unit").astype(object)
        self.comparators = col.column(results, "comparator").astype(object).fillna("").to_numpy(dtype=object)

    def grade(self, term: Term, rows: Any) -> Floats:
        """The highest grade of which a clause holds, 0 for none, NaN where a higher one cannot be told."""
        at = {name: values[rows] for name, values in self.columns.items()}
        highest, unclear = np.zeros(len(rows)), np.zeros(len(rows), dtype=bool)
        for grade, clauses in sorted(term.grades.items()):
            holds, told, concerned = (np.zeros(len(rows), dtype=bool) for _ in range(3))
            for clause in clauses:
                applies, limit, value = self._sides(clause, at, rows, term.direction)
                known = applies & ~np.isnan(limit) & ~np.isnan(value)
                holds |= known & _beyond(value, limit, clause.comparison)
                told |= known
                concerned |= applies
            highest[holds] = grade
            unclear = np.where(holds, False, unclear | (concerned & ~told))
        # a limit given instead of a number, on the far side: how far the result itself went is not known
        away = "<" if term.direction == "high" else ">"
        unclear |= np.array([str(c).startswith(away) for c in self.comparators[rows]], dtype=bool) & (highest > 0)
        return np.where(unclear, np.nan, highest)

    def _sides(self, clause: Clause, at: Mapping[str, Floats], rows: Any, direction: str) -> tuple[Bools, Floats, Floats]:
        """Where the clause applies, its limit and what is compared with it; a limit given instead of a number is just beyond."""
        applies = self._applies(clause.condition, at, rows, direction)
        nudge = np.array([{"<": -1.0, ">": 1.0}.get(str(c), 0.0) for c in self.comparators[rows]])
        value = at["value"] * (1 + 1e-6 * nudge)
        if clause.of in _OPERANDS:
            return applies, clause.bound * at[_OPERANDS[clause.of]], value
        factor = factors_to(self.units.iloc[rows], clause.of)
        if clause.over:
            own = np.where(at["base"] > at["base_high"], np.fmax(at["base"], at["high"]), at["high"])
            return applies, own * factor + clause.bound, value * factor
        return applies, np.where(np.isnan(factor), np.nan, clause.bound), value * factor

    def _applies(self, condition: str | None, at: Mapping[str, Floats], rows: Any, direction: str) -> Bools:
        if condition is None:
            return np.ones(len(rows), dtype=bool)
        if condition == "fasting":
            fasting: Bools = self.fasting[rows]
            return fasting
        abnormal: Bools = at["base"] > at["base_high"] if direction == "high" else at["base"] < at["base_low"]
        return abnormal if condition == "baseline abnormal" else ~abnormal


_OPERANDS = {"ULN": "high", "LLN": "low", "baseline": "base"}


def _beyond(value: Floats, limit: Floats, comparison: str) -> Bools:
    """The comparison, in which what differs by noise is equal."""
    gap = _NOISE * np.abs(limit)
    with np.errstate(invalid="ignore"):
        beyond = {">": value > limit + gap, ">=": value >= limit - gap, "<": value < limit - gap, "<=": value <= limit + gap}
    return beyond[comparison]
