"""`from-fhir` on a folder that others wrote: SDTM, and a finding for everything that is not in it."""

import csv
import json

import pytest

from fhir_trial.cli.main import run

LOINC = "http://loinc.org"


@pytest.fixture
def folder(tmp_path):
    """A Bundle whose resources have no ids and refer to each other by urn:uuid, and a file with one resource that nothing reads."""
    patient = {"resourceType": "Patient", "gender": "male", "birthDate": "1950-04"}
    weight = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "29463-7"}]},
        "subject": {"reference": "urn:uuid:11111111-1111-4111-8111-111111111111"},
        "effectiveDateTime": "2023-05-04",
        "valueQuantity": {"value": 80, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }
    entries = [
        {"fullUrl": "urn:uuid:11111111-1111-4111-8111-111111111111", "resource": patient},
        {"fullUrl": "urn:uuid:22222222-2222-4222-8222-222222222222", "resource": weight},
    ]
    cancer = {"resourceType": "Condition", "id": "c1", "code": {"text": "Sarcoma"}, "subject": weight["subject"]}
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "cancer.json").write_text(json.dumps(cancer))
    (tmp_path / "in" / "bundle.json").write_text(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}))
    (tmp_path / "in" / "shot.json").write_text(json.dumps({"resourceType": "Immunization", "id": "i1", "status": "completed"}))
    return tmp_path / "in"


def test_a_folder_of_others_gives_sdtm_and_findings(folder, tmp_path, capsys):
    assert run(["from-fhir", str(folder), "--study", "NCT05189483", "--fhir", "r4", "--out", str(tmp_path / "out"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {f["code"]: f["place"] for f in said["findings"] if f["severity"] == "warning"} == {
        "no-research-subject": "Patient/11111111-1111-4111-8111-111111111111",
        "not-read": "Immunization/i1",
        "not-in-sdtm": "condition",
    }
    with (tmp_path / "out" / "vs.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["USUBJID"], row["VSTESTCD"], row["VSSTRESN"], row["VSSTRESU"], row["VSDTC"]) == (
        "11111111-1111-4111-8111-111111111111",
        "WEIGHT",
        "80",
        "kg",
        "2023-05-04",
    )
    with (tmp_path / "out" / "dm.csv").open() as file:
        (person,) = csv.DictReader(file)
    assert (person["SEX"], person["BRTHDTC"]) == ("M", "1950-04")


def test_endpoints_of_people_of_whom_nobody_enrolled_are_findings(folder, tmp_path, capsys):
    assert run(["endpoints", str(folder), "--study", "NCT05189483", "--fhir", "r4", "--out", str(tmp_path / "out"), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert "no-start-date" in {finding["code"] for finding in said["findings"]}
    with (tmp_path / "out" / "baseline.csv").open() as file:
        assert list(csv.DictReader(file)) == []


def test_from_fhir_of_a_folder_without_fhir_is_a_usage_error(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("no FHIR")
    assert run(["from-fhir", str(tmp_path), "--study", "NCT05189483", "--fhir", "r4", "--out", str(tmp_path / "out")]) == 2
    assert "holds no FHIR" in capsys.readouterr().err
