"""Tables of raw FHIR values, as views give them, decoded to the domain's tables: each distinct value once, by the rule's own codec."""

from collections import Counter
from collections.abc import Mapping
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
from fhir_trial.mapping.tree import Leaf, Link, Repeat
from fhir_trial.mapping.views import INDEX_COLUMN, KEY_COLUMN, Column, entity_columns, index_column, repeat_columns, repeats

Columns = dict[str, pa.Array]


@dataclass(frozen=True)
class _Told:
    """Where the findings of a raw table go, and the resource that each of its rows was read from."""

    raw: pa.Table
    resource_type: str
    findings: Findings

    def place(self, row: int) -> str:
        """The resource of a row."""
        return f"{self.resource_type}/{self.raw['resource_id'][row].as_py() or '?'}"

    def say(self, row: int, field: str, found: Any, expected: str, effect: str) -> None:
        """What a row holds that its rule cannot read."""
        text = None if found is None else str(found)
        self.findings.add(Finding("cannot-be-mapped", self.place(row), field=field, found=text, expected=expected, effect=effect))


def decode_tables(compiled: Compiled, raw: Mapping[str, pa.Table], findings: Findings) -> pa.Table:
    """The entity's table from the raw tables of its views (own and repeats), in its schema.

    A value that its rule cannot read becomes null, and a row that then lacks a required field is left out: both are findings.
    """
    name = compiled.rules.entity
    own = raw[name]
    told = _Told(own, compiled.rules.resource, findings)
    keys = [(n, field_types(compiled.entity)[n]) for n in compiled.rules.key] if compiled.rules.identifier else []
    columns = _decoded(own, entity_columns(compiled), compiled.entity, keys, told)
    for repeat in repeats(compiled.root):
        places = [(identity,) for identity in own["resource_id"].to_pylist()]
        columns[repeat.field] = _gathered(places, repeat, _Raw(raw, name, compiled), findings)
    table = _table(columns, own.num_rows, compiled.entity)
    return table.filter(_complete(table, compiled.entity, name, told))


def _decoded(raw: pa.Table, plan: list[Column], entity: type[Entity], keys: list[tuple[str, Any]], told: _Told) -> Columns:
    schema = entity_schema(entity)
    found: Columns = {}
    if keys and KEY_COLUMN in raw.column_names:
        found |= _split(raw[KEY_COLUMN], keys, schema, KEY_COLUMN, told)
    # An original that was kept, and a local time, go before the code and the date beside them.
    order = sorted(plan, key=lambda c: (c.leaf is not None and c.leaf.kept, not c.name.endswith("_local")))
    for column in order:
        if column.link is not None:
            stated = _linked(raw[column.name], column.link, schema, told)
            _compare(found, stated, column.link.path, told)
            _add(found, stated)
        elif column.leaf is not None:
            field, texts = column.leaf.field, raw[column.name]
            if column.leaf.kept and field in found:
                texts = pc.if_else(pc.is_valid(found[field]), pa.scalar(None, pa.string()), texts)
            _add(found, {field: _mapped(texts, column.leaf, schema.field(field).type, told)})
    return found


def _add(found: Columns, more: Columns) -> None:
    """Fill what is still null with what another column gives."""
    for name, values in more.items():
        found[name] = pc.coalesce(found[name], values) if name in found else values


def _compare(found: Columns, stated: Columns, path: str, told: _Told) -> None:
    """A finding for each row whose reference says another subject, lesion or visit than the row's own key."""
    for name in found.keys() & stated.keys():
        differs = pc.fill_null(pc.not_equal(found[name], stated[name]), False)
        for row in pc.indices_nonzero(differs).to_pylist():
            told.say(row, path, stated[name][row], f"the {name} that the resource itself states", "read as the resource states")


def _mapped(column: pa.ChunkedArray, leaf: Leaf, target: pa.DataType, told: _Told) -> pa.Array:
    """The column with each distinct value decoded once; one that cannot be read is said once, with the first resource that has it."""
    encoded = pc.dictionary_encode(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    decoded: list[Any] = []
    bad: dict[int, BadValue] = {}
    for index, value in enumerate(encoded.dictionary.to_pylist()):
        try:
            decoded.append(leaf.codec.decode(value))
        except BadValue as problem:
            decoded.append(None)
            bad[index] = problem
    indices = encoded.indices.to_pylist() if bad else []
    counts = Counter(indices)
    for row, index in enumerate(indices):
        if index in bad:
            unread = bad.pop(index)
            more = f", as in {counts[index] - 1} more" if counts[index] > 1 else ""
            told.say(row, leaf.path, unread.found, unread.expected, f"read as missing{more}")
    return pa.array(decoded, target).take(encoded.indices)


def _split(column: pa.ChunkedArray, keys: list[tuple[str, Any]], schema: pa.Schema, path: str, told: _Told) -> Columns:
    """The fields of a key, from the column of its identifiers."""
    rows: list[list[Any]] = []
    for row, value in enumerate(column.to_pylist()):
        parts = split_key(value) if value is not None else []
        if len(parts) != len(keys):
            told.say(row, path, value, f"a key of {len(keys)} parts", "read as missing")
            parts = [None] * len(keys)
        try:
            rows.append([key_part(part, python_type) for part, (_, python_type) in zip(parts, keys, strict=True)])
        except BadValue as problem:
            told.say(row, path, problem.found, problem.expected, "read as missing")
            rows.append([None] * len(keys))
    return {name: pa.array([row[i] for row in rows], schema.field(name).type) for i, (name, _) in enumerate(keys)}


def _linked(column: pa.ChunkedArray, link: Link, schema: pa.Schema, told: _Told) -> Columns:
    present = [(name, python_type) for name, python_type, _ in link.parts]
    if column.null_count == len(column):
        return {name: pa.nulls(len(column), schema.field(name).type) for name, _ in present}
    empty = "/" * (len(present) - 1)
    return _split(pc.fill_null(column, empty), present, schema, link.path, told)


Place = tuple[Any, ...]
"""Where an item stands: the resource's id, and its position in each list that it is in."""


@dataclass(frozen=True)
class _Raw:
    """The tables of a repeat's views: those whose name begins with `name`; `outer` are the repeats it is in."""

    tables: Mapping[str, pa.Table]
    name: str
    compiled: Compiled
    outer: tuple[Repeat, ...] = ()

    def places(self, table: pa.Table) -> list[Place]:
        """Where each row stands."""
        names = ("resource_id", *(index_column(repeat) for repeat in self.outer), INDEX_COLUMN)
        return list(zip(*(table[name].to_pylist() for name in names), strict=True))

    def inside(self, repeat: Repeat) -> "_Raw":
        """Those of the repeats in `repeat`."""
        return _Raw(self.tables, f"{self.name}_{repeat.field}", self.compiled, (*self.outer, repeat))


def _gathered(parents: list[Place], repeat: Repeat, raws: _Raw, findings: Findings) -> pa.Array:
    """The rows of a repeat as one list of structs a parent row, in the order of the resource."""
    raw, member = raws.tables[f"{raws.name}_{repeat.field}"], raws.compiled.members[repeat.field]
    told = _Told(raw, raws.compiled.rules.resource, findings)
    columns = _decoded(raw, repeat_columns(repeat), member, [], told)
    places = raws.places(raw)
    for inner in repeats(repeat.node):
        columns[inner.field] = _gathered(places, inner, raws.inside(repeat), findings)
    table = _table(columns, raw.num_rows, member)
    complete = _complete(table, member, repeat.field, told).to_pylist()
    by_parent: dict[Place, list[tuple[int, Any]]] = {}
    for place, item, whole in zip(places, table.to_pylist(), complete, strict=True):
        if whole:
            by_parent.setdefault(place[:-1], []).append((place[-1], item))
    lists = [[item for _, item in sorted(by_parent.get(p, []), key=lambda pair: pair[0])] for p in parents]
    return pa.array(lists, pa.list_(pa.struct(list(entity_schema(member)))))


def _table(columns: Columns, length: int, entity: type[Entity]) -> pa.Table:
    schema = entity_schema(entity)
    return pa.table([columns.get(f.name, pa.nulls(length, f.type)) for f in schema], schema=schema)


def _complete(table: pa.Table, entity: type[Entity], name: str, told: _Told) -> pa.Array:
    """Which rows have every field that the entity cannot do without; a finding for each that has not."""
    valid = {field: pc.is_valid(table[field]).combine_chunks() for field in sorted(required_fields(entity))}
    complete = pa.array([True] * table.num_rows, pa.bool_())
    for column in valid.values():
        complete = pc.and_(complete, column)
    for row in pc.indices_nonzero(pc.invert(complete)).to_pylist():
        missing = ", ".join(field for field, column in valid.items() if not column[row].as_py())
        expected, effect = f"a value for {missing}", f"the {name.replace('_', ' ')} is left out"
        told.findings.add(Finding("row-left-out", told.place(row), expected=expected, effect=effect))
    return complete
