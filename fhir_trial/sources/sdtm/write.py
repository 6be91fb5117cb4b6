"""The trial's tables as SDTM files."""

import heapq
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fhir_trial.domain.study import StudyDefinition
from fhir_trial.domain.tables import TrialData
from fhir_trial.sources.sdtm.contacts import day_of
from fhir_trial.sources.sdtm.datasets import Line, Table, write_datasets
from fhir_trial.sources.sdtm.headers import Headers, headers_of_study
from fhir_trial.sources.sdtm.layouts import AE, CM, CONTACTS, DM, DS, EX, LB, QS, RS, TR, TU, VS, Layout
from fhir_trial.sources.sdtm.lines import Written, written
from fhir_trial.sources.sdtm.relations import relations
from fhir_trial.sources.sdtm.summary import summary_lines
from fhir_trial.sources.sdtm.whole_rows import whole_lines


def write_sdtm(data: TrialData, folder: Path, form: str = "csv") -> dict[Path, int]:
    """Write each domain that `data` has as a file in `folder`; the paths with their numbers of rows. A file is replaced as a whole.

    `form` is csv, parquet, xpt, dataset-json or dataset-ndjson. What was read is written: `read_sdtm` of the folder gives the same tables.
    A value that no term of SDTM says goes to the data's findings.
    """
    return write_datasets(sdtm_lines(data), folder, data.study.id, form)


def sdtm_lines(data: TrialData) -> dict[str, Table]:
    """Header and lines of each file that the source had, and of what the tables have beside.

    For data that came from no SDTM a domain whose table is there and empty is a header alone.
    """
    studies = data.table("study").to_pylist()
    headers = headers_of_study(studies[0]) if studies else Headers()
    rows = {name: data.table(name).to_pylist() for name in (*(entity for _, part in _DOMAINS.values() for entity in part), "patient")}
    lines = _of_tables(rows, headers, data)
    _whole(studies, rows["subject"], data, lines)
    _contacts(rows["subject"], data.study, lines)
    if headers:
        lines |= {name: [headers.fitted(name, line) for line in lines[name]] for name in headers}
    else:
        lines["relrec"] += relations(data.study.id, lines)
        for domain in (domain for domain, (_, entities) in _DOMAINS.items() if any(entity in data.tables for entity in entities)):
            lines[domain].append(_needed(domain))
    whole = {name: (headers.order(name, part), [line for line in part if _says_something(line)]) for name, part in lines.items()}
    return {name: table for name, table in whole.items() if table[0]}


def _needed(domain: str) -> Line:
    """A line without values, of the variables that a file of the domain must have to be read."""
    layout = _DOMAINS[domain][0]
    needed = [column.variable for column in layout.columns if column.required or column.without] + [group[0] for group in layout.needs]
    return dict.fromkeys(("STUDYID", "DOMAIN", "USUBJID", *needed), "")


def _says_something(line: Line) -> bool:
    """Whether a line has a value; a qualifier without one was not in the source."""
    return any(line.values()) and ("QNAM" not in line or bool(line.get("QVAL")))


def _of_tables(rows: Mapping[str, list[dict[str, Any]]], headers: Headers, data: TrialData) -> dict[str, list[Line]]:
    """The lines of the tables by file, in the order of their rows; tables that are one domain are joined by subject and number."""
    lines: dict[str, list[Line]] = defaultdict(list)
    for domain, (_, entities) in _DOMAINS.items():
        parts = []
        for entity in dict.fromkeys(entities):
            of_entity = [
                one
                for one in written({name: rows[name] for name in (entity, "patient")}, data.study, headers, data.findings)
                if one.domain.removeprefix("supp") == domain
            ]
            parts.append([_as_it_stood(one) for one in of_entity if one.domain == domain])
            lines[f"supp{domain}"] += [_as_it_stood(one) for one in of_entity if one.domain != domain]
        lines[domain] = list(heapq.merge(*parts, key=partial(_place, f"{domain.upper()}SEQ")))
    return lines


def _place(number: str, line: Line) -> tuple[str, int]:
    text = line.get(number, "")
    return line["USUBJID"], int(text) if text.isdigit() else 0


def _whole(studies: list[dict[str, Any]], subjects: list[dict[str, Any]], data: TrialData, lines: dict[str, list[Line]]) -> None:
    """The rows that no table is made of, those of the study before those of its subjects."""
    keys: Line = {"STUDYID": data.study.id}
    for study in studies:
        for name, line in whole_lines(study["source_columns"], keys):
            lines[name].append(line)
    for record in subjects:
        for name, line in whole_lines(record["source_columns"], keys | {"USUBJID": record["subject"]}):
            lines[name].append(line)
    lines["ts"] = summary_lines(data, lines.get("ts", ()))


def _as_it_stood(one: Written) -> Line:
    """The line with the columns of its source's row laid over it; a column that was blank there is blank."""
    over = {column["name"]: column["value"] or "" for column in one.columns if column["record"] == one.record}
    return one.line | {str(name): value for name, value in over.items()}


_DOMAINS: dict[str, tuple[Layout, tuple[str, ...]]] = {
    "dm": (DM, ("subject",)),
    "ds": (DS, ("subject",)),
    "ex": (EX, ("dose",)),
    "cm": (CM, ("therapy",)),
    "ae": (AE, ("adverse_event",)),
    "vs": (VS, ("body_measure", "vital_sign")),
    "qs": (QS, ("performance_status",)),
    "lb": (LB, ("laboratory",)),
    "tu": (TU, ("lesion",)),
    "tr": (TR, ("measurement", "sum_of_diameters")),
    "rs": (RS, ("response",)),
}
"""Domains and the entities whose tables they hold."""


def _contacts(subjects: list[dict[str, Any]], study: StudyDefinition, lines: dict[str, list[Line]]) -> None:
    """The dates on which a subject was seen alive and that no other row of the domain has."""
    seen = {
        domain: {(line["USUBJID"], day_of(line[name])) for line in lines.get(domain, ()) for name in variables if name in line}
        for domain, variables in CONTACTS.items()
    }
    for record in subjects:
        for contact in record["contacts"] or ():
            domain = contact["source"].lower()
            if domain in CONTACTS and (record["subject"], contact["on"]) not in seen[domain]:
                line = {"STUDYID": study.id, "DOMAIN": domain.upper(), "USUBJID": record["subject"], CONTACTS[domain][0]: contact["on"]}
                lines[domain].append(line)
