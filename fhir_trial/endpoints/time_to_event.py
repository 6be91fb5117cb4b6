"""Times to events: one derivation for every endpoint that `time_to_event_rules` defines, each row with its reason and source record.

A reason is a class (progression, death, new anticancer therapy, treatment stopped, response; last adequate assessment, last assessment, no
adequate post-baseline assessment, last known alive), then `: ` and what a rule removed.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import NO_DAY, Ints
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.fact_tables import first_days, labels, no_facts
from fhir_trial.endpoints.facts import Facts
from fhir_trial.endpoints.time_to_event_rules import CENSORS, EVENTS, RESPONDERS_ONLY, TimeToEvent, under
from fhir_trial.endpoints.windows import Span, death_gaps, horizon, in_window

Strings = npt.NDArray[np.object_]

COLUMNS = (
    "study",
    "subject",
    "parameter",
    "start",
    "on",
    "days",
    "censored",
    "reason",
    "source_domain",
    "source_variable",
    "source_sequence",
)
"""The columns of a derived table: `start` and `on` are dates, `days` whole days, `censored` 0 for an event and 1 otherwise."""


@dataclass
class Ends:
    """Where each subject's time ends: arrays by subject."""

    on: Ints
    reason: npt.NDArray[np.object_]
    domain: npt.NDArray[np.object_]
    variable: npt.NDArray[np.object_]
    sequence: npt.NDArray[np.float64]

    @staticmethod
    def none(size: int) -> "Ends":
        """No end for anyone."""
        nothing = np.full(size, None, dtype=object)
        return Ends(np.full(size, NO_DAY), nothing, nothing.copy(), nothing.copy(), np.full(size, np.nan))

    def take(self, facts: pd.DataFrame) -> None:
        """Fill in from `facts`, one row a subject at most."""
        at = facts["subject"].to_numpy()
        self.on[at] = facts["on"]
        for name in ("reason", "domain", "variable"):
            codes, words = col.coded(facts[name])
            getattr(self, name)[at] = np.array([*words, None], dtype=object)[codes]
        self.sequence[at] = facts["sequence"]

    def replace(self, where: npt.NDArray[np.bool_], other: "Ends") -> None:
        """Take the ends of `other` for some subjects."""
        for name in ("on", "reason", "domain", "variable", "sequence"):
            getattr(self, name)[where] = getattr(other, name)[where]


def derive(endpoint: TimeToEvent, facts: Facts, conventions: Conventions) -> pd.DataFrame:
    """One row a subject with `COLUMNS`; subjects without the starting fact (for a duration of response: non-responders) have no row."""
    endpoint = under(endpoint, conventions)
    size = len(facts.subjects)
    zero = facts.subjects["start"].to_numpy()
    start = zero if endpoint.start is None else first_days(facts.named(endpoint.start), size)
    limit, why = horizon(facts, conventions, endpoint.assessed)
    span, details = Span(start, limit), np.full(size, None, dtype=object)
    events = _first_event(endpoint, facts, conventions, span, details)
    censors = _last_seen(endpoint.censors, facts, span)
    if conventions.missed_rule == "fda" and endpoint.assessed and endpoint.name not in RESPONDERS_ONLY:
        before = _last_seen(("adequate assessment",), facts, span, events.on)
        _censor_after_missed_visits(events, censors, before, conventions, details, start)
    _say_what_lies_beyond(endpoint, facts, span, why, details)
    wanted = start != NO_DAY
    if endpoint.name in RESPONDERS_ONLY:
        wanted &= first_days(facts.named(RESPONDERS_ONLY[endpoint.name]), size) != NO_DAY
    ends = _joined(endpoint, facts, start, (events, censors), details)
    rows = _rows(facts, start, ends, events.on == NO_DAY, conventions.add_one)
    rows.insert(2, "parameter", endpoint.name)
    kept: pd.DataFrame = rows.loc[wanted].reset_index(drop=True)
    return kept


def _first_event(endpoint: TimeToEvent, facts: Facts, conventions: Conventions, span: Span, details: Strings) -> Ends:
    """The earliest event of each subject within the span; a death outside the window is said in `details`."""
    found = []
    for event in (EVENTS[name] for name in endpoint.events):
        rows = span.within(facts.named(event.fact))
        if event.fact == "death" and endpoint.assessed:
            gaps = death_gaps(rows, facts, conventions, span.limit)
            counts = in_window(gaps, conventions)
            for subject, gap in zip(rows["subject"][~counts], gaps[~counts], strict=True):
                details[subject] = f"death {gap} d after" if gap != NO_DAY else "death without an assessment before"
            rows = rows[counts]
        found.append(rows.assign(reason=labels(event.reason, len(rows)), rank=event.rank))
    every = col.stacked(found)
    order = np.lexsort((every["rank"], every["on"]))
    return _ends(every, order[::-1], len(facts.subjects))


def _last_seen(censors: tuple[str, ...], facts: Facts, span: Span, before: Ints | None = None) -> Ends:
    """The latest of the censorings of each subject within the span, and before a day where that is given."""
    found = [no_facts().assign(reason=labels(None, 0))]
    for censor in (CENSORS[name] for name in censors):
        rows = span.within(facts.named(censor.fact))
        rows = rows if before is None else rows[rows["on"].to_numpy() < before[rows["subject"]]]
        found.append(rows.assign(reason=labels(censor.reason, len(rows))))
    every = col.stacked(found)
    # Last known alive as DM has it stands before the dates of other records (ADaM's LSTALVDT).
    order = np.lexsort((every["on"], (every["domain"] == "DM").to_numpy(dtype=bool)))
    return _ends(every, order, len(facts.subjects))


def _ends(facts: pd.DataFrame, order: Ints, size: int) -> Ends:
    """The last fact of each subject in that order."""
    last = np.full(size, -1)
    last[facts["subject"].to_numpy()[order]] = order
    ends = Ends.none(size)
    ends.take(facts.iloc[last[last >= 0]])
    return ends


def _censor_after_missed_visits(events: Ends, censors: Ends, before: Ends, conventions: Conventions, details: Strings, start: Ints) -> None:
    """FDA 2018: an event later than two intervals and the grace after the last adequate assessment is censored there, else at the start."""
    longest = 2 * conventions.assess_interval_days + conventions.missed_grace_days
    anchor = np.where(before.on != NO_DAY, before.on, start)
    missed = (events.on != NO_DAY) & (events.on - anchor > longest)
    details[missed] = "two missed visits"
    censors.replace(missed, before)
    events.replace(missed, Ends.none(len(details)))


def _say_what_lies_beyond(endpoint: TimeToEvent, facts: Facts, span: Span, why: Strings, details: Strings) -> None:
    """Add to `details` the rule that hides a later event or censoring of the subject."""
    named = [EVENTS[e].fact for e in endpoint.events] + [CENSORS[c].fact for c in endpoint.censors]
    for name in [*named, "scan"] if endpoint.assessed else named:
        rows = facts.named(name)
        hidden = rows["subject"].to_numpy()[rows["on"].to_numpy() > span.limit[rows["subject"]]]
        details[hidden] = why[hidden]


def _joined(endpoint: TimeToEvent, facts: Facts, start: Ints, found: tuple[Ends, Ends], details: Strings) -> Ends:
    """Event, else censoring, else the start; the censored say what was removed."""
    subjects, (events, censors) = facts.subjects, found
    no_assessment = "no adequate post-baseline assessment" if endpoint.assessed else "last known alive"
    ends = Ends(
        np.where(start == NO_DAY, 0, start),
        np.full(len(subjects), f"{no_assessment}: censored at start", dtype=object),
        subjects["start_domain"].to_numpy(dtype=object).copy(),
        subjects["start_variable"].to_numpy(dtype=object).copy(),
        subjects["start_sequence"].to_numpy(dtype=float).copy(),
    )
    ends.replace(censors.on != NO_DAY, censors)
    for i in np.flatnonzero([detail is not None for detail in details]):
        ends.reason[i] += f"{'; ' if ': ' in ends.reason[i] else ': '}{details[i]}"
    ends.replace(events.on != NO_DAY, events)
    return ends


def _rows(facts: Facts, start: Ints, ends: Ends, censored: npt.NDArray[np.bool_], add_one: bool) -> pd.DataFrame:
    return facts.subjects[["study", "subject"]].assign(
        start=col.to_dates(start),
        on=col.to_dates(ends.on),
        days=ends.on - start + int(add_one),
        censored=censored.astype(np.int64),
        reason=ends.reason,
        source_domain=ends.domain,
        source_variable=ends.variable,
        source_sequence=pd.Series(ends.sequence).astype("Int64"),
    )
