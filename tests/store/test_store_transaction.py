from typing import Any

import pytest


def bundle(*entries: dict[str, Any], kind: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method: str, url: str, resource: dict[str, Any] | None = None, full_url: str | None = None, **conditions: str) -> dict[str, Any]:
    held = {"resource": resource} if resource is not None else {}
    named = {"fullUrl": full_url} if full_url else {}
    return named | held | {"request": {"method": method, "url": url, **conditions}}


def patient(value: str = "1", **members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:s", "value": value}], **members}


def group(reference: str, **members: Any) -> dict[str, Any]:
    return {"resourceType": "Group", "type": "person", "actual": True, "member": [{"entity": {"reference": reference}}], **members}


ANN, BOB = "urn:uuid:0b8e1f5e-3c1f-4d1f-9d7e-0a0a0a0a0a0a", "urn:uuid:0b8e1f5e-3c1f-4d1f-9d7e-0b0b0b0b0b0b"


def statuses(answer: Any) -> list[str]:
    assert answer.status == 200, answer.body
    return [e["response"]["status"][:3] for e in answer.json()["entry"]]


def members(ask: Any) -> list[str]:
    found = [e["resource"] for e in ask("GET", "Group").json().get("entry", [])]
    return [m["entity"]["reference"] for g in found for m in g["member"]]


def test_references_between_entries_lead_to_the_new_ids_in_any_order(ask):
    answer = ask("POST", "", bundle(entry("POST", "Group", group(ANN)), entry("POST", "Patient", patient(), ANN)))
    assert statuses(answer) == ["201", "201"]
    person = answer.json()["entry"][1]["response"]["location"].partition("/_history")[0]
    assert members(ask) == [person]


def test_an_identifier_that_is_a_urn_is_business_data_and_stays(ask):
    named = patient() | {"identifier": [{"system": "urn:ietf:rfc3986", "value": ANN}]}
    ask("POST", "", bundle(entry("POST", "Patient", named, ANN)))
    assert ask("GET", f"Patient?identifier=urn:ietf:rfc3986|{ANN}").json()["total"] == 1


def test_resources_that_refer_to_each_other_are_written_together(ask):
    related = patient("2", link=[{"other": {"reference": ANN}, "type": "seealso"}])
    first = patient("1", link=[{"other": {"reference": BOB}, "type": "seealso"}])
    assert statuses(ask("POST", "", bundle(entry("POST", "Patient", first, ANN), entry("POST", "Patient", related, BOB)))) == ["201", "201"]


def test_a_full_url_of_a_server_is_a_name_inside_the_bundle(ask):
    entries = (
        entry("POST", "Patient", patient(), "https://example.org/fhir/Patient/7"),
        entry("POST", "Group", group("Patient/7")),
        entry("POST", "Group", group("https://example.org/fhir/Patient/7")),
    )
    answer = ask("POST", "", bundle(*entries))
    person = answer.json()["entry"][0]["response"]["location"].partition("/_history")[0]
    assert members(ask) == [person, person]


def test_it_can_be_repeated_without_a_new_version(ask):
    whole = bundle(
        entry("POST", "Patient", patient(), ANN, ifNoneExist="identifier=urn:s|1"),
        entry("PUT", "Patient?identifier=urn:s|2", patient("2"), BOB),
        entry("PUT", "Group/g1", group(ANN, id="g1")),
    )
    assert statuses(ask("POST", "", whole)) == ["201", "201", "201"]
    assert statuses(ask("POST", "", whole)) == ["200", "200", "200"]
    assert ask("GET", "_history").json()["total"] == 3


def test_conditional_references_find_what_was_there_and_what_the_bundle_brings(ask):
    ask("POST", "Patient", patient("1"))
    answer = ask(
        "POST",
        "",
        bundle(
            entry("POST", "Group", group("Patient?identifier=urn:s|1")),
            entry("PUT", "Group/g2", group("Patient?identifier=urn:s|2", id="g2")),
            entry("POST", "Patient", patient("2")),
        ),
    )
    assert statuses(answer) == ["201", "201", "201"]
    assert all(reference.startswith("Patient/") for reference in members(ask))
    ask("POST", "Patient", patient("1"))
    assert ask("POST", "", bundle(entry("POST", "Group", group("Patient?identifier=urn:s|1")))).status == 412
    assert ask("POST", "", bundle(entry("POST", "Group", group("Patient?identifier=urn:s|9")))).status == 400
    assert ask("POST", "Group", group("Patient?identifier=urn:s|2")).status == 400


def test_deletions_come_first_and_reading_last(ask):
    ask("PUT", "Patient/p1", patient("1", id="p1"))
    ask("PUT", "Group/g1", group("Patient/p1", id="g1"))
    answer = ask(
        "POST",
        "",
        bundle(
            entry("GET", "Patient?identifier=urn:s|1"),
            entry("POST", "Patient", patient("1"), ifNoneExist="identifier=urn:s|1"),
            entry("DELETE", "Patient/p1"),
            entry("DELETE", "Group/g1"),
            entry("GET", "Patient/none"),
        ),
    )
    assert answer.status == 404  # a transaction fails whole, for its reading too
    answer = ask(
        "POST",
        "",
        bundle(
            entry("GET", "Patient?identifier=urn:s|1"),
            entry("POST", "Patient", patient("1"), ifNoneExist="identifier=urn:s|1"),
            entry("DELETE", "Patient/p1"),
            entry("DELETE", "Group/g1"),
        ),
    )
    assert statuses(answer) == ["200", "201", "204", "204"]
    assert answer.json()["entry"][0]["resource"]["total"] == 1


BROKEN = {
    "a dangling reference": (400, [entry("POST", "Group", group("Patient/none"))]),
    "a urn that nothing has": (400, [entry("POST", "Group", group(BOB))]),
    "an unknown type": (400, [entry("POST", "Foo", {"resourceType": "Foo"})]),
    "another type than the url's": (400, [entry("POST", "Group", patient())]),
    "another id than the url's": (400, [entry("PUT", "Patient/a1", patient(id="a2"))]),
    "a numeric id": (400, [entry("PUT", "Patient/17", patient(id="17"))]),
    "an invalid resource": (422, [entry("POST", "Patient", patient(gender="Smith"))]),
    "a stale ifMatch": (409, [entry("PUT", "Patient/kept", patient("kept", id="kept", active=True), ifMatch='W/"9"')]),
    "a stale ifMatch of a deletion": (409, [entry("DELETE", "Patient/kept", ifMatch='W/"9"')]),
    "a resource twice": (400, [entry("PUT", "Patient/a1", patient(id="a1")), entry("PUT", "Patient/a1", patient(id="a1"))]),
    "deleted and written": (400, [entry("DELETE", "Patient/kept"), entry("PUT", "Patient/kept", patient(id="kept"))]),
    "a condition twice": (400, [entry("POST", "Patient", patient(), ifNoneExist="identifier=urn:s|2")] * 2),
    "a fullUrl twice": (400, [entry("POST", "Patient", patient(), ANN), entry("POST", "Patient", patient(), ANN)]),
    "several matches": (412, [entry("PUT", "Patient?identifier=urn:s|twin", patient())]),
    "no resource": (400, [entry("POST", "Patient")]),
    "no request": (400, [{"resource": patient()}]),
    "no method": (400, [{"request": {"url": "Patient"}}]),
    "PATCH": (400, [entry("PATCH", "Patient/kept", patient())]),
    "POST to an id": (400, [entry("POST", "Patient/kept", patient(id="kept"))]),
    "an entry that is no object": (400, ["entry"]),
    "a resource that is no object": (400, [entry("POST", "Patient") | {"resource": []}]),
    "an unreadable condition": (400, [entry("POST", "Patient", patient(), ifNoneExist="foo=1")]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_one_broken_entry_undoes_the_whole_and_is_named(ask, name):
    status, broken = BROKEN[name]
    ask("PUT", "Patient/kept", patient("kept", id="kept"))
    for _ in range(2):
        ask("POST", "Patient", patient("twin"))
    before = ask("GET", "_history").json()["total"]
    answer = ask("POST", "", bundle(entry("POST", "Patient", patient("new"), "urn:uuid:0b8e1f5e-3c1f-4d1f-9d7e-0c0c0c0c0c0c"), *broken))
    assert answer.status == status
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert b"Smith" not in answer.body
    assert ask("GET", "_history").json()["total"] == before
    assert ask("POST", "Patient", patient("after")).status == 201


def test_a_refusal_says_which_entry(ask):
    answer = ask("POST", "", bundle(entry("POST", "Patient", patient()), entry("POST", "Patient", patient(gender="grave"))))
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1]", "Patient.gender"]


@pytest.mark.parametrize(
    "body", [{"resourceType": "Bundle", "type": "searchset"}, patient(), {"resourceType": "Bundle", "type": "transaction", "entry": {}}]
)
def test_what_is_no_transaction_or_batch_is_refused(ask, body):
    assert ask("POST", "", body).status == 400


def test_an_empty_transaction_is_answered(ask):
    assert ask("POST", "", {"resourceType": "Bundle", "type": "transaction"}).json() == {
        "resourceType": "Bundle",
        "type": "transaction-response",
    }


def test_a_batch_fails_entry_by_entry(ask):
    answer = ask(
        "POST",
        "",
        bundle(
            entry("POST", "Patient", patient("1")),
            entry("POST", "Patient", patient(gender="grave")),
            entry("POST", "Patient", patient("1"), ifNoneExist="identifier=urn:s|1"),
            entry("GET", "Patient?identifier=urn:s|1"),
            entry("GET", "Patient/none"),
            entry("PUT", "Patient/b1", patient(id="b1"), ifMatch='W/"3"'),
            kind="batch",
        ),
    )
    assert statuses(answer) == ["201", "422", "200", "200", "404", "409"]
    listed = answer.json()["entry"]
    assert listed[1]["response"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[1]", "Patient.gender"]
    assert listed[3]["resource"]["total"] == 1


def test_the_written_resources_are_answered_when_asked_for(ask):
    answer = ask("POST", "", bundle(entry("POST", "Patient", patient())), Prefer="return=representation")
    assert answer.json()["entry"][0]["resource"]["identifier"][0]["value"] == "1"
