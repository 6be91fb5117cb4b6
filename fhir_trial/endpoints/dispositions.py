"""Disposition events of subjects (SDTM DS) as dated facts: which event, scope or reported term makes what."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.domain.dispositions import ended
from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import NO_DAY, Bools, Ints
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.fact_tables import dated, first_days, locate, nested, no_facts, on_days, word

NEW_THERAPY = "SUBSEQUENT ANTICANCER THERAPY"
"""The category (CMCAT) of therapies that end what the study's own treatment can be judged by."""

DEATH = "DEATH"
"""The event that ended the study of a subject who died, as disposition records (CDISC code list NCOMPLT) name it."""


def dispositions(subject: pd.DataFrame, place: "pd.Index[Any]", partial: str) -> pd.DataFrame:
    """A row an event: subject (its place), on, sequence, event, term, scope, category (in capitals), and the date as text."""
    rows = [
        (row, col.day_number(d.get("on"), partial), d["sequence"], *(word(d.get(name)) for name in WORDS), d.get("on"))
        for row, d in nested(subject, "dispositions", place)
    ]
    return pd.DataFrame(rows, columns=["subject", "on", "sequence", *WORDS, "text"])


WORDS = ("event", "term", "scope", "category")


def dated_events(
    events: pd.DataFrame, names: tuple[str, ...], scope: tuple[str, ...] | None = None, term: tuple[str, ...] | None = None
) -> pd.DataFrame:
    """The facts of those events, by their scope (DSSCAT) or reported term where these decide."""
    chosen = events["event"].isin(names)
    if scope is not None:
        chosen &= events["scope"].isin(scope)
    if term is not None:
        chosen &= events["term"].isin(term)
    rows = events[chosen]
    subject, on = (rows[name].to_numpy(dtype=np.int64) for name in ("subject", "on"))
    return dated(subject, on, "DS", "DSSTDTC", rows["sequence"].to_numpy(dtype=float))


def endings(subject: pd.DataFrame, place: "pd.Index[Any]", what: str, conventions: Conventions) -> pd.DataFrame:
    """For each subject of `place` the last event, by day and sequence, that ended `what` (study or treatment): event, on.

    None and `NO_DAY` where nothing did. What happened after the data cutoff is not seen.
    """
    cutoff = cutoff_day(conventions)
    last: dict[int, tuple[tuple[int, int], str, int]] = {}
    for row, item in nested(subject, "dispositions", place):
        day = col.day_number(item.get("on"), conventions.partial_date)
        if ended(str(item["event"]), item.get("category"), item.get("scope")) != what or (day != NO_DAY and day > cutoff):
            continue
        rank = (day if day != NO_DAY else -1, int(item.get("sequence") or 0))
        if row not in last or rank >= last[row][0]:
            last[row] = (rank, str(item["event"]), day)
    found = [last[row][1:] if row in last else (None, NO_DAY) for row in range(len(place))]
    return pd.DataFrame({"event": np.array([event for event, _ in found], dtype=object), "on": np.array([on for _, on in found], np.int64)})


def endings_by_subject(subject: pd.DataFrame, adsl: pd.DataFrame, what: str, conventions: Conventions) -> pd.DataFrame:
    """`endings` of each row of `adsl`, which knows of deaths (`death_on`): a death ends the study of whom no event did, on its day.

    Every table that counts ends, or tells of them, takes them from here. Treatment ends by its events only.
    """
    found = endings(subject, pd.Index(adsl["subject"]), what, conventions)
    if what != "study":
        return found
    died_on = on_days(adsl["death_on"], conventions.partial_date)
    by_death = found["event"].isna().to_numpy(dtype=bool) & (died_on != NO_DAY) & (died_on <= cutoff_day(conventions))
    return pd.DataFrame({"event": found["event"].mask(by_death, DEATH), "on": np.where(by_death, died_on, found["on"].to_numpy())})


def cutoff_day(conventions: Conventions) -> int:
    """The last day that is seen, of a cutoff without a day the last it can be; `NO_DAY`, after every day, where there is no cutoff."""
    return NO_DAY if conventions.data_cutoff is None else col.day_number(conventions.data_cutoff, "last")


def withdrawals(events: pd.DataFrame) -> pd.DataFrame:
    """Withdrawals of consent to the study: stopping treatment alone is none."""
    return dated_events(events, ("WITHDRAWAL BY SUBJECT",), scope=("STUDY PARTICIPATION",))


def clinical_progressions(events: pd.DataFrame) -> pd.DataFrame:
    """Progressions that a clinician saw and no image showed."""
    return dated_events(events, ("PROGRESSIVE DISEASE",), term=("CLINICAL PROGRESSION",))


def treatment_stops(events: pd.DataFrame) -> pd.DataFrame:
    """Ends of treatment for an adverse event or lack of efficacy: events of event-free survival."""
    return dated_events(events, ("ADVERSE EVENT", "LACK OF EFFICACY"), scope=("STUDY TREATMENT", ""))


def new_therapies(tables: Mapping[str, pd.DataFrame], place: "pd.Index[Any]", partial: str) -> pd.DataFrame:
    """Starts of anticancer therapy after the study's own."""
    therapy = tables.get("therapy")
    if therapy is None or not len(therapy):
        return no_facts()
    rows = therapy[is_new_therapy(therapy)]
    sequence = col.numbers(rows, "sequence")
    return dated(locate(rows, place), col.days(col.column(rows, "start"), partial), "CM", "CMSTDTC", sequence)


def is_new_therapy(therapy: pd.DataFrame) -> Bools:
    """Which rows of the therapy table are of anticancer therapy after the study's own."""
    new: Bools = col.column(therapy, "category").map(word).eq(NEW_THERAPY).to_numpy(dtype=bool)
    return new


def first_since(facts: pd.DataFrame, start: Ints) -> Ints:
    """The first day of the facts of each subject from its start on, else `NO_DAY`: what began before does not end the study's part."""
    on, at = facts["on"].to_numpy(), facts["subject"].to_numpy()
    return first_days(facts.loc[on >= start[at]], len(start))
