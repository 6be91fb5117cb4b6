"""`fhir-trial view` by the name of a shipped view: what a hospital wrote, as a table."""

import csv
from pathlib import Path

import pytest

from fhir_trial.cli.main import run

EHR = Path(__file__).resolve().parents[1] / "data" / "ehr"


def test_a_shipped_view_goes_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sizes.csv"
    assert run(["view", "mcode-tumor-size", str(EHR / "mcode.ndjson"), "--out", str(out)]) == 0
    assert capsys.readouterr().out.endswith("sizes.csv: 2 rows\n")
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["longest"], row["longest_ucum"]) for row in rows] == [("2.5", "cm"), ("1.2", "cm")]


def test_each_version_has_its_own(tmp_path: Path) -> None:
    out = tmp_path / "orders.csv"
    assert run(["view", "medication-request", str(EHR / "r5-examples.ndjson"), "--out", str(out), "--fhir", "r5"]) == 0
    assert "324252006" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("view", "says"),
    [
        ("mcode-tumour-size", "did you mean mcode-tumor-size"),
        ("view.json", "view.json is no file"),
        ("folder/laboratory", "folder/laboratory is no file"),
    ],
)
def test_a_view_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str], view: str, says: str) -> None:
    assert run(["view", view, str(EHR / "mcode.ndjson"), "--out", str(tmp_path / "out.csv")]) == 2
    assert says in capsys.readouterr().err


def test_a_file_goes_before_a_shipped_view_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "laboratory").write_text('{"resource": "Patient", "select": [{"column": [{"name": "i", "path": "id"}]}]}', encoding="utf-8")
    assert run(["view", "laboratory", str(EHR / "mcode.ndjson"), "--out", "out.csv"]) == 0
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == "i\n"
