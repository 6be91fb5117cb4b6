"""Plan and apply against a server in memory: repeatable, one copy, conflicts named."""

import copy

import pytest
from push_data import STORE, cohort, patient

from fhir_trial.errors import ConfigurationError, InputError, PartlyDone, ServerError, Unreachable
from fhir_trial.fhir.http import Request, Response, run
from fhir_trial.fhir.json import encode
from fhir_trial.sync.capability import ServerInfo, discover
from fhir_trial.sync.decide import Choices
from fhir_trial.sync.failures import Interrupted, SignInRefused
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.plan import make_plan
from fhir_trial.sync.push import apply, push
from fhir_trial.testing.memory_server import MemoryServer


class Broken:
    """A server that answers, or breaks off, as told before and after acting on its nth write."""

    def __init__(self, server: MemoryServer, before: dict | None = None, after: dict | None = None) -> None:
        self.server, self.before, self.after, self.number = server, before or {}, after or {}, 0

    def __call__(self, request: Request) -> Response:
        if request.method == "GET":
            return self.server.handle(request)
        self.number += 1
        if self.number in self.before:
            return self._break(self.before[self.number])
        response = self.server.handle(request)
        return self._break(self.after[self.number]) if self.number in self.after else response

    def _break(self, how: object) -> Response:
        if isinstance(how, Exception):
            raise how
        assert isinstance(how, Response)
        return how


def sync(resources: list[dict], send, journal: Journal, server: ServerInfo = STORE, **choices: object):
    return run(push(resources, server, journal, Choices(**choices)), send)


def copies(server: MemoryServer, resources: list[dict]) -> bool:
    return set(server.held) == {f"{r['resourceType']}/{r['id']}" for r in resources}


def test_a_second_push_sends_no_write():
    server, resources = MemoryServer(), cohort()
    with Journal(":memory:") as journal:
        assert sync(resources, server.handle, journal).created == 15
        sent = len(server.log)
        again = sync(copy.deepcopy(resources), server.handle, journal)
    assert (again.written, again.unchanged) == (0, 15)
    assert {r.method for r in server.log[sent:]} == {"GET"}


def test_what_is_referred_to_is_written_first_whatever_the_chunks(monkeypatch):
    monkeypatch.setattr("fhir_trial.sync.push.ENTRIES_AT_ONCE", 2)
    server, resources = MemoryServer(), cohort(2, 3)
    with Journal(":memory:") as journal:
        sync(resources, server.handle, journal)
    assert copies(server, resources)
    order = list(server.held)
    assert order.index("Patient/p-0") < order.index("Observation/o-0-0")
    assert len([r for r in server.log if r.method == "POST"]) == 4


def test_every_entry_has_a_full_url_and_updates_name_the_version():
    server, resources = MemoryServer(), cohort(1, 1)
    with Journal(":memory:") as journal:
        sync(resources, server.handle, journal)
        resources[0]["valueQuantity"]["value"] = 6
        report = sync(resources, server.handle, journal)
    assert (report.updated, report.created) == (1, 0)
    (entry,) = Response(200, {}, server.log[-1].body or b"").json()["entry"]
    assert entry["fullUrl"] == "http://127.0.0.1:1/fhir/Observation/o-0-0"
    assert entry["request"] == {"method": "PUT", "url": "Observation/o-0-0", "ifMatch": 'W/"1"'}


def test_the_plan_shows_fields_and_masks_values():
    server = MemoryServer()
    server.handle(Request("PUT", "Observation/o-1-1", body=b'{"resourceType":"Observation","id":"o-1-1","status":"final"}'))
    plan = run(make_plan([{"resourceType": "Observation", "id": "o-1-1", "status": "amended"}], STORE), server.handle)
    assert list(plan.lines()) == ["update Observation/o-1-1: status: changed"]
    assert list(plan.lines(show_values=True)) == ["update Observation/o-1-1: status: 'final' -> 'amended'"]
    assert "amended" not in repr(plan) + repr(plan.items)


BREAKS = {
    "504 after the server acted": ("after", Response(504)),
    "reset after the server acted": ("after", Interrupted("reset")),
    "503 before": ("before", Response(503)),
    "reset before": ("before", Interrupted("reset")),
    "html with 200 after": ("after", Response(200, {}, b"<html>")),
    "short answer": ("after", Response(200, {}, b'{"resourceType":"Bundle","type":"transaction-response","entry":[]}')),
    "entries that failed, nothing written": (
        "before",
        Response(200, {}, b'{"resourceType":"Bundle","entry":[{"response":{"status":"400"}}]}'),
    ),
}


SINGLE = [name for name, (_, how) in BREAKS.items() if not (isinstance(how, Response) and how.status == 200)]


@pytest.mark.parametrize(("name", "transactions"), [*((name, True) for name in BREAKS), *((name, False) for name in SINGLE)])
def test_one_copy_whatever_breaks(name: str, transactions: bool):
    when, how = BREAKS[name]
    server, resources = MemoryServer(transactions=transactions), cohort()
    info = ServerInfo(STORE.base_url, "4.0.1", transactions=transactions, research_store=True)
    with Journal(":memory:") as journal:
        report = sync(resources, Broken(server, **{when: {1: how}}), journal, info)
        assert not journal.unanswered(STORE.base_url)
        assert sync(resources, server.handle, journal, info).written == 0
    assert (report.created, report.is_clean) == (15, True)
    assert report.verified == ((15 if transactions else 1) if when == "after" else 0)
    assert copies(server, resources)
    assert server.writes == 15


def test_an_update_lost_after_it_was_made_is_no_conflict():
    server, resources = MemoryServer(), cohort()
    with Journal(":memory:") as journal:
        sync(resources, server.handle, journal)
        resources[0]["status"] = "amended"
        report = sync(resources, Broken(server, after={1: Response(504)}), journal)
    assert (report.updated, report.verified, report.conflicts) == (1, 1, [])
    assert server.held["Observation/o-0-0"]["meta"]["versionId"] == "2"


def test_our_own_write_whose_answer_was_lost_for_good_is_no_conflict():
    server, resources = MemoryServer(), cohort(1, 2)
    with Journal(":memory:") as journal:
        sync(resources, server.handle, journal)
        resources[0]["status"] = "amended"
        plan = run(make_plan(resources, STORE, journal.synced(STORE.base_url)), server.handle)

        def acts_and_is_gone(request: Request) -> Response:
            if request.method == "POST":
                server.handle(request)
            raise Interrupted("gone")

        with pytest.raises(Unreachable):
            run(apply(plan, journal), acts_and_is_gone)
        resources[0]["status"] = "corrected"
        report = sync(resources, server.handle, journal)
    assert (report.updated, report.conflicts, report.resumed) == (1, [], 0)


def test_a_server_that_never_takes_a_write_ends_in_one_error():
    server = MemoryServer()
    with Journal(":memory:") as journal, pytest.raises((ServerError, Unreachable)):
        sync(cohort(), Broken(server, before=dict.fromkeys(range(1, 99), Response(503))), journal)
    assert server.held == {}


def test_a_run_that_stops_on_the_way_is_partly_done_and_goes_on(monkeypatch):
    monkeypatch.setattr("fhir_trial.sync.push.ENTRIES_AT_ONCE", 5)
    server, resources = MemoryServer(), cohort()
    gone = dict.fromkeys(range(2, 99), Interrupted("gone"))
    with Journal(":memory:") as journal:
        with pytest.raises(PartlyDone) as stopped:
            sync(resources, Broken(server, before=gone), journal)
        assert stopped.value.exit_code == 5
        assert sync(resources, server.handle, journal).created == 10
    assert server.writes == 15


def test_a_change_by_someone_else_is_a_conflict_until_settled():
    server, resources = MemoryServer(), cohort(1, 2)
    with Journal(":memory:") as journal:
        sync(resources, server.handle, journal)
        server.handle(Request("PUT", "Observation/o-0-0", body=_edited(server, "Observation/o-0-0")))
        report = sync(resources, server.handle, journal)
        assert [(i.place, i.reason) for i in report.conflicts] == [("Observation/o-0-0", "changed on the server since the last sync")]
        assert (report.written, report.is_clean) == (0, False)
        assert sync(resources, server.handle, journal, prefer="server").written == 0
        assert sync(resources, server.handle, journal, prefer="source").updated == 1
        assert sync(resources, server.handle, journal).is_clean


@pytest.mark.parametrize("transactions", [True, False])
def test_a_change_by_someone_else_while_we_write_is_a_conflict_and_the_rest_lands(transactions: bool):
    server, resources = MemoryServer(transactions=transactions), cohort(1, 3)
    info = ServerInfo(STORE.base_url, "4.0.1", transactions, research_store=True)
    with Journal(":memory:") as journal:
        sync(resources, server.handle, journal, info)
        for resource in resources[:3]:
            resource["status"] = "amended"
        plan = run(make_plan(resources, info, journal.synced(STORE.base_url)), server.handle)
        server.handle(Request("PUT", "Observation/o-0-1", body=_edited(server, "Observation/o-0-1")))
        report = run(apply(plan, journal), server.handle)
    assert [i.place for i in report.conflicts] == ["Observation/o-0-1"]
    assert report.updated == 2
    assert server.held["Observation/o-0-1"]["valueQuantity"]["unit"] == "cm"


def _edited(server: MemoryServer, place: str) -> bytes:
    return encode({**server.held[place], "valueQuantity": {"value": 5, "unit": "cm"}})


def test_another_resource_under_our_id_is_a_conflict():
    server = MemoryServer()
    server.handle(
        Request("PUT", "Patient/p-0", body=b'{"resourceType":"Patient","id":"p-0","identifier":[{"system":"urn:x","value":"9"}]}')
    )
    plan = run(make_plan([patient("0")], STORE), server.handle)
    assert plan.counts()["conflict"] == 1


def test_one_bad_resource_is_named_and_stops_only_what_refers_to_it():
    server, resources = MemoryServer(), cohort(2, 2)
    resources[0]["status"] = "invalid"
    dependent = {"resourceType": "Provenance", "id": "v-1", "target": [{"reference": "Observation/o-0-0"}]}
    with Journal(":memory:") as journal:
        report = sync([*resources, dependent], server.handle, journal)
    assert [(f.code, f.place) for f in report.findings] == [("rejected-422", "Observation/o-0-0"), ("refused", "Provenance/v-1")]
    assert report.created == 5


def test_a_patient_is_created_only_on_a_research_store():
    server = MemoryServer()
    hospital = ServerInfo(STORE.base_url, "4.0.1")
    with Journal(":memory:") as journal:
        report = sync(cohort(1, 2), server.handle, journal, hospital)
    assert {r.method for r in server.log} == {"GET"}
    assert [i.reason for i in report.refused] == [
        "a pseudonymous Patient is written only to a server declared a research store (research_store = true)",
        "it refers to a resource that is refused",
        "it refers to a resource that is refused",
    ]


def test_what_refers_to_a_refused_patient_that_is_there_is_written():
    server, resources = MemoryServer(), cohort(1, 2)
    with Journal(":memory:") as journal:
        sync(resources[2:], server.handle, journal)
        resources[2]["gender"] = "male"
        report = sync(resources, server.handle, journal, ServerInfo(STORE.base_url, "4.0.1"))
    assert ([i.place for i in report.refused], report.created) == (["Patient/p-0"], 2)


def test_what_someone_else_changed_is_not_deleted_unless_settled():
    server, resources = MemoryServer(), cohort(1, 2)
    with Journal(":memory:") as journal:
        sync(resources, server.handle, journal)
        server.handle(Request("PUT", "Observation/o-0-0", body=_edited(server, "Observation/o-0-0")))
        report = sync(resources[1:], server.handle, journal, delete=True)
        assert (report.deleted, [i.place for i in report.conflicts]) == (0, ["Observation/o-0-0"])
        assert sync(resources[1:], server.handle, journal, delete=True, prefer="server").deleted == 0
        assert sync(resources[1:], server.handle, journal, delete=True, prefer="source").deleted == 1


def test_what_a_server_does_not_let_be_written_is_refused_before_it_is_sent():
    server = MemoryServer()
    info = run(discover(STORE.base_url, research_store=True, fhir="r4"), server.handle)
    resource = {"resourceType": "AdverseEvent", "id": "a-1"}
    plan = run(make_plan([resource], info), server.handle)
    assert [(i.action, i.reason) for i in plan.items] == [("refused", "the server has no AdverseEvent")]


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({"updateCreate": True}, None),
        ({}, None),
        ({"updateCreate": False}, "the server does not take ids of ours for Basic (updateCreate is false), and does not let it be created"),
        ({"updateCreate": False, "interaction": [{"code": "create"}]}, None),
        ({"interaction": [{"code": "read"}]}, "the server does not let Basic be written"),
    ],
)
def test_what_a_capability_statement_means_for_writing(stated: dict, reason: str | None):
    resource = {"type": "Basic", "interaction": [{"code": "update"}]} | stated
    statement = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"resource": [resource]}]}
    info = run(discover(STORE.base_url), lambda _: Response(200, {}, encode(statement)))
    assert info.why_not_written("Basic") == reason


def test_another_fhir_version_is_said():
    with pytest.raises(ConfigurationError, match=r"speaks FHIR 4\.0\.1, expected 5\.0\.0"):
        run(discover(STORE.base_url, fhir="r5"), MemoryServer().handle)


def test_absence_deletes_only_when_asked_and_only_ours():
    server, resources = MemoryServer(), cohort(1, 3)
    server.handle(Request("PUT", "Observation/theirs", body=b'{"resourceType":"Observation","id":"theirs"}'))
    with Journal(":memory:") as journal:
        sync(resources, server.handle, journal)
        assert sync(resources[1:], server.handle, journal).written == 0
        report = sync([], server.handle, journal, delete=True)
        assert report.deleted == 4
        assert sync([], server.handle, journal, delete=True).written == 0
    assert set(server.held) == {"Observation/theirs"}


def test_a_part_of_the_source_finds_the_same_state():
    server, resources = MemoryServer(), cohort(1, 2)
    target = [{"reference": "Observation/o-0-0"}, {"reference": "Observation/o-0-1"}]
    provenance = {"resourceType": "Provenance", "id": "v-1", "target": target}
    with Journal(":memory:") as journal:
        sync([*resources, provenance], server.handle, journal)
        assert sync([provenance], server.handle, journal).unchanged == 1
        report = sync([{**provenance, "policy": ["x"]}], server.handle, journal)
        assert (report.updated, report.conflicts) == (1, [])
        assert sync(resources[2:], server.handle, journal, delete=True).deleted == 3
    order = [entry["request"]["url"] for entry in Response(200, {}, server.log[-1].body or b"").json()["entry"]]
    assert order == ["Provenance/v-1", "Observation/o-0-1", "Observation/o-0-0"]


def test_a_report_shows_counts_alone():
    with Journal(":memory:") as journal:
        report = sync(cohort(1, 1), MemoryServer().handle, journal)
    assert repr(report) == (
        "Report({'created': 2, 'updated': 0, 'deleted': 0, 'unchanged': 0, 'verified': 0, 'conflicts': 0, 'refused': 0, 'rejected': 0})"
    )


def test_the_time_of_a_provenance_is_that_of_the_first_write():
    server = MemoryServer()
    first = {"resourceType": "Provenance", "id": "v-1", "recorded": "2024-01-01T00:00:00Z"}
    with Journal(":memory:") as journal:
        sync([first], server.handle, journal)
        assert sync([{**first, "recorded": "2025-01-01T00:00:00Z"}], server.handle, journal).written == 0


def test_sign_in_refused_is_no_conflict():
    with Journal(":memory:") as journal, pytest.raises(SignInRefused):
        sync(cohort(), Broken(MemoryServer(), before={1: Response(401)}), journal)


@pytest.mark.parametrize("bad", [[{"resourceType": "Patient"}], [patient("1"), {**patient("1"), "gender": "male"}]])
def test_resources_without_one_identity_are_refused_before_anything_is_asked(bad: list[dict]):
    server = MemoryServer()
    with pytest.raises(InputError):
        run(make_plan(bad, STORE), server.handle)
    assert server.log == []
