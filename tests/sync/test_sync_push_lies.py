"""Answers to writes that do not say truly what was done: what the server holds decides, and there is one copy."""

from dataclasses import replace

import msgspec
import pytest
from push_data import STORE, observation, patient

from fhir_trial.errors import ServerError
from fhir_trial.fhir.http import Request, Response, run
from fhir_trial.fhir.json import encode
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.profile import named
from fhir_trial.sync.push import push
from fhir_trial.testing.memory_server import MemoryServer

OWN_IDS = replace(STORE, transactions=False, profile=msgspec.structs.replace(named("generic"), identity="search-first"))


def located(server: MemoryServer, link: str | None):
    """The server, saying of each create that it stands at `link`."""

    def send(request: Request) -> Response:
        answer = server.handle(request)
        if request.method != "POST" or request.url.endswith("_search"):
            return answer
        return Response(answer.status, {} if link is None else {"Location": link})

    return send


@pytest.mark.parametrize("link", [None, "", "javascript:x", "https://evil.example/fhir/Patient/9", "Patient/9", "Group/1", "Patient/../x"])
def test_wherever_a_create_is_said_to_stand_there_is_one_copy(link):
    server, journal = MemoryServer(), Journal(":memory:")
    send, rows = located(server, link), [patient("0"), patient("1")]
    assert run(push(rows, OWN_IDS, journal), send).created == 2
    again = run(push(rows, OWN_IDS, journal), send)
    assert (again.written, len(server.held)) == (0, 2)


def test_what_refers_to_a_create_without_a_place_refers_to_where_it_is():
    server = MemoryServer()
    run(push([patient("0"), observation("0", 1)], OWN_IDS, Journal(":memory:")), located(server, None))
    ((place, held),) = [(place, row) for place, row in server.held.items() if row["resourceType"] == "Observation"]
    assert held["subject"]["reference"] in server.held
    assert place.startswith("Observation/s")


def test_an_outcome_that_tells_of_an_error_is_no_success_whatever_its_status():
    server = MemoryServer()
    failed = Response(200, {}, b'{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"exception"}]}')
    lying = lambda request: failed if request.method == "PUT" else server.handle(request)  # noqa: E731
    single = replace(STORE, transactions=False)
    with pytest.raises(ServerError, match="PUT Patient: the answer is short, strange or an error with 2xx"):
        run(push([patient("0")], single, Journal(":memory:")), lying)


@pytest.mark.parametrize("change", ["swapped", "elsewhere"])
def test_an_answer_to_a_transaction_that_names_other_places_is_not_believed(change: str):
    server = MemoryServer()

    def send(request: Request) -> Response:
        answer = server.handle(request)
        if request.method != "POST":
            return answer
        bundle = answer.json()
        bundle["entry"] = bundle["entry"][::-1] if change == "swapped" else [{"response": {"status": "201", "location": "Patient/x"}}] * 2
        return Response(200, {}, encode(bundle))

    report = run(push([patient("0"), patient("1")], STORE, Journal(":memory:")), send)
    assert (report.created, report.verified) == (2, 2)
