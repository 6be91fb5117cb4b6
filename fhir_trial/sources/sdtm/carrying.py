"""Columns of the source that no field holds as they stood there: kept with their row, so that SDTM comes back equal.

What a row's fields would be written as is laid beside the source's own row, and each difference is kept. Only variables that SDTMIG 3.4 has
for the domain and general timing variables are kept; a sponsor's own columns and names of people are not.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from fhir_trial.domain.entities import ENTITIES
from fhir_trial.domain.study import StudyDefinition
from fhir_trial.domain.tables import entity_schema
from fhir_trial.errors import Findings
from fhir_trial.sources.sdtm.files import Cells, RawDomain
from fhir_trial.sources.sdtm.lines import Written, written
from fhir_trial.sources.sdtm.rows import Reading
from fhir_trial.sources.sdtm.values import TEXT, format_decimal, is_text, parse_decimal
from fhir_trial.sources.sdtm.variables import is_carried, variables

_RESULT = ("ORRES", "ORRESU", "STRESC", "STRESN", "STRESU")
COLUMNS = "source_columns"
_KEY = frozenset({"STUDYID", "DOMAIN", "USUBJID"})


def with_source_columns(
    tables: dict[str, pa.Table], raw: Mapping[str, RawDomain], study: StudyDefinition, reading: Reading
) -> dict[str, pa.Table]:
    """The tables with each row's source columns; rows that no number tells apart are counted and keep none."""
    rows = {name: table.to_pylist() for name, table in tables.items() if COLUMNS in table.column_names}
    for part in rows.values():
        for row in part:
            row[COLUMNS] = []
    by_domain: dict[str, list[Written]] = defaultdict(list)
    for line in written(rows | {name: table.to_pylist() for name, table in tables.items() if name == "patient"}, study, Findings()):
        if line.columns is not None and line.domain in raw:
            by_domain[line.domain].append(line)
    for domain, lines in by_domain.items():
        _compare(raw[domain], lines, reading)
    return tables | {name: _replaced(tables[name], name, part) for name, part in rows.items()}


def _replaced(table: pa.Table, entity: str, rows: list[dict[str, Any]]) -> pa.Table:
    field = entity_schema(ENTITIES[entity]).field(COLUMNS)
    columns = pa.array([row[COLUMNS] for row in rows], type=field.type)
    return table.set_column(table.column_names.index(COLUMNS), field, columns)


def _compare(raw: RawDomain, lines: list[Written], reading: Reading) -> None:
    domain = raw.name
    at = _places(raw)
    known = sorted(name for name in raw.variables if is_carried(domain, name) and name not in _KEY and name != f"{domain.upper()}SEQ")
    columns: list[tuple[str, bool, Cells]] = [(name, _is_number(domain, name), raw.column(name)) for name in known]
    results = {f"{domain.upper()}{suffix}" for suffix in _RESULT}
    places = [at.get(_key_of(domain, line.line)) for line in lines]
    # Of a row that several source rows make up all are carried, or none: half of them might no longer make it up.
    halves = {id(line.columns) for line, index in zip(lines, places, strict=True) if index is None}
    unplaced = 0
    unread: dict[str, list[int]] = {}
    for line, index in zip(lines, places, strict=True):
        if index is None or (domain != "ds" and id(line.columns) in halves):
            unplaced += 1
            continue
        differing: dict[str, str | None] = {}
        for name, numeric, cells in columns:
            text, made = cells[index], line.line.get(name)
            if text is not None and not is_text(text):
                unread.setdefault(name, []).append(raw.rows[index])
            elif text != made and not (numeric and _same_number(text, made)):
                differing[name] = _as_number(text) if numeric else text
        if not results.isdisjoint(differing):
            # A result and its unit belong together: where one stands as in the source, so does the other, blank as it may be.
            differing |= {name: None for name in results & line.line.keys() if not raw.has(name)}
        if line.columns is not None:
            line.columns.extend({"record": line.record, "name": name, "value": differing[name]} for name in sorted(differing))
    for name, rows in unread.items():
        effect = f"the cell is not carried; {len(rows)} rows"
        reading.report("invalid-text", raw, rows[0], name, expected=TEXT.expected, severity="warning", effect=effect)
    if unplaced and domain != "dm":
        reading.report(
            "columns-not-carried", raw, found=f"{unplaced} rows", expected=f"a {domain.upper()}SEQ that a subject has once",
            severity="information", effect="of these rows only what the tables have fields for is carried",
        )  # fmt: skip


Key = tuple[str | None, ...]


def _places(raw: RawDomain) -> dict[Key, int]:
    """The row of each subject, number and test; none where two rows have the same number."""
    if raw.name == "dm":
        return {(subject, None, None): index for index, subject in enumerate(raw.column("USUBJID"))}
    prefix = raw.name.upper()
    numbers = list(zip(raw.column("USUBJID"), map(_plain, raw.column(f"{prefix}SEQ")), strict=True))
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


def _plain(text: str | None) -> str | None:
    """`1.0` as `1`: statistical software writes whole numbers so."""
    return text[:-2] if text is not None and text.endswith(".0") else text


def _is_number(domain: str, name: str) -> bool:
    known = variables().get((domain, name)) or variables().get(("vs", name))
    return known is not None and known.type == "number"


def _as_number(text: str | None) -> str | None:
    """A number as every format gives it back: `1E2` as `100`."""
    try:
        return None if text is None else format_decimal(parse_decimal(text))
    except ValueError:
        return text


def _same_number(text: str | None, made: str | None) -> bool:
    try:
        return text is not None and made is not None and Decimal(text) == Decimal(made)
    except InvalidOperation:
        return False
