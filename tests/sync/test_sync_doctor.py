"""What is said of a server before anything is written there."""

import pytest

from fhir_trial.errors import Unreachable
from fhir_trial.fhir.http import Request, Response, run
from fhir_trial.sync.capability import discover
from fhir_trial.sync.doctor import TRIES, diagnose
from fhir_trial.testing.hospital import HospitalServer
from fhir_trial.testing.memory_server import MemoryServer


def diagnosis(server: MemoryServer, send=None, now: float = 0.0, **more: object) -> dict:
    info = run(discover(server.base_url, **more), server.handle)
    return run(diagnose(info, False, now), send or server.handle).to_json()


def test_a_hospitals_server_is_told_apart_and_what_it_refuses_is_said():
    found = diagnosis(HospitalServer())
    assert (found["profile"], found["reads"], found["writes"]) == ("epic-like", "patient by patient", "one by one")
    assert found["one copy by"].startswith("search by patient")
    assert found["changes by"].startswith("everything asked for again")
    lines = "\n".join(found["will not work"])
    for what in ("writing ", "AdverseEvent", "ResearchSubject", "pseudonymous patients", "blinded", "deleting", "name patients"):
        assert what in lines
    works = {one["what"]: one["works"] for one in found["tried"]}
    assert (works["a type searched as a whole"], works["search by POST"]) == (False, False)


def test_a_research_store_has_nothing_to_mend():
    found = diagnosis(MemoryServer(), research_store=True)
    assert (found["to mend"], found["profile"], found["one copy by"]) == ([], "generic", "PUT to our id")


def test_clocks_that_differ_are_said():
    server = MemoryServer()

    def send(request: Request) -> Response:
        response = server.handle(request)
        return Response(response.status, {**response.headers, "Date": "Thu, 01 Jan 1970 01:00:00 GMT"}, response.body)

    assert any("3600 s" in text for text in diagnosis(server, send)["to mend"])
    assert not any("clock" in text for text in diagnosis(server, send, now=3590.0)["to mend"])


def test_a_try_that_breaks_off_is_no_end():
    server, info = MemoryServer(), run(discover("http://127.0.0.1:1/fhir"), MemoryServer().handle)

    def send(request: Request) -> Response:
        if "_lastUpdated" in request.url:
            raise Unreachable("gone")
        return server.handle(request)

    tried = run(diagnose(info, False, 0.0), send).tried
    assert len(tried) == len(TRIES)
    assert [one.answer for one in tried if one.name == "search by _lastUpdated"] == ["Unreachable"]


def test_only_reads_are_tried():
    server = MemoryServer()
    diagnosis(server)
    assert server.writes == 0
    assert all(r.method == "GET" or r.url.endswith("/_search") for r in server.log)


@pytest.mark.parametrize(("status", "said"), [(401, "does not accept who we are"), (403, "scopes")])
def test_a_sign_in_that_is_refused_is_to_be_mended(status: int, said: str):
    server = MemoryServer()
    send = lambda request: server.handle(request) if request.url == "metadata" else Response(status)  # noqa: E731
    assert any(said in text for text in diagnosis(server, send, research_store=True)["to mend"])
    assert not run(diagnose(run(discover(server.base_url), server.handle), False, 0.0), send).is_let_in


def test_one_read_that_is_answered_is_a_way_in():
    server = MemoryServer()
    send = lambda request: Response(403) if "_count" in request.url else server.handle(request)  # noqa: E731
    assert run(diagnose(run(discover(server.base_url), server.handle), False, 0.0), send).is_let_in


def test_patients_that_a_server_may_not_have_are_named_among_what_is_not_written():
    assert "Patient: a pseudonymous Patient" in diagnosis(MemoryServer())["not written"]
    assert "Patient" not in diagnosis(MemoryServer(), research_store=True)["not written"]
