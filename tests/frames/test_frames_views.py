"""The shipped views, over records that others wrote: HL7's own examples, excerpts of which stand beside the tests."""

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_trial.errors import Findings, UsageError
from fhir_trial.fhir.versions import VERSIONS
from fhir_trial.frames import read_view, run_view, shipped_view, shipped_views
from fhir_trial.frames.lineage import LINEAGE
from fhir_trial.frames.medications import medications

EHR = Path(__file__).resolve().parents[1] / "data" / "ehr"
MCODE = EHR / "mcode.ndjson"
JENNY = "cancer-patient-jenny-m"


def rows(view: str, source: Any, *names: str, fhir: str = "r4") -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in run_view(view, source, fhir).to_pylist()]


@pytest.mark.parametrize(("fhir", "name"), [(fhir, name) for fhir in VERSIONS for name in shipped_views(fhir)])
def test_every_view_fits_its_version_and_says_what_it_is(fhir: str, name: str) -> None:
    definition = shipped_view(name, fhir)
    view = read_view(definition, fhir)
    assert view.findings == ()
    assert definition["name"] == name.replace("-", "_")
    assert definition["title"]
    assert definition["description"]
    assert len(view.columns) > 5


def test_every_version_has_the_same_views_with_the_same_columns() -> None:
    columns = [{name: read_view(shipped_view(name, fhir), fhir).schema for name in shipped_views(fhir)} for fhir in VERSIONS]
    assert columns[0] == columns[1]


def test_tumour_sizes_keep_their_unit_and_lead_to_the_tumour() -> None:
    names = ("resource_id", "subject_key", "tumor_key", "on", "longest", "longest_ucum", "other", "method")
    assert rows("mcode-tumor-size", MCODE, *names) == [
        ("tumor-size-jenny-m", JENNY, None, "2018-04-01T00:00:00Z", 2.5, "cm", [], "787377000"),
        ("tumor-size-pathology", "cancer-patient-eve-anyperson", "tumor-lobular-carcinoma-left-breast", "2019-05-01", 1.2, "cm", [0.5],
         "787377000"),
    ]  # fmt: skip
    (tumor,) = rows("mcode-tumor", MCODE, "resource_id", "condition_key", "name", "location", "location_label")
    assert tumor == (
        "tumor-lobular-carcinoma-left-breast", "primary-cancer-condition-breast", "Tumor 1234", "80248007",
        "Left breast structure (body structure)",
    )  # fmt: skip


def test_the_other_facts_of_mcode() -> None:
    assert rows("mcode-performance-status", MCODE, "subject_key", "on", "score", "answer") == [(JENNY, "2018-04-12", 0, "LA9622-7")]
    status = ("condition_key", "on", "value", "value_label", "evidence")
    assert rows("mcode-disease-status", MCODE, *status) == [
        ("primary-cancer-condition-jenny-m", "2018-11-01", "268910001", "Patient's condition improved (finding)", ["363679005"])
    ]
    assert rows("mcode-stage", MCODE, "on", "kind", "stage", "method") == [("2018-03-16", "399537006", "1222769001", "897275008")]


def test_laboratory_results_with_units_as_recorded_and_answers_as_codes_with_labels() -> None:
    names = ("resource_id", "loinc", "value", "digits", "unit", "ucum", "value_code", "value_label")
    found = {row[0]: row[1:] for row in rows("laboratory", MCODE, *names)}
    assert found["us-core-observation-lab-neutrophils-jenny-m"] == ("26499-4", 3000.0, "3000", "10*3/uL", "10*3/uL", None, None)
    assert found["us-core-observation-lab-tumor-grade-jenny-m"][1:5] == (None, None, None, None)
    assert all(found["us-core-observation-lab-tumor-grade-jenny-m"][5:])


@pytest.mark.parametrize("fhir", VERSIONS)
def test_a_blood_pressure_is_two_rows_and_what_was_cancelled_none(fhir: str) -> None:
    names = ("resource_id", "loinc", "value", "digits", "ucum", "interpretation")
    assert rows("vital-signs", EHR / f"{fhir}-examples.ndjson", *names, fhir=fhir) == [
        ("blood-pressure", "8480-6", 107.0, "107", "mm[Hg]", "N"),
        ("blood-pressure", "8462-4", 60.0, "60", "mm[Hg]", "L"),
        ("body-height", "8302-2", 66.89999999999999, "66.89999999999999", "[in_i]", None),
    ]


@pytest.mark.parametrize("fhir", VERSIONS)
def test_a_drug_is_read_from_a_concept_a_contained_medication_or_a_reference(fhir: str) -> None:
    table = medications(EHR / f"{fhir}-examples.ndjson", fhir)
    found = {(row["kind"], row["resource_id"]): row for row in table.to_pylist()}
    assert found["request", "medrx002"]["medication_key"] == "med0316"  # a reference: the drug is the Medication's
    assert found["request", "medrx002"]["rxnorm"] is None
    assert found["request", "medrx002"]["medication_label"] == "Chlorthalidone 50mg tablet (product)"
    assert found["request", "medrx0302"]["medication_code"] == "324252006"  # contained
    assert found["dispense", "meddisp008"]["rxnorm"] == "213293"  # a concept, or contained, by version
    assert found["statement", "example001"]["medication_label"] == "Tylenol PM"
    assert {kind for kind, _ in found} == {"request", "statement", "dispense"}  # the administration was entered in error


def test_all_medication_in_one_table_with_lineage_and_from_any_source() -> None:
    table = medications(MCODE, lineage=True)
    assert [row["_row"] for row in table.to_pylist()] == [4, 5]
    assert set(LINEAGE) < set(table.column_names)
    names = ("kind", "on", "rxnorm", "dose", "dose_ucum", "route")
    expected = [
        ("administration", "2018-04-22", "56946", 272.01, "mg", "47625008"),
        ("request", "2019-04-01", "309311", 75.0, "mg/m2", "47625008"),
    ]
    lines = [json.loads(line) for line in MCODE.read_text(encoding="utf-8").splitlines()]
    for source in (MCODE, lines, iter(lines)):
        assert [tuple(row[name] for name in names) for row in medications(source).to_pylist()] == expected


def test_nothing_at_all_is_an_empty_table_with_the_same_columns() -> None:
    assert medications([]).schema.names == medications(MCODE).schema.names
    findings = Findings()
    assert [run_view(name, [], findings=findings).num_rows for name in shipped_views()] == [0] * len(shipped_views())


def laboratory(status: str = "final", **members: Any) -> dict[str, Any]:
    category = [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}]
    return {"resourceType": "Observation", "id": status, "status": status, "category": category, "code": {"text": "x"}} | members


def test_a_number_with_more_digits_than_a_decimal_column_holds_is_no_loss() -> None:
    observation = laboratory(valueQuantity={"value": 66.89999389648438})
    assert rows("laboratory", [observation], "value", "digits", "test") == [(66.89999389648438, "66.89999389648438", "x")]


def test_what_was_entered_in_error_or_cancelled_is_left_out_and_what_has_no_value_says_why() -> None:
    absent = {"coding": [{"code": "error"}]}
    observations = [laboratory(status) for status in ("entered-in-error", "cancelled", "preliminary")]
    found = rows("laboratory", [*observations, laboratory(dataAbsentReason=absent)], "status", "value", "absent_reason")
    assert found == [("preliminary", None, None), ("final", None, "error")]


def test_a_drug_without_an_id_is_nobodys() -> None:
    drug = {"resourceType": "Medication", "code": {"text": "not this one"}}
    order = {"resourceType": "MedicationRequest", "id": "m", "status": "active", "intent": "order", "subject": {"reference": "Patient/p"}}
    (row,) = medications([drug, order | {"medicationReference": {"display": "as written"}}]).to_pylist()
    assert (row["medication_text"], row["medication_key"]) == ("as written", None)
    (row,) = medications([drug, order | {"medicationCodeableConcept": {"coding": [{"code": "c"}]}}]).to_pylist()
    assert (row["medication_text"], row["medication_code"]) == (None, "c")


def test_a_name_that_is_not_known_suggests_one() -> None:
    with pytest.raises(UsageError, match="did you mean mcode-tumor-size"):
        run_view("mcode-tumour-size", [])
    with pytest.raises(UsageError, match="there are laboratory, mcode-disease-status"):
        run_view("zzz", [])
