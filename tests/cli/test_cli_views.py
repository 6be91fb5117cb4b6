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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '{"resourceType": "Patient"}',
            "error: my.json: found 'Patient', expected a ViewDefinition: a JSON object with resource and select",
        ),
        ('{"a": 1}', "error: my.json: found 'an object without them', expected a ViewDefinition"),
        ("[1]", "error: my.json: found 'an array', expected a ViewDefinition"),
        ('{"resource": "Patiend", "select": []}', "error: my.json resource: found 'Patiend', expected Patient"),
        ("garbage", "error: my.json: not json"),
    ],
)
def test_what_is_wrong_with_a_view_names_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.json").write_text(text, encoding="utf-8")
    assert run(["view", "my.json", str(EHR / "mcode.ndjson"), "--out", "out.csv"]) == 1
    assert capsys.readouterr().err.startswith(says)


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("nowhere/out.csv", "fhir-trial: there is no folder nowhere to write out.csv into\n"),
        ("folder.csv", "fhir-trial: folder.csv is a folder, expected a file to write\n"),
    ],
)
def test_a_table_that_cannot_be_written_is_said_by_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], out: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    assert run(["view", "mcode-tumor-size", str(EHR / "mcode.ndjson"), "--out", out]) == 2
    assert capsys.readouterr().err == says
    assert not list(tmp_path.rglob("*.part"))


def test_a_full_disk_names_the_table_and_not_what_it_is_built_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "replace", full)
    monkeypatch.chdir(tmp_path)
    assert run(["view", "mcode-tumor-size", str(EHR / "mcode.ndjson"), "--out", "out.csv"]) == 2
    assert capsys.readouterr().err == "fhir-trial: out.csv: No space left on device\n"
