"""Endpoints over Spark: subjects in groups, each group analysed by the functions that analyse a whole trial.

A time to event follows from its subject's own records and the study's, so the rows are those of one analysis of everything.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhir_trial.domain.study import StudyDefinition
from fhir_trial.domain.tables import TrialData
from fhir_trial.endpoints.analyse import analyse
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.errors import Finding, Findings, InputError
from fhir_trial.fhir.bundles import resources
from fhir_trial.fhir.json import decode
from fhir_trial.frames.reading import Document, Lines
from fhir_trial.frames.spark import arrow_only, ddl, mapped, text_frame
from fhir_trial.frames.spark_rows import Refused, text_of
from fhir_trial.mapping.foreign import is_ours
from fhir_trial.trial.apart import Resource
from fhir_trial.trial.resources import from_resources

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TIMES = pa.schema(
    [
        *((name, pa.string()) for name in ("study", "subject", "parameter")),
        *((name, pa.date32()) for name in ("start", "on")),
        *((name, pa.int64()) for name in ("days", "censored")),
        *((name, pa.string()) for name in ("reason", "source_domain", "source_variable")),
        ("source_sequence", pa.int64()),
        ("synthetic", pa.bool_()),
    ]
)
"""The columns of times to event, as `Results.adtte` has them, and whether the data are synthetic."""
_PARTS = pa.schema([("part", pa.int32()), ("entity", pa.string()), ("synthetic", pa.bool_()), ("rows", pa.binary())])
"""A table's rows of one group of subjects, as Arrow's own stream of bytes."""


def endpoint_rows(
    spark: "SparkSession", path: str | list[str], study: StudyDefinition, conventions: Conventions, fhir: str, *, parts: int = 64
) -> "DataFrame":
    """The times to event of every subject in the FHIR at `path` (as `view_frame` takes it), with the columns of `TIMES`.

    Subjects are analysed in `parts` groups, side by side. A resource that cannot be read ends the job (`naming_errors` names it), and so
    does one that another system wrote: whose it is stands in other resources, which may be elsewhere; `read_source` reads those.
    """
    task = EndpointTask(study, conventions, fhir, parts)
    tables = mapped(text_frame(spark, path), task.split, _PARTS)

    def analysed(part: pa.Table) -> pa.Table:  # Spark counts the parameters: a method's would be one more
        return task.analysed(part)

    with arrow_only():
        return tables.groupBy("part").applyInArrow(analysed, ddl(TIMES))


@dataclass(frozen=True)
class EndpointTask:
    """An analysis as it travels to the workers."""

    study: StudyDefinition
    conventions: Conventions
    fhir: str
    parts: int

    def split(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Lines of FHIR to the trial's tables, each split by group of subjects; what is about no subject goes to every group."""
        for piece in text_of(batches):
            findings = Findings()
            held = list(_resources(piece, findings))
            findings.extend(_not_ours(held, piece.place))
            data = from_resources(held, self.study, self.fhir)
            if errors := [*findings.errors(), *data.findings.errors()]:
                raise Refused(errors)
            rows = [(p, name, data.synthetic, _stream(t)) for name, table in data.tables.items() for p, t in self._groups(table)]
            yield pa.RecordBatch.from_pylist([dict(zip(_PARTS.names, row, strict=True)) for row in rows], schema=_PARTS)

    def _groups(self, table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
        if "subject" not in table.column_names:
            yield from ((part, table) for part in range(self.parts))
            return
        subjects = table["subject"].combine_chunks().dictionary_encode()
        of_subject = np.array([crc32(name.encode()) % self.parts for name in subjects.dictionary.to_pylist()], np.int64)
        group = of_subject[subjects.indices.to_numpy(zero_copy_only=False)]
        # A group without a row gets the table empty: its subjects were not assessed, which is not to know nothing of assessments.
        yield from ((part, table.filter(pa.array(group == part))) for part in range(self.parts))

    def analysed(self, parts: pa.Table) -> pa.Table:
        """The times to event of one group."""
        names = parts["entity"].unique().to_pylist()
        tables = {name: _together(parts.filter(pc.equal(parts["entity"], name))["rows"]) for name in names}
        if "subject" not in tables or not tables["subject"].num_rows:
            return TIMES.empty_table()
        cutoffs = tables["study"]["data_cutoff"].to_pylist() if "study" in tables else [None]
        synthetic = bool(pc.any(parts["synthetic"]).as_py())
        data = TrialData(self.study, tables, synthetic, data_cutoff=cutoffs[0])
        found = analyse(data, self.conventions).adtte.assign(synthetic=synthetic)
        return pa.Table.from_pandas(found[TIMES.names], schema=TIMES, preserve_index=False).replace_schema_metadata()


def _not_ours(held: list[Resource], place: str) -> Iterator[Finding]:
    """A finding where resources carry no key of ours: without their neighbours they cannot be read, and must not be missed."""
    others = [each for each in held if not is_ours(each) and each["resourceType"] != "Provenance"]
    if others:
        first = f"{others[0]['resourceType']}/{others[0].get('id', '?')}"
        expected = f"resources with an identifier of the trial's; {first} and {len(others) - 1} more have none"
        yield Finding("not-of-the-trial", place, expected=expected)


def _together(streams: pa.ChunkedArray) -> pa.Table:
    return pa.concat_tables(pa.ipc.open_stream(stream).read_all() for stream in streams.to_pylist())


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream


def _resources(piece: Lines | Document, findings: Findings) -> Iterator[Resource]:
    """The resources of a chunk; a line that is none is a finding with its number."""
    lines = [piece.data] if isinstance(piece, Document) else piece.data.split(b"\n")
    for number, line in enumerate(lines, 0 if isinstance(piece, Document) else piece.first_line):
        if not line.strip():
            continue
        try:
            found: Any = decode(line, piece.place)
        except InputError as error:
            findings.extend(Finding(f.code, f.place, number or None, expected=f.expected) for f in error.findings)
            continue
        if isinstance(found, dict) and isinstance(found.get("resourceType"), str):
            yield from resources(found) if found["resourceType"] == "Bundle" else [found]
        elif isinstance(piece, Lines):
            findings.add(Finding("not-a-resource", piece.place, number, expected="an object with a resourceType"))
