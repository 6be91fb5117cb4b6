"""Response of every subject: at visits, best overall, confirmed, and the rates of a group.

The table of responses has domain-like columns: study, subject, evaluator, evaluator_id, parameter, visit, visit_number, value, number, on,
day_from_start, reason, source_domain, source_sequence, and progression_on where progression has a date of its own. `day_from_start` counts
from time zero (convention `start`), which is day 1; the day before it is -1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.best_response import Counted, best
from fhir_trial.endpoints.columns import NO_DAY, Bools, Ints
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.facts import NOT_ENROLLED
from fhir_trial.endpoints.observation import Observation, observe
from fhir_trial.endpoints.overall_response import at_visits, chosen, worst_of_day
from fhir_trial.endpoints.proportions import Proportion, proportion
from fhir_trial.endpoints.recist import Assessments, assess
from fhir_trial.endpoints.recorded_sums import check_sums
from fhir_trial.endpoints.response_checks import report, report_records
from fhir_trial.endpoints.response_codes import NE, PD, RESPONSES
from fhir_trial.errors import Finding, Findings

RATES = {"ORR": "RSP", "CORR": "CRSP", "DCR": "DCR", "CBR": "CBR"}
"""Rates of a group, and the parameter whose Y each counts."""


@dataclass(frozen=True)
class Responses:
    """What `respond` gives: `at_visits` (OVR, TRGRESP, SDIAM of every reader), `of_subjects` (BOR, CBOR, RSP, CRSP, DCR, CBR).

    `mine` marks the rows of `at_visits` that are the chosen evaluator's. `evaluable` holds the subjects with an evaluable response.
    """

    at_visits: pd.DataFrame
    of_subjects: pd.DataFrame
    mine: Bools
    evaluable: frozenset[str]
    assessments: Assessments
    findings: Findings

    def table(self) -> pd.DataFrame:
        """All rows, those of visits first."""
        return col.stacked([self.at_visits, self.of_subjects])

    def of_evaluator(self) -> pd.DataFrame:
        """What times to events rest on: the overall responses of the evaluator that convention `evaluator` names, and those of subjects."""
        overall = self.mine & (self.at_visits["parameter"] == "OVR").to_numpy(dtype=bool)
        return col.stacked([self.at_visits[overall], self.of_subjects])


def respond(tables: Mapping[str, pd.DataFrame], conventions: Conventions) -> Responses:
    """Responses from tables `subject` and, where there are any, `measurement`, `lesion`, `response` and `therapy`."""
    assessments, observation, findings = assess(tables, conventions), observe(tables, conventions), Findings()
    findings.extend(assessments.findings)
    check_sums(tables, assessments, observation, findings)
    overall = _seen(at_visits(tables, assessments, "overall", conventions, findings), observation, findings)
    target = _seen(at_visits(tables, assessments, "target", conventions, Findings()), observation, Findings())
    rows = {"OVR": overall, "TRGRESP": target, "SDIAM": _seen(_sums(assessments), observation, Findings())}
    visits = [_visit_rows(tables, name, found, observation) for name, found in rows.items()]
    mine = [chosen(found, conventions, findings if name == "OVR" else Findings()) for name, found in rows.items()]
    counted = _counted(overall, mine[0], observation, _measurable(assessments, observation, conventions), findings)
    of_subjects = _subject_rows(tables, best(counted, conventions), (overall, counted), observation)
    adequate = np.bincount(counted.who[counted.value != NE], minlength=len(observation.subjects)) > 0
    return Responses(
        col.stacked(visits), of_subjects, np.concatenate(mine), frozenset(observation.subjects[adequate]), assessments, findings
    )


def _sums(assessments: Assessments) -> pd.DataFrame:
    """The sums of diameters at visits where every target was evaluated."""
    frame = col.rows_where(assessments.frame, assessments.frame["complete"].to_numpy(dtype=bool))
    day = frame["last_on"].to_numpy(dtype="datetime64[D]")
    return frame.assign(
        day=np.where(np.isnat(day), NO_DAY, day.astype(np.int64)), progression_day=NO_DAY, reason="sum of the target lesions"
    )


def _seen(rows: pd.DataFrame, observation: Observation, findings: Findings) -> pd.DataFrame:
    """The rows until data cutoff and withdrawal; what lies after is said in a finding a subject."""
    place = observation.place(rows["subject"])
    late = rows["day"].to_numpy() > np.append(observation.seen_until, NO_DAY)[place]
    effect = "responses after data cutoff or withdrawal of consent are not seen"
    for subject in pd.unique(rows["subject"][late].astype(object)):
        findings.add(Finding("response-not-seen", f"response: subject {subject}", field="on", severity="information", effect=effect))
    return col.rows_where(rows, ~late).reset_index(drop=True)


def _visit_rows(tables: Mapping[str, pd.DataFrame], parameter: str, rows: pd.DataFrame, observation: Observation) -> pd.DataFrame:
    words = "value" in rows
    coded = {name: col.categories(rows[name]) for name in ("subject", "evaluator", "evaluator_id", "visit")}
    return pd.DataFrame(coded, copy=False).assign(
        visit_number=rows["visit_number"],
        study=col.constant(_study(tables), len(rows)),
        parameter=col.constant(parameter, len(rows)),
        value=col.labelled(rows["value"].to_numpy() if words else np.full(len(rows), -1), RESPONSES[:-1]),
        number=np.nan if words else rows["sum_mm"],
        on=col.to_dates(rows["day"].to_numpy()),
        progression_on=col.to_dates(rows["progression_day"].to_numpy()),
        day_from_start=_day_from_start(rows["day"].to_numpy(), observation.place(rows["subject"]), observation),
        reason=col.categories(rows["reason"]),
        source_domain=col.categories(rows["source_domain"]),
        source_sequence=rows["source_sequence"].astype("Float64").astype("Int64"),
    )


def _study(tables: Mapping[str, pd.DataFrame]) -> str | None:
    studies = col.column(tables["subject"], "study").dropna()
    return str(studies.iloc[0]) if len(studies) else None


def _day_from_start(day: Ints, place: Ints, observation: Observation) -> "pd.Series[Any]":
    start = np.append(observation.start, NO_DAY)[place]
    known = (start != NO_DAY) & (day != NO_DAY)
    since = np.where(known, day, 0) - np.where(known, start, 0)
    return pd.Series(since + (since >= 0), dtype="Int64").where(known)


def _measurable(assessments: Assessments, observation: Observation, conventions: Conventions) -> Bools:
    """Which subjects had a target lesion in the chosen evaluator's view; where no lesion is known, a response stands for one."""
    measurable = np.ones(len(observation.subjects), dtype=bool)
    frame = assessments.frame
    other = chosen(frame, conventions, Findings()) & ~frame["measurable"].to_numpy(dtype=bool)
    without = observation.place(frame["subject"][other])
    measurable[without[without >= 0]] = False
    return measurable


def _counted(rows: pd.DataFrame, mine: Bools, observation: Observation, measurable: Bools, findings: Findings) -> Counted:
    """The chosen evaluator's responses from the start to the first progression and new therapy, the worst of each day."""
    place, day = observation.place(rows["subject"]), rows["day"].to_numpy()
    start = np.append(observation.start, NO_DAY)[place]  # who is in no subject table has none
    known = mine & (start != NO_DAY)
    early = known & (day < start)
    effect = "an assessment before the start is no response assessment"
    report(rows[early], Finding("assessment-before-baseline", "", field="on", severity="warning", effect=effect), findings)
    report_records(rows[known & ~early], findings)
    row = np.flatnonzero(known & ~early & (day <= np.append(observation.counts_until, NO_DAY)[place]))
    value = rows["value"].to_numpy()
    row = row[worst_of_day(value[row], day[row], place[row])]
    who, value = place[row], value[row]
    kept = ~col.earlier_any(value == PD, who)
    row, who, value = row[kept], who[kept], value[kept]
    return Counted(row, who, day[row], day[row] - observation.start[who], value, measurable)


def _subject_rows(
    tables: Mapping[str, pd.DataFrame], decided: pd.DataFrame, source: tuple[pd.DataFrame, Counted], observation: Observation
) -> pd.DataFrame:
    """A row a parameter and subject of the subject table, with the visit that decided."""
    rows, counted = source
    at = decided["at"].to_numpy()
    row = np.where(at >= 0, np.append(counted.row, -1)[at], -1)
    told = rows[["evaluator", "evaluator_id", "visit", "visit_number", "source_domain", "source_sequence"]]
    told = told.reindex(row).reset_index(drop=True)
    coded = {name: col.categories(told[name]) for name in ("evaluator", "evaluator_id", "visit", "source_domain")}
    day = np.append(rows["day"].to_numpy(), NO_DAY)[row]
    return told.assign(
        **coded,
        source_sequence=told["source_sequence"].astype("Float64").astype("Int64"),
        study=col.constant(_study(tables), len(told)),
        subject=col.labelled(decided["who"].to_numpy(), observation.subjects),
        parameter=decided["parameter"],
        value=decided["value"],
        number=decided["value"].astype(object).map({"Y": 1.0, "N": 0.0}).to_numpy(dtype=float),
        on=col.to_dates(day),
        progression_on=col.to_dates(np.full(len(day), NO_DAY)),
        day_from_start=_day_from_start(day, decided["who"].to_numpy(), observation),
        reason=decided["reason"],
    )


def rates(responses: Responses, subjects: pd.DataFrame, conventions: Conventions) -> dict[str, Proportion]:
    """The rates of `RATES` among `subjects`, rows of the subject table, by conventions `orr_denominator` and `proportion_interval`."""
    members = denominator(responses, subjects, conventions)
    table = responses.of_subjects
    yes = table[(table["value"] == "Y").to_numpy() & table["subject"].isin(members).to_numpy()]
    count = yes["parameter"].value_counts()
    method, level = conventions.proportion_interval, float(conventions.level)
    return {rate: proportion(int(count.get(name, 0)), len(members), method, level) for rate, name in RATES.items()}


def denominator(responses: Responses, subjects: pd.DataFrame, conventions: Conventions) -> list[str]:
    """Who a response rate is of: all enrolled, those treated, or those with an evaluable response."""
    among = ~col.column(subjects, "state").isin(NOT_ENROLLED).to_numpy(dtype=bool)
    if conventions.orr_denominator == "treated":
        among &= col.column(subjects, "first_dose_on").notna().to_numpy(dtype=bool)
    names = subjects["subject"].astype(object)
    if conventions.orr_denominator == "evaluable":
        among &= names.isin(responses.evaluable).to_numpy()
    return list(names[among])
