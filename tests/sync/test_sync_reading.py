"""Reading patient by patient and several searches at once: every row once, in one order, and nothing that the server refuses."""

import json
import time

import pytest

from fhir_trial.config import Server
from fhir_trial.errors import ServerError, UsageError
from fhir_trial.fhir.http import Request, Response, run
from fhir_trial.sync.capability import discover
from fhir_trial.sync.client import Client
from fhir_trial.sync.failures import BadAnswer, Incomplete
from fhir_trial.sync.locate import read_one
from fhir_trial.sync.pull import TRIAL_TYPES
from fhir_trial.sync.reading import merged_into, patient_types, patients_of_group, patients_of_study, read_patients, read_types
from fhir_trial.sync.retry import Policy
from fhir_trial.testing.acts import hang, status
from fhir_trial.testing.fault_server import FaultServer
from fhir_trial.testing.faults import Fault
from fhir_trial.testing.hospital import HospitalServer
from fhir_trial.testing.memory_server import MemoryServer


class InTurn:
    """Runs exchanges one after the other."""

    def __init__(self, server: MemoryServer) -> None:
        self.server = server

    def run(self, exchange):
        return run(exchange, self.server.handle)

    def run_all(self, exchanges):
        return map(self.run, exchanges)


def hospital(patients: int = 4) -> HospitalServer:
    server = HospitalServer()
    for p in range(patients):
        server.held[f"Patient/{p}"] = {"resourceType": "Patient", "id": str(p)}
        for number, categories in enumerate((["laboratory"], ["vital-signs", "exam"], ["laboratory", "survey"])):
            server.held[f"Observation/{p}-{number}"] = {
                "resourceType": "Observation",
                "id": f"{p}-{number}",
                "status": "final",
                "category": [{"coding": [{"code": code}]} for code in categories],
                "subject": {"reference": f"Patient/{p}"},
            }
        server.held[f"ResearchSubject/{p}"] = {
            "resourceType": "ResearchSubject",
            "id": str(p),
            "study": {"reference": "ResearchStudy/1"},
            "individual": {"reference": f"Patient/{p}"},
        }
    server.held["ResearchStudy/1"] = {"resourceType": "ResearchStudy", "id": "1", "identifier": [{"system": "urn:x", "value": "NCT1"}]}
    return server


def read(server: HospitalServer, patients: list[str]):
    info, rows = run(discover(server.base_url), server.handle), []
    pulled = read_patients(InTurn(server), info, patient_types(info), patients, lambda _, page: rows.extend(page))
    return pulled, [f"{row['resourceType']}/{row['id']}" for row in rows]


def test_a_patients_rows_come_once_though_two_categories_find_them():
    server = hospital()
    pulled, places = read(server, ["1", "0"])
    assert pulled.counts["Observation"] == 6
    assert len(set(places)) == len(places) == 2 * (1 + 3 + 1)
    assert places[0] == "Patient/1"
    assert server.refused == []


def test_who_was_merged_is_followed_to_the_one_that_replaces_them():
    server = hospital()
    server.held["Patient/0"]["link"] = [{"type": "replaced-by", "other": {"reference": "Patient/3"}}]
    server.held["Patient/3"]["link"] = [{"type": "replaces", "other": {"reference": "Patient/0"}}]
    _, places = read(server, ["0"])
    assert {"Patient/0", "Patient/3", "Observation/3-0"} <= set(places)
    assert "Patient/1" not in places


def test_a_patient_who_is_not_there_is_a_finding():
    pulled, _ = read(hospital(), ["0", "nobody"])
    assert [(f.code, f.severity) for f in pulled.findings] == [("no-such-patient", "error")]


def test_the_patients_of_a_study_and_of_a_group():
    server = hospital()
    server.page = _by_study(server)
    assert run(patients_of_study("urn:x|NCT1"), server.handle) == ["0", "1", "2", "3"]
    with pytest.raises(UsageError, match="name patients"):
        run(patients_of_study("urn:x|NCT2"), server.handle)
    memory = MemoryServer()
    members = [{"entity": {"reference": f"Patient/{n}"}, "inactive": n == 2} for n in (1, 2, 3, 1)]
    memory.held["Group/g"] = {"resourceType": "Group", "id": "g", "member": members}
    assert run(patients_of_group("g"), memory.handle) == ["1", "3"]
    with pytest.raises(UsageError):
        run(patients_of_group("h"), memory.handle)


def _by_study(server: HospitalServer):
    plain = type(server).page

    def page(resource_type: str, query: dict) -> dict:
        return plain(server, resource_type, {name: value for name, value in query.items() if name != "study"})

    return page


def test_a_type_that_is_not_searched_by_patient_is_refused_before_it_is_asked_for():
    server = hospital()
    info = run(discover(server.base_url), server.handle)
    with pytest.raises(UsageError, match="Organization"):
        patient_types(info, ["Organization"])
    assert "AdverseEvent" in patient_types(info)
    assert set(patient_types(info, ["Observation"])) == {"Observation"}


def rows_of(server: FaultServer) -> None:
    server.hold(
        [
            {"resourceType": name, "id": f"{name[0]}-{n:02}"}
            for name in ("Observation", "Patient", "Group", "Organization")
            for n in range(25)
        ]
    )


def test_several_searches_at_once_give_what_one_after_the_other_gives():
    server = FaultServer(None)
    rows_of(server)
    types = ["Observation", "Patient", "Group", "Organization", "ResearchStudy"]
    with server.serving(), Client(Server("s", server.base_url)) as client:
        at_once, in_turn = ({name: [] for name in types} for _ in range(2))
        pulled = read_types(client, types, lambda name, page: at_once[name].extend(page))
        read_types(InTurn(server.memory), types, lambda name, page: in_turn[name].extend(page))
    assert at_once == in_turn
    assert pulled.counts == {"Observation": 25, "Patient": 25, "Group": 25, "Organization": 25, "ResearchStudy": 0}


def test_searches_wait_side_by_side_and_the_first_failure_ends_them():
    server, waits = FaultServer(None), 0.2
    rows_of(server)
    plain = server.memory.handle

    def slow(request):
        time.sleep(waits)
        return plain(request)

    server.memory.handle = slow
    with server.serving(), Client(Server("s", server.base_url, deadline_seconds=5)) as client:
        start = time.monotonic()
        read_types(client, ["Observation", "Patient", "Group", "Organization"], lambda *_: None)
        assert time.monotonic() - start < 4 * 3 * waits * 0.7
        with pytest.raises(ServerError):
            list(client.run_all(_failing_at(n, 2) for n in range(40)))
        asked = len(server.memory.log)
        time.sleep(3 * waits)
        assert len(server.memory.log) <= asked + 8


def _failing_at(number: int, fails: int):
    yield Request("GET", f"Patient?_id=p-{number}")
    if number == fails:
        raise ServerError("no")
    yield Request("GET", f"Patient?_id=q-{number}")


def test_every_medication_resource_is_among_the_types():
    assert {"MedicationRequest", "MedicationStatement", "MedicationDispense", "MedicationAdministration"} <= set(TRIAL_TYPES)


def test_patients_merged_into_others_without_end_are_an_error():
    class Endless(MemoryServer):
        def handle(self, request: Request) -> Response:
            kind, _, number = request.url.partition("/p")
            if kind != "Patient":
                return super().handle(request)
            other = {"reference": f"Patient/p{int(number) + 1}"}
            held = {"resourceType": "Patient", "id": f"p{number}", "link": [{"type": "replaced-by", "other": other}]}
            return Response(200, {}, json.dumps(held).encode())

    server = Endless()
    info = run(discover(server.base_url), server.handle)
    with pytest.raises(Incomplete):
        read_patients(InTurn(server), info, [], ["p0"], lambda *_: None)


def test_what_is_about_another_patient_is_an_error():
    server = hospital()
    info = run(discover(server.base_url), server.handle)
    server.held["ResearchSubject/0"]["individual"] = {"reference": "Patient/1"}
    server.page = lambda path, query: MemoryServer.page(server, path, {})
    with pytest.raises(BadAnswer, match="another patient"):
        read_patients(InTurn(server), info, ["ResearchSubject"], ["1"], lambda *_: None)


def test_another_resource_than_the_one_asked_for_is_an_error():
    def another(_: Request) -> Response:
        return Response(200, {}, b'{"resourceType":"Patient","id":"2"}')

    with pytest.raises(BadAnswer, match="another Patient"):
        run(read_one("Patient/1"), another)


def test_another_study_than_the_one_asked_for_is_an_error():
    server = hospital()
    server.page = lambda path, query: MemoryServer.page(server, path, {})
    with pytest.raises(BadAnswer, match="another study"):
        run(patients_of_study("NCT2"), server.handle)
    server.held["ResearchSubject/0"]["study"] = {"reference": "ResearchStudy/2"}
    with pytest.raises(BadAnswer, match="another study"):
        run(patients_of_study("NCT1"), server.handle)


@pytest.mark.parametrize("strange", [5, "x", {"a": 1}, [5], [{"other": 5}], [{"type": "replaced-by", "other": {"reference": []}}], None])
def test_links_and_members_of_any_shape_are_read(strange):
    assert merged_into({"link": strange}) is None
    answer = Response(200, {}, json.dumps({"resourceType": "Group", "id": "g", "member": strange}).encode())
    assert run(patients_of_group("g"), lambda _: answer) == []


def test_the_first_search_that_fails_ends_the_others():
    def act(answer) -> None:
        (hang() if "Patient" in answer.path else status(400))(answer)

    server = FaultServer(Fault("one hangs, one fails", "page", act))
    asked: list[str] = []
    server.strikes = lambda request: asked.append(request.url) is None
    with server.serving(), Client(Server("s", server.base_url), Policy(6.0)) as client, pytest.raises(ServerError):
        read_types(client, ["Patient", "Observation"], lambda *_: None)
    assert sum("Patient" in url for url in asked) <= 1
