"""From when and until when each subject's responses are looked at: start, data cutoff, withdrawal of consent, new anticancer therapy."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import NO_DAY, Bools, Ints
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.fact_tables import nested, word
from fhir_trial.endpoints.facts import STARTS


@dataclass(frozen=True)
class Observation:
    """Days by subject, in the order of the subject table: `NO_DAY` where there is none.

    `start` is time zero; nothing after `seen_until` is seen; a response after `counts_until` does not count. Both days themselves count.
    """

    subjects: "pd.Index[str]"
    start: Ints
    seen_until: Ints
    counts_until: Ints

    def place(self, subject: "pd.Series[str]") -> Ints:
        """Where each subject stands, -1 for one that the subject table lacks."""
        if isinstance(subject.dtype, pd.CategoricalDtype):
            named = self.subjects.get_indexer(pd.Index(subject.cat.categories.astype(object)))
            places: Ints = np.append(named, -1)[subject.cat.codes.to_numpy()]
        else:
            places = self.subjects.get_indexer(pd.Index(subject.astype(object)))
        return places.astype(np.int64)


def observe(tables: Mapping[str, pd.DataFrame], conventions: Conventions) -> Observation:
    """The limits of each subject of table `subject`, by the conventions; `therapy` may be absent."""
    subject = tables["subject"].drop_duplicates("subject")
    names = pd.Index(subject["subject"].astype(object))
    partial = conventions.partial_date
    start = np.full(len(names), NO_DAY)
    for name in STARTS[conventions.start]:
        start = np.where(start == NO_DAY, col.days(col.column(subject, name), partial), start)
    seen = np.full(len(names), col.day_number(conventions.data_cutoff, partial))
    if conventions.ignore_after_withdrawal:
        seen = np.minimum(seen, _withdrawals(subject, names, partial))
    counts = seen
    if conventions.exclude_after_nact and "therapy" in tables:
        counts = np.minimum(seen, _new_therapy(tables["therapy"], names, partial))
    return Observation(names, start, seen, counts)


def _withdrawals(subject: pd.DataFrame, names: "pd.Index[str]", partial: str) -> Ints:
    """The first withdrawal of consent: stopping treatment alone is none."""
    first = np.full(len(names), NO_DAY)
    for row, item in nested(subject, "dispositions", names):
        if (word(item.get("event")), word(item.get("scope"))) == ("WITHDRAWAL BY SUBJECT", "STUDY PARTICIPATION"):
            first[row] = min(first[row], col.day_number(item.get("on"), partial))
    return first


def _new_therapy(therapy: pd.DataFrame, names: "pd.Index[str]", partial: str) -> Ints:
    first = np.full(len(names), NO_DAY)
    new: Bools = col.column(therapy, "category").map(word).eq("SUBSEQUENT ANTICANCER THERAPY").to_numpy(dtype=bool)
    place = names.get_indexer(pd.Index(therapy.loc[new, "subject"].astype(object)))
    np.minimum.at(first, place[place >= 0], col.days(col.column(therapy, "start"), partial)[new][place >= 0])
    return first
