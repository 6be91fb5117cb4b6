"""Server profiles: what kind a server is, and what follows for writing to it."""

import pytest

from fhir_trial.errors import ConfigurationError
from fhir_trial.fhir.http import Request, Response, run
from fhir_trial.mapping.keys import BASE
from fhir_trial.sync.blinding import without_arm
from fhir_trial.sync.capability import discover
from fhir_trial.sync.decide import Choices
from fhir_trial.sync.failures import Interrupted
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.plan import make_plan
from fhir_trial.sync.profile import profiles
from fhir_trial.sync.push import push
from fhir_trial.testing.hospital import HospitalServer
from fhir_trial.testing.memory_server import MemoryServer, keys_of

KEY = "urn:fhir-trial:test/observation"


def observation(number: int, value: int = 5, patient: str = "7", **more: object) -> dict:
    return {
        "resourceType": "Observation",
        "id": f"o-{patient}-{number}",
        "identifier": [{"system": KEY, "value": f"{patient}/{number},x"}],
        "status": "final",
        "category": [{"coding": [{"code": "laboratory"}]}],
        "subject": {"reference": f"Patient/{patient}"},
        "valueInteger": value,
        **more,
    }


def hospital(**how: str) -> HospitalServer:
    server = HospitalServer(**how)
    for name in ("7", "8"):
        server.held[f"Patient/{name}"] = {"resourceType": "Patient", "id": name, "meta": {"versionId": "1"}}
    return server


def info_of(server: MemoryServer, **more: object):
    return run(discover(server.base_url, **more), server.handle)


@pytest.mark.parametrize(
    ("server", "name"),
    [(HospitalServer(), "epic-like"), (HospitalServer(software="Acme"), "epic-like"), (MemoryServer(), "generic")],
)
def test_a_server_is_recognised_by_its_name_or_its_shape(server: MemoryServer, name: str):
    assert info_of(server).profile.name == name


def test_a_profile_that_is_named_goes_first_and_an_unknown_one_is_refused():
    assert info_of(MemoryServer(), profile="oracle-like").profile.name == "oracle-like"
    assert not info_of(MemoryServer(), profile="oracle-like").transactions
    with pytest.raises(ConfigurationError, match="epic-like, generic, hapi"):
        info_of(MemoryServer(), profile="epic")


def test_every_profile_says_what_it_is():
    assert set(profiles()) == {"generic", "embedded", "hapi", "epic-like", "oracle-like"}
    for profile in profiles().values():
        assert profile.describes
        assert profile.reads == "study" or profile.by_patient
        assert set(profile.by_patient).isdisjoint(profile.absent)


def test_one_copy_where_the_server_gives_its_own_ids_and_the_second_run_writes_nothing():
    server, ours = hospital(), [observation(n, patient=p) for n in range(3) for p in "78"]
    info = info_of(server)
    with Journal(":memory:") as journal:
        assert run(push(ours, info, journal), server.handle).created == 6
        again = run(push(ours, info, journal), server.handle)
        assert (again.written, again.unchanged) == (0, 6)
        ours[0]["valueInteger"] = 9
        assert run(push(ours, info, journal), server.handle).updated == 1
    with Journal(":memory:") as fresh:  # another machine: found by business key
        assert run(push(ours, info, fresh), server.handle).unchanged == 6
    assert server.refused == []
    assert sorted(r.method for r in server.log if r.method != "GET") == ["POST"] * 6 + ["PUT"]
    assert sum("Observation" in place for place in server.held) == 6


@pytest.mark.parametrize("acts", [True, False])
def test_a_create_whose_answer_is_lost_is_looked_for_before_it_is_sent_again(acts: bool):
    server, broken = hospital(), [True]

    def send(request: Request) -> Response:
        if request.method == "POST" and broken:
            broken.clear()
            if acts:
                server.handle(request)
            raise Interrupted("lost")
        return server.handle(request)

    with Journal(":memory:") as journal:
        report = run(push([observation(1)], info_of(server), journal), send)
        assert (report.created, report.verified) == (1, int(acts))
        assert run(push([observation(1)], info_of(server), journal), server.handle).written == 0
    assert len([place for place in server.held if "Observation" in place]) == 1


def test_what_cannot_be_written_is_refused_with_the_reason_before_it_is_sent():
    server = hospital()
    rows = [
        {"resourceType": "AdverseEvent", "id": "a", "subject": {"reference": "Patient/7"}},
        {"resourceType": "ResearchSubject", "id": "s", "individual": {"reference": "Patient/7"}},
        {"resourceType": "Patient", "id": "ours", "identifier": [{"system": "urn:s", "value": "S1"}]},
        {"resourceType": "MeasureReport", "id": "m"},
        observation(1, patient="9"),
        {key: value for key, value in observation(2).items() if key != "identifier"},
    ]
    with Journal(":memory:") as journal:
        report = run(push(rows, info_of(server), journal), server.handle)
    assert {item.place: item.reason for item in report.refused} == {
        "AdverseEvent/a": "AdverseEvent is read-only on a server like this (epic-like)",
        "ResearchSubject/s": "ResearchSubject is read-only on a server like this (epic-like)",
        "Patient/ours": "a pseudonymous Patient is written only to a server declared a research store (research_store = true)",
        "MeasureReport/m": "the server has no MeasureReport",
        "Observation/o-9-1": "it is about a patient whom this server does not have",
        "Observation/o-7-2": "the server gives ids of its own, and without a business identifier it could not be found again",
    }
    assert {request.method for request in server.log} == {"GET"}
    assert server.refused == []


def test_conditional_creates_go_one_by_one_and_references_follow():
    server = MemoryServer()
    info = info_of(server).as_kind(profiles()["generic"].__class__(identity="conditional"))
    patient = {"resourceType": "Patient", "id": "p", "identifier": [{"system": "urn:s", "value": "S1"}]}
    rows = [observation(1, patient="p"), patient]
    with Journal(":memory:") as journal:
        research = run(discover(server.base_url, research_store=True), server.handle).as_kind(info.profile)
        assert run(push(rows, research, journal), server.handle).created == 2
        assert run(push(rows, research, journal), server.handle).unchanged == 2
    (held,) = (row for row in server.held.values() if row["resourceType"] == "Observation")
    assert held["subject"]["reference"] in server.held
    assert held["subject"]["reference"] != "Patient/p"
    posts = [request for request in server.log if request.method == "POST"]
    assert [request.header("If-None-Exist") is not None for request in posts] == [True, True]


def test_two_resources_of_one_key_on_the_server_are_a_conflict():
    server = hospital()
    for number in (1, 2):
        server.held[f"Observation/x{number}"] = {**observation(1), "id": f"x{number}"}
    plan = run(make_plan([observation(1)], info_of(server)), server.handle)
    assert [(i.action, i.reason) for i in plan.items] == [("conflict", "several resources on the server have its business identifier")]


def test_nothing_is_deleted_where_retraction_is_a_status():
    server = hospital()
    with Journal(":memory:") as journal:
        run(push([observation(1)], info_of(server), journal), server.handle)
        report = run(push([], info_of(server), journal, Choices(delete=True)), server.handle)
    assert (report.deleted, [item.place for item in report.refused]) == (0, ["Observation/o-7-1"])


def test_the_arm_of_a_blinded_study_stays_here():
    server = MemoryServer()
    subject = {"resourceType": "ResearchSubject", "id": "s", "status": "on-study", "assignedArm": "A", "actualArm": "A"}
    members = [{"entity": {"reference": "Patient/7"}}]
    group = {"resourceType": "Group", "id": "g", "identifier": [{"system": "urn:g", "value": "A"}], "member": members}
    blinded = Choices(withhold_arm=True)
    with Journal(":memory:") as journal:
        report = run(push([subject, group], info_of(server), journal, blinded), server.handle)
        assert [item.place for item in report.refused] == ["Group/g"]
        assert run(push([subject], info_of(server), journal, blinded), server.handle).written == 0
        assert not {"assignedArm", "actualArm"} & server.held["ResearchSubject/s"].keys()
        assert run(push([subject], info_of(server), journal), server.handle).updated == 1
        assert server.held["ResearchSubject/s"]["actualArm"] == "A"
        # What is there stays: withholding is not removing.
        assert run(push([subject], info_of(server), journal, blinded), server.handle).written == 0
    store = MemoryServer()
    with Journal(":memory:") as journal:
        run(push([subject], info_of(store, research_store=True), journal, blinded), store.handle)
    assert store.held["ResearchSubject/s"]["actualArm"] == "A"


def test_the_arm_of_a_blinded_study_is_an_extension_too():
    arms = [{"url": f"{BASE}StructureDefinition/{name}", "valueString": "A"} for name in ("arm-planned", "arm-actual")]
    site = {"url": f"{BASE}StructureDefinition/site", "valueString": "1"}
    subject = {"resourceType": "ResearchSubject", "id": "s", "assignedComparisonGroup": "a", "extension": [*arms, site]}
    assert without_arm(subject) == {"resourceType": "ResearchSubject", "id": "s", "extension": [site]}
    assert without_arm({**subject, "extension": [site]}, subject) == subject | {"extension": [site, *arms]}


def test_the_servers_own_copy_that_was_pulled_is_updated_in_place():
    server = hospital()
    server.held["Observation/x1"] = {**observation(1), "id": "x1", "meta": {"versionId": "3"}}
    pulled = {**server.held["Observation/x1"], "valueInteger": 6}
    with Journal(":memory:") as journal:
        assert run(push([pulled], info_of(server), journal), server.handle).updated == 1
    assert server.held["Observation/x1"]["valueInteger"] == 6
    assert keys_of(server.held["Observation/x1"]) == keys_of(pulled)
