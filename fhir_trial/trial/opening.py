"""From a row of a table to the resource it was read from: the place that lineage names, opened."""

from collections.abc import Mapping
from typing import Any

from fhir_trial.errors import Findings, UsageError
from fhir_trial.sync.locate import read_one
from fhir_trial.trial.apart import Resource
from fhir_trial.trial.connection import Connection, connect
from fhir_trial.trial.folder_reading import is_fhir_folder, read_resources
from fhir_trial.trial.lineage import RESOURCE, VERSION
from fhir_trial.trial.opened import OpenTrial


def open_resource(opened: OpenTrial, row: Mapping[str, Any] | str) -> Resource:
    """The resource of a row with lineage, or of a place (`Type/id`): in the version that was read, where the server still has that.

    Raises `UsageError` for a row without lineage, for data that came from no FHIR, and where the resource is not there any more.
    """
    place, version = _place(row)
    found = _on_server(opened, place, version) if opened.server is not None else _in_folder(opened, place)
    if found is None:
        raise UsageError(f"{place} is not there any more")
    return found


def _place(row: Mapping[str, Any] | str) -> tuple[str, str | None]:
    if isinstance(row, str):
        place, _, wanted = row.partition("/_history/")
        return place, wanted or None
    found, version = row.get(RESOURCE), row.get(VERSION)
    if not isinstance(found, str):
        raise UsageError(f"the row has no {RESOURCE}: ask for the table with lineage=True, of data that came from FHIR")
    return found, version if isinstance(version, str) else None


def _on_server(opened: OpenTrial, place: str, version: str | None) -> Resource | None:
    assert opened.server is not None
    with connect(opened.server, opened.fhir) as connection:
        if version is None:
            return connection.run(read_one(place))
        return _of_version(connection, place, version)


def _of_version(connection: Connection, place: str, version: str) -> Resource | None:
    """The version that was read; where the server keeps no older ones, the current if it is still that."""
    current = connection.run(read_one(place))
    if current is not None and current.get("meta", {}).get("versionId") == version:
        return current
    return connection.run(read_one(f"{place}/_history/{version}"))


def _in_folder(opened: OpenTrial, place: str) -> Resource | None:
    if opened.folder is None or not is_fhir_folder(opened.folder):
        raise UsageError("the data came from no FHIR: there is no resource to open")
    resources = read_resources(opened.folder, Findings())
    return next((r for r in resources if f"{r['resourceType']}/{r.get('id')}" == place), None)
