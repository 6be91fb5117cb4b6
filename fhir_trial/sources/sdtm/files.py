"""SDTM files as raw domains: every value text or None, every unreadable file or row a finding."""

import codecs
import csv
import datetime as dt
import io
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fhir_trial.errors import Finding, Findings, UsageError, no_file
from fhir_trial.sources.sdtm.dataset_json import is_dataset, read_dataset
from fhir_trial.sources.sdtm.xport import read_xport

Cells = list[str | None]


@dataclass
class RawDomain:
    """One file's columns by upper-case variable, and for each row its 1-based number in the file; text is trimmed and never empty."""

    name: str
    place: str
    rows: list[int]
    raw: Mapping[str, Any] = field(repr=False)
    cells: dict[str, Cells] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    @property
    def variables(self) -> list[str]:
        """The variables, in the order of the file, supplemental ones after them."""
        return list(dict.fromkeys((*self.raw, *self.cells)))

    def column(self, variable: str) -> Cells:
        """A variable's text by row; nothing but None where the file lacks it. Columns nobody asks for are never converted."""
        if variable not in self.cells:
            if variable not in self.raw:
                return [None] * len(self)
            self.cells[variable] = _as_text(self.raw[variable])
        return self.cells[variable]

    def has(self, *variables: str) -> bool:
        """Whether the file has any of the variables."""
        return any(name in self.raw or name in self.cells for name in variables)

    def at(self, indices: list[int], variables: Iterable[str]) -> "RawDomain":
        """Some of the rows, with those of `variables` that the file has."""
        chosen = ((name, self.column(name)) for name in variables if self.has(name))
        cells = {name: [column[index] for index in indices] for name, column in chosen}
        return RawDomain(self.name, self.place, [self.rows[index] for index in indices], {}, cells)


def _as_text(values: Any) -> Cells:
    plain = values.tolist() if isinstance(values, pd.Series) else values.to_pylist() if isinstance(values, pa.ChunkedArray) else values
    memo = {value: cell_text(value) for value in {value for value in plain if type(value) is str}}
    return [memo[value] if type(value) is str else cell_text(value) for value in plain]


def cell_text(value: Any) -> str | None:
    """A cell as trimmed text, None where it is blank. A binary float is given the 15 digits it can hold.

    >>> cell_text(" CR "), cell_text(""), cell_text(0.1 + 0.2), cell_text(float("nan"))
    ('CR', None, '0.3', None)
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip() or None
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time(0) and value.tzinfo is None else value.isoformat(timespec="seconds")
    return value.isoformat() if isinstance(value, dt.date) else str(value).strip() or None


def _float_text(value: float) -> str | None:
    if math.isnan(value):
        return None
    return format(Decimal(format(value, ".15g")), "f") if math.isfinite(value) else str(value)


def read_folder(folder: Path, names: Mapping[str, str], findings: Findings) -> dict[str, RawDomain]:
    """The domains of a folder's files; `names` gives the file of a domain where it is not the domain's own name.

    Raises `UsageError` where there is no such folder or a file that `names` asks for by path is missing.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    files: dict[str, Path] = {}
    for path in sorted(p for p in folder.iterdir() if p.is_dir() and p.suffix.lower() in READERS):
        findings.add(Finding("not-a-file", path.name, found="a folder", expected=f"a file of {path.suffix} data", effect="it is not read"))
    for path in sorted(p for p in folder.iterdir() if p.is_file() and _is_data_set(p)):
        if (first := files.setdefault(path.stem.lower(), path)) != path:
            findings.add(Finding("ambiguous-file", path.name, expected=f"one file a domain; {first.name} is used and this one is not"))
    for domain, name in names.items():
        if (named := _named_file(folder, name)) is not None:
            files = {other: path for other, path in files.items() if not path.samefile(named)} | {domain: named}
    by_domain = _by_domain(files, names, findings)
    return {domain: raw for domain, path in by_domain.items() if (raw := read_file(domain, path, findings)) is not None}


def _is_data_set(path: Path) -> bool:
    """Whether a file's ending says that it is a data set; JSON may be anything, and is one where it says so or has a domain's name."""
    ending = path.suffix.lower()
    if ending not in (".json", ".ndjson"):
        return ending in READERS
    return len(path.stem) == 2 or path.stem.lower().startswith("supp") or is_dataset(path)


def read_frames(frames: Mapping[str, pd.DataFrame], names: Mapping[str, str], findings: Findings) -> dict[str, RawDomain]:
    """The domains of DataFrames, named as files are."""
    lower = {name.lower(): frame for name, frame in frames.items()}
    found = {domain: _table(domain, domain, frame, findings) for domain, frame in _by_domain(lower, names, findings).items()}
    return {domain: raw for domain, raw in found.items() if raw is not None}


def _named_file(folder: Path, name: str) -> Path | None:
    """The file of a name that has a suffix, as `--domain rs=FILE` gives it; None for the name of a data set."""
    if Path(name).suffix.lower() not in READERS:
        return None
    for path in (folder / name, Path(name)):
        if path.is_file():
            return path
    raise no_file(Path(name), "a file of SDTM data")


def _by_domain(files: Mapping[str, Any], names: Mapping[str, str], findings: Findings) -> dict[str, Any]:
    """Each source under its domain: the name the study gives it, where there is one of that name, else the domain's own."""
    claimed = {name.lower(): domain for domain, name in names.items() if name.lower() in files}
    for name in set(claimed.values()) & (files.keys() - claimed.keys()):
        effect = "this one is not read"
        findings.add(
            Finding("ambiguous-file", name, expected=f"one source of {name}; {names[name]} is named", severity="warning", effect=effect)
        )
    return {claimed.get(name, name): source for name, source in files.items() if name in claimed or name not in claimed.values()}


def read_file(domain: str, path: Path, findings: Findings) -> RawDomain | None:
    """One file, or None with a finding where it cannot be read at all."""
    return READERS[path.suffix.lower()](domain, path, findings)


def _read_csv(domain: str, path: Path, findings: Findings) -> RawDomain | None:
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        findings.add(Finding("wrong-encoding", path.name, found="UTF-16", expected="UTF-8", effect="the file is not read"))
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) or None
        found = f"byte 0x{data[error.start]:02X} at offset {error.start}"
        findings.add(Finding("wrong-encoding", path.name, row=row, found=found, expected="UTF-8", effect="the file is not read"))
        return None
    try:
        lines = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        findings.add(Finding("not-csv", path.name, expected=f"CSV ({error})", effect="the file is not read"))
        return None
    if not lines or not any(name.strip() for name in lines[0]):
        findings.add(Finding("empty-file", path.name, expected="a header and rows", effect="the file is not read"))
        return None
    if (separator := _other_separator(lines[0])) is not None:
        expected = "cells separated by commas, and numbers with a decimal point"
        findings.add(Finding("wrong-separator", path.name, found=separator, expected=expected, effect="the file is not read"))
        return None
    header = [name.strip().upper() for name in lines[0]]
    numbered = [(number, line) for number, line in enumerate(lines[1:], start=1) if line]
    whole = [(number, line) for number, line in numbered if len(line) == len(header)]
    for number, line in numbered:
        if len(line) != len(header):
            found, expected = f"{len(line)} cells", f"{len(header)} cells, as the header has"
            findings.add(Finding("ragged-row", path.name, row=number, found=found, expected=expected, effect="the row is left out"))
    columns: list[Any] = list(zip(*(line for _, line in whole), strict=True)) if whole else [[] for _ in header]
    return _checked(domain, path.name, header, columns, [number for number, _ in whole], findings)


def _other_separator(header: list[str]) -> str | None:
    """What separates the names of a header that is one cell to CSV's rules; None for a single name."""
    if len(header) != 1:
        return None
    return next((name for sign, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")) if sign in header[0]), None)


def _read_parquet(domain: str, path: Path, findings: Findings) -> RawDomain | None:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        findings.add(Finding("not-parquet", path.name, expected=f"Parquet ({type(error).__name__})", effect="the file is not read"))
        return None
    header = [str(name).strip().upper() for name in table.column_names]
    return _checked(domain, path.name, header, table.columns, list(range(1, table.num_rows + 1)), findings)


def _read_xpt(domain: str, path: Path, findings: Findings) -> RawDomain | None:
    frame = read_xport(path, findings)
    return None if frame is None else _table(domain, path.name, frame, findings)


def _read_dataset(domain: str, path: Path, findings: Findings) -> RawDomain | None:
    if (read := read_dataset(path, findings)) is None:
        return None
    names, rows, numbers = read
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [[] for _ in names]
    return _checked(domain, path.name, [name.strip().upper() for name in names], columns, numbers, findings)


Reader = Callable[[str, Path, Findings], RawDomain | None]

READERS: dict[str, Reader] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".xpt": _read_xpt,
    ".json": _read_dataset,
    ".ndjson": _read_dataset,
}
"""How a file is read, by its ending; the first of a name is used. A further format is one more line."""


def _table(domain: str, place: str, frame: pd.DataFrame, findings: Findings) -> RawDomain | None:
    header = [str(name).strip().upper() for name in frame.columns]
    columns = [frame.iloc[:, position] for position in range(len(header))]
    return _checked(domain, place, header, columns, list(range(1, len(frame) + 1)), findings)


def _checked(domain: str, place: str, header: list[str], columns: list[Any], rows: list[int], findings: Findings) -> RawDomain | None:
    repeated = [name for name, count in Counter(header).items() if count > 1]
    if repeated:
        findings.add(Finding("duplicate-column", place, field=repeated[0], expected="each column once", effect="the file is not read"))
        return None
    if not header:
        findings.add(Finding("empty-file", place, expected="a header and rows", effect="the file is not read"))
        return None
    if not rows:
        findings.add(Finding("empty-file", place, expected="at least one row", severity="warning"))
    return RawDomain(domain, place, rows, dict(zip(header, columns, strict=True)))
