"""The rules' own views, run by the frames room, give the tables the resources were written from."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import rows

from fhir_trial.domain.entities import ENTITIES
from fhir_trial.domain.tables import to_rows, to_table
from fhir_trial.errors import Findings
from fhir_trial.fhir.json import decode, encode
from fhir_trial.fhir.versions import VERSIONS
from fhir_trial.frames import run_view
from fhir_trial.mapping import load


@pytest.mark.parametrize(("fhir", "entity"), [(fhir, entity) for fhir in VERSIONS for entity in ENTITIES])
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_views_give_back_the_rows(fhir, entity, data):
    rules = load(fhir)[entity]
    written = {rules.key(row): row for row in data.draw(st.lists(rows(entity), max_size=3))}
    resources = [decode(encode(rules.to_fhir(row))) for row in written.values()]
    findings = Findings()
    table = rules.decode({name: run_view(view, resources, fhir) for name, view in rules.views().items()}, findings)
    assert [f.describe() for f in findings] == []
    assert sorted(map(rules.key, to_rows(table, ENTITIES[entity]))) == sorted(written)
    assert to_rows(table, ENTITIES[entity]) == to_rows(to_table(written.values(), ENTITIES[entity]), ENTITIES[entity])
