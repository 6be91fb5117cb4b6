"""Columns of the source that no field holds as they stood there: kept with their row, so that SDTM comes back equal.

What a row's fields would be written as is laid beside the source's own row, and each difference is kept. Only variables that SDTMIG 3.4 has
for the domain, general timing variables and supplemental qualifiers are kept; a sponsor's own columns and names of people are not.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from fhir_trial.domain.entities import ENTITIES
from fhir_trial.domain.study import StudyDefinition
from fhir_trial.domain.tables import entity_schema
from fhir_trial.errors import Findings
from fhir_trial.sources.sdtm.datasets import Line
from fhir_trial.sources.sdtm.files import Cells, RawDomain
from fhir_trial.sources.sdtm.headers import Header, Headers, always_written, as_fields
from fhir_trial.sources.sdtm.layouts import LAYOUTS
from fhir_trial.sources.sdtm.lines import Written, written
from fhir_trial.sources.sdtm.qualifiers import Parents, carry_qualifiers, plain_number
from fhir_trial.sources.sdtm.rows import Reading
from fhir_trial.sources.sdtm.values import is_text
from fhir_trial.sources.sdtm.variables import as_number, is_number
from fhir_trial.sources.sdtm.whole_rows import kept_rows

_ORIGINAL, _STANDARD = ("ORRES", "ORRESU"), ("STRESC", "STRESN", "STRESU")
COLUMNS = "source_columns"
_KEY = frozenset({"STUDYID", "DOMAIN", "USUBJID"})


def with_source_columns(
    tables: dict[str, pa.Table], raw: Mapping[str, RawDomain], headers: Headers, study: StudyDefinition, reading: Reading
) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    """The tables with each row's source columns, and the study's own: its files and the rows that are of no subject.

    Rows that no number tells apart are counted and keep none.
    """
    rows = {name: table.to_pylist() for name, table in tables.items() if COLUMNS in table.column_names}
    for part in rows.values():
        for row in part:
            row[COLUMNS] = []
    by_domain: dict[str, list[Written]] = defaultdict(list)
    everyone = rows | {name: table.to_pylist() for name, table in tables.items() if name == "patient"}
    for line in written(everyone, study, headers, Findings()):
        by_domain[line.domain].append(line)
    for domain in [name for name in LAYOUTS if name in raw]:
        parents = _compare(raw[domain], headers[domain], by_domain.get(domain, []), reading)
        if (supplement := raw.get(f"supp{domain}")) is not None:
            carry_qualifiers(supplement, by_domain.get(supplement.name, []), parents, headers[supplement.name], reading)
    whole = kept_rows(raw, {row["subject"] for row in rows.get("subject", ())}, reading)
    for row in rows.get("subject", ()):
        row[COLUMNS].extend(whole.get(row["subject"], ()))
    if _is_in_part("tr", raw, reading) and "tu" in by_domain and "tu" not in headers:
        # Without the rows that were left out TR alone might say otherwise which lesions there are: a TU is written for it.
        names = dict.fromkeys(name for line in by_domain["tu"] for name in line.line)
        headers = Headers({**headers, "tu": Header(tuple(names))})
    files = as_fields(_with_what_is_made(headers, by_domain))
    return tables | {name: _replaced(tables[name], name, part) for name, part in rows.items()}, files | {COLUMNS: whole.get(None, [])}


def _is_in_part(name: str, raw: Mapping[str, RawDomain], reading: Reading) -> bool:
    """Whether rows of a file were left out."""
    return name in raw and any(finding.place == raw[name].place for finding in reading.findings.errors())


def _with_what_is_made(headers: Headers, by_domain: Mapping[str, list[Written]]) -> Headers:
    """The headers with the variables, and files, that the rows would be written with and that the source has not."""
    made = Headers(headers)
    for domain in headers.keys() | by_domain.keys():
        header = headers.get(domain, Header())
        names = {name for line in by_domain.get(domain, ()) for name in line.line} | always_written(domain)
        made[domain] = replace(header, without=frozenset(names.difference(header.variables) if header.variables else ()))
    return made


def _replaced(table: pa.Table, entity: str, rows: list[dict[str, Any]]) -> pa.Table:
    field = entity_schema(ENTITIES[entity]).field(COLUMNS)
    columns = pa.array([row[COLUMNS] for row in rows], type=field.type)
    return table.set_column(table.column_names.index(COLUMNS), field, columns)


def _compare(raw: RawDomain, header: Header, lines: list[Written], reading: Reading) -> Parents:
    """Keep with each line what its row says otherwise; the lines whose row is found, by subject and number."""
    domain = raw.name
    at = _places(raw)
    known = sorted(name for name in header.variables if name not in _KEY and name != f"{domain.upper()}SEQ")
    columns: list[tuple[str, bool, Cells]] = [(name, is_number(domain, name, ()), raw.column(name)) for name in known]
    results = {f"{domain.upper()}{suffix}" for suffix in (*_ORIGINAL, *_STANDARD)}
    places = [at.get(_key_of(domain, line.line)) for line in lines]
    # Of a row that several source rows make up all are carried, or none: half of them might no longer make it up.
    halves = {id(line.columns) for line, index in zip(lines, places, strict=True) if index is None}
    unplaced = 0
    unread: dict[str, list[int]] = {}
    parents: Parents = {}
    for line, index in zip(lines, places, strict=True):
        if index is None or (domain != "ds" and id(line.columns) in halves):
            unplaced += 1
            line.columns.extend({"record": line.record, "name": name, "value": None} for name in _half_standard(domain, header, line.line))
            continue
        differing: dict[str, str | None] = {}
        for name, numeric, cells in columns:
            text, made = cells[index], line.line.get(name)
            if text is not None and not is_text(text):
                unread.setdefault(name, []).append(raw.rows[index])
            elif text != made and not (numeric and _same_number(text, made)):
                differing[name] = as_number(domain, name, text)
        if not results.isdisjoint(differing):
            # A result and its unit belong together: where one stands as in the source, so does the other, blank as it may be.
            differing |= {name: None for name in results & line.line.keys() if not raw.has(name)}
        line.columns.extend({"record": line.record, "name": name, "value": differing[name]} for name in sorted(differing))
        parents[line.line["USUBJID"], line.line.get(f"{domain.upper()}SEQ")] = line
    reading.report_cells(raw, unread)
    if unplaced and domain != "dm":
        reading.report(
            "columns-not-carried", raw, found=f"{unplaced} rows", expected=f"a {domain.upper()}SEQ that a subject has once",
            severity="information", effect="of these rows only what the tables have fields for is carried",
        )  # fmt: skip
    return parents


def _half_standard(domain: str, header: Header, line: Line) -> list[str]:
    """The standard result of a line whose file has no place for all of it, and has the original one: half a result would be read alone."""
    original, standard = ([f"{domain.upper()}{suffix}" for suffix in suffixes] for suffixes in (_ORIGINAL, _STANDARD))
    if not set(original) <= set(header.variables) or set(standard) & line.keys() <= set(header.variables):
        return []
    return sorted(set(standard) & line.keys())


Key = tuple[str | None, ...]


def _places(raw: RawDomain) -> dict[Key, int]:
    """The row of each subject, number and test; none where two rows have the same number."""
    if raw.name == "dm":
        return {(subject, None, None): index for index, subject in enumerate(raw.column("USUBJID"))}
    prefix = raw.name.upper()
    numbers = list(zip(raw.column("USUBJID"), map(plain_number, raw.column(f"{prefix}SEQ")), strict=True))
    times = Counter(numbers)
    tests = [None if text is None else text.upper() for text in raw.column(f"{prefix}TESTCD")]
    return {
        (*number, test): index
        for index, (number, test) in enumerate(zip(numbers, tests, strict=True))
        if times[number] == 1 and number[1] is not None
    }


def _key_of(domain: str, line: Mapping[str, str]) -> Key:
    prefix = domain.upper()
    test = line.get(f"{prefix}TESTCD")
    return line["USUBJID"], None if domain == "dm" else line.get(f"{prefix}SEQ"), None if test is None else test.upper()


def _same_number(text: str | None, made: str | None) -> bool:
    try:
        return text is not None and made is not None and Decimal(text) == Decimal(made)
    except InvalidOperation:
        return False
