"""ODM's items as SDTM rows, by the study's own table of items; what the table lacks is listed and counted."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from fhir_trial.domain.study import OdmItem, StudyDefinition
from fhir_trial.domain.tables import TrialData
from fhir_trial.errors import Finding, Findings, UsageError
from fhir_trial.sources.odm import Item, read_odm
from fhir_trial.sources.sdtm.read import OnError, read_sdtm

Row = dict[str, str]


def read_odm_data(path: Path, study: StudyDefinition, on_error: OnError = "keep") -> TrialData:
    """The trial data of an ODM file; raises as `read_odm` and `read_sdtm` do, and `UsageError` for a study without a table of items."""
    file = read_odm(path)
    if not study.sources.odm_items:
        raise UsageError(f"study {study.id} says not where ODM's items stand in SDTM: give odm-items.csv in the folder beside its file")
    frames = odm_frames(file.items(), study, path.name, file.findings)
    data = read_sdtm(frames, study, on_error="keep")
    findings = Findings([*file.findings, *data.findings])
    if on_error == "refuse":
        findings.raise_errors()
    return TrialData(study, data.tables, synthetic=data.synthetic, findings=findings, data_cutoff=data.data_cutoff)


def odm_frames(items: Iterable[Item], study: StudyDefinition, place: str, findings: Findings) -> dict[str, pd.DataFrame]:
    """SDTM domains as DataFrames of text, with --SEQ in the order of the file."""
    places = {(i.group, i.item): i for i in study.sources.odm_items}
    unmapped: Counter[str] = Counter()
    records: dict[tuple[str, tuple[str, ...], str], list[tuple[Item, OdmItem]]] = {}
    people: dict[str, Row] = {}
    for item in items:
        # ODM of a data capture system has no arm: randomisation stands elsewhere.
        person = people.setdefault(item.subject, {"STUDYID": study.id, "DOMAIN": "DM", "USUBJID": item.subject, "ARM": ""})
        if item.site is not None:
            person.setdefault("SITEID", item.site)
        target = places.get((item.group, item.item)) or places.get((None, item.item))
        if target is None:
            unmapped[item.item] += 1
        elif target.domain.upper() == "DM":
            person[target.variable.upper()] = item.value
        else:
            records.setdefault((item.subject, item.record, target.domain.lower()), []).append((item, target))
    frames = {"dm": pd.DataFrame(list(people.values()))} if people else {}
    frames |= {domain: pd.DataFrame(rows) for domain, rows in _rows(records, study, unmapped).items()}
    if unmapped:
        found = ", ".join(f"{count} values of {name}" for name, count in unmapped.most_common())
        findings.add(
            Finding("unmapped-items", place, found=found, expected="an item of odm-items.csv", severity="warning", effect="not read")
        )
    return frames


def _rows(
    records: Mapping[tuple[str, tuple[str, ...], str], list[tuple[Item, OdmItem]]], study: StudyDefinition, unmapped: Counter[str]
) -> dict[str, list[Row]]:
    """A row a record, or one a test of it: values that belong to no test are those of every test of their record."""
    with_tests = {place.domain.lower() for place in study.sources.odm_items if place.test is not None}
    counts: Counter[tuple[str, str]] = Counter()
    rows: dict[str, list[Row]] = {}
    for (subject, _, domain), values in records.items():
        common = {place.variable.upper(): item.value for item, place in values if place.test is None}
        tests = list(dict.fromkeys(place.test for _, place in values if place.test is not None))
        if domain in with_tests and not tests:
            unmapped.update(item.item for item, _ in values)
            continue
        chosen: list[str | None] = [*tests] or [None]
        for test in chosen:
            counts[domain, subject] += 1
            visit = values[0][0].visit
            row = {"STUDYID": study.id, "DOMAIN": domain.upper(), "USUBJID": subject, f"{domain.upper()}SEQ": str(counts[domain, subject])}
            row |= ({"VISIT": visit} if visit is not None else {}) | common
            rows.setdefault(domain, []).append(row | ({} if test is None else _result(domain.upper(), test, values)))
    return rows


def _result(prefix: str, test: str, values: list[tuple[Item, OdmItem]]) -> Row:
    row = {f"{prefix}TESTCD": test}
    for item, place in values:
        if place.test == test:
            row[place.variable.upper()] = item.value
            if place.variable.upper() == f"{prefix}ORRES" and (unit := item.unit or place.unit) is not None:
                row[f"{prefix}ORRESU"] = unit
    return row
