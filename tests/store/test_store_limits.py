"""A store that answers as a hospital's server would: what it refuses, and that its CapabilityStatement says so."""

import pytest

from fhir_trial.errors import UsageError
from fhir_trial.fhir import json
from fhir_trial.fhir.shapes import shapes
from fhir_trial.store.limits import limits

SEEN = {"resourceType": "Observation", "status": "final", "code": {"text": "t"}, "subject": {"reference": "Patient/p1"}}
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def epic(store, ask):
    """A hospital's store with one patient, as its clients meet it."""
    ask("PUT", "Patient/p1", {"resourceType": "Patient", "id": "p1", "name": [{"family": "A", "given": ["B"]}]})
    ask("PUT", "Observation/o1", SEEN | {"id": "o1", "category": [{"coding": [{"code": "laboratory"}]}]})
    store.limits = limits("epic-like")
    return ask


@pytest.mark.parametrize(
    ("method", "url", "body", "status"),
    [
        ("GET", "Observation?patient=p1&category=laboratory", None, 200),
        ("GET", "Observation?patient=p1", None, 400),
        ("GET", "Observation?category=laboratory", None, 400),
        ("GET", "Observation?patient=p1&category=laboratory&_lastUpdated=ge2020-01-01", None, 400),
        ("GET", "Observation?patient=p1&category=laboratory&value-quantity=1", None, 400),
        ("GET", "Observation/o1", None, 200),
        ("GET", "Observation/o1/_history", None, 405),
        ("GET", "Observation/o1/_history/1", None, 405),
        ("GET", "_history", None, 405),
        ("GET", "Patient?family=A&given=B", None, 200),
        ("GET", "Patient?family=A", None, 400),
        ("GET", "ResearchStudy", None, 400),
        ("GET", "ResearchSubject?patient=p1", None, 200),
        ("GET", "Device?_id=a", None, 404),
        ("POST", "", {"resourceType": "Bundle", "type": "transaction"}, 404),
        ("POST", "Observation", SEEN, 201),
        ("PUT", "Observation/o1", SEEN | {"id": "o1"}, 200),
        ("PUT", "Observation/new-one", SEEN | {"id": "new-one"}, 405),
        ("PUT", "Observation?identifier=a", SEEN, 405),
        ("DELETE", "Observation/o1", None, 405),
        ("POST", "ResearchSubject", {"resourceType": "ResearchSubject"}, 405),
        ("PUT", "AdverseEvent/a1", {"resourceType": "AdverseEvent", "id": "a1"}, 405),
        ("POST", "MedicationAdministration", {"resourceType": "MedicationAdministration"}, 405),
        ("GET", "$export", None, 405),
        ("GET", "Patient/$export", None, 405),
    ],
)
def test_what_a_hospital_allows_and_what_not(epic, method, url, body, status):
    answer = epic(method, url, body, Prefer="respond-async")
    assert answer.status == status
    if status >= 400:
        assert answer.json()["resourceType"] == "OperationOutcome"


def test_a_conditional_create_is_refused_rather_than_doubled(epic):
    assert epic("POST", "Observation", SEEN, If_None_Exist="identifier=a|1").status == 400


def test_an_include_is_taken_and_does_nothing(epic):
    found = epic("GET", "Observation?patient=p1&category=laboratory&_include=Observation:subject").json()
    assert [entry["resource"]["resourceType"] for entry in found["entry"]] == ["Observation"]


def test_searches_by_form_are_for_patients_alone(epic):
    assert epic("POST", "Patient/_search", b"_id=p1", Content_Type=FORM).json()["total"] == 1
    assert epic("POST", "Observation/_search", b"patient=p1&category=laboratory", Content_Type=FORM).status == 405


def test_pages_go_on(epic):
    for _ in range(3):
        epic("POST", "Observation", SEEN | {"category": [{"coding": [{"code": "laboratory"}]}]})
    first = epic("GET", "Observation?patient=p1&category=laboratory&_count=2").json()
    following = [link["url"] for link in first["link"] if link["relation"] == "next"]
    assert len(epic("GET", following[0]).json()["entry"]) == 2


def test_a_group_is_exported_without_what_such_servers_leave_out(store, epic):
    store.limits = None
    epic(
        "PUT",
        "Group/g",
        {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "member": [{"entity": {"reference": "Patient/p1"}}]},
    )
    dose = {"resourceType": "MedicationAdministration", "id": "m1", "status": "completed", "medicationCodeableConcept": {"text": "d"}}
    dose |= {"subject": {"reference": "Patient/p1"}, "effectiveDateTime": "2025-01-01"}
    assert epic("PUT", "MedicationAdministration/m1", dose).status == 201
    store.limits = limits("epic-like")
    place = epic("GET", "Group/g/$export", Prefer="respond-async").header("Content-Location")
    assert {file["type"] for file in epic("GET", place).json()["output"]} == {"Patient", "Observation"}


def test_the_statement_says_what_is_allowed(epic):
    statement = epic("GET", "metadata").json()
    (rest,) = statement["rest"]
    assert "Epic" in statement["software"]["name"]
    assert "interaction" not in rest
    assert "operation" not in rest
    by_type = {resource["type"]: resource for resource in rest["resource"]}
    assert "Device" not in by_type
    assert [each["code"] for each in by_type["AdverseEvent"]["interaction"]] == ["read", "search-type"]
    assert {each["updateCreate"] for each in rest["resource"]} == {False}
    assert [each["name"] for each in by_type["Group"]["operation"]] == ["group-export"]
    assert {each["name"] for each in by_type["ResearchSubject"]["searchParam"]} == {"_id", "patient", "status", "study"}


def test_the_limits_name_types_and_parameters_that_there_are():
    shape, held = shapes("r4"), limits("epic-like")
    for name, allowed in held.resources.items():
        assert name in shape.resource_types
        assert allowed.search <= {"_id", *shape.search_parameters(name)}
        assert all(needed <= allowed.search for needed in allowed.needs)


def test_limits_that_are_not_there_are_named():
    with pytest.raises(UsageError, match="epic-like"):
        limits("nonsense")


def test_nothing_is_limited_unless_asked(ask):
    assert json.decode(ask("GET", "metadata").body)["rest"][0]["interaction"][0] == {"code": "transaction"}
