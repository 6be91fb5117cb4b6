"""What a server says of itself, whatever it says."""

import json

import pytest

from fhir_trial.errors import ConfigurationError, ServerError
from fhir_trial.fhir.http import Response, run
from fhir_trial.sync.capability import ServerInfo, discover
from fhir_trial.sync.changes import history, is_retracted
from fhir_trial.sync.failures import BadAnswer
from fhir_trial.sync.pull import types_to_read


def stated(**said: object) -> ServerInfo:
    statement = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", **said}
    return run(discover("http://127.0.0.1:1/fhir"), lambda _: Response(200, {}, json.dumps(statement).encode()))


def test_a_name_that_a_terminal_would_obey_is_shown_without_that():
    info = stated(software={"name": "\x1b[2JAcme\n\x07\u202eFHIR" + "x" * 10_000})
    assert info.software is not None
    assert info.software.startswith("[2JAcmeFHIRx")
    assert info.software.isprintable()
    assert len(info.software) == 80


@pytest.mark.parametrize(
    "rest", [5, {}, [], [5], [{"resource": 5}], [{"resource": [5, {"type": ["x"], "interaction": 5, "searchParam": {}}]}]]
)
def test_a_statement_of_any_shape_is_read(rest):
    assert stated(rest=rest).fhir_version == "4.0.1"


def test_a_server_that_searches_nothing_is_an_error_and_no_empty_trial():
    with pytest.raises(BadAnswer, match="searches none of the types"):
        types_to_read(stated(rest=[{"resource": [{"type": "Patient", "interaction": [{"code": "read"}]}]}]))


@pytest.mark.parametrize("coding", [5, "x", {"code": "cancelled"}, [5], [{"code": ["cancelled"]}], [{"code": {}}]])
def test_a_status_of_any_shape_is_read(coding):
    assert not is_retracted({"status": ["final"], "verificationStatus": {"coding": coding}})


def test_a_history_whose_versions_are_no_numbers_is_read():
    entry = {"resource": {"resourceType": "Patient", "id": "a", "meta": {"lastUpdated": 5}}, "response": {"etag": 'W/"x"'}}
    answer = {"resourceType": "Bundle", "type": "history", "entry": [entry]}
    assert run(history("Patient", "2026-01-01"), lambda _: Response(200, {}, json.dumps(answer).encode())).keys() == {"Patient/a"}
    entry["resource"]["meta"]["versionId"] = "\u00b2"  # a digit that is no decimal
    with pytest.raises(BadAnswer, match="no version"):
        run(history("Patient", "2026-01-01"), lambda _: Response(200, {}, json.dumps(answer).encode()))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Response(404, {}, b"no such page"), "the server answered 404"),
        (Response(405), "the server answered 405"),
        (Response(200, {}, b"<html>the portal</html>"), "the answer is not json"),
        (Response(200, {}, b'{"resourceType": "Patient"}'), "the answer is no CapabilityStatement"),
    ],
)
def test_a_base_url_that_leads_elsewhere_is_a_matter_of_configuration(answer, told):
    with pytest.raises(ConfigurationError) as caught:
        run(discover("https://h.example/wrong"), lambda _: answer)
    assert str(caught.value).startswith(f"GET https://h.example/wrong/metadata: {told}, expected a CapabilityStatement: check the base URL")


def test_a_server_that_fails_is_no_wrong_base_url():
    with pytest.raises(ServerError, match="the server answered 500"):
        run(discover("https://h.example/fhir"), lambda _: Response(500))
