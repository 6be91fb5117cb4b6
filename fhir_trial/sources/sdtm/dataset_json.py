"""Dataset-JSON 1.1 (CDISC): one data set a file, as one JSON object or as NDJSON with its metadata in the first line."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from fhir_trial.errors import Finding, Findings, InputError
from fhir_trial.fhir.json import decode, encode
from fhir_trial.sources.sdtm.variables import dataset_label, is_number, variable_label

VERSION = "1.1.0"
_NEEDED = ("datasetJSONVersion", "itemGroupOID", "records", "name", "label", "columns")
NOT_READ = "the file is not read"


def is_dataset(path: Path) -> bool:
    """Whether a .json or .ndjson file begins as Dataset-JSON does, and not as FHIR; its first 64 kB are looked at."""
    with path.open("rb") as file:
        return b'"datasetJSONVersion"' in file.read(65536)


def read_dataset(path: Path, findings: Findings) -> tuple[list[str], list[list[Any]], list[int]] | None:
    """Column names, rows and their numbers in the file; None with a finding where the file is no Dataset-JSON 1.1.

    A row that has not one value a column is left out with a finding; so is a number of rows that differs from the one stated.
    """
    try:
        about, rows = _lines(path) if path.suffix.lower() == ".ndjson" else _document(path)
    except InputError as error:
        findings.extend(error.findings)
        return None
    problem = _problem(about)
    if problem is not None:
        member, found, expected = problem
        findings.add(Finding("not-dataset-json", path.name, field=member, found=found, expected=expected, effect=NOT_READ))
        return None
    names = [column["name"] for column in about["columns"]]
    whole, numbers = [], []
    for number, row in enumerate(rows, 1):
        if isinstance(row, list) and len(row) == len(names) and not any(isinstance(value, list | dict) for value in row):
            whole.append(row)
            numbers.append(number)
        else:
            found = f"{len(row)} values" if isinstance(row, list) else type(row).__name__
            expected = f"an array of {len(names)} values, as there are columns"
            findings.add(Finding("ragged-row", path.name, row=number, found=found, expected=expected, effect="the row is left out"))
    if about["records"] != len(rows):
        findings.add(Finding("records-missing", path.name, field="records", found=f"{len(rows)} rows", expected=f"{about['records']} rows"))
    return names, whole, numbers


def _document(path: Path) -> tuple[Any, Sequence[Any]]:
    about = decode(path.read_bytes(), path.name)
    rows = about.get("rows", []) if isinstance(about, dict) else []
    return about, rows if isinstance(rows, list) else [rows]


def _lines(path: Path) -> tuple[Any, Sequence[Any]]:
    lines = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    values, bad = [], []
    for number, line in enumerate(lines):
        try:
            values.append(decode(line, path.name))
        except InputError as error:
            bad += [Finding(f.code, f.place, number or None, expected=f.expected, effect=NOT_READ) for f in error.findings]
    if bad or not values:
        raise InputError(bad or [Finding("empty-file", path.name, expected="metadata and rows", effect=NOT_READ)])
    return values[0], values[1:]


def _problem(about: Any) -> tuple[str | None, str | None, str] | None:
    """What keeps the metadata from being read, as field, found and expected."""
    if not isinstance(about, dict):
        return None, type(about).__name__, "an object with datasetJSONVersion, records, columns"
    if missing := [name for name in _NEEDED if name not in about]:
        return missing[0], None, f"the required {', '.join(missing)} of Dataset-JSON 1.1"
    version, columns = about["datasetJSONVersion"], about["columns"]
    if not isinstance(version, str) or not (version == "1.1" or version.startswith("1.1.")):
        return "datasetJSONVersion", str(version), "1.1"
    if not isinstance(about["records"], int):
        return "records", str(about["records"]), "a number of rows"
    names = [column.get("name") if isinstance(column, dict) else None for column in columns] if isinstance(columns, list) else [None]
    if not all(isinstance(name, str) and name for name in names):
        return "columns", None, "an array of columns, each with a name"
    return None


def write_dataset(path: Path, study: str, header: Sequence[str], lines: Sequence[dict[str, str]], created: dt.datetime) -> None:
    """Write a data set of text cells; numeric variables are whole numbers or exact decimals (text, target type decimal)."""
    dataset = path.stem.lower()
    columns = [_column(dataset, name, [line.get(name, "") for line in lines]) for name in header]
    about = {
        "datasetJSONCreationDateTime": created.isoformat(timespec="seconds"),
        "datasetJSONVersion": VERSION,
        "originator": "fhir_trial",
        "studyOID": study,
        "itemGroupOID": f"IG.{dataset.upper()}",
        "records": len(lines),
        "name": dataset.upper(),
        "label": dataset_label(dataset),
        "columns": columns,
    }
    integers = frozenset(column["name"] for column in columns if column["dataType"] == "integer")
    rows = ([_cell(line.get(name), name in integers) for name in header] for line in lines)
    with path.open("wb") as file:
        file.writelines(_as_lines(about, rows) if path.suffix == ".ndjson" else _as_object(about, rows))


def _column(dataset: str, name: str, texts: Iterable[str]) -> dict[str, Any]:
    known = [text for text in texts if text]
    column = {"itemOID": f"IT.{dataset.upper()}.{name}", "name": name, "label": variable_label(dataset, name)}
    if not is_number(dataset, name, known):
        return column | {"dataType": "string", "length": max((len(text) for text in known), default=1)}
    if all(_is_integer(text) for text in known):
        return column | {"dataType": "integer"}
    return column | {"dataType": "decimal", "targetDataType": "decimal"}


def _is_integer(text: str) -> bool:
    value = Decimal(text)
    return value == value.to_integral_value() and abs(value) < 2**53


def _cell(text: str | None, is_integer: bool) -> str | int | None:
    return None if not text else int(Decimal(text)) if is_integer else text


def _as_lines(about: dict[str, Any], rows: Iterable[list[Any]]) -> Iterator[bytes]:
    yield encode(about) + b"\n"
    for row in rows:
        yield encode(row) + b"\n"


def _as_object(about: dict[str, Any], rows: Iterable[list[Any]]) -> Iterator[bytes]:
    yield encode(about)[:-1] + b',"rows":['
    for number, row in enumerate(rows):
        yield (b",\n" if number else b"\n") + encode(row)
    yield b"\n]}\n"
