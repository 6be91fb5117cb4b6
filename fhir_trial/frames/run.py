"""Views over sources: to one Arrow table, or in batches whatever the size."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

import pyarrow as pa

from fhir_trial.errors import Finding, Findings, InputError, UsageError
from fhir_trial.fhir.shapes import shapes
from fhir_trial.fhir.versions import DEFAULT
from fhir_trial.fhirpath import FhirPathError
from fhir_trial.frames.decoding import Batch, Decoding, Target, collector_paused
from fhir_trial.frames.definition import read_view
from fhir_trial.frames.lineage import PATHS, lineage_schema, place_arrays, with_lineage
from fhir_trial.frames.program import build
from fhir_trial.frames.projection import needs, struct_type
from fhir_trial.frames.reading import Piece, pieces
from fhir_trial.frames.view import Column, View

Bad = Literal["raise", "skip"]
_MOST_FINDINGS = 1000
"""Where bad input ends the run, it ends here at the latest: findings are memory too."""


class ViewRunner:
    """A view made ready once, to run over any number of sources."""

    def __init__(self, view: View | Mapping[str, Any], fhir: str = DEFAULT, *, lineage: bool = False) -> None:
        """Read and compile the ViewDefinition; raises `ViewError` with all that is wrong with it.

        With `lineage` each row has in front the id and version of its resource and where it stood (`fhir_trial.frames.lineage`).
        """
        self.view = view if isinstance(view, View) else read_view(view, fhir)
        self._lineage = lineage
        if lineage:
            self.view = with_lineage(self.view)
        need = needs(self.view)
        self._program = build(self.view, need, lineage)
        members = frozenset({"resourceType", *shapes(self.view.fhir).members(self.view.resource)})
        self._target = Target(self.view.resource, struct_type(need), need.has_whole(), members)
        self.schema = lineage_schema(self.view.schema) if lineage else self.view.schema

    def batches(
        self, source: Any, findings: Findings | None = None, progress: Callable[[int], None] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a source as record batches, one a chunk of it; what is wrong with a resource is added to `findings`, and its
        rows are left out.

        `progress` is called after each chunk with the number of rows so far.
        """
        return self.run(pieces(source), findings if findings is not None else Findings(), progress)

    def run(self, source: Iterable[Piece], findings: Findings, progress: Callable[[int], None] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a source that is in pieces already; otherwise as `batches`."""
        findings.extend(self.view.findings)
        rows = 0
        decoding = Decoding(self._target)
        for batch in decoding.batches(source):
            for record_batch in self._batch(batch, decoding, findings):
                rows += record_batch.num_rows
                yield record_batch
            if progress is not None:
                progress(rows)

    def _batch(self, batch: Batch, decoding: Decoding, findings: Findings) -> Iterator[pa.RecordBatch]:
        findings.extend(batch.findings)
        columns: list[list[Any]] = [[] for _ in range(len(self.view.columns) + self._lineage)]
        with collector_paused():
            failures, others = self._program(batch.resources, columns)
        for index, error in failures:
            place, row = batch.place(index)
            findings.add(_failure(error, place, row))
        if columns[0]:
            yield self._arrow(columns, batch, findings)
        for index in others:
            if (inner := batch.inner(index)) is not None:
                yield from self._batch(decoding.other(inner), decoding, findings)

    def _arrow(self, columns: list[list[Any]], batch: Batch, findings: Findings) -> pa.RecordBatch:
        arrays = [_array(values, column, findings) for values, column in zip(columns, self.view.columns, strict=False)]
        if self._lineage:
            arrays[len(PATHS) : len(PATHS)] = place_arrays(batch, columns[-1])
        return pa.record_batch(arrays, schema=self.schema)


def _array(values: list[Any], column: Column, findings: Findings) -> pa.Array:
    """A column's values as Arrow; a number that its type cannot hold exactly is a finding and a null, never rounded."""
    arrow = column.arrow_field.type
    try:
        return pa.array(values, arrow)
    except (pa.ArrowInvalid, OverflowError, pa.ArrowTypeError):
        return pa.array([value if _holds(value, arrow, column, findings) else None for value in values], arrow)


def _holds(value: Any, arrow: pa.DataType, column: Column, findings: Findings) -> bool:
    try:
        pa.array([value], arrow)
    except (pa.ArrowInvalid, OverflowError, pa.ArrowTypeError):
        findings.add(Finding("not-exact", f"column {column.name}", expected=str(arrow), effect="the cell is empty"))
        return False
    return True


def _failure(error: Exception, place: str, row: int | None) -> Finding:
    words = error.problem if isinstance(error, FhirPathError) else str(error) if type(error).__module__.startswith("fhir_trial") else ""
    return Finding("unanswerable", place, row, expected=words or "a resource in the shape of its FHIR version")


def run_view(
    view: View | Mapping[str, Any],
    source: Any,
    fhir: str = DEFAULT,
    *,
    bad: Bad = "raise",
    findings: Findings | None = None,
    lineage: bool = False,
) -> pa.Table:
    """The table of a SQL-on-FHIR ViewDefinition over a source of resources of one FHIR version.

    `source` is a path (file, folder or glob; NDJSON, a Bundle or a resource; .gz too) or several, bytes, a Bundle or resource as a dict, or
    an iterable of resources. What cannot be read raises `InputError` with file, line and reason of all of it; with `bad="skip"` the rest
    goes on and `findings` receives the reasons. Columns have stable types: text for text, dates and times; int64; bool; decimals exact as
    decimal128(38, 12), or as the tag `ansi/type` says (CHARACTER VARYING: the exact digits; DOUBLE PRECISION: float64). With `lineage` each
    row begins with its resource: `_resource_id`, `_version_id`, and where it stood, `_place` and `_row` (a file and its line).

    >>> patients = [{"resourceType": "Patient", "id": "p1", "birthDate": "1950-02"}]
    >>> run_view({"resource": "Patient", "select": [{"column": [{"name": "born", "path": "birthDate"}]}]}, patients).to_pylist()
    [{'born': '1950-02'}]
    """
    runner = ViewRunner(view, fhir, lineage=lineage)
    return pa.Table.from_batches(checked_batches(runner, source, bad, findings), runner.schema)


def checked_batches(runner: ViewRunner, source: Any, bad: Bad, findings: Findings | None) -> Iterator[pa.RecordBatch]:
    """The batches of a source; with `bad="raise"` its end raises what was collected."""
    if bad not in ("raise", "skip"):
        raise UsageError(f"bad={bad!r} is not known: raise, skip")
    collected = findings if findings is not None else Findings()
    before = len(collected)
    for batch in runner.batches(source, collected):
        if bad == "raise" and len(collected) - before > _MOST_FINDINGS:
            break
        yield batch
    if bad == "raise" and (errors := [finding for finding in list(collected)[before:] if finding.severity == "error"]):
        raise InputError(errors)
