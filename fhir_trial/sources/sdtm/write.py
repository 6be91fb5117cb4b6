"""The trial's tables as SDTM files."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from fhir_trial.domain.study import StudyDefinition
from fhir_trial.domain.tables import TrialData
from fhir_trial.sources.sdtm.datasets import Line, Table, write_datasets
from fhir_trial.sources.sdtm.layouts import AE, CM, CONTACTS, DM, DS, EX, LB, QS, RS, TR, TU, VS, Layout
from fhir_trial.sources.sdtm.lines import Written, written
from fhir_trial.sources.sdtm.relations import relations
from fhir_trial.sources.sdtm.summary import CUTOFF, SYNTHETIC


def write_sdtm(data: TrialData, folder: Path, form: str = "csv") -> list[Path]:
    """Write each domain that `data` has as a file in `folder`, and return the paths; a file is replaced as a whole.

    `form` is csv, parquet, xpt, dataset-json or dataset-ndjson. What was read is written: `read_sdtm` of the folder gives the same tables.
    A value that no term of SDTM says goes to the data's findings.
    """
    return write_datasets(sdtm_lines(data), folder, data.study.id, form)


def sdtm_lines(data: TrialData) -> dict[str, Table]:
    """Header and lines of each domain; a domain whose table is there and empty is a header alone."""
    lines: dict[str, list[Line]] = defaultdict(list)
    _summary(data, lines)
    rows = {name: data.table(name).to_pylist() for name in (*(entity for _, part in _DOMAINS.values() for entity in part), "patient")}
    for one in written(rows, data.study, data.findings):
        lines[one.domain].append(_as_it_stood(one))
    _contacts(rows["subject"], data.study, lines)
    if related := relations(data.study.id, lines):
        lines["relrec"] = related
    for domain, (layout, entities) in _DOMAINS.items():
        if any(entity in data.tables for entity in entities):
            needed = [column.variable for column in layout.columns if column.required or column.without] + [
                group[0] for group in layout.needs
            ]
            lines[domain].append(dict.fromkeys(("STUDYID", "DOMAIN", "USUBJID", *needed), ""))
    whole = {}
    for domain, part in lines.items():
        header = list(dict.fromkeys(name for line in part for name in line))
        whole[domain] = (header, [line for line in part if any(line.values())])
    return whole


def _as_it_stood(one: Written) -> Line:
    """The line with the columns of its source's row laid over it; a column that was blank there is blank."""
    over = {column["name"]: column["value"] or "" for column in one.columns or () if column["record"] == one.record}
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


def _summary(data: TrialData, lines: dict[str, list[Line]]) -> None:
    told = {SYNTHETIC: ("Synthetic Data", "Y" if data.synthetic else None), CUTOFF: ("Data Cutoff Date", data.data_cutoff)}
    for code, (name, value) in told.items():
        if value is not None:
            line = {"STUDYID": data.study.id, "DOMAIN": "TS", "TSSEQ": "1", "TSPARMCD": code, "TSPARM": name, "TSVAL": value}
            lines["ts"].append(line)


def _contacts(subjects: list[dict[str, Any]], study: StudyDefinition, lines: dict[str, list[Line]]) -> None:
    """The dates on which a subject was seen alive and that no other row of the domain has."""
    seen = {
        domain: {(line["USUBJID"], line[name][:10]) for line in lines.get(domain, ()) for name in variables if name in line}
        for domain, variables in CONTACTS.items()
    }
    for record in subjects:
        for contact in record["contacts"] or ():
            domain = contact["source"].lower()
            if domain in CONTACTS and (record["subject"], contact["on"]) not in seen[domain]:
                line = {"STUDYID": study.id, "DOMAIN": domain.upper(), "USUBJID": record["subject"], CONTACTS[domain][0]: contact["on"]}
                lines[domain].append(line)
