"""What never leaves a folder: identities that lead elsewhere, people inside other things, arms of a blinded study, what others need."""

import gzip
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fhir_trial.errors import InputError, PartlyDone, Unreachable
from fhir_trial.fhir.http import Request, Response, run
from fhir_trial.fhir.json import encode
from fhir_trial.mapping.keys import BASE
from fhir_trial.sync.blinding import without_arm
from fhir_trial.sync.capability import ServerInfo, TypeInfo, discover
from fhir_trial.sync.decide import Choices
from fhir_trial.sync.failures import Interrupted
from fhir_trial.sync.folder import read_folder
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.push import Report, push
from fhir_trial.testing.hospital import HospitalServer
from fhir_trial.testing.memory_server import MemoryServer

Resource = dict[str, Any]


def pushed(server: MemoryServer, journal: Journal, *resources: Resource, research_store: bool = True, **choices: Any) -> Report:
    info = run(discover(server.base_url, research_store=research_store), server.handle)
    return run(push(resources, info, journal, Choices(**choices)), server.handle)


@pytest.mark.parametrize("identity", ["../Patient/7", "..", ".", "x?y=1", "x#y", "a b", "x/y", "", "x" * 65, "é", "x\n", 7, None])
def test_an_id_that_is_none_of_fhirs_is_refused_before_anything_is_asked(identity: object) -> None:
    server = MemoryServer()
    with Journal(":memory:") as journal, pytest.raises(InputError) as caught:
        run(push([{"resourceType": "Organization", "id": identity}], run(discover(server.base_url), server.handle), journal), server.handle)
    assert [f.code for f in caught.value.findings] == ["no-identity"]
    assert server.writes == 0


@pytest.mark.parametrize("kind", ["Organization/../Patient", "patient", "", "P", "Patient?", 7])
def test_a_type_that_is_none_of_fhirs_is_refused(kind: object) -> None:
    server = MemoryServer()
    with Journal(":memory:") as journal, pytest.raises(InputError):
        run(push([{"resourceType": kind, "id": "a"}], run(discover(server.base_url), server.handle), journal), server.handle)


PERSON = {"resourceType": "Patient", "id": "p", "identifier": [{"system": "urn:p", "value": "1"}]}
INSIDE = [
    {"resourceType": "Bundle", "id": "x", "type": "collection", "entry": [{"resource": PERSON}]},
    {"resourceType": "Parameters", "id": "x", "parameter": [{"name": "a", "part": [{"name": "b", "resource": PERSON}]}]},
    {"resourceType": "Observation", "id": "x", "status": "final", "contained": [PERSON]},
]


@pytest.mark.parametrize("resource", INSIDE, ids=lambda r: r["resourceType"])
def test_a_person_inside_something_else_is_a_person(resource: Resource) -> None:
    with Journal(":memory:") as journal:
        report = pushed(server := MemoryServer(), journal, resource, research_store=False)
        assert (report.created, [item.place for item in report.refused], server.writes) == (0, [f"{resource['resourceType']}/x"], 0)
        assert "research store" in str(report.refused[0].reason)


def test_a_person_inside_an_observation_goes_to_a_research_store() -> None:
    with Journal(":memory:") as journal:
        assert pushed(MemoryServer(), journal, INSIDE[2]).created == 1


def column(record: str, name: str, value: str) -> Resource:
    parts = {"record": record, "name": name, "value": value}
    return {"url": f"{BASE}StructureDefinition/source-column", "extension": [{"url": u, "valueString": v} for u, v in parts.items()]}


def test_what_a_sponsor_adds_to_dm_may_tell_the_arm() -> None:
    told = [column("SUPPDM TRTGRP", "QVAL", "SECRET"), column("SUPPDM ARMX", "QVAL", "SECRET"), column("DM", "ARMCD", "SECRET")]
    subject = {"resourceType": "ResearchSubject", "id": "s", "extension": [*told, column("DM", "DMDY", "1")]}
    assert "SECRET" not in encode(without_arm(subject)).decode()
    assert without_arm(subject)["extension"] == [column("DM", "DMDY", "1")]


def test_a_group_without_members_tells_no_arm() -> None:
    group = {"resourceType": "Group", "id": "g", "identifier": [{"system": "urn:g", "value": "g"}], "type": "person"}
    with_members = group | {"id": "h", "identifier": [{"system": "urn:g", "value": "h"}], "member": [{"entity": {"display": "x"}}]}
    with Journal(":memory:") as journal:
        report = pushed(MemoryServer(), journal, group, with_members, research_store=False, withhold_arm=True)
    assert (report.created, [item.place for item in report.refused]) == (1, ["Group/h"])


def test_what_the_source_still_refers_to_is_not_deleted() -> None:
    person = {"resourceType": "Patient", "id": "m"}
    seen = {"resourceType": "Observation", "id": "d", "status": "final", "subject": {"reference": "Patient/m"}}
    with Journal(":memory:") as journal:
        server = MemoryServer()
        assert pushed(server, journal, person, seen).created == 2
        report = pushed(server, journal, seen, delete=True)
        assert (report.deleted, [item.place for item in report.refused]) == (0, ["Patient/m"])
        assert pushed(server, journal, delete=True).deleted == 2


@pytest.mark.parametrize("name", ["Location.ndjson.gz", "Bundle.json", "Location.jsonl", "Location.NDJSON"])
def test_a_folder_with_fhir_in_another_form_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """Passed over in silence it would count as gone from the source, and be deleted."""
    row = encode({"resourceType": "Location", "id": "l"}) + b"\n"
    (tmp_path / "Organization.ndjson").write_bytes(encode({"resourceType": "Organization", "id": "o"}) + b"\n")
    (tmp_path / "loss.json").write_bytes(b"{}")
    assert len(list(read_folder(tmp_path))) == 1
    (tmp_path / name).write_bytes(gzip.compress(row) if name.endswith("gz") else row)
    with pytest.raises(InputError) as caught:
        list(read_folder(tmp_path))
    assert [(f.code, f.place) for f in caught.value.findings] == [("other-form", str(tmp_path / name))]


def observed(number: int, refers_to: int, *more: int) -> Resource:
    return {
        "resourceType": "Observation",
        "id": f"o-{number}",
        "identifier": [{"system": "urn:o", "value": str(number)}],
        "status": "final",
        "category": [{"coding": [{"code": "laboratory"}]}],
        "subject": {"reference": "Patient/7"},
        "hasMember": [{"reference": f"Observation/o-{n}"} for n in (refers_to, *more)],
    }


CIRCLES = pytest.mark.parametrize("links", [{1: 1}, {1: 2, 2: 1}, {1: 2, 2: 3, 3: 1}], ids=["itself", "two", "three"])


def circle(links: dict[int, int], named: bool) -> list[Resource]:
    """Observations of a patient whom the server gives an id, which refer to each other; by their identifiers too if `named`."""
    rows: list[Resource] = [{"resourceType": "Patient", "id": "p", "identifier": [{"system": "urn:p", "value": "p"}]}]
    for number, to in links.items():
        target = {"identifier": {"system": "urn:o", "value": str(to)}} if named else {}
        row = observed(number, to) | {"subject": {"reference": "Patient/p"}}
        rows.append(row | {"hasMember": [{"reference": f"Observation/o-{to}", **target}]})
    return rows


@CIRCLES
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("lost", ["request", "answer"])
def test_a_circle_that_is_broken_off_at_any_moment_is_there_once_and_in_no_conflict(links: dict[int, int], named: bool, lost: str) -> None:
    rows = circle(links, named)
    for left in range(0, 20, 2):
        server, requests = HospitalServer(), iter(range(left))
        info = run(discover(server.base_url, research_store=True), server.handle)

        def send(request: Request, server: HospitalServer = server, requests: Iterator[int] = requests) -> Response:
            if next(requests, None) is None:
                if lost == "answer":
                    server.handle(request)
                raise Interrupted("gone")
            return server.handle(request)

        with Journal(":memory:") as journal:
            with suppress(PartlyDone, Unreachable):
                run(push(rows, info, journal), send)
            assert pushed(server, journal, *rows).is_clean
            assert (len(server.held), pushed(server, journal, *rows).written) == (len(rows), 0)
            changed = [*rows[:-1], rows[-1] | {"hasMember": []}]
            report = pushed(server, journal, *changed)
            assert (report.findings, report.updated, len(server.held)) == ([], 1, len(rows))


@CIRCLES
@pytest.mark.parametrize("named", [False, True])
def test_a_circle_on_a_server_with_ids_of_its_own_is_no_conflict_later(links: dict[int, int], named: bool) -> None:
    server, rows = HospitalServer(), circle(links, named)
    with Journal(":memory:") as journal:
        assert pushed(server, journal, *rows).created == len(rows)
        before = server.writes
        assert (pushed(server, journal, *rows).written, server.writes) == (0, before)
        for number in range(1, len(rows)):
            rows[number] = rows[number] | {"hasMember": []}
            report = pushed(server, journal, *rows)
            assert (report.findings, report.updated) == ([], 1)


@pytest.mark.parametrize("transactions", [False, True])
def test_what_keeps_our_id_refers_to_where_the_server_put_what_does_not(transactions: bool) -> None:
    """Some servers give ids of their own to patients alone."""
    server, rows = MemoryServer(), circle({1: 2, 2: 2}, named=False)
    acts = frozenset({"read", "create", "update", "search-type"})
    types = {name: TypeInfo(acts, name != "Patient", frozenset({"identifier"}), True) for name in ("Patient", "Observation")}
    info = ServerInfo(server.base_url, "4.0.1", transactions, research_store=True, types=types)
    with Journal(":memory:") as journal:
        assert run(push(rows, info, journal), server.handle).created == len(rows)
        (patient,) = (place for place in server.held if place.startswith("Patient/"))
        assert {row["subject"]["reference"] for place, row in server.held.items() if place != patient} == {patient} != {"Patient/p"}
        changed = [*rows[:-1], rows[-1] | {"hasMember": []}]
        for updated in (1, 0):
            report = run(push(changed, info, journal), server.handle)
            assert (report.findings, report.updated) == ([], updated)
