"""Treatment-emergent adverse events by arm, organ class and preferred term, each subject counted once at its maximum CTCAE grade."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import NO_DAY, Bools
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.dispositions import cutoff_day
from fhir_trial.endpoints.fact_tables import on_days
from fhir_trial.errors import Finding, Findings

ANY = "*ANY*"
"""An organ class or term that stands for all of them."""
TOTAL = "TOTAL"
"""The arm that stands for all of them."""
UNCODED = "UNCODED"

GRADES = (1, 2, 3, 4, 5)
SEVERITIES = ("mild", "moderate", "severe")
FLAGS = ("serious", "related", "discontinued", "fatal")
KEY = ["arm", "organ_class", "preferred_term"]
COLUMNS = (
    *(*KEY, "n", "subjects", "events", *(f"grade{g}" for g in GRADES), "grade3plus", "serious", "related"),
    *("discontinued", "fatal", *SEVERITIES, "percent"),
)
"""The columns of the safety table; grades and severities are missing where the data have none. `discontinued`: led to the end of
treatment; `percent`: of `n`."""

WITHDRAWN = ("DRUG WITHDRAWN", "TREATMENT WITHDRAWN", "DRUG DISCONTINUED", "PERMANENTLY DISCONTINUED", "DISCONTINUED", "WITHDRAWN")
"""Actions (AEACN) that end treatment with a drug."""
DEADLY = ("FATAL", "DEATH")
"""Outcomes of an event that a subject died of."""


def emergent(events: pd.DataFrame, subjects: pd.DataFrame, conventions: Conventions) -> Bools:
    """Which events began on treatment: from the first dose to `te_window_days` after the last one.

    An event whose start lacks a day counts where any day it can mean is on treatment, and one without a start unless it ended before.
    Without a date of the last dose, treatment goes on. What began after the data cutoff is not seen. Events of subjects outside the safety
    population never count.
    """
    treated = subjects[subjects["safety"].to_numpy(dtype=bool)]
    at = pd.Index(treated["subject"]).get_indexer(pd.Index(events["subject"].astype(object)))
    first, last = (on_days(treated[name], "mid") for name in ("first_dose_on", "last_dose_on"))
    until = np.where(last == NO_DAY, NO_DAY, last + conventions.te_window_days)
    if not len(treated):
        return np.zeros(len(events), dtype=bool)
    start, end = col.column(events, "start"), col.column(events, "end")
    earliest = np.where(start.isna(), -NO_DAY, col.days(start, "first"))
    ended = col.days(end, "last")
    latest = np.where(start.isna(), ended, col.days(start, "last"))
    during: Bools = (at >= 0) & (latest >= first[at]) & (earliest <= np.minimum(until[at], cutoff_day(conventions)))
    return during


def table(tables: Mapping[str, pd.DataFrame], subjects: pd.DataFrame, conventions: Conventions, findings: Findings) -> pd.DataFrame:
    """`COLUMNS` for each arm and all of them, each organ class and term with any event, and `*ANY*`.

    `subjects` is `subjects.adsl`; `n` counts the safety population of the arm. All figures but `events` count subjects (with `ae_count`
    events, the grades count events).
    """
    treated = subjects[subjects["safety"].to_numpy(dtype=bool)]
    events = tables.get("adverse_event", pd.DataFrame(columns=["subject"]))
    events = events[emergent(events, subjects, conventions)]
    graded = bool(col.column(events, "grade").notna().any())
    if len(events):
        _report_lacking(graded, bool(col.column(events, "related").notna().any()), conventions, findings)
    sizes = {str(arm): n for arm, n in treated["arm"].value_counts().items()} | {TOTAL: len(treated)}
    counted = _counted(_levels(facts(events, treated, conventions)), conventions)
    grid = pd.MultiIndex.from_tuples(
        [(arm, *term) for arm in [*sorted(set(sizes) - {TOTAL}), TOTAL] for term in _terms(counted)], names=KEY
    )
    whole = counted.set_index(KEY).reindex(grid, fill_value=0).reset_index()
    whole["n"] = whole["arm"].map(sizes)
    whole["percent"] = 100 * whole["subjects"] / whole["n"].where(whole["n"] > 0)
    if not graded:
        whole[[f"grade{g}" for g in GRADES] + ["grade3plus"]] = pd.NA
    if not col.column(events, "severity").notna().any():
        whole[list(SEVERITIES)] = pd.NA
    return whole[list(COLUMNS)]


def _report_lacking(graded: bool, judged: bool, conventions: Conventions, findings: Findings) -> None:
    """A finding for what no event has: its grade, or its causality, which then is what a missing one counts as."""
    if not graded:
        effect = "the safety table has no grades; severity is not turned into a grade"
        findings.add(Finding("no-grade", "adverse_event", field="grade", expected="CTCAE grades", severity="information", effect=effect))
    if not judged:
        effect = f"every event counts as {conventions.related_missing.replace('_', ' ')}"
        expected = "the causality of events"
        findings.add(Finding("no-causality", "adverse_event", field="related", expected=expected, severity="warning", effect=effect))


def facts(events: pd.DataFrame, treated: pd.DataFrame, conventions: Conventions) -> pd.DataFrame:
    """What the tables count of each event: its arm, terms, grade (1 to 5), severity (1 to 3) and `FLAGS`."""
    related = col.column(events, "related").astype(object)
    known = related.notna()
    words = related.astype(str).str.strip().str.upper().isin(conventions.related_values)
    term = col.column(events, "preferred_term").astype(object)
    arm = dict(zip(treated["subject"], treated["arm"], strict=True))
    grade = col.numbers(events, "grade")
    severity = {name.upper(): number for number, name in enumerate(SEVERITIES, start=1)}
    return pd.DataFrame(
        {
            "arm": [arm[name] for name in events["subject"]],
            "subject": events["subject"].astype(object),
            "organ_class": col.column(events, "organ_class").astype(object).fillna(UNCODED),
            "preferred_term": term.where(term.notna(), col.column(events, "term").astype(object).str.upper()),
            "grade": np.where(np.isin(grade, GRADES), grade, np.nan),
            "severity": _upper(events, "severity").map(severity).astype("float64"),
            "serious": col.numbers(events, "serious") == 1.0,
            "related": words.where(known, conventions.related_missing == "related").astype(bool),
            "discontinued": _upper(events, "action").isin(WITHDRAWN) | _among_items(events, "suspects", "action", WITHDRAWN),
            "fatal": _upper(events, "outcome").isin(DEADLY) | (grade == 5) | died_of(events),
        }
    )


def died_of(events: pd.DataFrame) -> Bools:
    """Which events have death among their criteria of seriousness."""
    return _among_items(events, "criteria", "criterion", ("DEATH",), "present")


def _upper(events: pd.DataFrame, name: str) -> "pd.Series[Any]":
    return col.column(events, name).astype(object).fillna("").astype(str).str.strip().str.upper()


def _among_items(events: pd.DataFrame, repeat: str, name: str, words: tuple[str, ...], only: str | None = None) -> Bools:
    """Which events have an item of a repeat with one of the words, of those items that are so marked."""
    found = [
        isinstance(items, (list, tuple, np.ndarray))
        and any(str(item[name]).upper() in words for item in items if only is None or item[only])
        for items in col.column(events, repeat)
    ]
    return np.array(found, dtype=bool)


def _levels(facts: pd.DataFrame) -> pd.DataFrame:
    """Each event under its term, its organ class and any; in its arm and in all."""
    by_term = [facts, facts.assign(preferred_term=ANY), facts.assign(organ_class=ANY, preferred_term=ANY)]
    every = pd.concat(by_term, ignore_index=True)
    return pd.concat([every, every.assign(arm=TOTAL)], ignore_index=True)


def _counted(rows: pd.DataFrame, conventions: Conventions) -> pd.DataFrame:
    """Subjects by arm and term: once each at the maximum grade, or by every event's grade (`ae_count`)."""
    flags = {flag: (flag, "any") for flag in FLAGS}
    worst = {"grade": ("grade", "max"), "severity": ("severity", "max")}
    once = rows.groupby([*KEY, "subject"], sort=True).agg(events=("grade", "size"), **worst, **flags).reset_index()
    graded = (once if conventions.ae_count == "max_grade" else rows)[[*KEY, "grade", "severity"]]
    levels = {f"grade{g}": graded["grade"] == g for g in GRADES} | {"grade3plus": graded["grade"] >= 3}
    levels |= {name: graded["severity"] == number for number, name in enumerate(SEVERITIES, start=1)}
    by_level = pd.concat([graded[KEY], pd.DataFrame(levels).astype(int)], axis=1).groupby(KEY).sum()
    figures = once.groupby(KEY).agg(subjects=("subject", "size"), events=("events", "sum"), **{flag: (flag, "sum") for flag in FLAGS})
    return figures.join(by_level).astype(int).reset_index()


def _terms(counted: pd.DataFrame) -> list[tuple[str, str]]:
    """Organ classes and terms in the order of the table: any first, then by name."""
    found = sorted(
        {(str(soc), str(term)) for soc, term in zip(counted["organ_class"], counted["preferred_term"], strict=True)} - {(ANY, ANY)}
    )
    return [(ANY, ANY), *sorted(found, key=lambda t: (t[0], t[1] != ANY, t[1]))]
