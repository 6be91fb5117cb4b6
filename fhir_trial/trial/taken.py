"""Rows read from resources, as the study's tables take them: of this study, each key once, and of a size that a column can hold."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from fhir_trial.domain.entities import Entity
from fhir_trial.domain.tables import entity_schema, to_table
from fhir_trial.errors import Finding, Findings
from fhir_trial.fhirpath.decimals import is_measure
from fhir_trial.mapping import RuleMapping
from fhir_trial.mapping.foreign import ForeignRow
from fhir_trial.mapping.keys import join_key
from fhir_trial.trial.lineage import RESOURCE

_NOT_HELD = (pa.ArrowInvalid, OverflowError, UnicodeError)


def held_rows(rows: list[ForeignRow], entity: type[Entity], findings: Findings) -> list[ForeignRow]:
    """The rows without the numbers that no column can hold exactly; one that cannot do without is left out. Both are findings."""
    try:
        to_table([found.row for found in rows], entity)
    except _NOT_HELD:
        return [held for found in rows if (held := _held(found, entity, findings)) is not None]
    return rows


def _held(found: ForeignRow, entity: type[Entity], findings: Findings) -> ForeignRow | None:
    optional = {field.name: field.default for field in msgspec.structs.fields(entity) if not field.required}
    lost = [column.name for column in entity_schema(entity) if not _holds(column, getattr(found.row, column.name))]
    is_whole = all(name in optional for name in lost)
    effect = "read without it" if is_whole else "not read"
    for name in lost:
        expected = "a number that a column holds exactly: 26 digits before the point and 12 after it, or 64 bits"
        findings.add(Finding("not-exact", found.place, field=name, expected=expected, effect=effect))
    if not is_whole:
        return None
    return found._replace(row=msgspec.structs.replace(found.row, **{name: optional[name] for name in lost}))


def _holds(column: pa.Field, value: Any) -> bool:
    if isinstance(value, Decimal) and not is_measure(value):
        return False
    try:
        pa.array([msgspec.to_builtins(value, builtin_types=(Decimal,))], column.type)
    except _NOT_HELD:
        return False
    return True


def of_the_study(
    tables: Mapping[str, pa.Table], lineage: Mapping[str, pa.Table], study: str, mapping: RuleMapping, findings: Findings
) -> dict[str, pa.Table]:
    """The tables with the rows of the study, and of rows with one key the first; a finding for each that is left out.

    Where all rows are of one study, that is the one that is meant, whatever it is called.
    """
    named = {name for table in tables.values() if "study" in table.column_names for name in table["study"].unique().to_pylist()}
    ours = next(iter(named)) if len(named) == 1 else study
    kept = {}
    for entity, table in tables.items():
        keys, told = mapping[entity].rules.key, lineage[entity]
        rows = _of_study(table, keys, ours, told, findings) if "study" in table.column_names else table
        kept[entity] = _once(rows, keys, told, findings) if mapping[entity].rules.identifier else rows
    return kept


def _of_study(table: pa.Table, keys: tuple[str, ...], study: str, lineage: pa.Table, findings: Findings) -> pa.Table:
    same = pc.equal(table["study"], study)
    if table.num_rows > 0 and not pc.all(same).as_py():
        places = _places(lineage)
        for row in table.filter(pc.invert(same)).select(keys).to_pylist():
            place, found = next(iter(places.get(join_key(list(row.values())), ())), "?"), str(row["study"])
            expected = f"the study {study}"
            findings.add(Finding("other-study", place, found=found, expected=expected, severity="warning", effect="not read"))
    return table.filter(same)


def _once(table: pa.Table, keys: tuple[str, ...], lineage: pa.Table, findings: Findings) -> pa.Table:
    if table.group_by(list(keys)).aggregate([]).num_rows == table.num_rows:
        return table
    places, kept = _places(lineage), []
    first: dict[str, dict[str, Any]] = {}
    for index, row in enumerate(table.to_pylist()):
        key = join_key([row[name] for name in keys])
        there = first.setdefault(key, row)
        if there is row:
            kept.append(index)
            places.get(key, [])[:1] = []
            continue
        place = places[key].pop(0) if places.get(key) else "?"
        found = _repeated(place, key, is_same=there == row)
        findings.add(found)
    return table.take(kept)


def _repeated(place: str, key: str, is_same: bool) -> Finding:
    effect = "it says the same as another, and is read once" if is_same else "another of the key is read, this one is not"
    severity: Any = "warning" if is_same else "error"
    return Finding("repeated-key", place, field="identifier", found=key, expected="a key of its own", severity=severity, effect=effect)


def _places(lineage: pa.Table) -> dict[str, list[str]]:
    """The resources of each key, in the order in which they were read."""
    places: dict[str, list[str]] = {}
    key_column = lineage.column(0).to_pylist()
    for key, resource in zip(key_column, lineage[RESOURCE].to_pylist(), strict=True):
        places.setdefault(key, []).append(resource)
    return places
