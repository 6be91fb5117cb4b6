"""Data sets of text cells as files: CSV, Parquet, SAS transport version 5 and Dataset-JSON 1.1."""

import csv
import datetime as dt
import os
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fhir_trial.domain.arrow_types import DECIMAL
from fhir_trial.errors import UsageError
from fhir_trial.sources.sdtm.dataset_json import write_dataset
from fhir_trial.sources.sdtm.variables import is_number
from fhir_trial.sources.sdtm.xport import fitted, write_xport

Line = dict[str, str]
"""A row as SDTM variables."""

Table = tuple[list[str], list[Line]]
"""A data set's header and lines."""

_FLOAT_DIGITS = 15
"""As many digits as a binary float is sure to keep."""


def write_datasets(tables: Mapping[str, Table], folder: Path, study: str, form: str) -> dict[Path, int]:
    """Write each data set as `<name>.<ending>` in `folder`; the paths with their numbers of rows. A file is replaced as a whole.

    `form` is one of `FORMATS`; `UsageError` for another. What SAS transport cannot hold goes to supplemental qualifiers, or is an
    `InputError` before anything is written.
    """
    if form not in FORMATS:
        raise UsageError(f"there is no format {form}: one of {', '.join(FORMATS)}")
    ending, write = FORMATS[form]
    chosen = fitted(tables, study) if form == "xpt" else tables
    parts = folder / ".part"
    parts.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, (header, lines) in chosen.items():
        path = folder / f"{name}{ending}"
        part = parts / path.name
        write(part, study, header, lines)
        os.replace(part, path)
        paths[path] = len(lines)
    parts.rmdir()
    return paths


def _csv(path: Path, study: str, header: Sequence[str], lines: Sequence[Line]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def _parquet(path: Path, study: str, header: Sequence[str], lines: Sequence[Line]) -> None:
    columns = {name: _array(path.stem, name, [line.get(name) or None for line in lines]) for name in header}
    pq.write_table(pa.table(columns), path)


def _array(dataset: str, name: str, texts: list[str | None]) -> pa.Array:
    """Text, or numbers: doubles where they are exact, else decimals."""
    if not is_number(dataset, name, [text for text in texts if text is not None]):
        return pa.array(texts, pa.string())
    numbers: list[Any] = [None if text is None else Decimal(text) for text in texts]
    if all(number is None or len(number.as_tuple().digits) <= _FLOAT_DIGITS for number in numbers):
        return pa.array([None if number is None else float(number) for number in numbers], pa.float64())
    return pa.array(numbers, DECIMAL)


def _dataset_json(path: Path, study: str, header: Sequence[str], lines: Sequence[Line]) -> None:
    write_dataset(path, study, header, lines, dt.datetime.now(dt.UTC).replace(tzinfo=None))


FORMATS: dict[str, tuple[str, Callable[[Path, str, Sequence[str], Sequence[Line]], None]]] = {
    "csv": (".csv", _csv),
    "parquet": (".parquet", _parquet),
    "xpt": (".xpt", write_xport),
    "dataset-json": (".json", _dataset_json),
    "dataset-ndjson": (".ndjson", _dataset_json),
}
"""The formats by the name that a user gives: their file ending, and what writes one data set."""
