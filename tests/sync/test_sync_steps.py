"""A sync that ends right after each step it takes, one after the other: the next one finishes, and there is one copy of everything."""

import pytest

from fhir_trial.errors import ConfigurationError
from fhir_trial.fhir.http import Request, Response, run
from fhir_trial.sync.capability import discover
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.push import push
from fhir_trial.testing.hospital import HospitalServer
from fhir_trial.testing.memory_server import MemoryServer

STEPS = ("begin", "close_request", "remember")


class Killed(BaseException):
    """The process is gone."""


def rows() -> list[dict]:
    return [
        {
            "resourceType": "Observation",
            "id": f"o-{n}",
            "identifier": [{"system": "urn:o", "value": str(n)}],
            "status": "final",
            "category": [{"coding": [{"code": "laboratory"}]}],
            "subject": {"reference": "Patient/7"},
        }
        for n in range(3)
    ]


def servers() -> dict[str, MemoryServer]:
    return {"transactions": MemoryServer(), "one by one": MemoryServer(transactions=False), "its own ids": HospitalServer()}


def sync(server: MemoryServer, journal: Journal, send):
    info = run(discover(server.base_url, research_store=True), server.handle)
    return run(push(rows(), info, journal), send)


def killed_after(server: MemoryServer, path, at: int) -> bool:
    """Run a sync that ends right after its step `at` (a step of the journal, or the server's act); whether it came so far."""
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if count == at:
            raise Killed

    def then_step(method):
        def call(*arguments):
            result = method(*arguments)
            step()
            return result

        return call

    def send(request: Request) -> Response:
        response = server.handle(request)
        if request.method != "GET":
            step()
        return response

    with Journal(path) as journal:
        for name in STEPS:
            setattr(journal, name, then_step(getattr(journal, name)))
        try:
            sync(server, journal, send)
        except Killed:
            return True
    return False


@pytest.mark.parametrize("kind", servers())
def test_a_kill_after_each_step_of_the_journal_leaves_one_copy(tmp_path, kind: str):
    step, steps = 0, 0
    while True:
        step += 1
        server, path = servers()[kind], tmp_path / f"{step}.sqlite"
        server.held["Patient/7"] = {"resourceType": "Patient", "id": "7", "meta": {"versionId": "1"}}
        if not killed_after(server, path, step):
            break
        steps += 1
        with Journal(path) as journal:
            report = sync(server, journal, server.handle)
            assert report.is_clean
            assert journal.unanswered(server.base_url) == []
            assert sync(server, journal, server.handle).written == 0
        held = [row["identifier"][0]["value"] for row in server.held.values() if row["resourceType"] == "Observation"]
        assert sorted(held) == ["0", "1", "2"]
        assert server.writes == 3
    assert steps == (5 if kind == "transactions" else 13)


def test_two_syncs_at_once_the_second_refuses(tmp_path):
    with Journal.of_folder(tmp_path), pytest.raises(ConfigurationError, match="another sync") as refused:
        Journal.of_folder(tmp_path)
    assert refused.value.exit_code == 3
