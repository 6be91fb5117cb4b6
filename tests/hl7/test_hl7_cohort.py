"""HL7's validator and a strict HAPI server on every resource of the synthetic cohort and of its results."""

import datetime as dt
import uuid
from collections.abc import Callable
from functools import cache

import pytest
import requests

from fhir_trial.endpoints.analyse import analyse
from fhir_trial.endpoints.conventions import for_study
from fhir_trial.errors import Findings
from fhir_trial.fhir.json import encode
from fhir_trial.mapping.keys import BASE
from fhir_trial.simulate import simulate
from fhir_trial.sources.sdtm.read import read_sdtm
from fhir_trial.sources.study_file import load_study
from fhir_trial.trial.publish import result_resources
from fhir_trial.trial.resources import Resource, is_synthetic, to_resources

RECORDED = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)


@cache
def cohort(version: str) -> list[Resource]:
    """Every resource of the synthetic cohort, and of the results it gives."""
    study = load_study("NCT05189483")
    data, findings = read_sdtm(simulate(study), study), Findings()
    resources = to_resources(data, version, findings)
    assert not [finding for finding in findings if finding.severity == "error"]
    return resources + result_resources(data, analyse(data, for_study(study)), version, RECORDED)


def errors(issues: list[dict[str, str]]) -> list[dict[str, str]]:
    return [issue for issue in issues if issue["severity"] in ("error", "fatal")]


PATIENT: Resource = {"resourceType": "Patient", "id": "a-patient-and-no-study"}


def wrong_study(version: str) -> Resource:
    """A subject whose study is a patient."""
    subject = next(r for r in cohort(version) if r["resourceType"] == "ResearchSubject")
    return subject | {"id": str(uuid.uuid4()), "study": {"reference": f"Patient/{PATIENT['id']}"}}


@pytest.mark.validator
@pytest.mark.parametrize("version", ["r4", "r5"])
def test_the_validator_finds_no_error_in_the_cohort_and_knows_every_definition_of_ours(version: str, hl7_validator: Callable) -> None:
    resources = cohort(version)
    assert len(resources) > 1400
    assert all(is_synthetic(resource) for resource in resources)
    issues = hl7_validator(version)(resources)
    assert errors(issues) == []
    assert [i for i in issues if BASE in i["message"] and i["message"].startswith(("Unknown extension", "CodeSystem is unknown"))] == []


@pytest.mark.validator
@pytest.mark.parametrize("version", ["r4", "r5"])
def test_the_validator_refuses_a_study_that_is_a_patient_and_what_our_definitions_forbid(version: str, hl7_validator: Callable) -> None:
    lesion = next(r for r in cohort(version) if r["resourceType"] == "BodyStructure")
    role = {"url": f"{BASE}StructureDefinition/lesion-role", "valueString": "target"}
    measured = next(r for r in cohort(version) if r["resourceType"] == "Observation")
    unknown = {"coding": [{"system": f"{BASE}CodeSystem/kind", "code": "no-such-kind"}]}
    bad = [wrong_study(version), lesion | {"extension": [role]}, measured | {"category": [unknown]}]
    found = {issue["file"] for issue in errors(hl7_validator(version)(bad))}
    assert found == {"0-ResearchSubject.json", "1-BodyStructure.json", "2-Observation.json"}


@pytest.mark.hapi
def test_a_strict_server_refuses_a_study_that_is_a_patient(hapi_server: Callable) -> None:
    url, headers = hapi_server("r4"), {"Content-Type": "application/fhir+json"}
    assert requests.put(f"{url}/Patient/{PATIENT['id']}", encode(PATIENT), headers=headers, timeout=120).status_code in (200, 201)
    answer = requests.post(f"{url}/ResearchSubject", encode(wrong_study("r4")), headers=headers, timeout=120)
    assert answer.status_code == 422, answer.text
    assert "ResearchSubject.study" in answer.text
