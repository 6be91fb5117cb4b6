"""The stretch of days in which a subject's facts count: start, cutoff, withdrawal, new therapy, and the window a death must fall into."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhir_trial.endpoints.columns import NO_DAY, Bools, Ints, rows_where
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.dispositions import first_since
from fhir_trial.endpoints.fact_tables import first_days, last_days
from fhir_trial.endpoints.facts import Facts
from fhir_trial.endpoints.observation import unseen_after

NEVER = -NO_DAY
"""A last day that is not known: it sorts before every day."""


@dataclass(frozen=True)
class Span:
    """For each subject the first and the last day that counts, both included."""

    start: Ints
    limit: Ints

    def within(self, facts: pd.DataFrame) -> pd.DataFrame:
        """The facts in their subject's span."""
        at, on = facts["subject"].to_numpy(), facts["on"].to_numpy()
        return rows_where(facts, (on >= self.start[at]) & (on <= self.limit[at]))


def horizon(facts: Facts, conventions: Conventions, assessed: bool) -> tuple[Ints, npt.NDArray[np.object_]]:
    """The last day of each subject that counts (that day included), and which rule set it."""
    size = len(facts.subjects)
    rules = unseen_after(first_days(facts.named("withdrawal"), size), conventions)
    if conventions.nact_rule == "censor" and assessed:
        therapy = first_since(facts.named("new anticancer therapy"), facts.subjects["start"].to_numpy())
        rules.append(("before new anticancer therapy", therapy))
    limit, why = np.full(size, NO_DAY), np.full(size, None, dtype=object)
    for reason, days in rules:
        why[days < limit] = reason
        limit = np.minimum(limit, days)
    return limit, why


def death_gaps(deaths: pd.DataFrame, facts: Facts, conventions: Conventions, limit: Ints) -> Ints:
    """Days from the anchor to each death, `NO_DAY` where it has none.

    The anchor is the last assessment from time zero to the death; where there is none, what `no_post_anchor` names.
    """
    size = len(facts.subjects)
    zero = facts.subjects["start"].to_numpy()
    died = first_days(deaths, size)
    counted = "adequate assessment" if conventions.death_window_anchor == "last_adequate" else "assessment"
    anchor = last_days(Span(zero, np.minimum(limit, died)).within(facts.named(counted)), size, NEVER)
    if conventions.no_post_anchor == "enrollment":
        enrolled = facts.subjects["enrolled"].to_numpy()
        instead = np.where(enrolled != NO_DAY, enrolled, zero)
    elif conventions.no_post_anchor == "baseline_scan":
        instead = last_days(Span(np.full(size, NEVER), zero).within(facts.named("scan")), size, NEVER)
    else:
        instead = np.full(size, NEVER)
    anchor = np.where(anchor != NEVER, anchor, instead)[deaths["subject"]]
    return np.where(anchor != NEVER, deaths["on"].to_numpy() - np.maximum(anchor, 0), NO_DAY)


def in_window(gaps: Ints, conventions: Conventions) -> Bools:
    """Which deaths count, by the days since their anchor; every one where no window is set."""
    if conventions.death_window_days is None:
        return np.ones(len(gaps), dtype=bool)
    last = conventions.death_window_days if conventions.death_window_inclusive else conventions.death_window_days - 1
    counts: Bools = gaps <= last
    return counts
