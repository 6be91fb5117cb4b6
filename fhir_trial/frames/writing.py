"""A view's rows to a file, batch by batch: .csv, .ndjson or .parquet by the file's name; memory stays flat whatever the size."""

import csv
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Unpack

import pyarrow as pa

from fhir_trial.domain.decimals import without_padding
from fhir_trial.errors import Finding, Findings, UsageError
from fhir_trial.fhir.json import encode
from fhir_trial.fhir.versions import DEFAULT
from fhir_trial.frames.run import Run, RunOptions
from fhir_trial.frames.views import AnyView

_GROUP_ROWS = 65_536
"""Rows of a Parquet row group, unless the source ends before."""
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def write_view(view: AnyView, source: Any, out: str | Path, fhir: str = DEFAULT, **options: Unpack[RunOptions]) -> int:
    """Write the rows of a view over a source to `out` and give their number; `view`, `source` and the options as `run_view` takes them.

    Parquet keeps the column types. CSV: null is an empty cell, a list its JSON, decimals have no padding zeros, and a text that a
    spreadsheet would run as a formula (it begins with = + - @, tab or return and is no number) gets a ' before it, with a finding; NDJSON
    and Parquet keep such text as it is. The file appears whole or not at all. Raises `UsageError` for another file name, or where no file
    can be of that name.
    """
    path = Path(out)
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise UsageError(f"a view is written to {', '.join(_WRITERS)}, not to {path.name}")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} to write {path.name} into")
    if path.is_dir():
        raise UsageError(f"{path} is a folder, expected a file to write")
    run = Run(view, source, fhir, **options)
    schema = run.runner.schema
    part = path.with_name(f".{path.name}.part")
    try:
        rows = writer(part, schema, run.batches(), run.findings)
        part.replace(path)
    except OSError as error:
        if error.filename != str(part):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # the other name is ours
    finally:
        part.unlink(missing_ok=True)
    return rows


def _write_parquet(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch], findings: Findings) -> int:
    import pyarrow.parquet as pq  # takes long to load, and most views are not written to Parquet

    rows, waiting, held = 0, [], 0
    with pq.ParquetWriter(path, schema) as writer:
        for batch in batches:
            waiting.append(batch)
            held += batch.num_rows
            if held >= _GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(waiting))
                rows, waiting, held = rows + held, [], 0
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))
    return rows + held


def _write_ndjson(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch], findings: Findings) -> int:
    rows = 0
    with path.open("wb") as stream:
        for batch in batches:
            stream.writelines(encode(_plain(row)) + b"\n" for row in batch.to_pylist())
            rows += batch.num_rows
    return rows


def _write_csv(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch], findings: Findings) -> int:
    rows = 0
    neutralised = dict.fromkeys(schema.names, 0)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(schema.names)
        for batch in batches:
            columns = [[_cell(value) for value in column.to_pylist()] for column in batch.columns]
            for name, cells in zip(schema.names, columns, strict=True):
                neutralised[name] += _neutralise(cells)
            writer.writerows(zip(*columns, strict=True))
            rows += batch.num_rows
    for name, count in neutralised.items():
        if count:
            effect = f"{count} cells have a ' before them"
            findings.add(Finding("formula-text", f"column {name}", expected="text, not a formula", severity="information", effect=effect))
    return rows


def _neutralise(cells: list[str]) -> int:
    """Put a ' before what a spreadsheet would run; how many cells that were."""
    count = 0
    for i, cell in enumerate(cells):
        if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
            cells[i] = f"'{cell}"
            count += 1
    return count


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return encode(_plain(value)).decode()


def _plain(value: Any) -> Any:
    """Decimals without the column's padding zeros."""
    if isinstance(value, Decimal):
        return without_padding(value)
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


_Writer = Callable[[Path, pa.Schema, Iterator[pa.RecordBatch], Findings], int]
_WRITERS: dict[str, _Writer] = {".csv": _write_csv, ".ndjson": _write_ndjson, ".parquet": _write_parquet}
