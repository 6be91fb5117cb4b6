"""What others write comes in as rows or as findings that name the resource: hand-made variants, HL7's examples, and damage of any kind."""

import copy
import random
import time
from decimal import Decimal
from pathlib import Path

import pytest

from fhir_trial.errors import Findings
from fhir_trial.fhir.json import decode
from fhir_trial.fhir.versions import VERSIONS
from fhir_trial.mapping import load
from fhir_trial.mapping.foreign import read_foreign
from fhir_trial.sources.study_file import load_study
from fhir_trial.trial.resources import from_resources

EXAMPLES = Path(__file__).resolve().parents[1] / "data" / "hl7"
LOINC, RXNORM, UCUM = "http://loinc.org", "http://www.nlm.nih.gov/research/umls/rxnorm", "http://unitsofmeasure.org"
PATIENT = {"resourceType": "Patient", "id": "p1", "gender": "female", "identifier": [{"system": "urn:mrn", "value": "MRN-4711"}]}
SUBJECT = {"reference": "Patient/p1"}


def concept(system, code, **rest):
    return {"coding": [{"system": system, "code": code, **rest}]}


def observation(code, **rest):
    return {"resourceType": "Observation", "id": "o1", "status": "final", "code": concept(LOINC, code), "subject": SUBJECT} | rest


def given(**rest):
    return {"resourceType": "MedicationAdministration", "id": "m1", "status": "completed", "subject": SUBJECT} | rest


def read(*resources, fhir="r4", study="S"):
    findings = Findings()
    rows = read_foreign(resources, study, findings, fhir)
    return {entity: [found.row for found in listed] for entity, listed in rows.items()}, findings


def codes(findings):
    return {f.code for f in findings if f.severity != "information"} - {"no-research-subject", "patient-absent"}


LAB = {"category": [concept("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory")]}
VITAL = {"category": [concept("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs")]}
DRUG = {"resourceType": "Medication", "id": "d1", "code": concept(RXNORM, "56946", display="paclitaxel")}
WEIGHT = {"value": Decimal("70.5"), "unit": "kilogram", "system": UCUM, "code": "kg"}
PANEL = [{"code": concept(LOINC, code), "valueQuantity": {"value": n, "unit": "mm[Hg]"}} for code, n in (("8480-6", 120), ("8462-4", 80))]

VARIANTS = [
    ("a patient's own number is not taken", [PATIENT], "patient", {"subject": "p1", "sex": "F"}),
    (
        "a drug by reference",
        [PATIENT, DRUG, given(medicationReference={"reference": "Medication/d1"})],
        "dose",
        {"medication": "paclitaxel"},
    ),
    (
        "a drug that the resource contains",
        [PATIENT, given(contained=[DRUG | {"id": "x"}], medicationReference={"reference": "#x"})],
        "dose",
        {"medication": "paclitaxel"},
    ),
    ("a drug by code alone", [PATIENT, given(medicationCodeableConcept=concept(RXNORM, "56946"))], "dose", {"medication": "56946"}),
    (
        "a dose at a moment",
        [PATIENT, given(medicationCodeableConcept={"text": "x"}, effectiveDateTime="2023-05-04T10:30:00Z")],
        "dose",
        {"start": "2023-05-04T10:30:00Z"},
    ),
    (
        "an order as a therapy",
        [
            PATIENT,
            {
                "resourceType": "MedicationRequest",
                "id": "r1",
                "status": "active",
                "intent": "order",
                "subject": SUBJECT,
                "authoredOn": "2023-05",
                "medicationCodeableConcept": concept(RXNORM, "1", display="drug"),
                "reasonCode": [{"text": "pain"}],
            },
        ],
        "therapy",
        {"name": "drug", "start": "2023-05", "indication": "pain"},
    ),
    ("a partial date", [PATIENT | {"birthDate": "1961"}], "patient", {"birth_date": "1961"}),
    (
        "a date that is withheld",
        [PATIENT | {"_birthDate": {"extension": [{"url": "http://x", "valueCode": "masked"}]}}],
        "patient",
        {"birth_date": None},
    ),
    (
        "a weight",
        [PATIENT, observation("29463-7", valueQuantity=WEIGHT, effectiveDateTime="2023-05-04")],
        "body_measure",
        {"test": "weight", "value": Decimal("70.5"), "unit": "kg", "on": "2023-05-04"},
    ),
    ("a performance status", [PATIENT, observation("89247-1", valueInteger=1)], "performance_status", {"score": 1}),
    (
        "a laboratory result with another code beside LOINC's",
        [
            PATIENT,
            observation("718-7", **LAB, valueQuantity={"value": 12, "unit": "g/dl"})
            | {"code": {"coding": [{"system": LOINC, "code": "718-7"}, {"system": "urn:local", "code": "HB"}], "text": "Haemoglobin"}},
        ],
        "laboratory",
        {"test": "718-7", "loinc": "718-7", "name": "Haemoglobin", "value": Decimal(12), "unit": "g/dl"},
    ),
    (
        "a result in words",
        [PATIENT, observation("5778-6", **LAB, valueCodeableConcept=concept("urn:x", "Y", display="Yellow"))],
        "laboratory",
        {"text": "Yellow"},
    ),
    ("a subject of an absent patient", [observation("89247-1", valueInteger=2)], "performance_status", {"subject": "p1"}),
    (
        "a reference that is whole",
        [PATIENT, observation("89247-1", valueInteger=2, subject={"reference": "https://ehr.example/fhir/Patient/p1/_history/3"})],
        "performance_status",
        {"subject": "p1"},
    ),
    (
        "a condition over a period",
        [
            PATIENT,
            {
                "resourceType": "Condition",
                "id": "c1",
                "subject": SUBJECT,
                "code": {"text": "Sarcoma"},
                "onsetPeriod": {"start": "2020"},
                "bodySite": [{"text": "thigh"}, concept("http://snomed.info/sct", "1", display="lung")],
            },
        ],
        "condition",
        {"term": "Sarcoma", "start": "2020"},
    ),
]


@pytest.mark.parametrize(("title", "resources", "entity", "fields"), VARIANTS, ids=[case[0] for case in VARIANTS])
def test_a_variant_is_a_row(title, resources, entity, fields):
    rows, findings = read(*resources)
    assert codes(findings) == set()
    (row,) = rows[entity]
    assert {name: getattr(row, name) for name in fields} == fields
    assert row.study == "S"


NOT_ROWS = [
    ("retracted", observation("89247-1", valueInteger=1, status="entered-in-error"), "retracted"),
    ("not final", observation("89247-1", valueInteger=1, status="preliminary"), "not-final"),
    ("a condition that was refuted", {"resourceType": "Condition", "id": "o1", "subject": SUBJECT, "code": {"text": "x"},
                                      "verificationStatus": concept("urn:x", "refuted")}, "retracted"),
    ("what no rule reads", observation("97509-4"), "not-read"),
    ("a type that no rule reads", {"resourceType": "Immunization", "id": "o1"}, "not-read"),
    ("a drug that was not given yet", given(id="o1", status="in-progress", medicationCodeableConcept={"text": "x"}), "not-read"),
    ("a drug not to be taken", {"resourceType": "MedicationRequest", "id": "o1", "status": "active", "intent": "order", 
                                "doNotPerform": True,
                                "subject": SUBJECT, "medicationCodeableConcept": {"text": "x"}}, "not-read"),
    ("an extension that may negate", observation("89247-1", valueInteger=1, modifierExtension=[{"url": "http://x"}]), "modifier"),
    ("a tumour without its role", observation("21889-1"), "cannot-be-mapped"),
    ("a value of another kind", observation("89247-1", valueString="one"), "cannot-be-mapped"),
    ("a limit and no value", observation("29463-7", valueQuantity=WEIGHT | {"comparator": "<"}), "cannot-be-mapped"),
    ("a status that is a list", observation("89247-1", valueInteger=1, status=["entered-in-error"]), "not-final"),
]  # fmt: skip


@pytest.mark.parametrize(("title", "resource", "code"), NOT_ROWS, ids=[case[0] for case in NOT_ROWS])
def test_what_is_no_row_is_a_finding_that_names_it(title, resource, code):
    rows, findings = read(PATIENT, resource)
    assert set(rows) == {"patient", "subject"}
    assert {f.place for f in findings if f.code == code} == {f"{resource['resourceType']}/o1"}
    assert code in codes(findings)


def test_a_panel_is_a_row_for_each_of_its_parts():
    rows, findings = read(PATIENT, observation("85354-9", **VITAL, component=PANEL))
    assert codes(findings) == set()
    assert {(row.test, row.value) for row in rows["vital_sign"]} == {("SYSBP", Decimal(120)), ("DIABP", Decimal(80))}


def test_a_replaced_patient_is_read_as_the_one_that_replaces_it():
    old = {"resourceType": "Patient", "id": "old", "link": [{"type": "replaced-by", "other": {"reference": "Patient/p1"}}]}
    rows, findings = read(old, PATIENT, observation("89247-1", valueInteger=1, subject={"reference": "Patient/old"}))
    assert [row.subject for row in rows["performance_status"]] == ["p1"]
    assert [row.subject for row in rows["patient"]] == ["p1"]
    assert codes(findings) == {"replaced"}


@pytest.mark.parametrize(
    ("links", "subjects", "said"),
    [
        ({"a": "a"}, {"a"}, set()),
        ({"a": "b", "b": "a"}, {"a", "b"}, set()),
        ({"a": "b", "b": "c"}, {"c"}, {("replaced", "Patient/a"), ("replaced", "Patient/b")}),
        ({"a": "gone"}, set(), {("replaced", "Patient/a"), ("patient-absent", "Patient/gone")}),
    ],
    ids=["by itself", "in a circle", "in a chain", "by one that is absent"],
)
def test_replacements_of_every_kind_lose_nobody(links, subjects, said):
    people = [{"resourceType": "Patient", "id": i} for i in sorted({*links, *links.values()} - {"gone"})]
    people = [
        p | {"link": [{"type": "replaced-by", "other": {"reference": f"Patient/{links[p['id']]}"}}]} if p["id"] in links else p
        for p in people
    ]
    rows, findings = read(*people, observation("89247-1", valueInteger=1, subject={"reference": "Patient/a"}))
    assert {row.subject for row in rows.get("patient", ())} == subjects
    assert {row.subject for row in rows["performance_status"]} <= (subjects or {"gone"})
    assert {(f.code, f.place) for f in findings if f.severity != "information"} - {
        ("no-research-subject", f"Patient/{s}") for s in subjects
    } == said


def participation(id_, patient, name):
    return {
        "resourceType": "ResearchSubject",
        "id": id_,
        "status": "on-study",
        "identifier": [{"value": name}],
        "individual": {"reference": f"Patient/{patient}"},
    }


def test_two_patients_of_one_number_stay_two():
    people = [{"resourceType": "Patient", "id": i} for i in "ab"]
    rows, findings = read(*people, participation("x", "a", "001"), participation("y", "b", "001"))
    assert [row.subject for row in rows["patient"]] == [row.subject for row in rows["subject"]] == ["001", "b"]
    assert {(f.code, f.place) for f in findings.errors()} == {("doubtful-subject", "ResearchSubject/y")}


def test_a_patient_of_two_numbers_is_the_first_and_it_is_said():
    rows, findings = read({"resourceType": "Patient", "id": "a"}, participation("x", "a", "001"), participation("y", "a", "002"))
    assert [row.subject for row in rows["subject"]] == ["001"]
    assert {(f.code, f.place) for f in findings.errors()} == {("doubtful-subject", "ResearchSubject/y")}
    assert [f.place for f in findings if f.code == "repeated-row"] == ["ResearchSubject/y"]


@pytest.mark.parametrize(("entity", "code"), [("body_measure", "29463-7"), ("performance_status", "89247-1")])
@pytest.mark.parametrize(
    "when",
    [{"effectiveInstant": "2020-01-01T00:00:00Z"}, {"effectivePeriod": {"start": "2020-01-01T00:00:00Z"}}],
    ids=["instant", "period"],
)
def test_a_date_of_every_kind_is_read(entity, code, when):
    value = {"valueQuantity": WEIGHT} if entity == "body_measure" else {"valueInteger": 1}
    rows, _ = read(PATIENT, observation(code, **value, **when))
    assert [row.on for row in rows[entity]] == ["2020-01-01T00:00:00Z"]


def test_reading_takes_time_in_step_with_what_is_read():
    count = 3000
    people = [{"resourceType": "Patient", "id": f"p{i}"} for i in range(count + 1)]
    people = [
        p | {"link": [{"type": "replaced-by", "other": {"reference": f"Patient/p{i + 1}"}}]} for i, p in enumerate(people[:-1])
    ] + people[-1:]
    values = [observation("89247-1", id=f"o{i}", valueInteger=1, subject={"reference": f"Patient/p{i}"}) for i in range(count)]
    began = time.process_time()
    rows, _ = read(*people, *values)
    assert {row.subject for row in rows["performance_status"]} == {f"p{count}"}
    assert time.process_time() - began < 20


def test_a_subject_has_the_number_of_its_participation_and_other_studies_stay_out():
    studies = [{"resourceType": "ResearchStudy", "id": i, "identifier": [{"value": i.upper()}], "status": "completed"} for i in ("s", "t")]
    people = [
        {
            "resourceType": "ResearchSubject",
            "id": f"in-{i}",
            "identifier": [{"value": f"{i}-001"}],
            "status": "on-study",
            "study": {"reference": f"ResearchStudy/{i}"},
            "individual": SUBJECT,
        }
        for i in ("s", "t")
    ]
    rows, findings = read(PATIENT, *studies, *people, observation("89247-1", valueInteger=1))
    assert [(row.study, row.subject, row.state) for row in rows["subject"]] == [("S", "s-001", "enrolled")]
    assert [row.subject for row in rows["performance_status"]] == ["s-001"]
    assert {f.place for f in findings if f.code == "other-study"} == {"ResearchStudy/t", "ResearchSubject/in-t"}


def test_a_row_keeps_its_number_whoever_else_comes_along():
    one = observation("89247-1", valueInteger=1)
    (alone,), _ = read(PATIENT, one)[0]["performance_status"], None
    both = read(PATIENT, one | {"id": "o0"}, one)[0]["performance_status"]
    assert alone in both
    assert len({row.sequence for row in both}) == 2


def test_what_was_read_can_be_written_as_ours_and_says_where_it_came_from():
    study = load_study("NCT05189483")
    data = from_resources([PATIENT, observation("89247-1", valueInteger=1)], study, "r4")
    (row,) = data.rows("performance_status")
    written = load("r4", study)["performance_status"].to_fhir(row)
    assert load("r4", study)["performance_status"].from_fhir(written) == row
    assert data.lineage["performance_status"]["resource"].to_pylist() == ["Observation/o1"]


def junk(dice):
    return copy.deepcopy(
        dice.choice([None, 0, -1.5, True, "", "x", "#", "Patient/p1", [], {}, [None], [[]], {"coding": 3}, {"reference": []}])
    )


def places(value, path=()):
    yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(item, (*path, key))


def damaged(resource, dice):
    """The resource with one element of any depth replaced by something that should not stand there."""
    whole = copy.deepcopy(resource)
    path = dice.choice([p for p in places(whole) if p and p != ("resourceType",)])
    at = whole
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = junk(dice)
    return whole


@pytest.mark.parametrize("fhir", VERSIONS)
def test_no_damage_is_a_crash_and_none_makes_a_resource_vanish(fhir):
    dice = random.Random(20261122)
    examples = [decode(file.read_bytes()) for file in sorted((EXAMPLES / fhir).glob("*.json"))]
    examples = [e for e in examples if e["resourceType"] != "Bundle"] + [case[1][-1] for case in VARIANTS]
    for _ in range(150):
        resource = damaged(dice.choice(examples), dice)
        rows, findings = read(PATIENT | {"id": "other"}, resource, fhir=fhir)
        named = [f.place for f in findings] + [entity for entity in rows if entity not in ("patient", "subject")]
        assert named or len(rows["patient"]) == 2


@pytest.mark.parametrize("value", ["1e26", "1e9999999"])
def test_a_number_that_no_column_holds_is_a_finding_and_no_failure(value: str):
    held = observation("29463-7", valueQuantity=WEIGHT | {"value": Decimal(value)}, effectiveDateTime="2023-05-04")
    data = from_resources([PATIENT, held], load_study("NCT05189483"), "r4")
    assert data.rows("body_measure") == []
    assert "Observation/o1" in {f.place for f in data.findings if f.severity != "information"}


@pytest.mark.parametrize("meta", [5, [], "x", {"security": 5}, {"security": ["x", {"code": []}]}, {"security": {"code": "HTEST"}}])
def test_labels_of_any_shape_are_read(meta):
    assert not from_resources([PATIENT | {"meta": meta}], load_study("NCT05189483"), "r4").synthetic


@pytest.mark.parametrize("written", ["66.899999999999991473487", "0.3333333333333333", "-1e-400"])
def test_a_number_of_more_places_than_a_column_has_is_rounded_and_said(written: str):
    """The first is the body height of HL7's own R4 example."""
    held = observation("29463-7", valueQuantity=WEIGHT | {"value": Decimal(written)}, effectiveDateTime="2023-05-04")
    data = from_resources([PATIENT, held], load_study("NCT05189483"), "r4")
    (row,) = data.rows("body_measure")
    assert abs(row.value - Decimal(written)) <= Decimal("5e-13")
    assert ("number-rounded", "Observation/o1") in {(f.code, f.place) for f in data.findings}
