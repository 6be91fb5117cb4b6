"""Bad input: all of it reported together with file, row, field, found and expected; good rows kept or the run refused; exit codes."""

import csv
import json
import random
import re
from pathlib import Path

import pytest
from loop_runs import STUDY

FILES = ("ae", "cm", "dm", "ds", "ex", "qs", "rs", "suppae", "suppex", "tr", "ts", "tu", "vs")


def change(folder, domain, row, **values):
    """Give cells of a row (1-based) other values."""
    path = folder / f"{domain}.csv"
    lines = path.read_text("utf-8").splitlines()
    names, cells = lines[0].split(","), lines[row].split(",")
    for name, value in values.items():
        cells[names.index(name)] = value
    lines[row] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n", "utf-8")


def spoil(folder):
    """One of each kind of bad input that the issue names."""
    change(folder, "ae", 1, AETOXGR="9")
    change(folder, "ae", 2, AESTDTC="2023-02-30")
    change(folder, "ex", 1, EXSTDTC="2022-02-23T09:30", EXENDTC="2022-02-23T10:30")
    ds = (folder / "ds.csv").read_text("utf-8").splitlines()
    (folder / "ds.csv").write_text("\n".join([*ds, ds[1]]) + "\n", "utf-8")
    tr = (folder / "tr.csv").read_text("utf-8").splitlines()
    new = next(line for line in tr if ",T01," in line and ",WEEK 6," in line).replace(",T01,", ",T07,")
    (folder / "tr.csv").write_text("\n".join([*tr, re.sub(r"^([^,]*,TR,[^,]*),\d+,", r"\1,900,", new)]) + "\n", "utf-8")
    rs = (folder / "rs.csv").read_text("utf-8")
    (folder / "rs.csv").write_text(rs.replace("RSTESTCD", "RSTEST_CD", 1), "utf-8")
    (folder / "cm.csv").write_bytes(b"")
    (folder / "vs.csv").write_bytes((folder / "vs.csv").read_bytes() + b"\xe9")


KINDS = {
    "unknown-code": ("ae.csv", 1, "AETOXGR", "9"),
    "impossible-date": ("ae.csv", 2, "AESTDTC", "2023-02-30"),
    "local-time": ("ex.csv", 1, "EXSTDTC", None),
    "duplicate-key": ("ds.csv", None, None, None),
    "lesion-without-baseline": ("tr.csv", None, None, None),
    "missing-column": ("rs.csv", None, "RSTESTCD", None),
    "empty-file": ("cm.csv", None, None, None),
    "wrong-encoding": ("vs.csv", None, None, None),
}


@pytest.mark.parametrize("arguments", [("to-fhir", "--fhir", "r5"), ("endpoints",)], ids=lambda a: a[0])
def test_every_kind_is_reported_together_and_good_rows_are_kept(command, spoiled, tmp_path, arguments):
    spoil(spoiled)
    said = command(*arguments, spoiled, "--study", STUDY, "--out", "out", "--json")
    assert said.code == 1
    findings = json.loads(said.out)["findings"]
    for code, (place, row, field, found) in KINDS.items():
        of_kind = [f for f in findings if f["code"] == code and f["place"] == place]
        assert of_kind, code
        first = of_kind[0]
        assert first.get("expected"), code
        for name, wanted in (("row", row), ("field", field), ("found", found)):
            assert wanted is None or first[name] == wanted, code
    if arguments[0] == "to-fhir":
        counts = json.loads(said.out)["counts"]
        assert (counts["Patient"], counts["AdverseEvent"] > 5) == (6, True)
        assert command("validate", "out", "--fhir", "r5").code == 0


@pytest.mark.parametrize("arguments", ["to-fhir", "endpoints"])
def test_the_run_is_refused_where_asked(command, spoiled, tmp_path, arguments):
    spoil(spoiled)
    said = command(arguments, spoiled, "--study", STUDY, "--out", "out", "--on-error", "refuse")
    assert (said.code, said.out) == (1, "")
    assert not (tmp_path / "out").exists()
    for place, row, field, found in (KINDS["unknown-code"], KINDS["impossible-date"]):
        assert f"error: {place} row {row}, field {field}: found '{found}', expected " in said.err
    assert len([line for line in said.err.splitlines() if line.startswith("error: ")]) >= len(KINDS) - 1


def test_a_clean_trial_is_not_refused(command, sdtm):
    assert command("to-fhir", sdtm, "--study", STUDY, "--out", "out", "--on-error", "refuse").code == 0


def test_a_line_of_fhir_that_cannot_be_read_is_named(command, fhir_folders, tmp_path):
    folder = tmp_path / "fhir"
    folder.mkdir()
    for path in fhir_folders["r4"].glob("*.ndjson"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "AdverseEvent.ndjson").write_bytes(b'{"resourceType":"AdverseEvent"\n')
    said = command("from-fhir", folder, "--study", STUDY, "--fhir", "r4", "--out", "back")
    assert said.code == 1
    assert "AdverseEvent.ndjson" in said.err


USAGE = [
    (["endpoints", "SDTM", "--study", STUDY, "--out", "o", "--colour"], "--colour"),
    (["enpoints"], "enpoints"),
    (["endpoints", "SDTM", "--out", "o"], "study"),
    (["endpoints", "nowhere", "--study", STUDY, "--out", "o"], "nowhere"),
    (["endpoints", "SDTM", "--study", STUDY, "--out", "o", "--set", "confirm_days"], "--set"),
    (["endpoints", "SDTM", "--study", STUDY, "--out", "o", "--set", "confirm_day=3"], "confirm_days"),
    (["endpoints", "SDTM", "--study", STUDY, "--out", "o", "--conventions", "protokoll"], "protocol"),
    (["endpoints", "SDTM", "--study", STUDY, "--out", "o", "--on-error", "ignore"], "ignore"),
    (["to-fhir", "SDTM", "--study", STUDY, "--out", "o", "--fhir", "r3"], "r4"),
    (["validate", "nowhere.json"], "nowhere.json"),
    (["view", "nowhere.json", "SDTM", "--out", "o.csv"], "nowhere.json"),
    (["registry", "check", "nowhere.xml"], "nowhere.xml"),
    (["registry", "results", "SDTM", "--study", STUDY, "--out", "o", "--format", "pdf"], "prs-xml"),
    (["demo", "--cohort", "c"], "c"),
    (["demo", "--fhir", "r3", "--out", "d"], "r4"),
]


@pytest.mark.parametrize(("arguments", "named"), USAGE, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_what_cannot_be_understood_is_named_and_ends_with_2(command, sdtm, arguments, named):
    said = command(*(sdtm if argument == "SDTM" else argument for argument in arguments))
    assert (said.code, said.out) == (2, "")
    assert named in said.err


@pytest.mark.parametrize("arguments", [["doctor"], ["pull", "--out", "p"], ["doctor", "--server", "nobody"]])
def test_a_server_that_nobody_named_ends_with_3(command, arguments, monkeypatch):
    monkeypatch.delenv("FHIR_TRIAL_SERVER", raising=False)
    said = command(*arguments)
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("fhir-trial: ")


def test_an_interruption_ends_with_130(command, sdtm, monkeypatch):
    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("fhir_trial.cli.data.read_source", interrupted)
    said = command("endpoints", sdtm, "--study", STUDY, "--out", "o")
    assert (said.code, said.out) == (130, "")
    assert "again" in said.err


@pytest.mark.parametrize("seed", range(8))
def test_spoiled_files_never_give_a_traceback(command, spoiled, seed):
    """Cells and bytes at random: the command ends with 0 or 1 and says why."""
    dice = random.Random(seed)
    for name in dice.sample(FILES, 4):
        path = spoiled / f"{name}.csv"
        data = bytearray(path.read_bytes())
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(data))
            data[at : at + dice.randint(0, 9)] = dice.choice([b"", b",", b'"', b"\n", b"\xff", b"-1", b"2023-02-31", b"\x00", b"T25"])
        path.write_bytes(bytes(data))
    for arguments in (["to-fhir"], ["endpoints"]):
        said = command(*arguments, spoiled, "--study", STUDY, "--out", f"out-{arguments[0]}")
        assert said.code in (0, 1)
        assert said.code == 0 or "error: " in said.err


def test_what_is_no_resource_in_a_folder_of_fhir_is_reported_together_and_the_rest_is_read(command, tmp_path):
    folder = tmp_path / "fhir"
    folder.mkdir()
    entries = [None, 5, {"resource": {"id": "x"}}, {"resource": []}, {"resource": {"resourceType": "Basic", "id": "b"}}]
    (folder / "a.json").write_text(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}))
    (folder / "b.json").write_text('{"resourceType":"Bundle","entry":[{"res')
    (folder / "c.json").write_text(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": {}}))
    said = command("from-fhir", folder, "--study", STUDY, "--fhir", "r4", "--out", tmp_path / "out")
    assert said.code == 1
    for place in (*(f"a.json row {row}, field entry" for row in (1, 2, 3, 4)), "b.json: not json", "c.json, field entry", "Basic/b"):
        assert place in said.err
    assert "a.json row 5" not in said.err


def test_bad_lines_of_a_file_are_reported_together(command, tmp_path):
    (tmp_path / "Patient.ndjson").write_text('{"resourceType":"Patient"}\n{bad\n[]\n')
    said = command("from-fhir", tmp_path, "--study", STUDY, "--fhir", "r4", "--out", tmp_path / "out")
    assert said.code == 1
    assert "Patient.ndjson row 2: not json" in said.err
    assert "row 3: not a resource" in said.err


def test_an_output_that_cannot_be_written_is_one_line(command, sdtm, tmp_path):
    (tmp_path / "taken").write_text("a file")
    said = command("endpoints", sdtm, "--study", STUDY, "--out", tmp_path / "taken")
    assert said.code == 2
    assert said.err.splitlines()[-1].endswith("taken is a file, expected a folder to write into")


@pytest.mark.parametrize(("domain", "column"), [("ex", "EXDOSE"), ("ex", "EXSTDTC"), ("ae", "AEDECOD"), ("ae", "AESTDTC"), ("tr", "TRDTC")])
def test_a_column_that_endpoints_rest_on_is_named_with_what_follows_where_a_file_lacks_it(command, spoiled, domain, column):
    path = spoiled / f"{domain}.csv"
    path.write_text(path.read_text("utf-8").replace(column, f"{column}_X", 1), "utf-8")
    findings = json.loads(command("endpoints", spoiled, "--study", STUDY, "--out", "out", "--json").out)["findings"]
    (found,) = [f for f in findings if f["code"] == "missing-column"]
    assert (found["place"], found["field"], found["expected"]) == (f"{domain}.csv", column, f"the column {column}")
    assert found["effect"]


def test_more_findings_than_a_screen_holds_are_all_in_the_file_and_in_json(command, spoiled):
    """The screen names the worst fifty and where the others stand."""
    for domain, variable in (("tr", "TRSTRESU"), ("ae", "AESTDTC"), ("ex", "EXSTDTC"), ("vs", "VSDTC")):
        for number in range(1, len((spoiled / f"{domain}.csv").read_text("utf-8").splitlines())):
            change(spoiled, domain, number, **{variable: "2023-02-30"})
    said = command("endpoints", spoiled, "--study", STUDY, "--out", "out")
    assert said.code == 1
    (more,) = [line for line in said.err.splitlines() if line.startswith("... and ")]
    assert more.endswith(f" more: all are in {Path('out') / 'findings.csv'}")
    listed = list(csv.DictReader((Path("out") / "findings.csv").read_text("utf-8").splitlines()))
    report = json.loads(command("endpoints", spoiled, "--study", STUDY, "--out", "out", "--json").out)["findings"]
    assert len(listed) == len(report) == 50 + int(more.split()[2])
    assert listed[0]["SEVERITY"] == "error"
    assert {row["SYNTHETIC"] for row in listed} == {"Y"}
    said = command("to-fhir", spoiled, "--study", STUDY, "--out", "fhir")
    assert [line for line in said.err.splitlines() if line.endswith(" more: --json shows all")]
    refused = command("endpoints", spoiled, "--study", STUDY, "--out", "out", "--on-error", "refuse", "--json")
    assert refused.code == 1
    assert len(json.loads(refused.out)["findings"]) > 50
