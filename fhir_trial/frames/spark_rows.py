"""What a view does inside Spark's Python workers: batches of lines in, batches of rows out. It needs no Spark itself."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhir_trial.errors import Finding, Findings, InputError
from fhir_trial.fhir.json import encode
from fhir_trial.fhir.ndjson import is_lines
from fhir_trial.frames.columns import TEXT
from fhir_trial.frames.reading import Document, Lines
from fhir_trial.frames.run import ViewRunner

LINE, FILE, START = "line", "file", "start"
"""The columns that Spark hands over: a line with its line feed as binary, its file, and the byte at which Spark began to read that; a null
there says that the line is a whole document."""
PROBLEM = "_problem"
"""The last column where problems are asked for as rows: what could not be read and why; null in every row that was read."""
PROBLEM_TYPE = pa.struct([("code", TEXT), ("place", TEXT), ("row", pa.int64()), ("expected", TEXT)])
Bad = Literal["raise", "skip", "column"]
_BOM = b"\xef\xbb\xbf"


class Refused(InputError):
    """Input that a worker could not read; its text is the findings as JSON, without any value, which the driver reads back."""

    def __str__(self) -> str:
        """Code, place, row, field and what was expected of each finding."""
        return encode([_portable(finding) for finding in self.findings[:_MOST_NAMED]]).decode()


_MOST_NAMED = 100


def _portable(finding: Finding) -> dict[str, Any]:
    members = {name: getattr(finding, name) for name in ("code", "place", "row", "field", "expected", "severity", "effect")}
    return {name: value for name, value in members.items() if value is not None}


def refused_findings(text: str) -> list[Finding]:
    """The findings that a worker's failure names, from the text of Spark's exception; none where something else failed.

    >>> refused_findings('...\\nfhir_trial.frames.spark_rows.Refused: [{"code": "not-json", "place": "a.ndjson", "row": 3}]\\n')
    [Finding(code='not-json', place='a.ndjson', row=3, field=None, expected=None, severity='error', effect=None)]
    """
    for line in text.splitlines():
        _, mark, rest = line.partition(f"{Refused.__name__}: ")
        if mark and rest.startswith("["):
            return msgspec.json.Decoder(list[Finding]).decode(rest)
    return []


@dataclass(frozen=True)
class ViewTask:
    """A view to be run in a worker: plain values, so that it travels; compiled there, once a process."""

    definition: str
    """The ViewDefinition as JSON."""
    fhir: str
    bad: Bad
    lineage: bool

    def runner(self) -> ViewRunner:
        """The compiled view of this process."""
        return _compiled(self.definition, self.fhir, self.lineage)

    def schema(self) -> pa.Schema:
        """The schema of the rows, with the column for problems where they are asked for."""
        own = self.runner().schema
        return own.append(pa.field(PROBLEM, PROBLEM_TYPE)) if self.bad == "column" else own

    def rows(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The view's rows from batches of lines; a bad line raises `Refused`, is left out, or becomes a row with `_problem`, by `bad`."""
        runner, findings = self.runner(), Findings()
        for batch in runner.run(text_of(batches), findings):
            if self.bad == "raise":
                _refuse(findings)
            yield self._with_problem(batch)
        if self.bad == "raise":
            _refuse(findings)
        if self.bad == "column" and (errors := findings.errors()):
            yield _problems(errors, self.schema())

    def _with_problem(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return (
            batch if self.bad != "column" else batch.append_column(pa.field(PROBLEM, PROBLEM_TYPE), pa.nulls(batch.num_rows, PROBLEM_TYPE))
        )


@lru_cache(maxsize=64)
def _compiled(definition: str, fhir: str, lineage: bool) -> ViewRunner:
    view: Mapping[str, Any] = msgspec.json.decode(definition)
    return ViewRunner(view, fhir, lineage=lineage)


def _refuse(findings: Findings) -> None:
    if errors := findings.errors():
        raise Refused(errors)


def _problems(errors: list[Finding], schema: pa.Schema) -> pa.RecordBatch:
    """A row of nulls an error, its place and reason in the last column; the value that was found stays where it was."""
    reasons = [{name: getattr(error, name) for name in PROBLEM_TYPE.names} for error in errors]
    nulls = [pa.nulls(len(errors), field.type) for field in schema][:-1]
    return pa.record_batch([*nulls, pa.array(reasons, PROBLEM_TYPE)], schema=schema)


def text_of(batches: Iterable[pa.RecordBatch]) -> Iterator[Lines | Document]:
    """The lines of Spark's batches in chunks of one file each, numbered from 1; whole documents one by one.

    Spark reads a large file in parts; the lines of a later part are numbered from its own beginning, which the place names.
    """
    next_line: dict[tuple[str, int], int] = {}
    for batch in batches:
        for start, stop in _runs(batch):
            file, first_byte = batch[FILE][start].as_py(), batch[START][start].as_py()
            text = _joined(batch[LINE].slice(start, stop - start))
            if first_byte is None:
                text = text.removeprefix(_BOM)
                yield Lines(file, 1, text) if is_lines(text) else Document(file, text, optional=True)
                continue
            first = next_line.get((file, first_byte), 1)
            next_line[file, first_byte] = first + stop - start
            place = file if not first_byte else f"{file} from byte {first_byte}"
            yield Lines(place, first, text.removeprefix(_BOM) if first == 1 and not first_byte else text)


def _runs(batch: pa.RecordBatch) -> list[tuple[int, int]]:
    """Where a file or part of one begins and ends in a batch."""
    if not batch.num_rows:
        return []
    ends = pa.array([], pa.int64())
    if batch.num_rows > 1:
        first_byte = pc.fill_null(batch[START], -1)  # of documents, each of which is a file of its own
        changed = pc.or_(pc.not_equal(batch[FILE][1:], batch[FILE][:-1]), pc.not_equal(first_byte[1:], first_byte[:-1]))
        ends = pc.indices_nonzero(changed)
    edges = [0, *(np.asarray(ends) + 1).tolist(), batch.num_rows]
    return list(pairwise(edges))


def _joined(lines: pa.Array) -> bytes:
    """The bytes of all lines as they lie one after the other in Arrow's buffer: each ends with its line feed."""
    _, offsets, data = lines.buffers()
    width = np.int64 if pa.types.is_large_binary(lines.type) else np.int32
    bounds = np.frombuffer(offsets, width)
    first, last = int(bounds[lines.offset]), int(bounds[lines.offset + len(lines)])
    return data.slice(first, last - first).to_pybytes() if data is not None else b""
