"""What a version cannot hold is declared with its reason, reported with the number of values, and is all that is lost."""

import json
import shutil

import pytest
from msgspec.structs import replace

from fhir_trial.cli.main import run
from fhir_trial.data_files import data_dir
from fhir_trial.errors import Findings
from fhir_trial.mapping import load
from fhir_trial.simulate import simulate
from fhir_trial.sources.sdtm import read_sdtm, write_sdtm
from fhir_trial.sources.study_file import load_study
from fhir_trial.trial import resources

STUDY = load_study("NCT05189483")
REASON = "R4 without extensions has no element for a system organ class"


@pytest.fixture(scope="module")
def lossy(tmp_path_factory):
    """The package's rules, but that R4 holds no system organ class."""
    folder = tmp_path_factory.mktemp("rules") / "mappings"
    shutil.copytree(data_dir("mappings"), folder)
    (folder / "r4").mkdir(exist_ok=True)
    over = {"fields": {"organ_class": ""}, "lossy": {"organ_class": REASON}}
    (folder / "r4" / "adverse_event.yaml").write_text(json.dumps(over))
    return load("r4", folder=folder)


def test_the_law_excuses_a_lossy_field_and_nothing_else(lossy):
    rules = lossy["adverse_event"]
    data = read_sdtm(simulate(STUDY), STUDY)
    for row in data.rows("adverse_event")[:20]:
        assert row.organ_class is not None
        assert rules.from_fhir(rules.to_fhir(row)) == replace(row, organ_class=None)


def test_the_report_names_the_field_its_reason_and_how_many_values_are_lost(lossy, monkeypatch, tmp_path):
    monkeypatch.setattr(resources, "load", lambda _fhir, _study: lossy)
    data = read_sdtm(simulate(STUDY), STUDY)
    write_sdtm(data, tmp_path / "sdtm")
    assert run(["to-fhir", str(tmp_path / "sdtm"), "--study", STUDY.id, "--fhir", "r4", "--out", str(tmp_path / "fhir")]) == 0
    loss = json.loads((tmp_path / "fhir" / "loss.json").read_bytes())
    events = len(data.rows("adverse_event"))
    assert loss["declared"] == {"adverse_event": {"organ_class": {"reason": REASON, "values": events}}}
    assert loss["rows"] == []


def test_nothing_is_lost_by_the_rules_of_the_package():
    data = read_sdtm(simulate(STUDY), STUDY)
    assert {fhir: resources.losses(data, fhir, Findings())["declared"] for fhir in ("r4", "r5")} == {"r4": {}, "r5": {}}
