"""The law: what was written reads back as it was, in every version, and HL7's shapes accept it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from strategies import rows

from fhir_trial.domain.entities import ENTITIES
from fhir_trial.fhir.json import decode, encode
from fhir_trial.fhir.versions import VERSIONS
from fhir_trial.mapping import load
from fhir_trial.validate import validate

EVERY = [(fhir, entity) for fhir in VERSIONS for entity in ENTITIES]


@pytest.mark.parametrize(("fhir", "entity"), EVERY)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_is_written_reads_back(fhir, entity, data):
    rules = load(fhir)[entity]
    row = data.draw(rows(entity))
    bytes_ = encode(rules.to_fhir(row))
    assert rules.from_fhir(decode(bytes_)) == row


@pytest.mark.parametrize(("fhir", "entity"), EVERY)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_is_written_is_valid_and_recognised(fhir, entity, data):
    mapping = load(fhir)
    resource = decode(encode(mapping[entity].to_fhir(data.draw(rows(entity)))))
    assert [f.describe() for f in validate(resource, fhir) if f.severity == "error" or f.code == "invalid-unit"] == []
    assert mapping.entity_of(resource) == entity
    assert mapping[entity].matches(resource)


@pytest.mark.parametrize("entity", ENTITIES)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_logical_id_is_the_same_in_every_version(entity, data):
    row = data.draw(rows(entity))
    ids = {load(fhir)[entity].to_fhir(row)["id"] for fhir in VERSIONS}
    assert ids == {load("r4")[entity].id(row)}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_in_r5_a_subjects_arms_are_the_ids_of_the_studys_comparison_groups_and_no_id_has_an_extension(data):
    """Servers keep no extension of an id: what stands there alone is lost."""
    study, subject = data.draw(rows("study")), data.draw(rows("subject"))
    planned = data.draw(st.sampled_from([arm.name for arm in study.arms] or ["A"]))
    written = load("r5")["subject"].to_fhir(replace(subject, arm_planned=planned, arm_actual=planned))
    groups = [group["linkId"] for group in load("r5")["study"].to_fhir(study).get("comparisonGroup", [])]
    assert written["assignedComparisonGroup"] == written["actualComparisonGroup"]
    assert not groups or written["assignedComparisonGroup"] in groups
    assert not written.keys() & {"_assignedComparisonGroup", "_actualComparisonGroup"}
