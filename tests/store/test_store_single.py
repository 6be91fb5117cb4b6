from typing import Any

import pytest

from fhir_trial.store.server import MAX_BODY_BYTES


def patient(identity: str = "p1", **members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": identity, **members}


def issue(response: Any) -> dict[str, Any]:
    whole = response.json()
    assert whole["resourceType"] == "OperationOutcome"
    return whole["issue"][0]


def test_a_resource_is_kept_with_version_time_and_place(ask):
    made = ask("POST", "Patient", {"resourceType": "Patient", "gender": "female"})
    held = made.json()
    assert made.status == 201
    assert made.header("Location") == f"http://localhost/fhir/Patient/{held['id']}/_history/1"
    assert made.header("ETag") == 'W/"1"'
    assert made.header("Last-Modified").endswith("GMT")
    assert held["meta"]["versionId"] == "1"
    assert ask("GET", f"Patient/{held['id']}").json() == held


def test_a_client_cannot_set_version_time_or_id_of_what_it_creates(ask):
    stated = patient("mine", meta={"versionId": "9", "lastUpdated": "1999-01-01T00:00:00Z", "tag": [{"code": "t"}]})
    held = ask("POST", "Patient", stated).json()
    assert held["id"] != "mine"
    assert held["meta"]["versionId"] == "1"
    assert held["meta"]["lastUpdated"] > "2020"
    assert held["meta"]["tag"] == [{"code": "t"}]


def test_decimals_keep_their_digits_and_a_change_of_digits_is_a_change(ask):
    body = b'{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"c"},"valueQuantity":{"value":%s}}'
    ask("PUT", "Observation/o1", body % b"1.50")
    assert b'"value":1.50' in ask("GET", "Observation/o1").body
    assert ask("PUT", "Observation/o1", body % b"1.50").header("ETag") == 'W/"1"'
    assert ask("PUT", "Observation/o1", body % b"1.5").header("ETag") == 'W/"2"'


def test_versions_stay_readable_and_a_deleted_resource_is_gone_until_it_is_put_again(ask):
    ask("PUT", "Patient/p1", patient(gender="female"))
    ask("PUT", "Patient/p1", patient(gender="male"))
    assert ask("DELETE", "Patient/p1").status == 204
    assert ask("DELETE", "Patient/p1").status == 204
    gone = ask("GET", "Patient/p1")
    assert (gone.status, gone.header("ETag"), issue(gone)["code"]) == (410, 'W/"3"', "deleted")
    assert ask("GET", "Patient/p1/_history/1").json()["gender"] == "female"
    assert ask("GET", "Patient/p1/_history/3").status == 410
    assert ask("GET", "Patient?_id=p1").json()["total"] == 0
    again = ask("PUT", "Patient/p1", patient())
    assert (again.status, again.header("ETag")) == (201, 'W/"4"')
    entries = ask("GET", "Patient/p1/_history").json()["entry"]
    assert [e["request"]["method"] for e in entries] == ["PUT", "DELETE", "PUT", "PUT"]
    assert "resource" not in entries[1]


def test_prefer_decides_what_a_write_answers(ask):
    assert ask("PUT", "Patient/p1", patient(), Prefer="return=minimal").body == b""
    assert ask("PUT", "Patient/p2", patient("p2"), Prefer="return=OperationOutcome").json()["resourceType"] == "OperationOutcome"
    assert ask("PUT", "Patient/p3", patient("p3"), Prefer="return=representation").json()["id"] == "p3"


def test_conditions_on_versions(ask):
    ask("PUT", "Patient/p1", patient())
    assert ask("PUT", "Patient/p1", patient(active=True), If_Match='W/"1"').status == 200
    assert ask("PUT", "Patient/p1", patient(active=False), If_Match='W/"1"').status == 409
    assert ask("PUT", "Patient/p2", patient("p2"), If_Match='W/"1"').status == 409
    assert ask("DELETE", "Patient/p1", If_Match='W/"1"').status == 409
    assert ask("PUT", "Patient/p1", patient(), If_None_Match="*").status == 412
    assert ask("GET", "Patient/p1", If_None_Match='W/"2"').status == 304
    assert ask("GET", "Patient/p1", If_None_Match='W/"1"').status == 200


def test_conditional_writes_find_one_none_or_too_many(ask):
    named = {"resourceType": "Patient", "identifier": [{"system": "urn:s", "value": "1"}]}
    condition = "identifier=urn:s|1"
    first = ask("POST", "Patient", named, If_None_Exist=condition)
    second = ask("POST", "Patient", named, If_None_Exist="Patient?" + condition)
    assert (first.status, second.status) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert ask("PUT", f"Patient?{condition}", named | {"active": True}).header("ETag") == 'W/"2"'
    assert ask("PUT", f"Patient?{condition}", named | {"id": "another"}).status == 400
    assert ask("PUT", "Patient?identifier=urn:s|2", patient("p2", identifier=[{"system": "urn:s", "value": "2"}])).json()["id"] == "p2"
    ask("POST", "Patient", named)
    assert ask("POST", "Patient", named, If_None_Exist=condition).status == 412
    assert ask("DELETE", f"Patient?{condition}").status == 412
    assert ask("DELETE", "Patient?identifier=urn:s|2").status == 204
    assert ask("GET", "Patient/p2").status == 410
    assert ask("DELETE", "Patient?identifier=urn:s|3").status == 204


@pytest.mark.parametrize("condition", ["", "_count=1", "foo=1", "identifier="])
def test_a_condition_that_says_nothing_writes_nothing(ask, condition):
    assert ask("POST", "Patient", {"resourceType": "Patient"}, If_None_Exist=condition).status == 400
    assert ask("GET", "Patient").json()["total"] == 0


def test_references_must_lead_somewhere_and_what_is_referred_to_stays(ask):
    group = {"resourceType": "Group", "id": "g1", "type": "person", "actual": True, "member": [{"entity": {"reference": "Patient/p1"}}]}
    refused = ask("PUT", "Group/g1", group)
    assert (refused.status, issue(refused)["code"]) == (400, "not-found")
    assert ask("GET", "Group/g1").status == 404
    ask("PUT", "Patient/p1", patient())
    assert ask("PUT", "Group/g1", group).status == 201
    assert ask("DELETE", "Patient/p1").status == 409
    assert ask("DELETE", "Group/g1").status == 204
    assert ask("DELETE", "Patient/p1").status == 204


def test_a_reference_to_another_server_or_by_identifier_alone_is_kept(ask):
    for identity, reference in (("g1", {"reference": "https://example.org/fhir/Patient/7"}), ("g2", {"identifier": {"value": "7"}})):
        group = {"resourceType": "Group", "id": identity, "type": "person", "actual": True, "member": [{"entity": reference}]}
        assert ask("PUT", f"Group/{identity}", group).status == 201


@pytest.mark.parametrize(
    ("method", "url", "body", "headers", "status"),
    [
        ("GET", "Patient/none", None, {}, 404),
        ("GET", "Patient/none/_history", None, {}, 404),
        ("GET", "Patient/p1/_history/x", None, {}, 404),
        ("GET", "NoType", None, {}, 404),
        ("GET", "Patient/p1/more/parts", None, {}, 404),
        ("GET", "https://example.org/fhir/Patient/p1", None, {}, 404),
        ("GET", "Patient/$everything", None, {}, 404),
        ("GET", "", None, {}, 405),
        ("PATCH", "Patient/p1", b"[]", {}, 405),
        ("POST", "Patient/p1", b"{}", {}, 405),
        ("DELETE", "Patient/none", None, {}, 404),
        ("PUT", "Patient/p2", patient("p3"), {}, 400),
        ("PUT", "Patient/p2", {"resourceType": "Patient"}, {}, 400),
        ("PUT", "Patient/17", patient("17"), {}, 400),
        ("PUT", "Patient/a_b", patient("a_b"), {}, 400),
        ("PUT", "Patient/p2", {"resourceType": "Group", "id": "p2"}, {}, 400),
        ("POST", "Patient", b'{"resourceType":"Patient"', {}, 400),
        ("POST", "Patient", b"\xff\xfe", {}, 400),
        ("POST", "Patient", b"[]", {}, 400),
        ("POST", "Patient", b"", {}, 400),
        ("POST", "Patient", {"id": "x"}, {}, 400),
        ("POST", "Patient", b'{"resourceType":"Patient","extension":' + b"[" * 100000, {}, 400),
        ("POST", "Patient", b'{"resourceType":"Patient","x":' + b"[" * 200 + b"]" * 200 + b"}", {}, 400),
        ("POST", "Patient", {"resourceType": "Patient", "meta": []}, {}, 400),
        ("POST", "Patient", b"<Patient/>", {"Content-Type": "application/fhir+xml"}, 415),
        ("POST", "Patient", {"resourceType": "Patient"}, {"Content-Type": "application/fhir+json; fhirVersion=5.0"}, 415),
        ("POST", "Patient", {"resourceType": "Patient"}, {"Content-Encoding": "gzip"}, 415),
        ("GET", "Patient", None, {"Accept": "application/fhir+xml"}, 406),
        ("POST", "Patient/_search", b"{}", {"Content-Type": "application/json"}, 415),
        ("POST", "Patient", {"resourceType": "Patient", "bogus": "Ann Smith"}, {}, 422),
        ("POST", "Patient", {"resourceType": "Patient", "gender": "Ann Smith"}, {}, 422),
        ("POST", "Patient", {"resourceType": "Patient", "link": []}, {}, 422),
    ],
)
def test_what_is_refused(ask, method, url, body, headers, status):
    ask("PUT", "Patient/p1", patient())
    refused = ask(method, url, body, **{name.replace("-", "_"): value for name, value in headers.items()})
    assert refused.status == status
    assert issue(refused)["severity"] == "error"
    assert b"Smith" not in refused.body


def test_a_refusal_names_the_element(ask):
    refused = ask("POST", "Patient", {"resourceType": "Patient", "gender": "grave"})
    assert issue(refused)["expression"] == ["Patient.gender"]


def test_a_body_beyond_the_limit_is_refused_unread(ask):
    assert ask("POST", "Patient", b" " * (MAX_BODY_BYTES + 1)).status == 413


def test_a_method_that_is_not_there_names_those_that_are(ask):
    assert ask("PATCH", "Patient/p1", b"[]").header("Allow") == "DELETE, GET, PUT"


def test_head_is_get_without_a_body(ask):
    ask("PUT", "Patient/p1", patient())
    head = ask("HEAD", "Patient/p1")
    assert (head.status, head.header("ETag"), head.body) == (200, 'W/"1"', b"")


def test_the_capability_statement_says_what_is_searched_by(ask):
    statement = ask("GET", "metadata").json()
    assert statement["fhirVersion"] == "4.0.1"
    listed = {r["type"]: r for r in statement["rest"][0]["resource"]}
    by_name = {p["name"]: p["type"] for p in listed["ResearchSubject"]["searchParam"]}
    assert by_name["study"] == "reference"
    assert "code-value-quantity" not in {p["name"] for p in listed["Observation"]["searchParam"]}
    for name, kind in by_name.items():
        value = {"date": "2020", "reference": "Patient/1"}.get(kind, "x")
        assert ask("GET", f"ResearchSubject?{name}={value}").status == 200
