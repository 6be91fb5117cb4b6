"""Views over sources: to one Arrow table, or in batches whatever the size."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any, Literal, TypedDict, Unpack

import pyarrow as pa

from fhir_trial.domain.arrow_types import DECIMAL
from fhir_trial.errors import Finding, Findings, InputError, UsageError
from fhir_trial.fhir.json import decode, encode
from fhir_trial.fhir.shapes import shapes
from fhir_trial.fhir.versions import DEFAULT
from fhir_trial.fhirpath import FhirPathError
from fhir_trial.fhirpath.decimals import are_measures, is_measure
from fhir_trial.frames.crew import crew_parts
from fhir_trial.frames.decoding import Batch, Decoding, Target, collector_paused
from fhir_trial.frames.lineage import PATHS, lineage_schema, place_arrays, with_lineage
from fhir_trial.frames.messages import Part, Recipe
from fhir_trial.frames.program import Program, build
from fhir_trial.frames.projection import needs, struct_type
from fhir_trial.frames.reading import Piece, pieces
from fhir_trial.frames.view import Column
from fhir_trial.frames.views import AnyView, as_view
from fhir_trial.progress import Progress, silent

Bad = Literal["raise", "skip"]
_MOST_FINDINGS = 1000
"""Where bad input ends the run, it ends here at the latest: findings are memory too."""
_MOST_KEPT = 100_000
"""Findings kept of one run that goes on; the others are counted."""
_NOT_HELD = (pa.ArrowInvalid, OverflowError, TypeError, UnicodeError)


class ViewRunner:
    """A view made ready once, to run over any number of sources."""

    def __init__(self, view: AnyView, fhir: str = DEFAULT, *, lineage: bool = False) -> None:
        """Read and compile the ViewDefinition; raises `ViewError` with all that is wrong with it.

        With `lineage` each row has in front the id and version of its resource and where it stood (`fhir_trial.frames.lineage`).
        """
        self.view = as_view(view, fhir)
        self._lineage = lineage
        if lineage:
            self.view = with_lineage(self.view)
        self._need = needs(self.view)
        self._program = build(self.view, self._need, lineage)
        members = frozenset({"resourceType", *shapes(self.view.fhir).members(self.view.resource)})
        self._decoding = Decoding(Target(self.view.resource, struct_type(self._need), self._need.with_whole(), members))
        self.schema = lineage_schema(self.view.schema) if lineage else self.view.schema

    @property
    def recipe(self) -> Recipe:
        """What another process makes the same runner of."""
        return Recipe(encode(dict(self.view.definition)), self.view.fhir, self._lineage)

    def batches(
        self, source: Any, findings: Findings | None = None, progress: Progress = silent, *, workers: int = 1
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a source as record batches, one a chunk of it; what is wrong with a resource is added to `findings`, and its
        rows are left out.

        `progress` is called after each chunk with the number of rows so far. With more than one of `workers`, a large source is read by
        that many processes beside this one; rows, findings and their order stay the same.
        """
        return self.run(pieces(source), findings if findings is not None else Findings(), progress, workers=workers)

    def run(
        self, source: Iterable[Piece], findings: Findings, progress: Progress = silent, *, workers: int = 1
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a source that is in pieces already; otherwise as `batches`."""
        if not isinstance(workers, int) or workers < 1:
            raise UsageError(f"workers={workers!r}: a number of processes, 1 or more")
        findings.extend(self.view.findings)
        collected = _Collected(findings)
        rows = 0
        parts = (part for piece in source for part in self.parts(piece)) if workers == 1 else crew_parts(self, source, workers)
        for part in parts:
            collected.take(part.findings)
            if part.rows is not None:
                rows += part.rows.num_rows
                yield part.rows
            progress(f"rows of {self.view.resource}", rows, None)
        collected.finish()

    def parts(self, piece: Piece) -> Iterator[Part]:
        """The rows of one piece, and what was noticed in it."""
        for batch in self._decoding.batches(piece):
            yield from self._parts(batch)

    def _parts(self, batch: Batch) -> Iterator[Part]:
        findings = batch.findings
        columns: list[list[Any]] = [[] for _ in range(len(self.view.columns) + self._lineage)]
        with collector_paused():
            failures, others = self._program(batch.resources, columns)
        findings += [_failure(error, *batch.place(index)) for index, error in failures]
        yield Part(self._arrow(columns, batch) if columns[0] else None, findings)
        for index in others:
            if (inner := batch.inner(index)) is not None:
                yield from self.parts(inner)

    def _arrow(self, columns: list[list[Any]], batch: Batch) -> pa.RecordBatch:
        arrays = [self._array(values, column, batch) for values, column in zip(columns, self.view.columns, strict=False)]
        if self._lineage:
            arrays[len(PATHS) : len(PATHS)] = place_arrays(batch, columns[-1])
        return pa.record_batch(arrays, schema=self.schema)

    def _array(self, values: list[Any], column: Column, batch: Batch) -> pa.Array:
        """A column's values as Arrow; a number that its type cannot hold exactly is a finding and a null, never rounded."""
        arrow = column.arrow_field.type
        try:
            if arrow != DECIMAL or are_measures(value for value in values if value is not None):
                return pa.array(values, arrow)
        except _NOT_HELD:
            pass
        lost = [i for i, value in enumerate(values) if not _holds(value, arrow)]
        owners = self._owners(batch)
        for i in lost:
            values[i] = None
            place, row = batch.place(owners[i])
            code = "not-utf-8" if pa.types.is_string(column.arrow) else "not-exact"
            batch.findings.append(Finding(code, place, row, column.name, expected=str(arrow), effect="the cell is empty"))
        return pa.array(values, arrow)

    def _owners(self, batch: Batch) -> list[int]:
        """The index of the resource that each row of the batch comes from."""
        columns: list[list[Any]] = [[] for _ in range(len(self.view.columns) + 1)]
        self._program_with_owners(batch.resources, columns)
        return columns[-1]

    @cached_property
    def _program_with_owners(self) -> Program:
        return build(self.view, self._need, True)


@dataclass
class _Collected:
    """The findings of one run: what a source says of itself once a place, and no more of anything than memory should hold."""

    findings: Findings
    kept: int = 0
    said: set[str] = field(default_factory=set)
    others: Counter[str] = field(default_factory=Counter)

    def take(self, findings: list[Finding]) -> None:
        """Keep what is new."""
        for finding in findings:
            if finding.code == "unknown-elements":
                if finding.place in self.said:
                    continue
                self.said.add(finding.place)
            if self.kept < _MOST_KEPT:
                self.kept += 1
                self.findings.add(finding)
            else:
                self.others[finding.code] += 1

    def finish(self) -> None:
        """Say how many were not kept."""
        for code, count in self.others.items():
            self.findings.add(Finding(code, "the source", found=f"{count} more", effect="they are counted and not listed"))


def _holds(value: Any, arrow: pa.DataType) -> bool:
    if isinstance(value, Decimal) and not is_measure(value):
        return False
    try:
        pa.array([value], arrow)
    except _NOT_HELD:
        return False
    return True


def _failure(error: Exception, place: str, row: int | None) -> Finding:
    words = error.problem if isinstance(error, FhirPathError) else str(error) if type(error).__module__.startswith("fhir_trial") else ""
    return Finding("unanswerable", place, row, expected=words or "a resource in the shape of its FHIR version")


class RunOptions(TypedDict, total=False):
    """How a view is run over a source, where that is to differ."""

    bad: Bad
    """"raise": the end raises an `InputError` with file, line and reason of all that could not be read; "skip": the rest goes on."""
    findings: Findings
    """Receives what was noticed, the reasons for what was skipped among it."""
    lineage: bool
    """Each row begins with its resource: `_resource_id`, `_version_id`, and where it stood, `_place` and `_row` (a file and its line)."""
    workers: int
    """Processes that share a large source; a small one is read here. Rows and findings are the same, in the same order."""
    progress: Progress
    """Called after each chunk with the number of rows so far."""


@lru_cache(maxsize=128)
def _compiled(definition: bytes, fhir: str, lineage: bool) -> ViewRunner:
    """The runner of a ViewDefinition as JSON: reading a trial runs the same fifty views each time."""
    return ViewRunner(decode(definition), fhir, lineage=lineage)


@dataclass(frozen=True)
class Run:
    """A view over a source, with all options settled: batches that are checked as they come."""

    view: AnyView
    source: Any
    fhir: str = DEFAULT
    bad: Bad = "raise"
    findings: Findings = field(default_factory=Findings)
    lineage: bool = False
    workers: int = 1
    progress: Progress = silent

    @cached_property
    def runner(self) -> ViewRunner:
        """The compiled view."""
        if not isinstance(self.view, dict):
            return ViewRunner(self.view, self.fhir, lineage=self.lineage)
        return _compiled(encode(self.view), self.fhir, self.lineage)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows; unless bad input is skipped, their end raises what was found."""
        if self.bad not in ("raise", "skip"):
            raise UsageError(f"bad={self.bad!r} is not known: raise, skip")
        before = len(self.findings)
        for batch in self.runner.batches(self.source, self.findings, self.progress, workers=self.workers):
            if self.bad == "raise" and len(self.findings) - before > _MOST_FINDINGS:
                break
            yield batch
        if self.bad == "raise" and (errors := [finding for finding in list(self.findings)[before:] if finding.severity == "error"]):
            raise InputError(errors)


def run_view(view: AnyView, source: Any, fhir: str = DEFAULT, **options: Unpack[RunOptions]) -> pa.Table:
    """The table of a SQL-on-FHIR ViewDefinition over a source of resources of one FHIR version; `RunOptions` says what can differ.

    `view` is a ViewDefinition, or the name of one of the shipped (`fhir_trial.frames.views`).
    `source` is a path (file, folder or glob; NDJSON, a Bundle or a resource; gzip too) or several, JSON as bytes or text, an open binary
    file, a Bundle or resource as a dict, or an iterable of resources, or of bytes as a download brings them. What cannot be read raises
    `InputError` with file, line and reason of all of it, or is skipped. Columns have stable types: text for text, dates and times; int64;
    bool; decimals exact as decimal128(38, 12), or as the tag `ansi/type` says (CHARACTER VARYING: the exact digits; DOUBLE PRECISION:
    float64).

    >>> patients = [{"resourceType": "Patient", "id": "p1", "birthDate": "1950-02"}]
    >>> run_view({"resource": "Patient", "select": [{"column": [{"name": "born", "path": "birthDate"}]}]}, patients).to_pylist()
    [{'born': '1950-02'}]
    """
    run = Run(view, source, fhir, **options)
    return pa.Table.from_batches(run.batches(), run.runner.schema)
