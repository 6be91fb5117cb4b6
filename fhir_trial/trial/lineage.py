"""Which resource, in which version, a row of trial data was read from: kept by the row's key, so that no order of rows matters."""

from collections.abc import Iterable, Mapping

import pyarrow as pa

from fhir_trial.domain.tables import TrialData
from fhir_trial.fhir.versions import DEFAULT
from fhir_trial.mapping import load
from fhir_trial.mapping.keys import join_key
from fhir_trial.mapping.views import KEY_COLUMN

RESOURCE, VERSION = "resource", "version"
"""The columns: `Type/id`, and `meta.versionId` where the resource has one."""


def lineage_table(resource_type: str, raw: pa.Table) -> pa.Table:
    """From the raw table of an entity's own view: the key of each row, its resource and version."""
    resources = [f"{resource_type}/{identity}" for identity in raw["resource_id"].to_pylist()]
    columns = {KEY_COLUMN: raw[KEY_COLUMN], RESOURCE: pa.array(resources, pa.string()), VERSION: raw["version_id"]}
    return pa.table(columns)


def foreign_lineage(rows: Iterable[tuple[str, str, str | None]]) -> pa.Table:
    """The same of rows that others wrote, from (key, resource, version)."""
    schema = pa.schema([(name, pa.string()) for name in (KEY_COLUMN, RESOURCE, VERSION)])
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)


def with_lineage(table: pa.Table, data: TrialData, entity: str) -> pa.Table:
    """The table with `resource` and `version`; null where the data came from no resource, or where two resources have the row's key."""
    found = _by_key(data.lineage.get(entity))
    names = load(DEFAULT)[entity].rules.key
    keys = [join_key(list(values)) for values in zip(*(table[name].to_pylist() for name in names), strict=True)]
    for i, name in enumerate((RESOURCE, VERSION)):
        table = table.append_column(name, pa.array([found[key][i] if key in found else None for key in keys], pa.string()))
    return table


def _by_key(lineage: pa.Table | None) -> Mapping[str, tuple[str, str | None]]:
    if lineage is None:
        return {}
    found: dict[str, tuple[str, str | None]] = {}
    repeated = set()
    for key, resource, version in zip(*(column.to_pylist() for column in lineage.columns), strict=True):
        if key in found:
            repeated.add(key)
        found[key] = (resource, version)
    return {key: place for key, place in found.items() if key not in repeated}
