"""The code tables that a study's owner keeps as CSV beside the study file: `studies/NAME/*.csv` for `studies/NAME.yaml`.

The first column is the variable whose text is looked up. A column `to` gives that variable's value, every other column the value of the
variable that it names: `AEREL,to` turns a sponsor's words into the study's, `LBLOINC,LBTESTCD,LBTEST` says which test a LOINC code is.
`odm-items.csv` has the columns of `OdmItem`: item, domain, variable, and where needed group, test and unit. Trial data may stand in a
folder of that name too: a file that begins with STUDYID is a domain, and no table.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from fhir_trial.domain.study import CodeTable, OdmItem, StudyDefinition
from fhir_trial.errors import Finding, InputError

ODM_ITEMS = "odm-items.csv"
_ITEM_COLUMNS = ("item", "domain", "variable", "group", "test", "unit")


def with_tables(study: StudyDefinition, study_file: Path) -> StudyDefinition:
    """The study with the tables of the folder beside its file; `InputError` with every finding where one cannot be used."""
    folder = study_file.with_suffix("")
    if not folder.is_dir():
        return study
    findings: list[Finding] = []
    tables: list[CodeTable] = []
    items: list[OdmItem] = []
    for path in sorted(folder.glob("*.csv")):
        if _is_domain(path):
            continue
        lines = list(_lines(path, findings))
        if path.name == ODM_ITEMS:
            items += _items(path.name, lines, findings)
        elif lines:
            tables += _table(path.name, lines, findings)
    if findings:
        raise InputError(findings)
    sources = replace(study.sources, tables=(*study.sources.tables, *tables), odm_items=(*study.sources.odm_items, *items))
    return replace(study, sources=sources)


def _is_domain(path: Path) -> bool:
    with path.open("rb") as file:
        return file.readline(20).removeprefix(b"\xef\xbb\xbf").upper().startswith((b"STUDYID,", b'"STUDYID",'))


def _lines(path: Path, findings: list[Finding]) -> Iterator[tuple[int, list[str]]]:
    """The header as row 0 and the rows by number, cells trimmed."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        lines = [[cell.strip() for cell in line] for line in csv.reader(io.StringIO(text, newline=""), strict=True)]
    except (UnicodeDecodeError, csv.Error) as error:
        findings.append(Finding("not-csv", path.name, expected=f"CSV in UTF-8 with commas ({type(error).__name__})"))
        return
    if not lines or len(lines[0]) < 2 or not all(lines[0]) or len(set(lines[0])) != len(lines[0]):
        findings.append(Finding("not-a-code-table", path.name, expected="a header of two different columns or more, separated by commas"))
        return
    for number, line in enumerate(lines):
        if len(line) == len(lines[0]):
            yield number, line
        elif any(line):
            findings.append(Finding("ragged-row", path.name, row=number, found=f"{len(line)} cells", expected=f"{len(lines[0])} cells"))


def _table(place: str, lines: list[tuple[int, list[str]]], findings: list[Finding]) -> Iterator[CodeTable]:
    variable, *targets = (name.upper() for name in lines[0][1])
    values: dict[str, dict[str, str]] = {}
    for number, (key, *cells) in lines[1:]:
        if not key:
            findings.append(Finding("missing-value", place, row=number, field=variable, expected="a text of the data"))
        elif key.upper() in values:
            findings.append(Finding("duplicate-key", place, row=number, field=variable, found=key, expected="each text once"))
        values[key.upper()] = {variable if name == "TO" else name: cell for name, cell in zip(targets, cells, strict=True) if cell}
    yield CodeTable(variable=variable, values=values)


def _items(place: str, lines: list[tuple[int, list[str]]], findings: list[Finding]) -> Iterator[OdmItem]:
    header = [name.lower() for name in lines[0][1]] if lines else []
    if missing := [name for name in _ITEM_COLUMNS[:3] if name not in header]:
        findings.append(Finding("missing-column", place, field=missing[0], expected=f"the columns {', '.join(_ITEM_COLUMNS)}"))
        return
    if unknown := set(header) - set(_ITEM_COLUMNS):
        findings.append(Finding("unknown-column", place, field=min(unknown), expected=f"the columns {', '.join(_ITEM_COLUMNS)}"))
        return
    for number, cells in lines[1:]:
        row = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
        if blank := [name for name in _ITEM_COLUMNS[:3] if name not in row]:
            findings.append(Finding("missing-value", place, row=number, field=blank[0], expected="a value"))
        else:
            yield OdmItem(**row)
