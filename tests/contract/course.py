"""The course that a study's data take on a server: each step with what must hold after it."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fhir_trial.domain.entities import RESULT_ENTITIES, Entity
from fhir_trial.errors import Findings
from fhir_trial.fhir.http import Request
from fhir_trial.fhir.json import encode
from fhir_trial.mapping import load
from fhir_trial.sources.study_file import load_study
from fhir_trial.sync.compare import differences
from fhir_trial.sync.decide import Choices
from fhir_trial.sync.folder import read_folder
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.order import place_of
from fhir_trial.sync.push import Report, push
from fhir_trial.trial.connection import Connection
from fhir_trial.trial.pulling import Wanted, pull_into
from fhir_trial.trial.resources import Resource

Note = Callable[[str], None]


def read_results(resources: Iterable[Resource], fhir: str) -> dict[str, list[Entity]]:
    """The rows of the results among the resources, by entity and in order of their keys."""
    mapping, findings = load(fhir, load_study("NCT05189483")), Findings()
    found: dict[str, list[Entity]] = {}
    for resource in sorted(resources, key=place_of):
        entity = mapping.entity_of(resource)
        if entity in RESULT_ENTITIES:
            row = mapping[entity].read(resource, findings)
            assert row is not None
            found.setdefault(entity, []).append(row)
    findings.raise_errors()
    return found


def _pulled(server: Connection, folder: Path, wanted: Wanted) -> dict[str, Resource]:
    pull_into(server, folder, wanted)
    return {place_of(row): row for row in read_folder(folder)}


def run(server: Connection, resources: Iterable[Resource], folder: Path, note: Note = lambda _: None) -> None:
    """Pushed, again without a write, changed, in conflict, pulled by search and by export; `note` hears of each step that held."""
    ours = list(resources)
    mine, theirs = [n for n, r in enumerate(ours) if r["resourceType"] == "Observation" and r["status"] == "final"][:2]
    edited = _written(server, ours, mine, theirs, note)
    places = {place_of(row) for row in ours}
    for way, wanted in (("search", Wanted()), ("export", Wanted(bulk=True))):
        there = {place: row for place, row in _pulled(server, folder / way, wanted).items() if place in places}
        note(f"pulled by {way}: {len(there):,}")
        assert sorted(places - set(there)) == []
        assert [place_of(row) for row in ours if differences(there[place_of(row)], row, {})] == []
        assert {place for place, row in there.items() if row["meta"]["versionId"] != "1"} == {place_of(ours[mine]), edited}
        results = read_results(there.values(), server.fhir)
        assert results == read_results(ours, server.fhir)
        note(f"equal to what was sent; rows of results read again: {sum(map(len, results.values())):,}")


def _written(server: Connection, ours: list[Resource], mine: int, theirs: int, note: Note) -> str:
    """Push, change one, let someone else change another; its place."""
    with Journal(":memory:") as journal:

        def sync(**choices: Any) -> Report:
            return server.run(push(ours, server.info, journal, Choices(**choices)))

        first = sync()
        assert (first.created, first.written, first.findings) == (len(ours), len(ours), [])
        note(f"created: {first.created:,}")
        again = sync()
        assert (again.written, again.unchanged) == (0, len(ours))
        note(f"again: {again.written} written, {again.unchanged:,} unchanged")
        ours[mine] = ours[mine] | {"status": "amended"}
        changed = sync()
        assert (changed.updated, changed.written, changed.unchanged) == (1, 1, len(ours) - 1)
        edited = ours[theirs] | {"status": "corrected"}
        put = Request("PUT", place_of(edited), {"Content-Type": "application/fhir+json"}, encode(edited))
        assert server.send(put).is_success
        assert [item.place for item in sync().conflicts] == [place_of(edited)]
        assert sync(prefer="source").updated == 1
        assert sync().written == 0
        note("one changed, one in conflict and settled, then nothing to write")
    return place_of(edited)
