"""Where a row comes from: its resource's id and version, and where that stood. No name of a view's own column starts with an underscore."""

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from fhir_trial.fhir.shapes import shapes
from fhir_trial.fhirpath import Kind, check, compile_typed, parse
from fhir_trial.frames.columns import TEXT
from fhir_trial.frames.decoding import Batch
from fhir_trial.frames.view import Column, Each, Select, View

PATHS = {"_resource_id": "id", "_version_id": "meta.versionId"}
"""The columns that are read from the resource."""
PLACE, ROW = "_place", "_row"
"""The columns that say where it stood, as findings do: a file and a line of it, a Bundle's entries and a number."""
LINEAGE = (*PATHS, PLACE, ROW)
"""The columns in front of a view's own, where lineage is asked for."""


def with_lineage(view: View) -> View:
    """The view with the columns that are read from the resource in front, once a resource however many rows it has.

    >>> from fhir_trial.frames.definition import read_view
    >>> view = read_view({"resource": "Patient", "select": [{"column": [{"name": "born", "path": "birthDate"}]}]})
    >>> with_lineage(view).schema.names
    ['_resource_id', '_version_id', 'born']
    """
    return replace(view, selects=(Select(Each.ONCE, (), tuple(_column(view, name) for name in PATHS), (), ()), *view.selects))


def _column(view: View, name: str) -> Column:
    path, known = parse(PATHS[name]), shapes(view.fhir)
    typed = check(path, known, Kind((view.resource,)), {}, root=view.resource)
    return Column(name, compile_typed(path, typed, known), TEXT, False, "lineage")


def lineage_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of a view with lineage, with the columns that say where the resource stood."""
    return schema.insert(len(PATHS), pa.field(PLACE, TEXT)).insert(len(PATHS) + 1, pa.field(ROW, pa.int64()))


def place_arrays(batch: Batch, indexes: Sequence[int]) -> list[pa.Array]:
    """Where the resource of each row stood, from its index in the batch."""
    places = {index: batch.place(index) for index in set(indexes)}
    return [pa.array([places[i][0] for i in indexes], TEXT), pa.array([places[i][1] for i in indexes], pa.int64())]
