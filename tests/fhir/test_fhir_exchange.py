from collections.abc import Callable

import pytest

from fhir_trial.errors import Unreachable
from fhir_trial.fhir import outcome
from fhir_trial.fhir.bundles import bundle, create, link, resources, responses, update
from fhir_trial.fhir.http import Exchange, Request, Response, run
from fhir_trial.fhir.references import Literal, literal


def two_requests() -> Exchange[list[int]]:
    first = yield Request("GET", "one")
    second = yield Request("GET", "two")
    return [first.status, second.status]


def test_an_exchange_gets_each_answer_in_turn() -> None:
    statuses = {"one": 200, "two": 404}
    assert run(two_requests(), lambda request: Response(statuses[request.url])) == [200, 404]


def failing_once() -> Callable[[Request], Response]:
    calls: list[Request] = []

    def send(request: Request) -> Response:
        calls.append(request)
        if len(calls) == 1:
            raise Unreachable("no answer")
        return Response(200)

    return send


def test_an_exchange_may_go_on_after_a_failure() -> None:
    def retrying() -> Exchange[int]:
        try:
            response = yield Request("GET", "one")
        except Unreachable:
            response = yield Request("GET", "one")
        return response.status

    assert run(retrying(), failing_once()) == 200


def test_a_failure_nobody_expects_reaches_the_caller() -> None:
    with pytest.raises(Unreachable):
        run(two_requests(), failing_once())


def test_secrets_and_bodies_are_not_in_a_repr() -> None:
    shown = repr(Request("POST", "Patient", {"Authorization": "Bearer s3cret"}, b"Doe")) + repr(Response(200, {"X": "s3cret"}, b"Doe"))
    assert "s3cret" not in shown
    assert "Doe" not in shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patient/1", Literal("Patient", "1")),
        ("https://x.org/fhir/r4/Patient/a.b-1", Literal("Patient", "a.b-1", "https://x.org/fhir/r4")),
        ("Patient/1/_history/3", Literal("Patient", "1", None, "3")),
        ("#p", None),
        ("Patient?identifier=1", None),
        ("Patient/a_b", None),
        ("Patient/" + "x" * 65, None),
        ("patient/1", None),
    ],
)
def test_references_are_read(text: str, expected: Literal | None) -> None:
    assert literal(text) == expected


def test_resources_inside_bundles_inside_bundles_are_found() -> None:
    patient = {"resourceType": "Patient", "id": "p"}
    observation = {"resourceType": "Observation"}
    inner = bundle("searchset", [{"resource": patient}])
    outer = bundle("collection", [{"resource": inner}, {"resource": observation}, {"fullUrl": "urn:x"}])
    assert list(resources(outer)) == [patient, observation]
    assert list(resources(outer, "Patient")) == [patient]


@pytest.mark.parametrize(
    "broken", [{}, {"entry": None}, {"entry": {}}, {"entry": ["x", {"resource": 1}, {"response": "no"}], "link": "no"}]
)
def test_a_broken_bundle_holds_nothing(broken: dict[str, object]) -> None:
    assert list(resources(broken)) == []
    assert link(broken, "next") is None
    assert all(answer.status == 0 for answer in responses(broken))


def test_entries_have_the_urn_of_our_ids_and_no_empty_conditions() -> None:
    ours = {"resourceType": "Patient", "id": "0b8e1f5e-3c1f-5d1f-9d7e-0a0a0a0a0a0a"}
    assert update(ours) == {
        "fullUrl": "urn:uuid:0b8e1f5e-3c1f-5d1f-9d7e-0a0a0a0a0a0a",
        "resource": ours,
        "request": {"method": "PUT", "url": "Patient/0b8e1f5e-3c1f-5d1f-9d7e-0a0a0a0a0a0a"},
    }
    assert "fullUrl" not in create({"resourceType": "Patient", "id": "1"})


def test_an_outcome_is_told_without_text_or_values() -> None:
    body = (
        b'{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"informational"},'
        b'{"severity":"error","code":"conflict","diagnostics":"Doe","details":{"text":"Doe"},'
        b'"expression":["Patient.name.where(family=\'Doe\').given"]}]}'
    )
    read = outcome.read(body)
    assert read is not None
    assert read.is_failure
    assert read.sentence() == "error conflict at Patient.name.where; warning informational"


@pytest.mark.parametrize("issue", [None, [], "x", [1], [{"severity": 1, "code": "Doe, Ann", "details": "x", "expression": "Doe"}]])
def test_a_broken_outcome_is_told_too(issue: object) -> None:
    read = outcome.read({"resourceType": "OperationOutcome", "issue": issue})
    assert read is not None
    assert "Doe" not in read.sentence()
    assert read.sentence()
