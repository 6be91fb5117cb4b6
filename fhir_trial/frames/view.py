"""A ViewDefinition as typed, immutable values: what to select, on which paths, into which columns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pyarrow as pa

from fhir_trial.errors import Finding
from fhir_trial.fhirpath import CompiledPath
from fhir_trial.fhirpath.nodes import Items


class Each(Enum):
    """What a select makes rows of."""

    ONCE = ""
    FOR_EACH = "forEach"
    OR_NULL = "forEachOrNull"
    REPEAT = "repeat"


@dataclass(frozen=True)
class Column:
    """One column: its name, its path, and the Arrow type of its values."""

    name: str
    path: CompiledPath
    arrow: pa.DataType
    collection: bool
    place: str
    """Where it stands in the ViewDefinition: `select[0].column[2]`."""

    @property
    def arrow_field(self) -> pa.Field:
        """The column in the result's schema."""
        return pa.field(self.name, pa.list_(self.arrow) if self.collection else self.arrow)


@dataclass(frozen=True)
class Select:
    """Rows from each item of `paths` (or from the context itself): its columns beside the product of `selects` and the sum of `unions`."""

    each: Each
    paths: tuple[CompiledPath, ...]
    columns: tuple[Column, ...]
    selects: "tuple[Select, ...]"
    unions: "tuple[Select, ...]"

    def all_columns(self) -> Iterator[Column]:
        """The columns in the order of the result; those of a union once."""
        yield from self.columns
        for select in self.selects:
            yield from select.all_columns()
        if self.unions:
            yield from self.unions[0].all_columns()


@dataclass(frozen=True)
class View:
    """A whole view over one resource type of one FHIR version."""

    resource: str
    fhir: str
    where: tuple[CompiledPath, ...]
    selects: tuple[Select, ...]
    constants: Mapping[str, Items]
    definition: Mapping[str, Any] = field(repr=False, compare=False)
    """The ViewDefinition itself: what travels to another process, where it is read again."""
    findings: tuple[Finding, ...] = field(default=())
    """What is odd about the view and does not stop it."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns in the order of the result."""
        return tuple(column for select in self.selects for column in select.all_columns())

    @property
    def schema(self) -> pa.Schema:
        """The result's schema: the same for every source."""
        return pa.schema([column.arrow_field for column in self.columns])
