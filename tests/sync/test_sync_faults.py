"""The client against every fault: all rows or one named error within its deadline, nothing twice, nothing said or sent to others."""

import logging
import time
import traceback

import pytest

from fhir_trial.config import Secret, Server
from fhir_trial.errors import ConfigurationError, FhirTrialError, ServerError, Unreachable
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.client import Client
from fhir_trial.sync.folder import FolderWriter, read_folder, read_manifest
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.pull import pull, pull_to_memory
from fhir_trial.sync.push import push
from fhir_trial.sync.retry import Policy
from fhir_trial.testing.acts import SUBJECT_DATA
from fhir_trial.testing.fault_server import FaultServer
from fhir_trial.testing.faults import READ_FAULTS, WRITE_FAULTS, Fault

TOKEN = "s3cr3t-t0ken"
SLACK_SECONDS = 1.0
LIMIT_BYTES = 4 * 1024 * 1024


def observations(count: int = 25) -> list[dict]:
    return [{"resourceType": "Observation", "id": f"o-{n:03}", "status": "final", "note": [{"text": SUBJECT_DATA}]} for n in range(count)]


@pytest.fixture
def client_for(monkeypatch):
    monkeypatch.setenv("FAULT_TEST_TOKEN", TOKEN)

    def client(server: FaultServer) -> Client:
        settings = Server("faults", server.base_url, Secret.parse("env:FAULT_TEST_TOKEN"), research_store=True)
        policy = Policy(deadline_seconds=deadline_for(server.fault), first_wait_seconds=0.005, longest_wait_seconds=0.05)
        return Client(settings, policy, LIMIT_BYTES)

    return client


def deadline_for(fault: Fault | None) -> float:
    """Seconds enough to recover in, more where a second's wait is asked for; few where the fault lasts for ever."""
    if fault is None or not fault.recovers:
        return 0.6
    return 3.0 if fault.name.startswith("429 with") else 1.2


def assert_says_nothing(error: BaseException, log: str) -> None:
    text = "".join(traceback.format_exception(error)) + repr(error) + str(error) + log
    for word in (*SUBJECT_DATA.split(), TOKEN, "_offset", "diagnostics"):
        assert word not in text


@pytest.mark.parametrize("name", READ_FAULTS)
def test_reading(name: str, client_for, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    fault = READ_FAULTS[name]
    server = FaultServer(fault)
    server.hold(observations())
    with server.serving(), client_for(server) as client, FolderWriter(tmp_path / "out") as writer:
        started, error = time.monotonic(), None
        try:
            client.run(pull(["Observation"], writer.take))
            writer.finish("r4")
        except (ServerError, Unreachable, ConfigurationError) as raised:
            error = raised
        seconds = time.monotonic() - started
    assert (error is None) == fault.recovers, error
    assert seconds < deadline_for(fault) + SLACK_SECONDS
    assert server.heard == []
    if error is None:
        rows = [row["id"] for row in read_folder(tmp_path / "out")]
        assert rows == [row["id"] for row in observations()]
    else:
        assert_says_nothing(error, caplog.text)
        assert read_manifest(tmp_path / "out") is None
        assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("transactions", [True, False], ids=["transaction", "single"])
@pytest.mark.parametrize("name", WRITE_FAULTS)
def test_writing(name: str, transactions: bool, client_for, caplog):
    caplog.set_level(logging.DEBUG)
    fault = WRITE_FAULTS[name]
    server = FaultServer(fault, transactions)
    info = ServerInfo(server.base_url, "4.0.1", transactions, research_store=True)
    resources = observations(4)
    with server.serving(), client_for(server) as client, Journal(":memory:") as journal:
        started, error, report = time.monotonic(), None, None
        try:
            report = client.run(push(resources, info, journal))
        except FhirTrialError as raised:
            error = raised
        seconds = time.monotonic() - started
        # The next run, the fault gone: what is there is found, what is not is written, and then there is nothing left to do.
        server.fault = None
        again = client.run(push(resources, info, journal))
        assert again.is_clean
        assert client.run(push(resources, info, journal)).written == 0
    assert error is not None or report is not None
    if fault.recovers:
        assert error is None
        assert report.is_clean
        assert report.created == 4
    elif error is None:
        assert not report.is_clean or report.created == 4
    else:
        assert_says_nothing(error, caplog.text)
    assert seconds < 2 * deadline_for(fault) + SLACK_SECONDS
    assert server.heard == []
    assert sorted(server.memory.held) == [f"Observation/o-{n:03}" for n in range(4)]
    assert server.memory.writes == 4


def test_without_a_fault_everything_comes_once(client_for):
    server = FaultServer(None)
    server.hold(observations())
    with server.serving(), client_for(server) as client:
        pulled = client.run(pull_to_memory(["Observation"]))
    assert pulled.counts == {"Observation": 25}
    assert {request.header("Authorization") for request in server.memory.log} == {f"Bearer {TOKEN}"}


def test_one_connection_serves_many_pages(client_for, monkeypatch):
    server = FaultServer(None)
    server.hold(observations())
    opened = []
    original = server._main.get_request
    monkeypatch.setattr(server._main, "get_request", lambda: opened.append(1) or original())
    with server.serving(), client_for(server) as client:
        client.run(pull_to_memory(["Observation", "Patient"]))
    assert len(opened) == 1
