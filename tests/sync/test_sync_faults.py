"""The client against every fault: all rows or one named error within its deadline, nothing twice, nothing said or sent to others."""

import io
import logging
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fhir_trial.config import Secret, Server
from fhir_trial.errors import ConfigurationError, FhirTrialError, ServerError, Unreachable
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.client import Client
from fhir_trial.sync.folder import FolderWriter, read_folder
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.pull import pull, pull_to_memory
from fhir_trial.sync.push import Report, push
from fhir_trial.sync.retry import Policy
from fhir_trial.testing.acts import SUBJECT_DATA
from fhir_trial.testing.fault_server import FaultServer
from fhir_trial.testing.faults import READ_FAULTS, WRITE_FAULTS, Fault

TOKEN = "s3cr3t-t0ken"
SLACK_SECONDS = 5.0  # a loaded machine stops a process for seconds; what hangs, hangs for longer
LIMIT_BYTES = 4 * 1024 * 1024


def observations(count: int = 25) -> list[dict]:
    return [{"resourceType": "Observation", "id": f"o-{n:03}", "status": "final", "note": [{"text": SUBJECT_DATA}]} for n in range(count)]


@pytest.fixture(scope="module", autouse=True)
def token():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAULT_TEST_TOKEN", TOKEN)
        yield


@pytest.fixture(scope="module", autouse=True)
def log():
    """Everything that any library logs, at its most talkative."""
    stream, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(stream), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def client_for(server: FaultServer) -> Client:
    settings = Server("faults", server.base_url, Secret.parse("env:FAULT_TEST_TOKEN"), research_store=True)
    return Client(settings, Policy(deadline_for(server.fault), first_wait_seconds=0.005, longest_wait_seconds=0.05), LIMIT_BYTES)


def deadline_for(fault: Fault | None) -> float:
    """Seconds enough to recover in on a busy machine, more where a second's wait is asked for; few where the fault lasts for ever."""
    if fault is None or not fault.recovers:
        return 2.0
    return 5.0 if fault.name.startswith("429 with") else 3.0


def assert_says_nothing(text: str) -> None:
    for word in (*SUBJECT_DATA.split(), TOKEN, "_offset", "diagnostics"):
        assert word not in text


@dataclass
class Outcome:
    """How one fault ended."""

    server: FaultServer
    seconds: float = 0.0
    error: FhirTrialError | None = None
    report: Report | None = None
    folder: Path | None = None
    again: list[Report] = field(default_factory=list)


def read(fault: Fault, folder: Path) -> Outcome:
    end = Outcome(FaultServer(fault), folder=folder)
    end.server.hold(observations())
    with end.server.serving(), client_for(end.server) as client, FolderWriter(folder) as writer:
        started = time.monotonic()
        try:
            client.run(pull(["Observation"], writer.take))
            writer.finish("r4")
        except FhirTrialError as raised:
            end.error = raised
        end.seconds = time.monotonic() - started
    return end


def write(fault: Fault, transactions: bool) -> Outcome:
    """Write under the fault, then twice more without it."""
    end = Outcome(FaultServer(fault, transactions))
    info, rows = ServerInfo(end.server.base_url, "4.0.1", transactions, research_store=True), observations(4)
    with end.server.serving(), client_for(end.server) as client, Journal(":memory:") as journal:
        started = time.monotonic()
        try:
            end.report = client.run(push(rows, info, journal))
        except FhirTrialError as raised:
            end.error = raised
        end.seconds = time.monotonic() - started
        end.server.fault = None
        end.again = [client.run(push(rows, info, journal)) for _ in range(2)]
    return end


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """Every fault played, several at a time since most of them wait; each test looks at one."""
    folder = tmp_path_factory.mktemp("faults")
    with ThreadPoolExecutor(8) as pool:
        reads = {name: pool.submit(read, fault, folder / str(n)) for n, (name, fault) in enumerate(READ_FAULTS.items())}
        writes = {(name, how): pool.submit(write, fault, how) for name, fault in WRITE_FAULTS.items() for how in (True, False)}
        yield reads | writes


@pytest.mark.parametrize("name", READ_FAULTS)
def test_reading(name: str, ends):
    fault, end = READ_FAULTS[name], ends[name].result()
    assert (end.error is None) == fault.recovers, end.error
    assert isinstance(end.error, ServerError | Unreachable | ConfigurationError | None)
    assert end.seconds < deadline_for(fault) + SLACK_SECONDS
    assert end.server.heard == []
    if end.error is None:
        assert [row["id"] for row in read_folder(end.folder)] == [row["id"] for row in observations()]
    else:
        assert_says_nothing("".join(traceback.format_exception(end.error)))
        assert not list(end.folder.iterdir())


@pytest.mark.parametrize("transactions", [True, False], ids=["transaction", "single"])
@pytest.mark.parametrize("name", WRITE_FAULTS)
def test_writing(name: str, transactions: bool, ends):
    fault, end = WRITE_FAULTS[name], ends[name, transactions].result()
    assert (end.error is None) != (end.report is None)
    if fault.recovers:
        assert end.error is None
    if end.report is not None:
        assert end.report.is_clean == (end.report.created == 4)
        assert end.report.is_clean or not fault.recovers
    else:
        assert_says_nothing("".join(traceback.format_exception(end.error)))
    assert end.seconds < 2 * deadline_for(fault) + SLACK_SECONDS
    assert end.server.heard == []
    # The runs after it find what is there, write what is not, and then there is nothing left to do.
    assert [report.is_clean for report in end.again] == [True, True]
    assert end.again[1].written == 0
    assert sorted(end.server.memory.held) == [f"Observation/o-{n:03}" for n in range(4)]
    assert end.server.memory.writes == 4


def test_no_library_logged_what_it_must_not(ends, log):
    for end in ends.values():
        end.result()
    assert_says_nothing(log.getvalue())


def test_without_a_fault_everything_comes_once():
    server = FaultServer(None)
    server.hold(observations())
    with server.serving(), client_for(server) as client:
        pulled = client.run(pull_to_memory(["Observation"]))
    assert pulled.counts == {"Observation": 25}
    assert {request.header("Authorization") for request in server.memory.log} == {f"Bearer {TOKEN}"}


def test_one_connection_serves_many_pages(monkeypatch):
    server = FaultServer(None)
    server.hold(observations())
    opened = []
    original = server._main.get_request
    monkeypatch.setattr(server._main, "get_request", lambda: opened.append(1) or original())
    with server.serving(), client_for(server) as client:
        client.run(pull_to_memory(["Observation", "Patient"]))
    assert len(opened) == 1
