"""From when and until when each subject is looked at: start, data cutoff, withdrawal of consent, new anticancer therapy."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import NO_DAY, Ints, Strings
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.dispositions import dispositions, first_since, new_therapies, withdrawals
from fhir_trial.endpoints.fact_tables import first_days
from fhir_trial.errors import Finding, InputError

STARTS = {
    "enrollment": ("enrolled_on",),
    "consent": ("consented_on",),
    "first_dose": ("first_dose_on",),
    "randomization": ("randomized_on", "enrolled_on"),
}
"""The columns that time zero is taken from, by convention `start`: the first that has a date."""


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
        return col.places(subject, self.subjects)


def observe(tables: Mapping[str, pd.DataFrame], conventions: Conventions) -> Observation:
    """The limits of each subject of table `subject`, by the conventions; `therapy` may be absent."""
    if "subject" not in tables or "subject" not in tables["subject"]:
        raise InputError([Finding("missing-table", "subject", field="subject", expected="a table of subjects, with the column subject")])
    subject = tables["subject"].drop_duplicates("subject")
    names, partial = pd.Index(subject["subject"].astype(object)), conventions.partial_date
    start = starts(subject, conventions)[0]
    withdrawn = first_days(withdrawals(dispositions(subject, names, partial)), len(names))
    seen = np.full(len(names), NO_DAY)
    for _, days in unseen_after(withdrawn, conventions):
        seen = np.minimum(seen, days)
    counts = seen
    if conventions.exclude_after_nact:
        counts = np.minimum(seen, first_since(new_therapies(tables, names, partial), start))
    return Observation(names, start, seen, counts)


def starts(subject: pd.DataFrame, conventions: Conventions) -> tuple[Ints, Strings]:
    """Time zero of each row of the subject table (`NO_DAY` without), and the column that it is taken from."""
    start, told = np.full(len(subject), NO_DAY), np.full(len(subject), None, dtype=object)
    for name in STARTS[conventions.start]:
        days = col.days(col.column(subject, name), conventions.partial_date)
        told[(start == NO_DAY) & (days != NO_DAY)] = name
        start = np.where(start == NO_DAY, days, start)
    return start, told


def unseen_after(withdrawn: Ints, conventions: Conventions) -> list[tuple[str, Ints]]:
    """The rules that hide what comes later, in words, with the last day that is seen of each subject; `withdrawn`: when consent ended."""
    rules = []
    if conventions.data_cutoff is not None:
        rules.append(("before cutoff", np.full(len(withdrawn), col.day_number(conventions.data_cutoff, "last"))))
    if conventions.ignore_after_withdrawal:
        rules.append(("before withdrawal", withdrawn))
    return rules
