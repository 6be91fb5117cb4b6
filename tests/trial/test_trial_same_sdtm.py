"""The synthetic cohort's SDTM to FHIR and back by the commands: the same files, byte for byte."""

import pytest

from fhir_trial.cli.main import run
from fhir_trial.simulate import simulate, write_cohort
from fhir_trial.sources.study_file import load_study

STUDY = "NCT05189483"


def contents(folder):
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


@pytest.mark.parametrize("version", ["r4", "r5"])
def test_the_synthetic_cohort_comes_back_as_the_same_files(tmp_path, capsys, version):
    write_cohort(simulate(load_study(STUDY)), tmp_path / "sdtm")
    assert run(["to-fhir", str(tmp_path / "sdtm"), "--study", STUDY, "--fhir", version, "--out", str(tmp_path / "fhir")]) == 0
    capsys.readouterr()
    assert run(["from-fhir", str(tmp_path / "fhir"), "--study", STUDY, "--out", str(tmp_path / "back")]) == 0
    said = capsys.readouterr().out.strip()
    assert said.startswith(f"{tmp_path / 'back'}: ")
    counts = {name: len(frame) for name, frame in simulate(load_study(STUDY)).items()}
    assert dict(part.split(" ") for part in said.partition(": ")[2].split(", ")) == {name: str(count) for name, count in counts.items()}
    assert contents(tmp_path / "back") == contents(tmp_path / "sdtm")
    assert len(contents(tmp_path / "back")) == 13
