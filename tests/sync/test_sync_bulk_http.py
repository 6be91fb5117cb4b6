"""Bulk export over real connections: files stream to disk, bounded, and a file elsewhere never sees the token."""

import errno
import gzip
import time
from pathlib import Path

import pytest

from fhir_trial.config import Secret, Server
from fhir_trial.errors import PartlyDone, Unreachable
from fhir_trial.fhir.http import Response
from fhir_trial.sync import transport
from fhir_trial.sync.bulk import Export, export, forget
from fhir_trial.sync.client import Client
from fhir_trial.sync.failures import BadAnswer, ForeignLink
from fhir_trial.sync.reading import read_bulk
from fhir_trial.sync.retry import Policy
from fhir_trial.sync.saved_job import SavedJob
from fhir_trial.testing.acts import drip, hang, redirect
from fhir_trial.testing.bulk_faults import ROWS, BulkServer, observations
from fhir_trial.testing.fault_server import FaultServer
from fhir_trial.testing.faults import Fault

TOKEN = "s3cr3t-t0ken"


@pytest.fixture
def http(monkeypatch):
    monkeypatch.setenv("BULK_TOKEN", TOKEN)
    server = FaultServer(None)
    server.memory = BulkServer(server.base_url, server.elsewhere)
    with server.serving():
        yield server


def client_of(http: FaultServer, **more: object) -> Client:
    settings = Server("bulk", http.base_url, Secret.parse("env:BULK_TOKEN"), deadline_seconds=3, **more)
    return Client(settings, Policy(3.0, first_wait_seconds=0.01, longest_wait_seconds=0.05))


def read(client: Client, folder: Path) -> list[dict]:
    rows: list[dict] = []
    job = SavedJob(folder, client.base_url)
    clock = iter(range(10_000)).__next__
    read_bulk(client, Export(types=("Observation",)), job, lambda _, page: rows.extend(page), clock=lambda: float(clock()))
    return rows


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_all_rows_come_and_the_job_goes(http, tmp_path):
    with client_of(http) as client:
        assert len(read(client, tmp_path)) == ROWS
        assert files(tmp_path) == ["bulk.json", "output-00000.ndjson"]
        client.run_steps(forget(SavedJob(tmp_path, client.base_url)))
    assert http.memory.deleted
    assert {request.header("Authorization") for request in http.memory.log} == {f"Bearer {TOKEN}"}


def test_a_file_elsewhere_is_not_asked_for_unless_allowed_and_then_without_the_token(http, tmp_path):
    http.memory.stated["output"][0]["url"] = f"{http.elsewhere}/files/1"
    with client_of(http) as client, pytest.raises(ForeignLink):
        read(client, tmp_path)
    assert http.heard == []
    with client_of(http, file_hosts=(http.elsewhere,)) as client, pytest.raises(BadAnswer):  # it answers {}
        read(client, tmp_path)
    assert [path for path, _, _ in http.heard] == ["/fhir/files/1"]
    assert TOKEN not in str(http.heard)


def test_files_that_need_no_token_do_not_get_it(http, tmp_path):
    http.memory.stated["requiresAccessToken"] = False
    with client_of(http) as client:
        assert len(read(client, tmp_path)) == ROWS
    assert [r.header("Authorization") for r in http.memory.log if "/files/" in r.url] == [None]


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_that_is_too_large_ends_at_the_limit(http, tmp_path, monkeypatch, packed: bool):
    monkeypatch.setattr(transport, "FILE_LIMIT_BYTES", 100_000)
    body = observations(20_000)
    headers = {"Content-Encoding": "gzip"} if packed else {}
    http.memory.files["files/1"] = [Response(200, headers, gzip.compress(body) if packed else body)]
    with client_of(http) as client, pytest.raises(BadAnswer, match="larger than 100000"):
        read(client, tmp_path)
    assert files(tmp_path) == []


def test_a_packed_file_is_unpacked_whatever_its_size(http, tmp_path):
    body = observations(30_000)
    http.memory.stated["output"][0]["count"] = 30_000
    http.memory.files["files/1"] = [Response(200, {"Content-Encoding": "gzip"}, gzip.compress(body))]
    with client_of(http) as client:
        assert len(read(client, tmp_path)) == 30_000


def test_a_full_disk_is_said_and_leaves_no_part(http, tmp_path, monkeypatch):
    class Full:
        def write(self, _: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    plain = transport._Sink.__init__
    monkeypatch.setattr(transport._Sink, "__init__", lambda self, *given: plain(self, *given[:3], Full() if given[3:] else None))
    with client_of(http) as client, pytest.raises(PartlyDone, match="disk takes no more"):
        read(client, tmp_path)
    assert files(tmp_path) == ["bulk.json"]


def raw_file(http: FaultServer, act) -> None:
    """Answer for the file by an act."""
    http.fault = Fault("file", "page", act)
    http.strikes = lambda request: "/files/" in request.url


@pytest.mark.parametrize("act", [hang(), drip(b"HTTP/1.1 200 OK\r\n\r\n", every_seconds=0.02)], ids=["hangs", "drips"])
def test_a_file_that_does_not_come_ends_at_the_deadline(http, tmp_path, act):
    raw_file(http, act)
    started = time.monotonic()
    with client_of(http) as client, pytest.raises(Unreachable):
        read(client, tmp_path)
    assert time.monotonic() - started < 3 + 5
    assert files(tmp_path) == ["bulk.json"]


def test_a_file_that_comes_slowly_but_steadily_may_take_longer_than_the_deadline(http, tmp_path):
    body = observations()

    def slowly(answer) -> None:
        answer.raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) + 200_000))
        for _ in range(20):
            answer.raw(b"\n" * 10_000)
            time.sleep(0.1)
        answer.raw(body)

    raw_file(http, slowly)
    with client_of(http) as client:
        client._policy = Policy(1.0, attempts=1)
        assert len(read(client, tmp_path)) == ROWS


def test_a_poll_that_hangs_ends_at_the_deadline_and_not_at_the_end_of_the_job(http, tmp_path):
    http.fault = Fault("poll", "page", hang())
    http.strikes = lambda request: "/jobs/" in request.url
    started = time.monotonic()
    with client_of(http) as client, pytest.raises(Unreachable):
        client.run_steps(export(Export(poll_seconds=3600), SavedJob(tmp_path, client.base_url), time.monotonic))
    assert time.monotonic() - started < 3 + 5
    assert files(tmp_path) == ["bulk.json"]


def test_a_job_that_cannot_be_deleted_is_a_finding_and_no_failure(http, tmp_path):
    with client_of(http) as client:
        read(client, tmp_path)
        http.fault = Fault("delete", "write", redirect(302))
        http.strikes = lambda request: request.method == "DELETE"
        found = client.run_steps(forget(SavedJob(tmp_path, client.base_url)))
    assert [finding.code for finding in found.findings] == ["job-not-deleted"]
    assert files(tmp_path) == []
