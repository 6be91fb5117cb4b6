"""Index rows of resources, from the expressions of HL7's search parameters."""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from fhir_trial.fhir.shapes import SearchParameter, Shapes, shapes
from fhir_trial.fhirpath import CompiledPath, FhirPathError, compile_path
from fhir_trial.store.index_values import TABLES, IndexRow, identifiers

INSERTS = {
    "token": "INSERT OR IGNORE INTO token VALUES (?, ?, ?, ?)",
    "string": "INSERT OR IGNORE INTO string VALUES (?, ?, ?, ?)",
    "uri": "INSERT OR IGNORE INTO uri VALUES (?, ?, ?)",
    "date": "INSERT OR IGNORE INTO date VALUES (?, ?, ?, ?)",
    "quantity": "INSERT OR IGNORE INTO quantity VALUES (?, ?, ?, ?, ?, ?)",
    "reference": "INSERT OR IGNORE INTO reference VALUES (?, ?, ?, ?)",
}
ANY_REFERENCE = 0
"""The `param` under which every reference of a resource stands, whatever the element."""
OF_THE_ROW = frozenset({"_id", "_lastUpdated"})
"""Parameters that the version itself answers."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """One search parameter that can be searched by."""

    definition: SearchParameter
    key: int
    identifier_key: int
    """Where the identifiers beside a reference stand."""
    path: CompiledPath
    members: tuple[str, ...]
    """The members of the resource that it starts from; () when it may find something in a resource without any of them."""

    def may_find(self, names: str) -> bool:
        """Whether a resource with these members (each behind a space) can have a value; a choice's member begins with its name."""
        return not self.members or any(f" {member}" in names for member in self.members)


def _members(resource_type: str, expression: str) -> tuple[str, ...]:
    """The members that an expression starts from, where it is empty without them.

    >>> _members("Observation", "(Observation.value as Quantity) | Observation.component.code")
    ('component', 'value')
    >>> _members("Patient", "Patient.deceased.exists() and Patient.deceased != false")
    ()
    """
    if "exists" in expression:
        return ()
    return tuple(sorted(set(re.findall(rf"\b(?:{resource_type}|Resource|DomainResource)\.(\w+)", expression))))


def _compiled(shape: Shapes, resource_type: str, definition: SearchParameter) -> CompiledPath | None:
    """The expression, ready to run; None when HL7's text does not fit the type (three in R5 do not)."""
    try:
        return compile_path(re.sub(r"\b(Domain)?Resource\.", f"{resource_type}.", definition.expression), shape, resource_type)
    except FhirPathError:
        return None


@cache
def indexed(fhir: str, resource_type: str, key_of: Callable[[str, str], int]) -> dict[str, Indexed]:
    """The parameters of a type that are indexed, by name."""
    shape = shapes(fhir)
    found = {}
    for name, definition in shape.search_parameters(resource_type).items():
        if definition.type not in TABLES or name in OF_THE_ROW | {"_in"}:
            continue
        if path := _compiled(shape, resource_type, definition):
            members = _members(resource_type, definition.expression)
            found[name] = Indexed(definition, key_of(resource_type, name), key_of(resource_type, f"{name}:identifier"), path, members)
    return found


def _rows_of(parameter: Indexed, resource: dict[str, Any]) -> Iterator[tuple[str, IndexRow]]:
    """The rows of one parameter, with their table."""
    try:
        values = parameter.path(resource)
    except FhirPathError:
        return  # an expression that has no answer for this resource finds nothing in it
    table, read = TABLES[parameter.definition.type]
    for value in values:
        for row in read(value):
            yield table, (parameter.key, *row)
        if table == "reference":
            for row in identifiers(value):
                yield "token", (parameter.identifier_key, *row)


def write(
    connection: sqlite3.Connection,
    change: int,
    resource: dict[str, Any],
    parameters: Iterable[Indexed],
    targets: Iterable[tuple[str, str]],
) -> None:
    """Add the index rows of one version; `targets` are the (type, id) of all resources it refers to."""
    rows: dict[str, list[IndexRow]] = {"reference": [(ANY_REFERENCE, identity, kind, change) for kind, identity in targets]}
    names = "".join(f" {name}" for name in resource)
    for parameter in parameters:
        if not parameter.may_find(names):
            continue
        for table, row in _rows_of(parameter, resource):
            rows.setdefault(table, []).append((*row, change))
    for table, values in rows.items():
        connection.executemany(INSERTS[table], values)
