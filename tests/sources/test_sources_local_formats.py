"""What local settings make of a file, and what was seen too often or not at all: each one clear finding."""

import json

import pytest

from fhir_trial.cli.main import run
from fhir_trial.errors import InputError
from fhir_trial.sources.study_file import load_study

FILES = {
    "semicolons": (b"USUBJID;MHTERM\nS1;x\n", "wrong-separator", "semicolons"),
    "tabs": (b"USUBJID\tMHTERM\nS1\tx\n", "wrong-separator", "tabs"),
    "UTF-16": ("USUBJID,MHTERM\nS1,x\n".encode("utf-16"), "wrong-encoding", "UTF-16"),
    "Windows": ("USUBJID,MHTERM\nS1,Fi\u00e8vre\n".encode("cp1252"), "wrong-encoding", "byte 0xE8 at offset 20"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_in_a_local_format_is_one_finding(read, domains, case):
    content, code, what = FILES[case]
    data = read(domains, lambda folder: (folder / "mh.csv").write_bytes(content))
    assert [(f.code, f.found) for f in data.findings if f.place == "mh.csv"] == [(code, what)]


def test_a_byte_order_mark_is_no_part_of_the_first_name(read, found, domains):
    expected = read(domains)
    with_mark = read(domains, lambda folder: (folder / "ae.csv").write_bytes(b"\xef\xbb\xbf" + (folder / "ae.csv").read_bytes()))
    assert with_mark.tables == expected.tables


def test_a_single_column_is_no_wrong_separator(read, domains):
    data = read(domains, lambda folder: (folder / "mh.csv").write_bytes(b"USUBJID\nS1\n"))
    assert "wrong-separator" not in {f.code for f in data.findings}


@pytest.mark.parametrize(
    ("domain", "field", "text", "hint"),
    [
        ("ex", "EXDOSE", "1,5", "with a decimal point and no comma"),
        ("ex", "EXDOSE", "1.234,5", "with a decimal point and no comma"),
        ("ae", "AESTDTC", "03/04/2023", "which is the day and which the month is not guessed"),
        ("ae", "AESTDTC", "3.4.2023", "which is the day and which the month is not guessed"),
        ("ae", "AESTDTC", "23JAN2023", "which is the day and which the month is not guessed"),
        ("ae", "AESTDTC", "20230403", "which is the day and which the month is not guessed"),
    ],
)
def test_a_value_in_a_local_format_is_named_and_not_guessed(read, domains, domain, field, text, hint):
    domains[domain][0][field] = text
    finding = next(f for f in read(domains).findings.errors() if f.field == field)
    assert (finding.row, finding.found) == (1, text)
    assert hint in finding.expected


def test_a_folder_called_like_a_data_set_is_said(read, found, domains):
    data = read(domains, lambda folder: (folder / "pr.csv").mkdir())
    assert ("not-a-file", "pr.csv", None, None) in found(data)


def test_an_arm_that_the_study_lacks_is_said_once(read, domains):
    for person in domains["dm"]:
        person |= {"ARM": "Other", "ARMCD": "O", "ACTARM": "Other", "ACTARMCD": "O"}
    findings = [f for f in read(domains).findings if f.code == "unknown-code"]
    assert [(f.found, f.row, f.effect) for f in findings] == [("Other", 1, "kept as recorded, of 3 subjects")]


def test_each_key_that_a_study_file_lacks_is_said_once(tmp_path):
    (tmp_path / "s.yaml").write_text("id: X\n")
    with pytest.raises(InputError) as refused:
        load_study(tmp_path / "s.yaml")
    said = [f.describe() for f in refused.value.findings]
    assert len(said) == len(set(said)) == 1
    assert "title" in said[0]
    assert "sponsor" in said[0]


def test_every_bad_file_of_a_folder_of_fhir_is_said_at_once(tmp_path, capsys):
    for name in ("Observation", "Patient"):
        (tmp_path / f"{name}.ndjson").write_text('{"resourceType": "Patient", "id": "a"}\n{\n')
    assert run(["from-fhir", str(tmp_path), "--study", "NCT05189483", "--fhir", "r4", "--out", str(tmp_path / "o")]) == 1
    said = capsys.readouterr().err
    assert "Observation.ndjson" in said
    assert "Patient.ndjson" in said


TWICE = '{"resourceType": "Patient", "id": "a", "gender": "male", "gender": "female"}'


@pytest.mark.parametrize("name", ["Patient.ndjson", "patient.json"])
def test_a_key_that_stands_twice_is_said(tmp_path, capsys, name):
    (tmp_path / name).write_text(TWICE + "\n")
    assert run(["from-fhir", str(tmp_path), "--study", "NCT05189483", "--fhir", "r4", "--out", str(tmp_path / "o")]) == 1
    assert "field gender" in capsys.readouterr().err
    (tmp_path / name).write_text(json.dumps(json.loads(TWICE)) + "\n")
    run(["from-fhir", str(tmp_path), "--study", "NCT05189483", "--fhir", "r4", "--out", str(tmp_path / "o")])
    assert "field gender" not in capsys.readouterr().err
