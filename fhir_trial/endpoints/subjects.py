"""One row a subject: arm, dates, population flags, disposition and death; and how many subjects each arm has."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.domain.study import StudyDefinition
from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import NO_DAY, Bools, Floats, Ints
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.dispositions import cutoff_day, endings_by_subject
from fhir_trial.endpoints.fact_tables import first_days, last_days, on_days
from fhir_trial.endpoints.facts import NOT_ENROLLED, Facts

ARM_COLUMNS = {"planned": ("arm_planned", "arm_actual"), "actual": ("arm_actual", "arm_planned")}
"""Where a subject's arm for tables stands, by convention `arm`: the first that is known."""

NO_ARM = "Not assigned"
PLAIN = (
    "study",
    "subject",
    "site",
    "country",
    "arm_planned",
    "arm_actual",
    "age",
    "age_unit",
    "race",
    "ethnicity",
    "state",
    "enrolled_source",
)
DATES = ("consented_on", "enrolled_on", "randomized_on", "first_dose_on", "last_dose_on")


def adsl(tables: Mapping[str, pd.DataFrame], facts: Facts, study: StudyDefinition, conventions: Conventions) -> pd.DataFrame:
    """One row a subject of the subject table, screen failures included.

    `intention_to_treat`: enrolled. `safety`: enrolled and treated at least once. `efficacy`: treated and with a tumour assessment after the
    start. `arm` is the arm of tables; `disposition` the last event that ended the study, else treatment; `ended_on` the day of the event
    that ended the study (death, where no event did), `state` how the subject stands at the cutoff. Dates are datetimes.
    """
    subject = tables["subject"].reset_index(drop=True)
    rows = pd.DataFrame({name: col.column(subject, name).astype(object).where(lambda v: v.notna(), None) for name in PLAIN})
    place = pd.Index(rows["subject"])
    for name in DATES:
        rows[name] = col.to_dates(col.days(col.column(subject, name), conventions.partial_date)).to_numpy()
    first, last, open_since = (col.to_dates(days) for days in dose_days(tables, place, conventions.partial_date))
    rows["first_dose_on"] = rows["first_dose_on"].fillna(first)
    rows["last_dose_on"] = rows["last_dose_on"].fillna(last)
    # daily doses that began after the last recorded one and have no end: when treatment ended is not known
    rows["last_dose_on"] = rows["last_dose_on"].mask(open_since > rows["last_dose_on"])
    rows["arm"] = arm_of(rows, study, conventions)
    rows["intention_to_treat"] = ~rows["state"].isin(NOT_ENROLLED) & rows["enrolled_on"].notna()
    rows["safety"] = rows["intention_to_treat"] & rows["first_dose_on"].notna()
    rows["efficacy"] = rows["safety"] & rows["subject"].isin(_assessed(facts))
    rows = _with_patient(rows, tables.get("patient"))
    rows = _with_death(rows, facts, conventions)
    return _with_ends(rows, subject, conventions)


def arm_of(rows: pd.DataFrame, study: StudyDefinition, conventions: Conventions) -> "pd.Series[Any]":
    """Each subject's arm for tables; in a study of one arm that arm, where the data name none."""
    first, second = ARM_COLUMNS[conventions.arm]
    alone = study.arms[0].name if len(study.arms) == 1 else NO_ARM
    return rows[first].where(rows[first].notna(), rows[second]).fillna(alone)


def dose_days(tables: Mapping[str, pd.DataFrame], place: "pd.Index[Any]", partial: str) -> tuple[Ints, Ints, Ints]:
    """First and last day of dosing of each subject, and the start of their last period of daily doses that has no end; `NO_DAY` without."""
    dose = tables.get("dose")
    if dose is None or not len(dose):
        return np.full(len(place), NO_DAY), np.full(len(place), NO_DAY), np.full(len(place), NO_DAY)
    given = dose[given_doses(dose)]
    who = place.get_indexer(pd.Index(given["subject"].astype(object)))
    start, end = col.days(col.column(given, "start"), partial), col.days(col.column(given, "end"), partial)
    daily = col.column(given, "frequency").astype(object).isin(DOSES_A_DAY).to_numpy(dtype=bool)
    rows = pd.DataFrame({"subject": who, "on": start, "end": np.where(end == NO_DAY, start, end), "open": daily & (end == NO_DAY)})
    rows = rows[(who >= 0) & (start != NO_DAY)]
    last = last_days(rows.assign(on=rows["end"]), len(place), -1)
    open_since = last_days(rows[rows["open"].to_numpy(dtype=bool)], len(place), -1)
    return first_days(rows, len(place)), np.where(last < 0, NO_DAY, last), np.where(open_since < 0, NO_DAY, open_since)


def study_day(days: Ints, first: Ints) -> Floats:
    """Days from the first dose, which is day 1; the day before it is day -1, and NaN where either is not known.

    >>> study_day(np.array([10, 11, 9, NO_DAY]), np.array([10, 10, 10, 10])).tolist()
    [1.0, 2.0, -1.0, nan]
    """
    known = (days != NO_DAY) & (first != NO_DAY)
    gap = np.where(known, days - np.where(known, first, 0), 0)
    return np.where(known, gap + (gap >= 0), np.nan)


def first_dose(rows: pd.DataFrame, adsl: pd.DataFrame) -> Ints:
    """The day of the first dose of each row's subject, `NO_DAY` where there is none."""
    at = pd.Index(adsl["subject"]).get_indexer(pd.Index(rows["subject"].astype(object)))
    days: Ints = np.append(on_days(adsl["first_dose_on"], "mid"), NO_DAY)[at]
    return days


DOSES_A_DAY = {"QD": 1, "BID": 2, "TID": 3, "QID": 4}
"""Doses a day of a record that covers a period, by its frequency (CDISC FREQ)."""


def given_doses(dose: pd.DataFrame) -> Bools:
    """Which dose records are of a dose that was given; a placebo's dose of 0 was."""
    return (col.column(dose, "status").astype(object).fillna("completed") != "not-done").to_numpy(dtype=bool)


def _assessed(facts: Facts) -> "pd.Series[Any]":
    rows = facts.named("assessment")
    after = rows["on"].to_numpy() >= facts.subjects["start"].to_numpy()[rows["subject"]]
    return facts.subjects["subject"].iloc[np.unique(rows["subject"].to_numpy()[after])]


def _with_patient(rows: pd.DataFrame, patient: pd.DataFrame | None) -> pd.DataFrame:
    known = pd.DataFrame(columns=["subject", "sex"]) if patient is None else patient
    sex = dict(zip(known["subject"].astype(object), col.column(known, "sex").astype(object), strict=True))
    return rows.assign(sex=np.array([value if isinstance(value := sex.get(name), str) else None for name in rows["subject"]], dtype=object))


def _with_death(rows: pd.DataFrame, facts: Facts, conventions: Conventions) -> pd.DataFrame:
    days = first_days(facts.named("death"), len(facts.subjects))
    died = col.to_dates(np.where(days > cutoff_day(conventions), NO_DAY, days))
    by_subject = dict(zip(facts.subjects["subject"], died, strict=True))
    on = pd.Series([by_subject.get(name, pd.NaT) for name in rows["subject"]], index=rows.index, dtype="datetime64[s]")
    return rows.assign(death_on=on, died=on.notna())


def _with_ends(rows: pd.DataFrame, subject: pd.DataFrame, conventions: Conventions) -> pd.DataFrame:
    """The event that ended the study of each subject, else its treatment; when the study ended, and how the subject stands at the cutoff.

    A recorded end of participation (RFPENDTC) is often the day of the data: only a disposition, or else death, ends the study, and
    gives its date.
    """
    study, treatment = (endings_by_subject(subject, rows, what, conventions) for what in ("study", "treatment"))
    has_ended = study["event"].notna()
    on = col.to_dates(study["on"].where(has_ended, treatment["on"]).to_numpy())
    return rows.assign(
        disposition=study["event"].where(has_ended, treatment["event"]),
        disposition_on=on,
        ended_on=col.to_dates(study["on"].to_numpy()),
        state=_state(rows, study["event"], treatment["event"]),
    )


def _state(rows: pd.DataFrame, study: "pd.Series[Any]", treatment: "pd.Series[Any]") -> Any:
    """completed or discontinued, as disposition.csv counts; follow-up, on-treatment or enrolled where the study goes on; else recorded."""
    enrolled = rows["intention_to_treat"]
    stands = [
        enrolled & study.str.upper().eq("COMPLETED"),
        enrolled & study.notna(),
        enrolled & treatment.notna(),
        rows["safety"],
        enrolled,
    ]
    return np.select(
        [stand.to_numpy(dtype=bool) for stand in stands],
        ["completed", "discontinued", "follow-up", "on-treatment", "enrolled"],
        rows["state"].to_numpy(dtype=object),
    )
