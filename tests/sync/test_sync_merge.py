"""What someone else changed since the last sync: brought together by element, disputed where both changed the same one."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from fhir_trial.fhir.http import Request, run
from fhir_trial.fhir.json import encode
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.decide import Choices
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.merge import Base, elements, merge
from fhir_trial.sync.plan import make_plan
from fhir_trial.sync.push import push
from fhir_trial.testing.memory_server import MemoryServer

BASE = {"resourceType": "Observation", "id": "o", "status": "final", "valueQuantity": {"value": 5, "unit": "mm"}, "note": [{"text": "a"}]}
ANOTHER = {"value": 5, "unit": "cm"}


def base_of(resource: dict) -> Base:
    return Base(elements(resource), elements(resource))


MERGES = {
    "different elements": ({"status": "amended"}, {"note": [{"text": "b"}]}, ("note",), ("status",), ()),
    "the same to the same": ({"status": "amended"}, {"status": "amended"}, (), (), ()),
    "the same to different": ({"status": "amended"}, {"status": "corrected"}, (), (), ("status",)),
    "value and unit are never mixed": ({"valueQuantity": {"value": 6, "unit": "mm"}}, {"valueQuantity": ANOTHER}, (), (), ("value",)),
    "one choice type": ({"valueQuantity": None, "valueInteger": 6}, {"valueQuantity": None, "valueString": "6"}, (), (), ("value",)),
    "removed there": ({"status": "amended"}, {"note": None}, ("note",), ("status",), ()),
    "added here": ({"interpretation": []}, {"note": [{"text": "b"}]}, ("note",), ("interpretation",), ()),
}


@pytest.mark.parametrize("name", MERGES)
def test_who_changed_what(name: str):
    mine, yours, kept, taken, disputed = MERGES[name]
    ours, theirs = ({k: v for k, v in {**BASE, **change}.items() if v is not None} for change in (mine, yours))
    merged = merge(ours, theirs, base_of(BASE))
    assert (merged.kept, merged.taken, merged.disputed) == (kept, taken, disputed)
    if not disputed:
        assert merged.resource == {k: v for k, v in {**BASE, **mine, **yours}.items() if v is not None}


FIELDS = st.dictionaries(st.sampled_from(["status", "code", "note", "method", "valueInteger", "valueString"]), st.integers(0, 2))


@given(FIELDS, FIELDS, FIELDS)
def test_laws_of_merging(last: dict, ours: dict, theirs: dict):
    last, ours, theirs = ({"resourceType": "Observation", "id": "o", **fields} for fields in (last, ours, theirs))
    base = base_of(last)
    assert merge(ours, last, base).resource == ours, "nobody else changed anything"
    assert merge(last, theirs, base).resource == theirs, "we changed nothing"
    there = merge(ours, theirs, base)
    back = merge(theirs, ours, base)
    assert (there.kept, there.taken, there.disputed) == (back.taken, back.kept, back.disputed)
    if not there.disputed:
        assert there.resource == back.resource
        assert not {"valueInteger", "valueString"} <= there.resource.keys() or any(
            {"valueInteger", "valueString"} <= side.keys() for side in (ours, theirs)
        ), "no two values where each side had one"


@pytest.fixture
def synced():
    """A server and journal after a first sync of one observation."""
    server = MemoryServer()
    with Journal(":memory:") as journal:
        run(push([BASE], info(server), journal), server.handle)
        yield server, journal


def info(server: MemoryServer) -> ServerInfo:
    return ServerInfo(server.base_url, "4.0.1", research_store=True)


def someone_edits(server: MemoryServer, **change: object) -> None:
    server.handle(Request("PUT", "Observation/o", body=encode({**server.held["Observation/o"], **change})))


def sync(synced, ours: dict, **choices: object):
    server, journal = synced
    return run(push([ours], info(server), journal, Choices(**choices)), server.handle)


def plan(synced, ours: dict):
    server, journal = synced
    return run(make_plan([ours], info(server), journal.synced(server.base_url)), server.handle)


def test_changes_of_both_sides_come_together_and_stay_so(synced):
    ours = {**BASE, "status": "amended"}
    someone_edits(synced[0], note=[{"text": "b"}])
    assert list(plan(synced, ours).lines()) == ["update Observation/o: merged; as on the server: note; status: changed"]
    assert sync(synced, ours).updated == 1
    held = synced[0].held["Observation/o"]
    assert (held["status"], held["note"]) == ("amended", [{"text": "b"}])
    assert sync(synced, ours).written == 0
    assert sync(synced, {**ours, "status": "corrected"}).updated == 1
    assert synced[0].held["Observation/o"]["note"] == [{"text": "b"}]


def test_a_dispute_names_its_elements_and_is_settled_either_way(synced):
    ours = {**BASE, "status": "amended", "method": {"text": "CT"}}
    someone_edits(synced[0], status="corrected")
    (line,) = plan(synced, ours).lines()
    assert line == "conflict Observation/o: changed on both sides since the last sync: status; method: added; status: changed"
    assert sync(synced, ours, prefer="server").updated == 1
    held = synced[0].held["Observation/o"]
    assert (held["status"], held["method"]) == ("corrected", {"text": "CT"})
    assert sync(synced, ours).is_clean
    assert sync(synced, ours, prefer="source").updated == 1
    assert synced[0].held["Observation/o"]["status"] == "amended"


def test_what_was_settled_for_the_server_is_asked_no_more(synced):
    someone_edits(synced[0], status="corrected")
    assert len(sync(synced, BASE).conflicts) == 1
    assert sync(synced, BASE, settled={"Observation/o": "server"}).is_clean
    again = sync(synced, BASE)
    assert (again.is_clean, again.written) == (True, 0)
    someone_edits(synced[0], status="cancelled")
    assert len(sync(synced, BASE).conflicts) == 1
    assert sync(synced, BASE, settled={"Observation/o": "source"}).updated == 1
    assert synced[0].held["Observation/o"]["status"] == "final"
