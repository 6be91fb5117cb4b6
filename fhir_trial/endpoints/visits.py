"""Visits of a reading in the order of their dates, and which of them are the baseline."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import NO_DAY, Bools, Floats, Ints
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.readings import NEW, TESTS, Readings
from fhir_trial.errors import Finding

BASELINE, ON_STUDY, UNDATED = range(3)


@dataclass(frozen=True)
class Visits:
    """Visits and what was recorded at them.

    `table`: a row a visit, sorted by reading, first day and visit number (reading, visit_name, number, first_day, last_day, kind, not_done,
    accepted). `records` and `notes`: those of the readings with `at`, the visit's row in the table; a lesion has one record at a visit.
    """

    readings: Readings
    table: pd.DataFrame
    records: pd.DataFrame
    notes: pd.DataFrame


def arrange(readings: Readings, subjects: pd.DataFrame, conventions: Conventions) -> Visits:
    """Group the records by visit; a visit name that returns on another day with a lesion already seen is another visit."""
    notes = readings.notes[readings.notes["not_done"] | (readings.notes["test"] == TESTS["new-lesion"])]
    notes = notes[notes["reading"].isin(readings.marks["reading"])]
    both = col.stacked([readings.records[_KEY], notes[_KEY[:-1]].assign(mark=-1)])
    key, repeated = _visit_keys(readings, both)
    table, at = _table(both, key, np.concatenate((readings.records["accepted"].to_numpy(), notes["accepted"].to_numpy())))
    records, notes = readings.records.assign(at=at[: len(readings.records)]), notes.assign(at=at[len(readings.records) :])
    not_done = np.zeros(len(table), dtype=bool)
    not_done[notes.loc[notes["not_done"], "at"]] = True
    not_done[records["at"]] = False
    table["not_done"] = not_done
    table["kind"] = _kinds(readings, table, records, _reference(readings, table, subjects, conventions))
    visits = Visits(readings, table, _without_duplicates(readings, records) if repeated else records, notes)
    _report(visits)
    return visits


_KEY = ["reading", "visit_name", "number", "day", "mark"]


def _visit_keys(readings: Readings, both: pd.DataFrame) -> tuple[Ints, bool]:
    """A code for each visit, and whether a lesion was recorded twice at any."""
    number = both["number"]
    if number.isna().any() and number.notna().any():
        # one table may number its visits and another only name them
        number = number.fillna(number.groupby([both["reading"], both["visit_name"]]).transform("first"))
    unnamed = ((both["visit_name"] < 0) & number.isna()).to_numpy()
    codes = pd.factorize(number)[0].astype(np.int64)
    days = pd.factorize(both["day"])[0].astype(np.int64)
    key = col.combined([both["visit_name"].to_numpy(), codes, np.where(unnamed, days, -1), both["reading"].to_numpy()])
    pair = pd.Series(both["mark"].to_numpy() * (key.max(initial=0) + 1) + key)
    twice = (both["mark"] >= 0).to_numpy() & (np.bincount(key)[key] > 1)  # of several records
    twice[twice] = pair[twice].duplicated(keep=False)
    if not twice.any():
        return key, False
    first = {name: (name, "first") for name in ("key", "reading", "visit_name")}
    several = both.assign(key=key, pair=pair)[twice].groupby("pair").agg(days=("day", "nunique"), **first)
    several = several[several["days"] > 1].drop_duplicates("key")
    effect = "each date is judged as an assessment of its own"
    readings.report(several, Finding("repeated-visit", "", field="visit", severity="warning", effect=effect))
    return col.combined([key, np.where(np.isin(key, several["key"]), days, -1)]), True


def _table(both: pd.DataFrame, key: Ints, accepted: Floats) -> tuple[pd.DataFrame, Ints]:
    """The visits in order, and for each record the row of its visit."""
    size = int(key.max(initial=-1)) + 1
    one = np.empty(size, dtype=np.int64)
    one[key] = np.arange(len(key))
    table = both[["reading", "visit_name", "number"]].iloc[one].reset_index(drop=True)
    day = both["day"].to_numpy()
    first, last = day[one], np.where(day == NO_DAY, -NO_DAY, day)[one]
    other = np.flatnonzero(day != first[key])  # most lesions are measured on one day
    np.minimum.at(first, key[other], day[other])
    np.maximum.at(last, key[other], np.where(day == NO_DAY, -NO_DAY, day)[other])
    taken = np.zeros(size, dtype=bool)
    taken[key[accepted == 1.0]] = True
    table = table.assign(first_day=first, last_day=np.where(last == -NO_DAY, NO_DAY, last), accepted=taken)
    order = np.lexsort((table["number"].to_numpy(), first, table["reading"].to_numpy()))
    rank = np.empty(size, dtype=np.int64)
    rank[order] = np.arange(size)
    return table.iloc[order].reset_index(drop=True), rank[key]


def _reference(readings: Readings, table: pd.DataFrame, subjects: pd.DataFrame, conventions: Conventions) -> Ints:
    """The last day that can be baseline, for each reading: first dose, else enrolment, else the first assessment."""
    subjects = subjects.drop_duplicates("subject") if "subject" in subjects else subjects
    days = [col.days(col.column(subjects, name), conventions.partial_date) for name in ("first_dose_on", "enrolled_on")]
    reference = np.append(np.where(days[0] != NO_DAY, days[0], days[1]), NO_DAY)
    place = col.places(readings.who["subject"], pd.Index(col.column(subjects, "subject").astype(object)))
    first = np.full(len(readings.who), NO_DAY)
    np.minimum.at(first, table["reading"].to_numpy(), table["first_day"].to_numpy())
    known = reference[place]
    return np.where(known != NO_DAY, known, first)


def _kinds(readings: Readings, table: pd.DataFrame, records: pd.DataFrame, reference: Ints) -> Ints:
    """Baseline is what was read on or before the reference day, or else at a visit named for it."""
    day, reading = table["first_day"].to_numpy(), table["reading"].to_numpy()
    read = np.zeros(len(table), dtype=bool)
    read[records.loc[records["role"] != NEW, "at"]] = True
    before = (day <= reference[reading]) & (day != NO_DAY)
    has_baseline = np.zeros(len(readings.who), dtype=bool)
    has_baseline[reading[before & read]] = True
    named = np.array([any(word in str(v).upper() for word in ("SCREEN", "BASELINE")) for v in readings.visit_names] + [False], dtype=bool)
    late = named[table["visit_name"].to_numpy()] & ~has_baseline[reading]
    return np.select([before | late, day == NO_DAY], [BASELINE, UNDATED], ON_STUDY)


def _without_duplicates(readings: Readings, records: pd.DataFrame) -> pd.DataFrame:
    """The first record of each lesion and visit; the others are findings."""
    again: Bools = pd.Series(records["mark"].to_numpy() * (records["at"].max() + 1) + records["at"].to_numpy()).duplicated().to_numpy()
    effect = "the first record of the visit counts"
    readings.report(records[again], Finding("duplicate-record", "", field="visit", severity="warning", effect=effect))
    return records[~again] if again.any() else records


def _report(visits: Visits) -> None:
    """Findings for visits without a date, and for visit numbers that do not follow the dates."""
    table, readings = visits.table, visits.readings
    undated = table[(table["kind"] == UNDATED).to_numpy()]
    readings.report(undated, Finding("assessment-without-date", "", field="on", effect="the assessment is not judged"))
    dated = table[(table["kind"] != UNDATED).to_numpy()]
    back = ((dated["number"].diff() < 0) & (dated["reading"].diff() == 0)).to_numpy()
    effect = "assessments are judged in the order of their dates"
    readings.report(dated[back], Finding("unordered-visits", "", field="visit_number", severity="warning", effect=effect))
