"""A new version of FHIR is a folder of differences and its definitions: R6 for two entities, whose types change in its ballots."""

import gzip
import json
import shutil
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import rows

from fhir_trial.data_files import data_dir
from fhir_trial.domain.entities import ENTITIES, AdverseEvent, When
from fhir_trial.fhir.json import decode, encode
from fhir_trial.fhir.shapes import shapes
from fhir_trial.fhir.versions import VERSIONS, version
from fhir_trial.mapping import load

NEEDED = {"organization", "site", "patient", "eligibility", "enrollment", "study", "medication", "consent", "subject", "adverse_event"}
"""The two entities, and those that they refer to."""


@dataclass(frozen=True)
class Ballot:
    """R6 as far as the two types go: R5's definitions with what R6's ballots rename."""

    name: str = "r6"
    number: str = "6.0.0"

    def definitions(self) -> bytes:
        whole = json.loads(gzip.decompress(version("r5").definitions()))
        types = whole["types"]
        event = types["AdverseEvent"]["elements"]
        types["AdverseEvent"]["elements"] = {"effect" if name == "occurrence" else name: element for name, element in event.items()}
        state = types.pop("ResearchSubject.progress")
        state["elements"] = {"code" if name == "subjectState" else name: element for name, element in state["elements"].items()}
        types["ResearchSubject.subjectState"] = state
        subject = types["ResearchSubject"]["elements"]
        subject["subjectState"] = subject.pop("progress") | {"types": ["ResearchSubject.subjectState"]}
        return gzip.compress(json.dumps(whole | {"number": self.number}).encode(), 1)


@pytest.fixture(scope="module")
def r6(tmp_path_factory):
    """The mapping of R6 from a folder of rules: R5's differences with two files changed."""
    folder = tmp_path_factory.mktemp("rules") / "mappings"
    shutil.copytree(data_dir("mappings"), folder)
    for file in folder.glob("*.yaml"):
        if file.stem in ENTITIES and file.stem not in NEEDED:
            file.unlink()
    shutil.copytree(folder / "r5", folder / "r6")
    event, subject = folder / "r6" / "adverse_event.yaml", folder / "r6" / "subject.yaml"
    event.write_text(event.read_text().replace("occurrence.", "effect."))
    subject.write_text(subject.read_text().replace("subjectState.coding", "code.coding").replace("progress.where", "subjectState.where"))
    VERSIONS["r6"] = Ballot()  # type: ignore[assignment]
    shapes.cache_clear()
    yield load("r6", folder=folder)
    del VERSIONS["r6"]
    shapes.cache_clear()


@pytest.mark.parametrize("entity", ["adverse_event", "subject"])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_law_holds_in_a_version_that_is_a_folder(r6, entity, data):
    row = data.draw(rows(entity))
    resource = decode(encode(r6[entity].to_fhir(row)))
    assert r6[entity].from_fhir(resource) == row
    assert resource["id"] == load("r5")[entity].to_fhir(row)["id"]


def test_r6s_elements_are_written_and_r5s_are_not(r6):
    event = decode(encode(r6["adverse_event"].to_fhir(_event())))
    assert event["effectPeriod"] == {"start": "2023-05-04"}
    assert "occurrencePeriod" not in event
    assert "occurrencePeriod" in load("r5")["adverse_event"].to_fhir(_event())


def _event():
    return AdverseEvent(study="S", subject="1", sequence=1, term="Nausea", start=When("2023-05-04"))
