"""SDTM to the trial's tables: files, rows, subjects, and what joins them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd
import pyarrow as pa

from fhir_trial.domain.entities import ENTITIES
from fhir_trial.domain.study import Drug, StudyDefinition
from fhir_trial.domain.tables import TrialData, entity_schema
from fhir_trial.errors import ConfigurationError, Finding, Findings, InputError, UsageError
from fhir_trial.sources.sdtm import measures, subjects, treatment
from fhir_trial.sources.sdtm.carrying import with_source_columns
from fhir_trial.sources.sdtm.contacts import Contacts, contacts
from fhir_trial.sources.sdtm.files import READERS, RawDomain, read_folder, read_frames
from fhir_trial.sources.sdtm.following import consents, enrolled, link_responses, sites, states
from fhir_trial.sources.sdtm.headers import Headers, headers_of_files
from fhir_trial.sources.sdtm.laboratory import laboratory_results
from fhir_trial.sources.sdtm.layouts import CONTACTS, LAYOUTS
from fhir_trial.sources.sdtm.lesions import Lesions, identified
from fhir_trial.sources.sdtm.measurements import measurements
from fhir_trial.sources.sdtm.recoding import recode
from fhir_trial.sources.sdtm.relations import report_relations
from fhir_trial.sources.sdtm.responses import responses
from fhir_trial.sources.sdtm.rows import Reading, Record, report_uncarried
from fhir_trial.sources.sdtm.summary import parameters
from fhir_trial.sources.sdtm.supplements import attach
from fhir_trial.sources.study_tables import DataFacts, study_tables

Rows = dict[str, list[dict[str, Any]]]
"""Entity to its rows."""

OnError = Literal["keep", "refuse"]


def read_sdtm(
    source: str | Path | Mapping[str, pd.DataFrame],
    study: StudyDefinition,
    on_error: OnError = "keep",
    domains: Mapping[str, str] | None = None,
) -> TrialData:
    """The trial data of a folder of SDTM files, or of DataFrames by domain.

    `domains` names a domain's file or data set where it is neither the domain's own name nor that of the study definition. Every error is a
    finding with file, row, field, found, expected: with `on_error="keep"` the good rows are kept and the findings stand in the result, with
    "refuse" they are raised together as `InputError`. Without a usable DM nothing can be kept, and `InputError` is raised in either case.
    """
    if on_error not in ("keep", "refuse"):
        raise UsageError(f"on_error is keep or refuse, not {on_error!r}")
    reading = Reading(study.id, _zone(study))
    _check_names(source, (domains or {}).values())
    names = {domain.lower(): name for domain, name in {**study.sources.domains, **(domains or {})}.items()}
    if isinstance(source, Mapping):
        raw = read_frames(source, names, reading.findings)
    else:
        raw = read_folder(Path(source), names, reading.findings)
    data = _assemble(raw, study, reading)
    if on_error == "refuse":
        data.findings.raise_errors()
    return data


def _check_names(source: str | Path | Mapping[str, pd.DataFrame], names: Iterable[str]) -> None:
    """Raise `UsageError` for the name of a data set that the caller asks for and the source has not; files are checked as they are read."""
    folder = isinstance(source, str | Path)
    there = {path.stem.lower() for path in Path(source).glob("*")} if isinstance(source, str | Path) else {name.lower() for name in source}
    for name in names:
        if name.lower() not in there and not (folder and Path(name).suffix.lower() in READERS):
            raise UsageError(f"there is no file or data set {name}")


def _zone(study: StudyDefinition) -> ZoneInfo | None:
    name = study.sources.time_zone
    try:
        return None if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(f"study {study.id}: {name} is no time zone that this machine knows") from error


def _attached(raw: dict[str, RawDomain], reading: Reading) -> Headers:
    """Give the domains what stands in SUPP--; the headers of all files. What is left in `raw` of a SUPP-- are its qualifiers."""
    supplements = [name for name in raw if name.startswith("supp") and name[4:] in raw and name[4:] in LAYOUTS]
    headers = headers_of_files({name: domain for name, domain in raw.items() if name not in supplements})
    for name in supplements:
        rest = attach(raw[name[4:]], raw.pop(name), LAYOUTS[name[4:]], reading)
        if rest is not None:
            raw[name] = rest
            headers |= headers_of_files({name: rest})
    return headers


def _assemble(raw: dict[str, RawDomain], study: StudyDefinition, reading: Reading) -> TrialData:
    headers = _attached(raw, reading)
    recode(raw, study.sources.tables, reading)
    demographics = subjects.demographics(raw["dm"], reading) if "dm" in raw else []
    if not demographics:
        reading.findings.add(Finding("no-subjects", raw["dm"].place if "dm" in raw else "dm", expected="a DM with at least one subject"))
        raise InputError(reading.findings.errors())
    subjects.report_other_studies(raw, reading)
    rows, more_drugs = _treatment(raw, study, reading)
    rows |= _people(raw, demographics, rows, study, reading)
    rows |= _measures(raw, demographics, reading)
    rows |= _tumours(raw, rows["subject"], reading)
    _report_the_rest(raw, reading)
    _report_missing_facts(rows, study, reading.findings)
    tables = {name: pa.Table.from_pylist(part, schema=entity_schema(ENTITIES[name])) for name, part in rows.items()}
    tables, source = with_source_columns(tables, raw, headers, study, reading)
    about = parameters(raw.get("ts"), reading)
    told = DataFacts(list(sites(rows["subject"])), enrolled(rows["subject"]), about.data_cutoff, **source)
    return TrialData(
        study,
        study_tables(study, more_drugs, told) | tables,
        synthetic=about.synthetic,
        findings=reading.findings,
        data_cutoff=about.data_cutoff,
    )


def _treatment(raw: Mapping[str, RawDomain], study: StudyDefinition, reading: Reading) -> tuple[Rows, list[Drug]]:
    rows: Rows = {}
    more_drugs: list[Drug] = []
    if "ex" in raw:
        rows["dose"] = treatment.doses(raw["ex"], reading)
        more_drugs = treatment.unlisted_drugs(raw["ex"], rows["dose"], study, reading)
    if "cm" in raw:
        rows["therapy"] = treatment.therapies(raw["cm"], reading)
    if "ae" in raw:
        rows["adverse_event"] = treatment.adverse_events(raw["ae"], study, reading)
    return rows, more_drugs


def _people(raw: Mapping[str, RawDomain], demographics: list[Record], rows: Rows, study: StudyDefinition, reading: Reading) -> Rows:
    events = subjects.dispositions(raw.get("ds"), reading)
    _fill_dose_dates(demographics, rows.get("dose", []))
    people = subjects.subjects(raw["dm"], demographics, events, study, reading)
    known_alive: Contacts = contacts(raw, demographics, events, reading)
    for person in people:
        person["contacts"] = [{"source": source, "on": on} for source, on in sorted(known_alive.get(person["subject"], ()))]
        person["states"] = states(person)
    return {"patient": subjects.patients(demographics, reading), "consent": consents(people), "subject": people}


def _fill_dose_dates(demographics: list[Record], doses: list[dict[str, Any]]) -> None:
    """First and last dose from EX where DM does not say them; a dose that was not given is none."""
    starts: dict[str, list[str]] = {}
    ends: dict[str, list[str]] = {}
    for dose in doses:
        if dose["status"] != "not-done":
            if dose["start"] is not None:
                starts.setdefault(dose["subject"], []).append(dose["start"])
            if (last := dose["end"] or dose["start"]) is not None:
                ends.setdefault(dose["subject"], []).append(last)
    for record in demographics:
        record["first_dose_on"] = record["first_dose_on"] or min(starts.get(record["subject"], ()), default=None)
        record["last_dose_on"] = record["last_dose_on"] or max(ends.get(record["subject"], ()), default=None)


def _measures(raw: Mapping[str, RawDomain], demographics: list[Record], reading: Reading) -> Rows:
    body = measures.body_measures(raw["vs"], reading) if "vs" in raw else []
    vitals = measures.vital_signs(raw["vs"], body, reading) if "vs" in raw else []
    of_dm = measures.measures_of_dm(raw["dm"], demographics, body, measures.last_numbers(raw.get("vs")), reading)
    rows: Rows = {"body_measure": body + of_dm} if body or of_dm or "vs" in raw else {}
    if "vs" in raw:
        rows["vital_sign"] = vitals
    if "qs" in raw:
        rows["performance_status"] = measures.performance(raw["qs"], reading)
    if "lb" in raw:
        rows["laboratory"] = laboratory_results(raw["lb"], reading)
    return rows


def _tumours(raw: Mapping[str, RawDomain], people: list[dict[str, Any]], reading: Reading) -> Rows:
    rows: Rows = {}
    lesions = identified(raw["tu"], reading) if "tu" in raw else Lesions()
    if "tr" in raw:
        starts = {person["subject"]: person["first_dose_on"] or person["enrolled_on"] for person in people}
        rows["measurement"], rows["sum_of_diameters"] = measurements(raw["tr"], lesions, starts, reading)
    if "tu" in raw or "tr" in raw:
        rows["lesion"] = list(lesions.rows.values())
    if "rs" in raw:
        rows["response"] = responses(raw["rs"], reading)
        link_responses(rows["response"], rows.get("measurement", []), rows.get("sum_of_diameters", []))
    return rows


def _report_the_rest(raw: Mapping[str, RawDomain], reading: Reading) -> None:
    """What the files hold and the tables do not: variables, relations, and whole domains."""
    if "relrec" in raw:
        report_relations(raw["relrec"], reading)
    for name, domain in raw.items():
        of_known = name.startswith("supp") and name[4:] in LAYOUTS and name[4:] in raw
        if not of_known:
            report_uncarried(domain, LAYOUTS.get(name), reading)
        if name in CONTACTS and name not in LAYOUTS:
            effect = "its dates are read; the rows of subjects that DM has are kept"
            reading.report("no-table", domain, found=f"{len(domain)} rows", severity="information", effect=effect)


def _has(rows: Rows, entity: str, field: str, value: Any = None) -> bool:
    return any(r.get(field) is not None and value in (None, r[field]) for r in rows.get(entity, ()))


def _report_missing_facts(rows: Rows, study: StudyDefinition, findings: Findings) -> None:
    """Facts that endpoints use and the data lacks as a whole: expected by the study, or not."""
    expected = study.sources.expected_missing
    facts = {
        "grade": ("adverse_event", "AETOXGR", _has(rows, "adverse_event", "grade")),
        "bsa": ("dose", "VSTESTCD=BSA, EXBSA", _has(rows, "dose", "bsa_used") or _has(rows, "body_measure", "test", "bsa")),
        "ecog": ("performance_status", "QSTESTCD=ECOG101", _has(rows, "performance_status", "score")),
    }
    for name, (entity, variable, present) in facts.items():
        if not present and (name in expected or rows.get(entity)):
            severity: Literal["information", "warning"] = "information" if name in expected else "warning"
            findings.add(Finding("fact-missing", entity, field=variable, severity=severity, effect=expected.get(name)))
