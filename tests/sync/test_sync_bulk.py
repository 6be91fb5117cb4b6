"""Bulk export under every fault: all rows, or one named error within its time; nothing elsewhere, nothing said, the job kept or deleted."""

import json
import stat
import traceback

import pytest

from fhir_trial.errors import FhirTrialError, InputError
from fhir_trial.fhir.http import Request, Response
from fhir_trial.sync.bulk import Download, Export, forget
from fhir_trial.sync.client import drive_steps, save_answer
from fhir_trial.sync.origin import Origin
from fhir_trial.sync.reading import read_bulk
from fhir_trial.sync.retry import Attempt, Policy, attempts
from fhir_trial.sync.saved_job import SavedJob
from fhir_trial.testing.acts import SUBJECT_DATA
from fhir_trial.testing.bulk_faults import BULK_FAULTS, ROWS, BulkServer, manifest, ndjson, observations


class Runner:
    """Drives an export against a server in memory, by a clock of its own; requests elsewhere are refused as the transport does."""

    def __init__(self, server: BulkServer) -> None:
        self.server, self.now = server, 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def send(self, request: Request) -> Response:
        Origin.parse(self.server.base_url).resolve(request.url)
        loop = attempts(request, Policy(deadline_seconds=20, first_wait_seconds=0.01, longest_wait_seconds=0.1), self.clock)
        step = next(loop)
        try:
            while True:
                if isinstance(step, Attempt):
                    step = loop.send(self.server.handle(step.request))
                else:
                    self.sleep(step.seconds)
                    step = next(loop)
        except StopIteration as end:
            return end.value

    def run_steps(self, steps):
        def fetch(step: Download) -> Response:
            return save_answer(self.send(Request("GET", step.url)), step.path)

        return drive_steps(steps, lambda step: self.send(step.request), self.sleep, fetch)


def read(server: BulkServer, folder, runner: Runner | None = None, **asked: object):
    runner, rows = runner or Runner(server), []
    job = SavedJob(folder, server.base_url)
    got = read_bulk(
        runner,
        Export(types=("Observation",), poll_seconds=60, **asked),
        job,
        lambda _, page: rows.extend(page),
        clock=runner.clock,
    )
    return got, rows


@pytest.mark.parametrize("name", BULK_FAULTS)
def test_every_fault_gives_all_rows_or_one_named_error(name: str, tmp_path):
    fault, server = BULK_FAULTS[name], BulkServer()
    fault.change(server)
    runner, error = Runner(server), None
    try:
        got, rows = read(server, tmp_path, runner)
    except FhirTrialError as raised:
        error = raised
    assert runner.now <= 90
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".part"]
    assert all(tmp_path in path.parents for path in tmp_path.rglob("*"))
    if fault.recovers:
        assert error is None
        assert [row["id"] for row in rows] == [f"o-{n}" for n in range(ROWS)]
        assert got.pulled.counts == {"Observation": ROWS}
    else:
        assert type(error).__name__ == fault.error
        text = "".join(traceback.format_exception(error))
        for word in SUBJECT_DATA.split():
            assert word not in text


def test_the_job_is_kept_until_it_is_forgotten_and_then_gone_at_both_ends(tmp_path):
    server = BulkServer()
    read(server, tmp_path)
    saved = tmp_path / ".fhir-trial" / "bulk.json"
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    Runner(server).run_steps(forget(SavedJob(tmp_path, server.base_url)))
    assert server.deleted
    assert list(tmp_path.rglob("*")) == []


def test_a_run_that_was_killed_goes_on_with_its_job_and_the_files_it_has(tmp_path):
    server = BulkServer(files={"files/1": [ndjson(observations())], "files/2": [Response(500)]})
    server.stated["output"].append({"type": "Observation", "url": f"{server.base_url}/files/2", "count": 1})
    with pytest.raises(FhirTrialError):
        read(server, tmp_path)
    server.files["files/2"] = [ndjson(b'{"resourceType":"Observation","id":"p"}')]
    server.log.clear()
    got, _ = read(server, tmp_path)
    assert got.pulled.counts == {"Observation": ROWS + 1}
    asked = [request.url for request in server.log]
    assert not any("$export" in url or url.endswith("files/1") for url in asked)
    # Another question is another job.
    read(server, tmp_path, since="2026-01-01T00:00:00Z")
    assert any("$export" in request.url and "_since" in request.url for request in server.log)


@pytest.mark.parametrize(
    "fault", ["a file that is short", "a place elsewhere", "the job fails", "500 while polling", "output on another host", "errors"]
)
def test_after_an_answer_that_no_later_question_mends_the_next_run_begins_anew(fault: str, tmp_path):
    broken = BulkServer()
    BULK_FAULTS[fault].change(broken)
    with pytest.raises(FhirTrialError):
        read(broken, tmp_path)
    assert list(tmp_path.rglob("*")) == []
    assert len(read(BulkServer(), tmp_path)[1]) == ROWS


def test_a_job_that_the_server_forgot_is_begun_anew(tmp_path):
    server = BulkServer()
    read(server, tmp_path)
    server.polls.append(Response(404))
    server.log.clear()
    assert len(read(server, tmp_path)[1]) == ROWS
    assert sum("$export" in request.url for request in server.log) == 1


def test_files_of_another_time_are_dropped(tmp_path):
    server = BulkServer()
    read(server, tmp_path)
    server.stated = manifest(server.base_url, transactionTime="2026-02-02T00:00:00Z")
    server.files["files/1"] = [ndjson(observations().replace(b"final", b"amended"))]
    _, rows = read(server, tmp_path)
    assert {row["status"] for row in rows} == {"amended"}


def test_deletions_are_read_from_their_files(tmp_path):
    server = BulkServer()
    entry = {"request": {"method": "DELETE", "url": "Patient/p1"}}
    server.files["files/gone"] = [ndjson(json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}).encode())]
    server.stated["deleted"] = [{"type": "Bundle", "url": f"{server.base_url}/files/gone"}]
    assert read(server, tmp_path)[0].deleted == ("Patient/p1",)


def test_only_the_levels_that_there_are():
    assert Export("Patient").url.startswith("Patient/$export?")
    assert Export().url.startswith("$export?")
    with pytest.raises(InputError):
        Export("Group/../x")


def test_a_server_that_always_asks_for_two_minutes_is_asked_earlier_where_its_profile_says_so(tmp_path):
    server = BulkServer(polls=[Response(202, {"Retry-After": "120"}), Response(202, {"Retry-After": "120"})])
    runner = Runner(server)
    assert len(read(server, tmp_path, runner, longest_wait_seconds=5.0)[1]) == ROWS
    assert runner.now <= 11
