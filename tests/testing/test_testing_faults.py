"""The broken server itself: faults have names, strike where they say and as often, and the host beside it hears what is sent there."""

import http.client
import json

import pytest

from fhir_trial.fhir.http import Request
from fhir_trial.testing.fault_server import FaultServer
from fhir_trial.testing.faults import READ_FAULTS, WRITE_FAULTS
from fhir_trial.testing.memory_server import MemoryServer


def ask(server: FaultServer, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(server.base_url.split("/")[2], timeout=10)
    connection.request(method, f"/fhir/{path}", body=body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def test_a_fault_strikes_where_it_says_and_as_often():
    server = FaultServer(READ_FAULTS["503 once"])
    with server.serving():
        assert ask(server, "Observation?_count=10")[0] == 200
        assert ask(server, "Observation?_count=10&_offset=10")[0] == 503
        assert ask(server, "Observation?_count=10&_offset=10")[0] == 200
        assert ask(server, "Patient?_offset=10")[0] == 200


def test_a_lasting_fault_lasts():
    server = FaultServer(WRITE_FAULTS["503 on every write"])
    with server.serving():
        assert [ask(server, "", "POST", b"{}")[0] for _ in range(3)] == [503] * 3
        assert ask(server, "metadata")[0] == 200


def test_the_host_beside_it_hears_what_is_sent_there():
    server = FaultServer(None)
    with server.serving():
        connection = http.client.HTTPConnection(server.elsewhere.split("/")[2], timeout=10)
        connection.request("POST", "/fhir/x", body=b"data", headers={"Authorization": "Bearer t"})
        assert connection.getresponse().status == 200
        connection.close()
    ((path, headers, body),) = server.heard
    assert (path, headers["Authorization"], body) == ("/fhir/x", "Bearer t", b"data")


@pytest.mark.parametrize("name", ["504 after the server acted", "short answer after the server acted"])
def test_after_means_that_the_server_acted(name: str):
    server = FaultServer(WRITE_FAULTS[name])
    entries = [{"resource": {"resourceType": "Patient", "id": i}, "request": {"method": "PUT", "url": f"Patient/{i}"}} for i in ("a", "b")]
    with server.serving():
        ask(server, "", "POST", json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode())
    assert set(server.memory.held) == {"Patient/a", "Patient/b"}


def test_the_memory_server_keeps_versions_and_takes_a_transaction_whole_or_not_at_all():
    server = MemoryServer()
    put = Request("PUT", "Patient/a", body=b'{"resourceType":"Patient","id":"a"}')
    assert (server.handle(put).status, server.handle(put).status) == (201, 200)
    assert server.held["Patient/a"]["meta"]["versionId"] == "2"
    stale = Request("PUT", "Patient/a", {"If-Match": 'W/"1"'}, put.body)
    assert server.handle(stale).status == 412
    entries = [
        {"resource": {"resourceType": "Patient", "id": "b"}, "request": {"method": "PUT", "url": "Patient/b"}},
        {"resource": {"resourceType": "Patient", "id": "a"}, "request": {"method": "PUT", "url": "Patient/a", "ifMatch": 'W/"1"'}},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert server.handle(Request("POST", "", body=json.dumps(bundle).encode())).status == 412
    assert set(server.held) == {"Patient/a"}
    assert server.handle(Request("GET", "Patient/b")).status == 404
    assert server.handle(Request("GET", "Patient/a")).json()["id"] == "a"
    assert server.handle(Request("POST", "", body=b"{")).status == 400
    assert server.handle(Request("DELETE", "Patient/a")).status == 204
    assert server.held == {}
