"""Dated facts of subjects: progression, assessments, death, last contact, new therapy and disposition, each with its source record.

A table of facts has one row a fact: `subject` (its row in `Facts.subjects`), `on` (days since 1970-01-01), `domain`, `variable` and
`sequence` of the record.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.domain.dispositions import ended
from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import NO_DAY, Floats, Ints
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.deaths import DeathRecords, deaths
from fhir_trial.endpoints.dispositions import (
    clinical_progressions,
    cutoff_day,
    dispositions,
    is_new_therapy,
    new_therapies,
    treatment_stops,
    withdrawals,
)
from fhir_trial.endpoints.fact_tables import dated, first_days, locate, nested, no_facts, on_days
from fhir_trial.endpoints.observation import STARTS, starts
from fhir_trial.errors import Finding, Findings

NOT_ENROLLED = ("screening", "screen-failure")
OFF_STUDY = ("completed", "withdrawn")
INADEQUATE, ADEQUATE, PROGRESSION = range(3)
ADEQUACY = {"NE": INADEQUATE, "ND": INADEQUATE, "NA": INADEQUATE, "PD": PROGRESSION}
"""What an overall response tells on progression: nothing, that there is none, or that it is there."""

LAST_ALIVE_SOURCES = {"ae+lb+ex": ("AE", "LB", "EX")}
"""Kinds of record that last known alive is taken from, by convention `last_alive_sources`; else from all, DM's own date before any."""


@dataclass(frozen=True)
class Facts:
    """Who was enrolled, and the facts about them by name.

    `subjects` has study, subject, start and enrolled (days), start_domain, start_variable and start_sequence (the record of time zero).
    """

    subjects: pd.DataFrame
    by_name: dict[str, pd.DataFrame]
    findings: Findings = field(default_factory=Findings)

    def named(self, name: str) -> pd.DataFrame:
        """The facts of that name; none where nothing was recorded."""
        return self.by_name.get(name, no_facts())


def gather(tables: Mapping[str, pd.DataFrame], responses: pd.DataFrame, conventions: Conventions) -> Facts:
    """All facts that times to events rest on.

    `tables`: domain tables by entity (subject; patient, therapy, dose, adverse_event, measurement and others may be absent). `responses`:
    the derived responses of one evaluator (subject, parameter, visit, value, on, source_domain, source_sequence): OVR, RSP and CRSP are
    read.
    """
    findings = Findings()
    subjects = enrolled(tables["subject"], conventions, findings)
    place = pd.Index(subjects["subject"])
    events = dispositions(tables["subject"], place, conventions.partial_date)
    facts = _assessments(tables, responses[responses["parameter"].isin(["OVR"]).to_numpy(dtype=bool)], place, conventions)
    for name, parameter in (("response", "RSP"), ("confirmed response", "CRSP")):
        facts[name] = _responders(responses, parameter, place, conventions)
    facts["withdrawal"] = withdrawals(events)
    subjects["start_sequence"] = _start_sequences(subjects, tables, events, conventions)
    facts["alive"] = _contacts(tables, events, place, conventions)
    facts["death"] = deaths(DeathRecords(tables, events, facts["alive"], place), conventions, findings)
    _report_impossible_deaths(subjects, facts, findings)
    _report_undated(tables, events, place, findings)
    _report_without_scope(events, place, findings)
    died = facts["death"]["subject"][facts["death"]["on"] <= cutoff_day(conventions)]
    _report_ends_without_event(tables["subject"], events, place[died], place, findings)
    facts["clinical progression"] = clinical_progressions(events)
    facts["treatment stopped"] = treatment_stops(events)
    facts["new anticancer therapy"] = new_therapies(tables, place, conventions.partial_date)
    return Facts(subjects, facts, findings)


START_RECORDS = {
    "consented_on": ("DM", "RFICDTC"),
    "first_dose_on": ("EX", "EXSTDTC"),
    "randomized_on": ("DS", "DSSTDTC"),
    "ENROLLED": ("DS", "DSSTDTC"),
    "RANDOMIZED": ("DS", "DSSTDTC"),
    "RFSTDTC": ("DM", "RFSTDTC"),
    "RFICDTC": ("DM", "RFICDTC"),
}
"""Record and variable of time zero, by its column or by what gave the date of enrolment."""


def enrolled(subject: pd.DataFrame, conventions: Conventions, findings: Findings) -> pd.DataFrame:
    """The enrolled subjects with time zero; one without a date of it is a finding and left out."""
    kept = subject[~col.column(subject, "state").isin(NOT_ENROLLED).to_numpy(dtype=bool)].drop_duplicates("subject", ignore_index=True)
    start, told = starts(kept, conventions)
    of_enrolment = col.column(kept, "enrolled_source").astype(object).to_numpy()
    for name in kept["subject"][start == NO_DAY]:
        effect = "the subject is in no time-to-event analysis"
        findings.add(
            Finding("no-start-date", f"subject: subject {name}", field=STARTS[conventions.start][0], expected="a date", effect=effect)
        )
    by = np.where(told == "enrolled_on", of_enrolment, told)
    codes, names = col.coded(pd.Series(by, dtype=object))
    records = np.array([*(START_RECORDS.get(name, (None, None)) for name in names), (None, None)], dtype=object)[codes]
    subjects = (
        kept[["study", "subject"]]
        .astype(object)
        .assign(
            start=start,
            enrolled=col.days(col.column(kept, "enrolled_on"), conventions.partial_date),
            start_domain=records[:, 0],
            start_variable=records[:, 1],
        )
    )
    known: pd.DataFrame = subjects.loc[start != NO_DAY].reset_index(drop=True)
    return known


def _start_sequences(subjects: pd.DataFrame, tables: Mapping[str, pd.DataFrame], events: pd.DataFrame, conventions: Conventions) -> Floats:
    """The sequence of the record that time zero is taken from, NaN where that has none (DM)."""
    place, start = pd.Index(subjects["subject"]), subjects["start"].to_numpy()
    enrolments = events[events["event"].isin(("ENROLLED", "RANDOMIZED")).to_numpy(dtype=bool)]
    records = {
        "DS": dated(
            enrolments["subject"].to_numpy(dtype=np.int64), enrolments["on"].to_numpy(dtype=np.int64), "DS", None, enrolments["sequence"]
        )
    }
    dose = tables.get("dose")
    if dose is not None and len(dose):
        given = col.days(col.column(dose, "start"), conventions.partial_date)
        records["EX"] = dated(locate(dose, place), given, "EX", None, col.numbers(dose, "sequence"))
    found = np.full(len(subjects), np.nan)
    for domain, rows in records.items():
        at = rows["subject"].to_numpy()
        same = (rows["on"].to_numpy() == start[at]) & (subjects["start_domain"].to_numpy()[at] == domain)
        first = rows[same].drop_duplicates("subject")
        found[first["subject"].to_numpy()] = first["sequence"]
    return found


def _report_impossible_deaths(subjects: pd.DataFrame, facts: Mapping[str, pd.DataFrame], findings: Findings) -> None:
    """Findings for deaths before the start, and for subjects seen alive after their death."""
    died, start = first_days(facts["death"], len(subjects)), subjects["start"].to_numpy()
    names = subjects["subject"].to_numpy()
    effect = "the death is no event: the subject is censored"
    for name in names[died < start]:
        findings.add(Finding("death-before-start", f"dm: subject {name}", field="death_date", severity="warning", effect=effect))
    # a disposition may be dated after the death that it is of
    seen = facts["alive"][(facts["alive"]["exact"] & (facts["alive"]["domain"] != "DS")).to_numpy(dtype=bool)]
    late = seen[seen["on"].to_numpy() > died[seen["subject"]]]
    for row in late.sort_values("on").drop_duplicates("subject", keep="last").sort_values("subject").to_dict("records"):
        sequence = f", sequence {row['sequence']:.0f}" if row["sequence"] == row["sequence"] else ""
        place = f"{str(row['domain']).lower()}: subject {names[row['subject']]}{sequence}"
        found, effect = str(np.datetime64(row["on"], "D")), "the date of death counts"
        findings.add(Finding("seen-after-death", place, None, "on", found, "no date after the death", severity="warning", effect=effect))


def _report_undated(tables: Mapping[str, pd.DataFrame], events: pd.DataFrame, place: "pd.Index[Any]", findings: Findings) -> None:
    """Findings for withdrawals and new therapies without a date."""
    gone = (events["event"] == "WITHDRAWAL BY SUBJECT") & (events["scope"] == "STUDY PARTICIPATION") & (events["on"] == NO_DAY)
    therapy = tables.get("therapy", pd.DataFrame(columns=["subject"]))
    new = therapy[is_new_therapy(therapy) & (col.days(col.column(therapy, "start"), "mid") == NO_DAY)]
    effect = "it hides nothing, as if it had not happened"
    for domain, rows, subject in (("ds", events[gone], events["subject"][gone]), ("cm", new, pd.Series(locate(new, place)))):
        for who, sequence in zip(subject, col.whole_numbers(rows, "sequence"), strict=True):
            if who >= 0:
                where = f"{domain}: subject {place[who]}, sequence {sequence}"
                findings.add(Finding("event-without-date", where, field="on", expected="a date", severity="warning", effect=effect))


def _report_without_scope(events: pd.DataFrame, place: "pd.Index[Any]", findings: Findings) -> None:
    """Findings for withdrawals that do not say from what."""
    unclear = events[(events["event"] == "WITHDRAWAL BY SUBJECT") & (events["scope"] == "")]
    expected, effect = "STUDY PARTICIPATION or STUDY TREATMENT", "it is no withdrawal of consent and hides nothing"
    for who, sequence in zip(unclear["subject"], unclear["sequence"], strict=True):
        where = f"ds: subject {place[who]}, sequence {sequence}"
        findings.add(Finding("withdrawal-without-scope", where, field="scope", expected=expected, severity="information", effect=effect))


def _report_ends_without_event(
    subject: pd.DataFrame, events: pd.DataFrame, died: "pd.Index[Any]", place: "pd.Index[Any]", findings: Findings
) -> None:
    """A finding for subjects whose record says that they left the study, and neither a death nor a disposition event says how or when."""
    whats = zip(events["event"], events["category"], events["scope"], strict=True)
    told = set(place[events["subject"][[ended(event, category, scope) == "study" for event, category, scope in whats]]])
    off = set(subject["subject"][col.column(subject, "state").isin(OFF_STUDY).to_numpy(dtype=bool)])
    if count := len(off.intersection(place) - told.union(died)):
        found, expected = f"{count} subjects off study", "a disposition event that ended the study"
        effect = "for them the study counts as ongoing"
        findings.add(Finding("end-without-event", "subject", None, "state", found, expected, severity="warning", effect=effect))


def _responders(responses: pd.DataFrame, parameter: str, place: "pd.Index[Any]", conventions: Conventions) -> pd.DataFrame:
    """The first response of each responder."""
    rows = responses[((responses["parameter"] == parameter) & (responses["value"] == "Y")).to_numpy(dtype=bool)]
    return dated(locate(rows, place), on_days(rows["on"], conventions.partial_date), *_source(rows))


def _source(responses: pd.DataFrame) -> tuple[Any, Any, Floats]:
    """Domain, date variable and sequence of the record behind each response."""
    codes, names = col.coded(responses["source_domain"])
    domain, variable = col.labelled(codes, list(names)), col.labelled(codes, [f"{name}DTC" for name in names])
    return domain, variable, responses["source_sequence"].to_numpy(dtype=float, na_value=np.nan)


def _assessments(
    tables: Mapping[str, pd.DataFrame], overall: pd.DataFrame, place: "pd.Index[Any]", conventions: Conventions
) -> dict[str, pd.DataFrame]:
    """Facts progression, assessment, adequate assessment and baseline scan."""
    partial = conventions.partial_date
    stated = on_days(overall["on"], partial)
    reported = (overall["source_domain"] == "RS").to_numpy(dtype=bool)
    first, last = stated.copy(), stated.copy()
    # a derived response already has the date that the conventions ask for
    first[reported], last[reported] = _scan_days(tables.get("measurement"), overall[reported], stated[reported], partial)
    progressed_on = first if conventions.pd_scan_date == "earliest" else last
    if conventions.backdate_equivocal and "progression_on" in overall:
        moved = on_days(overall["progression_on"], partial)
        progressed_on = np.where(moved < stated, moved, progressed_on)
    assessed_on = last if conventions.censor_scan_date == "latest" else first
    who, value = locate(overall, place), col.words(overall, "value", ADEQUACY, ADEQUATE)
    adequate = (value >= ADEQUATE) & overall["value"].notna().to_numpy(dtype=bool)
    source = _source(overall)
    every = {"assessment": dated(who, assessed_on, *source)}
    for name, chosen, on in (
        ("progression", value == PROGRESSION, progressed_on),
        ("adequate assessment", adequate, assessed_on),
    ):
        every[name] = dated(who[chosen], on[chosen], *(part[chosen] for part in source))
    recorded = [(name, tables[name]) for name in ("measurement", "response") if name in tables and len(tables[name])]
    scans = [dated(locate(rows, place), col.days(col.column(rows, "on"), partial), name, None) for name, rows in recorded]
    every["scan"] = col.stacked([*scans, every["assessment"]])
    return every


def _scan_days(measured: pd.DataFrame | None, overall: pd.DataFrame, stated: Ints, partial: str) -> tuple[Ints, Ints]:
    """First and last scan of each response's visit and reader, as measured.

    The response's own date where nothing was measured, and where responses of several dates share a visit (UNSCHEDULED).
    """
    keys = ["subject", "evaluator", "evaluator_id", "visit"]
    if measured is None or not len(measured) or not len(overall) or not set(keys) <= set(overall.columns) | {"evaluator_id"}:
        return stated, stated
    codes = [col.shared_codes([overall, measured], key)[0] for key in keys]
    numbers = [col.numbers(table, "visit_number") for table in (overall, measured)]
    whole = [np.concatenate(c) for c in codes]
    if all((~np.isnan(found)).any() for found in numbers):
        whole.append(pd.factorize(np.concatenate(numbers))[0].astype(np.int64))
    key = col.combined(whole)
    ours, theirs, size = key[: len(overall)], key[len(overall) :], int(key.max(initial=0)) + 1
    days = col.days(col.column(measured, "on"), partial)
    usable = (days != NO_DAY) & (codes[3][1] >= 0)
    first, last = _span(theirs[usable], days[usable], size)
    lowest, highest = _span(ours, stated, size)
    known = (first[ours] != NO_DAY) & (lowest[ours] == highest[ours])
    return np.where(known, first[ours], stated), np.where(known, last[ours], stated)


def _span(at: Ints, days: Ints, size: int) -> tuple[Ints, Ints]:
    """The first and the last of the days at each place."""
    first, last = np.full(size, NO_DAY), np.full(size, -NO_DAY)
    np.minimum.at(first, at, days)
    np.maximum.at(last, at, days)
    return first, last


CONTACTS: tuple[tuple[str, str, str, str], ...] = (
    ("adverse_event", "start", "AE", "AESTDTC"),
    ("adverse_event", "end", "AE", "AEENDTC"),
    ("dose", "end", "EX", "EXENDTC"),
    ("body_measure", "on", "VS", "VSDTC"),
    ("performance_status", "on", "QS", "QSDTC"),
    ("measurement", "on", "TR", "TRDTC"),
    ("lesion", "on", "TU", "TUDTC"),
    ("response", "on", "RS", "RSDTC"),
    ("laboratory", "on", "LB", "LBDTC"),
)
"""Tables whose dates show that a subject was alive: table, column, and the record and variable they come from."""


STATED = {"DM": "LSTALVDT", "DS": "DSSTDTC", "LB": "LBDTC", "VS": "VSDTC", "QS": "QSDTC"}
"""The variable of each kind of record by which a subject's table says when they were known alive; a visit (SV) has two."""


def _contacts(tables: Mapping[str, pd.DataFrame], events: pd.DataFrame, place: "pd.Index[Any]", conventions: Conventions) -> pd.DataFrame:
    """Every date on which a subject was known alive; of a partial date the first day, since no later one is certain.

    Records with a sequence stand after the dates that the subject's own table lists without one: of those on one day the last is taken.
    """
    told = [(row, c["on"], c["source"]) for row, c in nested(tables["subject"], "contacts", place)]
    who, when = np.array([t[0] for t in told], dtype=np.int64), pd.Series([t[1] for t in told], dtype=object)
    source = [t[2] for t in told]
    stated = np.array([STATED.get(name) for name in source], dtype=object)
    parts = [_seen(who, when, np.array(source, dtype=object), stated, None)]
    living = events[(events["event"] != "DEATH").to_numpy(dtype=bool)]
    parts.append(
        _seen(living["subject"].to_numpy(dtype=np.int64), living["text"], "DS", "DSSTDTC", living["sequence"].to_numpy(dtype=float))
    )
    for table, name, domain, variable in CONTACTS:
        rows = tables.get(table)
        if rows is not None and len(rows) and name in rows:
            parts.append(_seen(locate(rows, place), rows[name], domain, variable, _sequences(rows)))
    every = col.stacked(parts)
    allowed = LAST_ALIVE_SOURCES.get(conventions.last_alive_sources)
    return every[every["domain"].isin(allowed)].reset_index(drop=True) if allowed else every


def _sequences(rows: pd.DataFrame) -> Floats:
    """The sequence of each row: of a measurement joined from several records, the first that it has."""
    found = col.numbers(rows, "sequence")
    for name in ("longest_sequence", "short_axis_sequence", "state_sequence"):
        found = np.where(np.isnan(found), col.numbers(rows, name), found)
    return found


def _seen(subject: Ints, values: "pd.Series[Any]", domain: Any, variable: Any, sequence: Any) -> pd.DataFrame:
    """Facts of having been seen alive, with whether the day was recorded."""
    first = col.days(values, "first")
    facts = dated(subject, first, domain, variable, sequence)
    return facts.assign(exact=(first == col.days(values, "last"))[facts.index])
