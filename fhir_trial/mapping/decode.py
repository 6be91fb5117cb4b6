"""Tables of raw FHIR values, as views give them, decoded to the domain's tables: each distinct value once, by the rule's own codec."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fhir_trial.domain.entities import Entity
from fhir_trial.domain.tables import entity_schema
from fhir_trial.errors import Finding, Findings
from fhir_trial.mapping.codecs import field_types, key_part
from fhir_trial.mapping.compile import Compiled
from fhir_trial.mapping.errors import BadValue
from fhir_trial.mapping.keys import split_key
from fhir_trial.mapping.reader import required_fields
from fhir_trial.mapping.tree import Link, Repeat
from fhir_trial.mapping.views import INDEX_COLUMN, KEY_COLUMN, Column, entity_columns, index_column, repeat_columns, repeats

Columns = dict[str, pa.Array]


def decode_tables(compiled: Compiled, raw: Mapping[str, pa.Table], findings: Findings) -> pa.Table:
    """The entity's table from the raw tables of its views (own and repeats), in its schema.

    A value that its rule cannot read becomes null, and a row that then lacks a required field is left out: both are findings.
    """
    name = compiled.rules.entity
    own = raw[name]
    keys = [(n, field_types(compiled.entity)[n]) for n in compiled.rules.key] if compiled.rules.identifier else []
    columns = _decoded(own, entity_columns(compiled), compiled.entity, keys, findings)
    for repeat in repeats(compiled.root):
        places = [(identity,) for identity in own["resource_id"].to_pylist()]
        columns[repeat.field] = _gathered(places, repeat, _Raw(raw, name, compiled.members), findings)
    table = _table(columns, own.num_rows, compiled.entity)
    return table.filter(_complete(table, compiled.entity, name, findings))


def _decoded(raw: pa.Table, plan: list[Column], entity: type[Entity], keys: list[tuple[str, Any]], findings: Findings) -> Columns:
    schema = entity_schema(entity)
    found: Columns = {}
    if keys and KEY_COLUMN in raw.column_names:
        found |= _split(raw[KEY_COLUMN], keys, schema, f"{entity.__name__}.{KEY_COLUMN}", findings)
    # An original that was kept, and a local time, go before the code and the date beside them.
    order = sorted(plan, key=lambda c: (c.leaf is not None and c.leaf.kept, not c.name.endswith("_local")))
    for column in order:
        if column.link is not None:
            _add(found, _linked(raw[column.name], column.link, schema, findings))
        elif column.leaf is not None:
            field, texts = column.leaf.field, raw[column.name]
            if column.leaf.kept and field in found:
                texts = pc.if_else(pc.is_valid(found[field]), pa.scalar(None, pa.string()), texts)
            values = _mapped(texts, column.leaf.codec.decode, schema.field(field).type, f"{entity.__name__}.{field}", findings)
            _add(found, {field: values})
    return found


def _add(found: Columns, more: Columns) -> None:
    """Fill what is still null with what another column gives."""
    for name, values in more.items():
        found[name] = pc.coalesce(found[name], values) if name in found else values


def _mapped(column: pa.ChunkedArray, decode: Callable[[Any], Any], target: pa.DataType, place: str, findings: Findings) -> pa.Array:
    """The column with each distinct value decoded once."""
    encoded = pc.dictionary_encode(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    decoded = []
    for value in encoded.dictionary.to_pylist():
        try:
            decoded.append(decode(value))
        except BadValue as problem:
            decoded.append(None)
            findings.add(Finding("cannot-be-mapped", place, found=str(problem.found), expected=problem.expected, effect="read as missing"))
    return pa.array(decoded, target).take(encoded.indices)


def _split(column: pa.ChunkedArray, keys: list[tuple[str, Any]], schema: pa.Schema, place: str, findings: Findings) -> Columns:
    """The fields of a key, from the column of its identifiers."""
    rows: list[list[Any]] = []
    for value in column.to_pylist():
        parts = split_key(value) if value is not None else []
        if len(parts) != len(keys):
            findings.add(
                Finding("cannot-be-mapped", place, found=value, expected=f"a key of {len(keys)} parts", effect="the row is left out")
            )
            parts = [None] * len(keys)
        rows.append(_typed(parts, keys, place, findings))
    return {name: pa.array([row[i] for row in rows], schema.field(name).type) for i, (name, _) in enumerate(keys)}


def _typed(parts: list[str | None], keys: list[tuple[str, Any]], place: str, findings: Findings) -> list[Any]:
    try:
        return [key_part(part, python_type) for part, (_, python_type) in zip(parts, keys, strict=True)]
    except BadValue as problem:
        findings.add(Finding("cannot-be-mapped", place, found=str(problem.found), expected=problem.expected, effect="the row is left out"))
        return [None] * len(keys)


def _linked(column: pa.ChunkedArray, link: Link, schema: pa.Schema, findings: Findings) -> Columns:
    present = [(name, python_type) for name, python_type, _ in link.parts]
    if column.null_count == len(column):
        return {name: pa.nulls(len(column), schema.field(name).type) for name, _ in present}
    empty = "/" * (len(present) - 1)
    return _split(pc.fill_null(column, empty), present, schema, link.path, findings)


Place = tuple[Any, ...]
"""Where an item stands: the resource's id, and its position in each list that it is in."""


@dataclass(frozen=True)
class _Raw:
    """The tables of a repeat's views: those whose name begins with `name`; `outer` are the repeats it is in."""

    tables: Mapping[str, pa.Table]
    name: str
    members: Mapping[str, type[Entity]]
    outer: tuple[Repeat, ...] = ()

    def places(self, table: pa.Table) -> list[Place]:
        """Where each row stands."""
        names = ("resource_id", *(index_column(repeat) for repeat in self.outer), INDEX_COLUMN)
        return list(zip(*(table[name].to_pylist() for name in names), strict=True))

    def inside(self, repeat: Repeat) -> "_Raw":
        """Those of the repeats in `repeat`."""
        return _Raw(self.tables, f"{self.name}_{repeat.field}", self.members, (*self.outer, repeat))


def _gathered(parents: list[Place], repeat: Repeat, raws: _Raw, findings: Findings) -> pa.Array:
    """The rows of a repeat as one list of structs a parent row, in the order of the resource."""
    raw, member = raws.tables[f"{raws.name}_{repeat.field}"], raws.members[repeat.field]
    columns = _decoded(raw, repeat_columns(repeat), member, [], findings)
    places = raws.places(raw)
    for inner in repeats(repeat.node):
        columns[inner.field] = _gathered(places, inner, raws.inside(repeat), findings)
    table = _table(columns, raw.num_rows, member)
    complete = _complete(table, member, repeat.field, findings).to_pylist()
    by_parent: dict[Place, list[tuple[int, Any]]] = {}
    for place, item, whole in zip(places, table.to_pylist(), complete, strict=True):
        if whole:
            by_parent.setdefault(place[:-1], []).append((place[-1], item))
    lists = [[item for _, item in sorted(by_parent.get(p, []), key=lambda pair: pair[0])] for p in parents]
    return pa.array(lists, pa.list_(pa.struct(list(entity_schema(member)))))


def _table(columns: Columns, length: int, entity: type[Entity]) -> pa.Table:
    schema = entity_schema(entity)
    return pa.table([columns.get(f.name, pa.nulls(length, f.type)) for f in schema], schema=schema)


def _complete(table: pa.Table, entity: type[Entity], name: str, findings: Findings) -> pa.Array:
    """Which rows have every field that the entity cannot do without."""
    complete = pa.array([True] * table.num_rows, pa.bool_())
    for field in required_fields(entity):
        complete = pc.and_(complete, pc.is_valid(table[field]).combine_chunks())
    if missing := table.num_rows - (pc.sum(complete).as_py() or 0):
        required = ", ".join(sorted(required_fields(entity)))
        findings.add(Finding("row-left-out", name, found=f"{missing} rows", expected=f"a value for each of {required}"))
    return complete
