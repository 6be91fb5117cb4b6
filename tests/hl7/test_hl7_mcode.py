"""Our resources against those of mCODE's profiles that can be resolved here.

Of mCODE 4.0.0's 39 profiles 28 rest on US Core 6.1.0 and 3 on the genomics guide, which cannot be had here. Four of the rest are of
resource types that we write. Of these, cancer-disease-status needs SNOMED CT to judge mCODE's own examples (a required value set made by a
filter), and a RECIST response is no trend of the disease: the other three are below. What is left (an identifier, a Bundle, a Group of
patients and a radiotherapy volume) is of no type of ours.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from hl7.test_hl7_cohort import Resource, cohort, errors

from fhir_trial.fhir.json import decode
from fhir_trial.mapping import load

DEFINITIONS = Path(__file__).parents[1] / "data" / "mcode" / "definitions.ndjson"
EXAMPLES = DEFINITIONS.with_name("examples.ndjson")
PROFILE = "http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-"
PROFILES = {"tumor": "lesion", "tumor-size": "measurement", "cancer-related-medication-administration": "dose"}
"""By profile: the entity whose resources have its shape."""
LACKING = {"tumor": "Slice 'BodyStructure.identifier:bodyStructureIdentifier': a matching slice is required"}
"""What ours do not have: mCODE wants an identifier of its own type on a tumour, of which a trial has none."""


def claiming(resources: list[Resource], profile: str) -> list[Resource]:
    """The resources as if they claimed a profile."""
    return [resource | {"meta": resource.get("meta", {}) | {"profile": [PROFILE + profile]}} for resource in resources]


def of_entity(entity: str) -> list[Resource]:
    mapping = load("r4")
    held = [resource for resource in cohort("r4") if mapping.entity_of(resource) == entity]
    if entity == "measurement":  # the profile is of a longest diameter: states and short axes are no tumour sizes of mCODE's
        held = [resource for resource in held if any(_code(part) == "33728-7" for part in resource.get("component", []))]
    return held


def _code(part: Resource) -> str:
    return str(part["code"]["coding"][0]["code"])


@pytest.mark.validator
@pytest.mark.parametrize("profile", PROFILES)
def test_mcodes_own_examples_have_the_profiles_that_we_test_by(profile: str, hl7_validator: Callable) -> None:
    examples = [decode(line) for line in EXAMPLES.read_bytes().splitlines()]
    of_profile = [r for r in examples if PROFILE + profile in r.get("meta", {}).get("profile", [])]
    assert of_profile
    issues = errors(hl7_validator("r4", DEFINITIONS)(claiming(of_profile, profile)))
    assert issues == []


@pytest.mark.validator
@pytest.mark.parametrize("profile", PROFILES)
def test_ours_have_the_shape_of_the_profiles_that_can_be_resolved(profile: str, hl7_validator: Callable) -> None:
    held = of_entity(PROFILES[profile])
    assert len(held) > 20
    issues = errors(hl7_validator("r4", DEFINITIONS)(claiming(held, profile)))
    unexpected = [issue for issue in issues if not issue["message"].startswith(LACKING.get(profile, "nothing"))]
    assert unexpected == []
    assert bool(issues) == (profile in LACKING)
