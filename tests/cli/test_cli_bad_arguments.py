"""Arguments that name the wrong thing: a file for a folder, nothing, garbage, another version; one line, an exit code, nothing written."""

import json
import sqlite3

import pytest
from loop_runs import STUDY

SDTM_OUT = [("to-fhir", "SDTM"), ("endpoints", "SDTM"), ("deidentify", "SDTM"), ("from-fhir", "FHIR"), ("demo",), ("pull", "--server", "x")]
FILE_OUT = [("registry", "results", "SDTM"), ("registry", "convert", "any", "--to", "prs-xml"), ("study", "import", "any")]


@pytest.fixture
def places(sdtm, fhir_folders, tmp_path):
    """What the words of the tables below stand for, and beside it an empty file, garbage and an empty folder."""
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "garbage").write_bytes(bytes(range(256)))
    (tmp_path / "folder").mkdir()
    return {"SDTM": sdtm, "FHIR": fhir_folders["r4"]}


def given(places, arguments):
    with_study = {"to-fhir", "endpoints", "deidentify", "registry", "compare"} & {arguments[0]} and "SDTM" in arguments
    return [*(places.get(word, word) for word in arguments), *(("--study", STUDY) if with_study else ())]


@pytest.mark.parametrize("arguments", SDTM_OUT)
@pytest.mark.parametrize("out", ["garbage", "garbage/below"])
def test_a_file_where_a_folder_is_to_be_written(command, places, arguments, out):
    said = command(*given(places, arguments), "--out", out)
    assert (said.code, said.out, said.err) == (2, "", "fhir-trial: garbage is a file, expected a folder to write into\n")


@pytest.mark.parametrize("arguments", FILE_OUT)
def test_a_folder_where_a_file_is_to_be_written(command, places, arguments):
    said = command(*given(places, arguments), "--out", "folder")
    assert (said.code, said.out, said.err) == (2, "", "fhir-trial: folder is a folder, expected a file to write\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("endpoints", "nowhere", "--out", "o", "--study", STUDY), "nowhere is no folder, expected a folder of SDTM domains or of FHIR"),
        (
            ("endpoints", "empty", "--out", "o", "--study", STUDY),
            "empty is no folder but a file, expected a folder of SDTM domains or of FHIR",
        ),
        (("lock", "empty"), "empty is no folder but a file, expected a folder that `endpoints` wrote"),
        (("purge", "nowhere"), "nowhere is no folder, expected a folder of data that fhir-trial wrote"),
        (("sync", "nowhere", "--server", "x"), "nowhere is no folder, expected files named <ResourceType>.ndjson in it"),
        (
            ("registry", "check", "folder"),
            "there is no file folder, which is a folder, expected a record: ClinicalTrials.gov v2 JSON, or PRS XML",
        ),
        (("study", "import", "nowhere"), "there is no file nowhere, expected a ClinicalTrials.gov v2 record (protocolSection)"),
        (("endpoints", "SDTM", "--out", "o", "--fhir", "r9"), "FHIR version 'r9' is not known: r4, r5"),
        (("endpoints", "SDTM", "--out", "o", "--strata", "sex"), "--strata sex stratifies the comparisons of subgroups: give --by too"),
        (("endpoints", "SDTM", "--out", "o", "--set", "=1"), "--set =1: expected NAME=VALUE"),
        (("to-fhir", "SDTM", "--out", "o", "--domain", "rs"), "--domain rs: expected DOMAIN=FILE"),
        (("to-fhir", "SDTM", "--out", "o", "--domain", "rs=no.csv"), "there is no file no.csv, expected a file of SDTM data"),
        (
            ("pull", "--server", "x", "--out", "o", "--type", "Patiend"),
            "--type Patiend: expected a resource type of FHIR, did you mean Patient?",
        ),
    ],
)
def test_usage_is_told_with_what_is_there_and_what_was_expected(command, places, tmp_path, arguments, told):
    said = command(*given(places, arguments))
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"fhir-trial: {told}")
    assert said.err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "folder", "garbage"]


@pytest.mark.parametrize(("name", "found"), [("empty", "nothing"), ("garbage", "neither XML nor JSON")])
@pytest.mark.parametrize(
    "arguments", [("registry", "check"), ("registry", "convert", "--to", "prs-xml", "--out", "o"), ("study", "import")]
)
def test_what_is_no_record_and_no_study_is_told(command, places, arguments, name, found):
    said = command(*arguments, name)
    assert said.code == 1
    assert said.err.startswith(f"error: {name}: found '{found}', expected a")


def test_a_study_and_conventions_that_hold_nothing_name_their_file(command, places, tmp_path):
    (tmp_path / "empty.yaml").write_bytes(b"")
    said = command("endpoints", places["SDTM"], "--out", "o", "--study", "empty.yaml")
    assert (said.code, said.err) == (1, "error: empty.yaml: found 'nothing', expected object\n")
    said = command("endpoints", places["SDTM"], "--out", "o", "--study", STUDY, "--conventions", "empty.yaml")
    assert (said.code, said.err) == (2, "fhir-trial: empty.yaml: a file of conventions is an object of names and values\n")


def test_a_port_that_is_none_is_usage(command):
    assert command("serve", "--port", "99999").code == 2


@pytest.mark.parametrize("what", ["verify", "show"])
def test_looking_at_what_is_no_audit_log_leaves_it_as_it_is(command, places, tmp_path, what):
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("CREATE TABLE mine (a)")
    other.close()
    for name in ("empty", "garbage", "other.sqlite"):
        before = (tmp_path / name).read_bytes()
        said = command("audit", what, name)
        assert (said.code, said.out) == (3, "")
        assert said.err.startswith(f"fhir-trial: {name}")
        assert (tmp_path / name).read_bytes() == before


def test_json_of_a_refusal_is_whole(command, places):
    said = command("study", "import", "garbage", "--json")
    assert [finding["code"] for finding in json.loads(said.out)["findings"]] == ["unknown-format"]
