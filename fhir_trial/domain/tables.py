"""Tables of entities: typed Arrow schemas from the entity classes, and the trial's data as one value."""

import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
import pandas as pd
import pyarrow as pa

from fhir_trial.domain.arrow_types import DECIMAL
from fhir_trial.domain.decimals import without_padding
from fhir_trial.domain.entities import ENTITIES, Entity, When
from fhir_trial.domain.study import StudyDefinition
from fhir_trial.errors import Findings

E = TypeVar("E", bound=Entity)

_SCALARS: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), bool: pa.bool_(), Decimal: DECIMAL}


def _arrow_type(annotation: Any) -> pa.DataType:
    annotation = getattr(annotation, "__supertype__", annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return _arrow_type(next(a for a in get_args(annotation) if a is not type(None)))
    if get_origin(annotation) is tuple:
        return pa.list_(pa.struct(list(entity_schema(get_args(annotation)[0]))))
    return _SCALARS[annotation]


@cache
def entity_schema(entity: type[Entity]) -> pa.Schema:
    """The Arrow schema of an entity's table: one column a field, repeats as lists of structs."""
    return pa.schema([(name, _arrow_type(hint)) for name, hint in get_type_hints(entity).items()])


def to_table(rows: Iterable[Entity], entity: type[Entity]) -> pa.Table:
    """Rows of one entity as an Arrow table of its schema."""
    return pa.Table.from_pylist([msgspec.to_builtins(row, builtin_types=(Decimal,)) for row in rows], schema=entity_schema(entity))


def to_rows(table: pa.Table, entity: type[E]) -> list[E]:
    """The table's rows as entities; columns the entity lacks are left out.

    Raises `msgspec.ValidationError` where a required column is missing or null.
    """
    names = [name for name in entity_schema(entity).names if name in table.column_names]
    return [msgspec.convert(_plain(row), entity) for row in table.select(names).to_pylist()]


def _plain(value: Any) -> Any:
    """Nulls left out and decimals without the column's padding zeros: `1.500000000000` was never recorded."""
    if isinstance(value, Decimal):
        return without_padding(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def to_frame(table: pa.Table) -> pd.DataFrame:
    """The table as a DataFrame with Arrow-backed columns: nothing is copied, guessed or rounded."""
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


@dataclass(frozen=True)
class TrialData:
    """All tables of one study with its definition, and what was noticed in reading them.

    `tables` holds the entities that the source has; `table` gives an empty, typed table for one it lacks. `synthetic` data is marked
    as such wherever it goes.
    """

    study: StudyDefinition
    tables: Mapping[str, pa.Table]
    synthetic: bool = False
    findings: Findings = field(default_factory=Findings)
    data_cutoff: When | None = None
    """The date the data were cut off at, where the source says it."""
    lineage: Mapping[str, pa.Table] = field(default_factory=dict, repr=False)
    """By entity, where rows came from a server or a folder of FHIR: a row's key, its resource and version."""

    def table(self, entity: str) -> pa.Table:
        """The entity's table, empty where the source has none."""
        return self.tables.get(entity, entity_schema(ENTITIES[entity]).empty_table())

    def frame(self, entity: str) -> pd.DataFrame:
        """The entity's table as a DataFrame with Arrow-backed columns."""
        return to_frame(self.table(entity))

    def rows(self, entity: str) -> list[Any]:
        """The entity's rows as frozen objects."""
        return to_rows(self.table(entity), ENTITIES[entity])

    def __repr__(self) -> str:
        """Counts only."""
        counts = ", ".join(f"{name}: {table.num_rows}" for name, table in self.tables.items())
        return f"TrialData({self.study.id}; {counts})"
