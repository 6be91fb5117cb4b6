"""Valid resources broken in one way each: the finding says what and where, and nothing else is said."""

from copy import deepcopy
from typing import Any

import pytest

from fhir_trial.validate import validate

Json = dict[str, Any]
UCUM = "http://unitsofmeasure.org"
DELETE = object()

OBSERVATION: Json = {
    "resourceType": "Observation",
    "id": "o1",
    "meta": {"lastUpdated": "2024-02-29T10:00:00.5+01:00"},
    "contained": [{"resourceType": "Practitioner", "id": "p"}],
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "21889-1"}]},
    "subject": {"reference": "Patient/s1"},
    "performer": [{"reference": "#p"}],
    "effectiveDateTime": "2024-02-29",
    "note": [{"text": "seen twice"}],
    "referenceRange": [{"text": "any"}],
    "component": [
        {
            "code": {"coding": [{"system": "http://loinc.org", "code": "33728-7"}]},
            "valueQuantity": {"value": 12, "unit": "mm", "system": UCUM, "code": "mm"},
        }
    ],
}
ADMINISTRATION_R4: Json = {
    "resourceType": "MedicationAdministration",
    "id": "m1",
    "status": "completed",
    "medicationReference": {"reference": "Medication/x"},
    "subject": {"reference": "Patient/s1"},
    "effectivePeriod": {"start": "2024-01-01T10:00:00Z", "end": "2024-01-01T10:30:00Z"},
    "dosage": {"dose": {"value": 200, "unit": "mg", "system": UCUM, "code": "mg"}},
}
ADMINISTRATION_R5: Json = {
    "resourceType": "MedicationAdministration",
    "id": "m1",
    "status": "completed",
    "medication": {"reference": {"reference": "Medication/x"}},
    "subject": {"reference": "Patient/s1"},
    "occurenceDateTime": "2024-01-01",
    "dosage": {"dose": {"value": 200}},
}
CRITERIA = "http://hl7.org/fhir/uv/ae-research-backport-ig/StructureDefinition/seriousness-criteria"
EVENT: Json = {
    "resourceType": "AdverseEvent",
    "id": "a1",
    "extension": [
        {
            "url": CRITERIA,
            "extension": [
                {"url": "criterionCode", "valueCodeableConcept": {"text": "hospital"}},
                {"url": "criterionPresent", "valueBoolean": True},
            ],
        }
    ],
    "actuality": "actual",
    "subject": {"reference": "Patient/s1"},
    "seriousness": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/adverse-event-seriousness", "code": "Serious"}]},
    "severity": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/adverse-event-severity", "code": "mild"}]},
    "suspectEntity": [{"instance": {"reference": "Medication/x"}}],
}
BUNDLE: Json = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        {"resource": {"resourceType": "Patient", "id": "b", "active": True}, "request": {"method": "PUT", "url": "Patient/b"}},
    ],
}
PATIENT: Json = {
    "resourceType": "Patient",
    "id": "p1",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Ann&nbsp;D &amp; E<br/></div>'},
    "name": [{"given": ["Ann", None], "_given": [None, {"extension": [{"url": "http://x.org/e", "valueString": "v"}]}]}],
    "birthDate": "1970",
    "_birthDate": {"extension": [{"url": "http://x.org/e", "valueTime": "10:00:00"}]},
    "multipleBirthInteger": 2,
    "photo": [{"contentType": "image/png", "data": "YWJj"}],
    "communication": [{"language": {"text": "French"}, "preferred": True}],
    "link": [{"other": {"reference": "http://x.org/fhir/Patient/2"}, "type": "seealso"}],
}
SUBJECT_R5: Json = {
    "resourceType": "ResearchSubject",
    "id": "s",
    "status": "active",
    "study": {"reference": "ResearchStudy/1"},
    "subject": {"reference": "urn:uuid:0b8e1f5e-3c1f-5d1f-9d7e-0a0a0a0a0a0a"},
    "progress": [
        {"subjectState": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/research-subject-state", "code": "on-study"}]}}
    ],
}
WHOLE = {
    "observation": ("r4", OBSERVATION),
    "observation5": ("r5", OBSERVATION),
    "administration": ("r4", ADMINISTRATION_R4),
    "administration5": ("r5", ADMINISTRATION_R5),
    "event": ("r4", EVENT),
    "bundle": ("r4", BUNDLE),
    "bundle5": ("r5", BUNDLE),
    "patient": ("r4", PATIENT),
    "subject5": ("r5", SUBJECT_R5),
}

# resource, path to the member, what to put there (DELETE: nothing), finding's code, finding's field
MUTANTS: list[tuple[str, tuple[str | int, ...], Any, str, str]] = [
    # structure
    ("observation", ("status",), DELETE, "missing-element", "Observation.status"),
    ("observation", ("colour",), "red", "unknown-element", "Observation.colour"),
    ("observation", ("component", 0, "valueQuantity", "units"), "mm", "unknown-element", "Observation.component[0].value.units"),
    ("observation", ("effectivePeriod",), {"start": "2024"}, "more-than-one-choice", "Observation.effective"),
    ("observation", ("code",), {}, "empty-object", "Observation.code"),
    ("observation", ("code",), "21889-1", "not-an-object", "Observation.code"),
    ("observation", ("code",), None, "null-value", "Observation.code"),
    ("observation", ("code",), [OBSERVATION["code"]], "not-repeatable", "Observation.code"),
    ("observation", ("note",), [], "empty-array", "Observation.note"),
    ("observation", ("note",), {"text": "x"}, "not-an-array", "Observation.note"),
    ("observation", ("note", 0, "text"), "", "empty-string", "Observation.note[0].text"),
    ("observation", ("note", 0, "text"), "  ", "invalid-markdown", "Observation.note[0].text"),
    ("observation", ("component", 0, "valueQuantity", "value"), "12", "wrong-json-type", "Observation.component[0].value.value"),
    ("observation", ("component", 0, "valueQuantity", "value"), True, "wrong-json-type", "Observation.component[0].value.value"),
    ("observation", ("meta", "lastUpdated"), "2024-02-29", "invalid-instant", "Observation.meta.lastUpdated"),
    ("observation", ("effectiveDateTime",), "2023-02-29", "invalid-dateTime", "Observation.effective"),
    ("observation", ("effectiveDateTime",), "2024-02-29T10:00:00", "invalid-dateTime", "Observation.effective"),
    ("observation", ("effectiveDateTime",), "29.02.2024", "invalid-dateTime", "Observation.effective"),
    ("observation", ("id",), "a_b", "invalid-id", "Observation.id"),
    ("observation", ("contained", 0, "resourceType"), "Practicioner", "unknown-resource-type", "Observation.contained[0]"),
    ("observation", ("contained", 0, "resourceType"), DELETE, "no-resource-type", "Observation.contained[0]"),
    ("observation", ("contained", 0, "gender"), "f", "unknown-code", "Observation.contained[0].gender"),
    ("patient", ("multipleBirthInteger",), 2.5, "invalid-integer", "Patient.multipleBirth"),
    ("patient", ("name", 0, "given", 0), None, "null-value", "Patient.name[0].given[0]"),
    ("patient", ("_birthDate",), {}, "empty-object", "Patient.birthDate"),
    ("patient", ("_birthDate", "extension", 0, "url"), DELETE, "missing-element", "Patient.birthDate.extension[0].url"),
    ("patient", ("_birthDate", "extension", 0, "valueTime"), "10:00", "invalid-time", "Patient.birthDate.extension[0].value"),
    ("patient", ("photo", 0, "data"), "abc", "invalid-base64Binary", "Patient.photo[0].data"),
    ("patient", ("photo", 0, "contentType"), "picture", "unknown-code", "Patient.photo[0].contentType"),
    ("patient", ("text", "div"), "<div>no namespace</div>", "invalid-xhtml", "Patient.text.div"),
    ("patient", ("communication", 0, "language"), DELETE, "missing-element", "Patient.communication[0].language"),
    # bindings
    ("observation", ("status",), "done", "unknown-code", "Observation.status"),
    ("event", ("severity", "coding", 0, "code"), "grave", "unknown-code", "AdverseEvent.severity"),
    ("event", ("severity", "coding", 0, "system"), "http://x.org", "unknown-code", "AdverseEvent.severity"),
    ("event", ("severity",), {"text": "mild"}, "unknown-code", "AdverseEvent.severity"),
    ("subject5", ("progress", 0, "subjectState", "coding", 0, "code"), "gone", "unknown-code", "ResearchSubject.progress[0].subjectState"),
    # references
    ("observation", ("subject", "reference"), "Practitioner/1", "wrong-reference-target", "Observation.subject"),
    ("observation", ("subject", "reference"), "Patiant/1", "wrong-reference-target", "Observation.subject"),
    ("observation", ("subject", "reference"), "s1", "invalid-reference", "Observation.subject.reference"),
    ("observation", ("subject",), {"type": "Practitioner", "display": "x"}, "wrong-reference-target", "Observation.subject"),
    ("observation", ("contained", 0, "resourceType"), "Location", "wrong-reference-target", "Observation.performer[0]"),
    ("patient", ("link", 0, "other", "reference"), "http://x.org/fhir/Group/2", "wrong-reference-target", "Patient.link[0].other"),
    (
        "administration5",
        ("medication", "reference", "reference"),
        "Patient/1",
        "wrong-reference-target",
        "MedicationAdministration.medication.reference",
    ),
    # HL7's invariants
    ("observation", ("performer",), DELETE, "invariant-dom-3", "Observation"),
    ("observation", ("contained", 0, "meta"), {"versionId": "1"}, "invariant-dom-4", "Observation"),
    ("observation", ("contained", 0, "meta"), {"security": [{"code": "R"}]}, "invariant-dom-5", "Observation"),
    ("observation", ("dataAbsentReason",), {"text": "x"}, None, ""),
    ("observation", ("component", 0, "code"), OBSERVATION["code"], None, ""),
    ("observation", ("referenceRange", 0), {"type": {"text": "x"}}, "invariant-obs-3", "Observation.referenceRange[0]"),
    ("observation", ("component", 0, "valueQuantity", "system"), DELETE, "invariant-qty-3", "Observation.component[0].value"),
    (
        "observation5",
        ("referenceRange", 0, "low"),
        {"value": 1, "comparator": "<"},
        "invariant-sqty-1",
        "Observation.referenceRange[0].low",
    ),
    ("patient", ("_birthDate", "extension", 0, "valueTime"), DELETE, "invariant-ext-1", "Patient.birthDate.extension[0]"),
    ("patient", ("contact",), [{"gender": "male"}], "invariant-pat-1", "Patient.contact[0]"),
    ("administration", ("dosage", "dose"), DELETE, "empty-object", "MedicationAdministration.dosage"),
    ("administration", ("dosage",), {"text": "200 mg"}, "invariant-mad-1", "MedicationAdministration.dosage"),
    ("administration5", ("dosage",), {"text": "200 mg"}, None, ""),
    ("administration5", ("dosage",), {"route": {"text": "IV"}}, "invariant-mad-1", "MedicationAdministration.dosage"),
    ("administration", ("effectivePeriod", "end"), "2024-01-01T10:30:00+01:00", "invariant-per-1", "MedicationAdministration.effective"),
    ("administration", ("effectivePeriod", "end"), "2023", "invariant-per-1", "MedicationAdministration.effective"),
    ("administration", ("effectivePeriod", "end"), "2024", None, ""),
    ("bundle", ("entry", 0, "request"), DELETE, "invariant-bdl-3", "Bundle"),
    ("bundle5", ("entry", 0, "request"), DELETE, "invariant-bdl-3c", "Bundle"),
    ("bundle", ("total",), 1, "invariant-bdl-1", "Bundle"),
    ("bundle", ("entry", 0, "resource", "active"), "yes", "wrong-json-type", "Patient.active"),
    ("event", ("extension",), DELETE, None, ""),
]


def changed(resource: Json, path: tuple[str | int, ...], value: Any) -> Json:
    """A copy of the resource with one member replaced, added or removed."""
    copy = deepcopy(resource)
    owner: Any = copy
    for step in path[:-1]:
        owner = owner[step]
    if value is DELETE:
        del owner[path[-1]]
    else:
        owner[path[-1]] = value
    return copy


@pytest.mark.parametrize("name", WHOLE)
def test_the_whole_resource_is_valid(name: str) -> None:
    fhir, resource = WHOLE[name]
    assert [f.describe() for f in validate(resource, fhir)] == []


@pytest.mark.parametrize(
    ("name", "path", "value", "code", "field"), MUTANTS, ids=lambda part: ".".join(map(str, part)) if isinstance(part, tuple) else None
)
def test_a_broken_resource_has_one_finding(name: str, path: tuple[str | int, ...], value: Any, code: str | None, field: str) -> None:
    fhir, resource = WHOLE[name]
    findings = [(f.code, f.field) for f in validate(changed(resource, path, value), fhir) if f.severity == "error"]
    assert findings == ([(code, field)] if code else [])


@pytest.mark.parametrize(
    ("path", "value"), [(("extension", 0, "extension", 1, "valueBoolean"), False), (("seriousness", "coding", 0, "code"), "Non-serious")]
)
def test_a_seriousness_that_its_criteria_contradict_is_warned_of(path: tuple[str | int, ...], value: Any) -> None:
    fhir, event = WHOLE["event"]
    (finding,) = validate(changed(event, path, value), fhir)
    assert (finding.code, finding.field, finding.severity) == ("seriousness-and-criteria-differ", "AdverseEvent.seriousness", "warning")


def test_a_unit_that_claims_to_be_ucums_is_one() -> None:
    (finding,) = validate(changed(OBSERVATION, ("component", 0, "valueQuantity", "code"), "millimetre"))
    assert (finding.code, finding.field, finding.severity) == ("invalid-unit", "Observation.component[0].value.code", "error")
    assert validate(changed(OBSERVATION, ("component", 0, "valueQuantity", "system"), "http://x.org")) == []


def test_a_value_and_a_reason_for_its_absence_exclude_each_other() -> None:
    both = OBSERVATION | {"valueInteger": 1, "dataAbsentReason": {"text": "x"}}
    assert [f.code for f in validate(both)] == ["invariant-obs-6"]


def test_a_component_of_the_same_code_excludes_a_value() -> None:
    twice = changed(OBSERVATION | {"valueInteger": 1}, ("component", 0, "code"), OBSERVATION["code"])
    assert [f.code for f in validate(twice)] == ["invariant-obs-7"]


@pytest.mark.parametrize("beside", [[None, None], [None]])
def test_a_null_needs_an_extension_at_its_index(beside: list[None]) -> None:
    findings = validate(changed(PATIENT, ("name", 0, "_given"), beside))
    assert [(f.code, f.field) for f in findings] == [("null-value", "Patient.name[0].given[1]"), ("empty-array", "Patient.name[0].given")]


def test_a_reference_into_nothing_leaves_the_contained_resource_alone() -> None:
    findings = validate(changed(OBSERVATION, ("performer", 0, "reference"), "#q"))
    assert [f.code for f in findings] == ["invariant-ref-1", "invariant-dom-3"]


@pytest.mark.parametrize(
    ("contained", "performer", "codes"),
    [
        # one contained resource refers to another of the same container
        ([{"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "#p"}}], "#r", []),
        # and one to the container itself, which is reference enough
        ([{"resourceType": "Provenance", "id": "v", "target": [{"reference": "#"}]}], "#p", []),
        ([{"resourceType": "Basic", "id": "v", "code": {"text": "x"}}], "#p", ["invariant-dom-3"]),
        ([{"resourceType": "Basic", "id": "v", "code": {"text": "x"}, "subject": {"reference": "#w"}}], "#v", ["invariant-ref-1"]),
    ],
)
def test_contained_resources_refer_to_each_other(contained: list[Json], performer: str, codes: list[str]) -> None:
    provenance = {"recorded": "2024-01-01T00:00:00Z", "agent": [{"who": {"display": "A"}}]}
    listed = [c | (provenance if c["resourceType"] == "Provenance" else {}) for c in contained]
    whole = OBSERVATION | {
        "contained": [*OBSERVATION["contained"], *listed],
        "performer": [{"reference": "#p"}],
        "focus": [{"reference": performer}],
    }
    assert [f.code for f in validate(whole)] == codes


@pytest.mark.parametrize(("status", "codes"), [("draft", []), ("active", ["invariant-cmd-1"])])
def test_an_invariant_of_a_part_sees_the_whole_resource(status: str, codes: list[str]) -> None:
    target = {"code": "b", "relationship": "source-is-broader-than-target"}
    concept_map = {"resourceType": "ConceptMap", "status": status, "group": [{"element": [{"code": "a", "target": [target]}]}]}
    assert [f.code for f in validate(concept_map, "r5") if f.severity == "error"] == codes


ABSENT = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}


@pytest.mark.parametrize(
    ("severity", "codes"),
    [
        (ABSENT, []),
        ({"coding": [{"code": "x"}, EVENT["severity"]["coding"][0]]}, []),
        ({"coding": [{"system": EVENT["severity"]["coding"][0]["system"], "code": ["mild"]}]}, ["not-repeatable", "unknown-code"]),
        ({"coding": "mild"}, ["not-an-array", "unknown-code"]),
    ],
)
def test_a_required_concept(severity: Json, codes: list[str]) -> None:
    assert [f.code for f in validate(EVENT | {"severity": severity})] == codes


@pytest.mark.parametrize(("code", "codes"), [("first", []), ("fifth", ["unknown-code"])])
def test_a_required_coding(code: str, codes: list[str]) -> None:
    week = {"system": "http://hl7.org/fhir/week-of-month", "code": code}
    monthly = {"nthWeekOfMonth": week, "monthInterval": 1}
    appointment = {
        "resourceType": "Appointment",
        "status": "proposed",
        "participant": [{"status": "accepted", "actor": {"display": "A"}}],
        "recurrenceTemplate": [{"recurrenceType": {"text": "monthly"}, "monthlyTemplate": monthly}],
    }
    assert [f.code for f in validate(appointment, "r5") if f.severity == "error"] == codes


URN = "urn:uuid:0b8e1f5e-3c1f-5d1f-9d7e-0a0a0a0a0a0a"


@pytest.mark.parametrize(
    ("kind", "reference", "codes"),
    [
        ("transaction", URN, []),
        ("transaction", "Patient?identifier=1", []),
        ("transaction", URN.replace("0b", "0c"), ["unresolved-reference"]),
        ("batch", URN.replace("0b", "0c"), []),
    ],
)
def test_a_urn_in_a_transaction_leads_to_one_of_its_entries(kind: str, reference: str, codes: list[str]) -> None:
    subject: Json = {"resourceType": "Patient", "active": True}
    event = {"resourceType": "AdverseEvent", "actuality": "actual", "subject": {"reference": reference}}
    entries = [
        {"fullUrl": URN, "resource": subject, "request": {"method": "POST", "url": "Patient"}},
        {"resource": event, "request": {"method": "POST", "url": "AdverseEvent"}},
    ]
    assert [f.code for f in validate({"resourceType": "Bundle", "type": kind, "entry": entries})] == codes
    subject.update(resourceType="Basic", code={"text": "x"})
    del subject["active"]
    wrong = validate({"resourceType": "Bundle", "type": kind, "entry": entries})
    assert (["wrong-reference-target"] if reference == URN else codes) == [f.code for f in wrong]


def test_several_wrongs_are_all_said_with_suggestions() -> None:
    findings = validate({"resourceType": "Patient", "id": "x", "birthdate": "1970", "gender": "f"})
    assert [(f.code, f.place, f.found) for f in findings] == [("unknown-element", "Patient/x", None), ("unknown-code", "Patient/x", "f")]
    assert findings[0].expected is not None
    assert "birthDate" in findings[0].expected


def test_a_finding_in_a_bundle_stands_at_its_own_resource() -> None:
    inner = {"resourceType": "Bundle", "id": "i", "type": "collection", "entry": [{"resource": {"resourceType": "Patient", "gender": 1}}]}
    outer = {"resourceType": "Bundle", "id": "o", "type": "collection", "entry": [{"resource": inner}]}
    (finding,) = validate(outer)
    assert (finding.place, finding.field) == ("Patient", "Patient.gender")


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, {"resourceType": 1}, {"resourceType": "Resource"}, {"resourceType": "Quantity"}])
def test_what_is_no_resource_is_one_finding(value: Any) -> None:
    assert len(validate(value)) == 1


def test_a_resource_too_deep_to_walk_is_a_finding() -> None:
    extension: Json = {"url": "http://x.org/e", "valueString": "x"}
    for _ in range(5000):
        extension = {"url": "http://x.org/e", "extension": [extension]}
    assert [f.code for f in validate({"resourceType": "Patient", "extension": [extension]})] == ["too-deep"]
