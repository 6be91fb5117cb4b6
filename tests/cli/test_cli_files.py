"""Commands on files: what goes to stdout, what to stderr, which exit code, and that nothing is lost on the way."""

import csv
import json
from pathlib import Path

import pytest
from loop_runs import STUDY

from fhir_trial.mapping import load
from fhir_trial.sources.sdtm.read import read_sdtm
from fhir_trial.sources.study_file import load_study
from fhir_trial.trial.derived import INPUTS

VERSIONS = ("r4", "r5")


def tables(folder: Path) -> dict[str, list]:
    """The rows of a folder of SDTM, in an order of their own."""
    data = read_sdtm(folder, load_study(STUDY))
    return {name: sorted(map(str, table.to_pylist())) for name, table in data.tables.items() if table.num_rows}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def results_of(folder: Path) -> dict[str, bytes]:
    """The files of a folder of endpoints without the one that says where their data stood."""
    return {name: data for name, data in contents(folder).items() if name != INPUTS}


def rests_on(folder: Path) -> dict[str, object]:
    """What the endpoints of a folder rest on: the digest of the data among it, wherever they stood."""
    return {name: value for name, value in json.loads((folder / INPUTS).read_bytes()).items() if name != "source"}


@pytest.mark.parametrize("fhir", VERSIONS)
def test_to_fhir_and_back_gives_the_same_trial(command, sdtm, fhir_folders, tmp_path, fhir):
    said = command("from-fhir", fhir_folders[fhir], "--out", tmp_path / "back", "--json")
    assert (said.code, said.err) == (0, "")
    counted = {path.stem: len(list(csv.reader(path.read_text("utf-8").splitlines()))) - 1 for path in (tmp_path / "back").iterdir()}
    assert json.loads(said.out)["counts"] == counted
    assert tables(tmp_path / "back") == tables(sdtm)
    again = command("to-fhir", tmp_path / "back", "--study", STUDY, "--fhir", fhir, "--out", tmp_path / "again")
    assert again.code == 0
    assert {name: sorted(data.splitlines()) for name, data in contents(tmp_path / "again").items() if name.endswith(".ndjson")} == {
        name: sorted(data.splitlines()) for name, data in contents(fhir_folders[fhir]).items() if name.endswith(".ndjson")
    }


def test_a_folder_of_fhir_says_what_it_holds_and_what_was_lost(fhir_folders):
    loss = json.loads((fhir_folders["r4"] / "loss.json").read_bytes())
    assert (loss["fhir"], loss["study"], loss["rows"]) == ("r4", STUDY, [])
    assert all(reason for fields in loss["declared"].values() for reason in fields.values())
    manifest = json.loads((fhir_folders["r4"] / "manifest.json").read_bytes())
    for entry in manifest["files"]:
        assert (fhir_folders["r4"] / entry["name"]).read_bytes().count(b"\n") == entry["count"]


@pytest.mark.parametrize("fhir", VERSIONS)
def test_what_to_fhir_writes_is_valid(command, fhir_folders, fhir):
    said = command("validate", fhir_folders[fhir], "--fhir", fhir)
    assert (said.code, said.out, said.err) == (0, "findings: none 0\n", "")


def test_validate_names_file_line_and_path_and_exits_with_1(command, tmp_path):
    (tmp_path / "p.ndjson").write_text('{"resourceType":"Patient","id":"a"}\n{"resourceType":"Patient","gender":"femail"}\n', "utf-8")
    said = command("validate", "p.ndjson", "--json")
    assert (said.code, said.err) == (1, "")
    (finding,) = json.loads(said.out)
    assert finding["code"] == "unknown-code"
    assert "p.ndjson" in finding["place"]
    assert (finding["row"], finding["field"]) == (2, "Patient.gender")
    told = command("validate", "p.ndjson")
    assert told.out == "findings: unknown-code 1\n"
    assert "'femail'" in told.err


@pytest.mark.parametrize("ending", ["csv", "ndjson", "parquet"])
def test_view_writes_a_table(command, fhir_folders, tmp_path, ending):
    view = load("r4")["patient"].view()
    (tmp_path / "view.json").write_text(json.dumps(view), "utf-8")
    said = command("view", "view.json", fhir_folders["r4"], "--out", f"patients.{ending}")
    assert (said.code, said.out, said.err) == (0, f"patients.{ending}: 6 rows\n", "")
    assert (tmp_path / f"patients.{ending}").stat().st_size > 0


def test_a_view_says_what_it_could_not_read_and_keeps_the_rest_where_asked(command, tmp_path):
    view = {"resource": "Patient", "select": [{"column": [{"name": "id", "path": "id"}]}]}
    (tmp_path / "view.json").write_text(json.dumps(view), "utf-8")
    (tmp_path / "p.ndjson").write_text('{"resourceType":"Patient","id":"a"}\n{"resourceType":"Patient","id":\n', "utf-8")
    refused = command("view", "view.json", "p.ndjson", "--out", "p.csv")
    assert (refused.code, refused.out, (tmp_path / "p.csv").exists()) == (1, "", False)
    assert "p.ndjson row 2: truncated" in refused.err
    kept = command("view", "view.json", "p*.ndjson", "--out", "p.csv", "--on-error", "keep", "--lineage", "--workers", 2)
    assert (kept.code, kept.out) == (1, "p.csv: 1 rows\n")
    assert "p.ndjson row 2: truncated" in kept.err
    assert (tmp_path / "p.csv").read_text() == "_resource_id,_version_id,_place,_row,id\na,,p.ndjson,1,a\n"
    assert command("view", "view.json", "p.ndjson", "--out", "p.csv", "--workers", 0).code == 2


def test_the_version_of_a_view_is_that_of_the_folders_manifest(command, fhir_folders, tmp_path):
    view = {"resource": "ResearchSubject", "select": [{"column": [{"name": "c", "path": "progress.exists()"}]}]}
    (tmp_path / "view.json").write_text(json.dumps(view), "utf-8")
    assert command("view", "view.json", fhir_folders["r5"], "--out", "s.csv").out == "s.csv: 6 rows\n"
    assert "ResearchSubject has no element progress" in command("view", "view.json", fhir_folders["r4"], "--out", "s.csv").err
    assert command("view", "view.json", *fhir_folders.values(), "--out", "s.csv").code == 2


@pytest.mark.thorough
def test_endpoints_of_sdtm_and_of_fhir_are_the_same_files(command, sdtm, fhir_folders, tmp_path):
    assert command("endpoints", sdtm, "--study", STUDY, "--out", "sdtm").code == 0
    for fhir, folder in fhir_folders.items():
        said = command("endpoints", folder, "--out", fhir)
        assert (said.code, said.out) == (0, f"{fhir}\n")
        assert "SYNTHETIC" in said.err
        assert results_of(tmp_path / fhir) == results_of(tmp_path / "sdtm")
        assert rests_on(tmp_path / fhir) == rests_on(tmp_path / "sdtm")
    assert set(contents(tmp_path / "sdtm")) >= {"adsl.csv", "adrs.csv", "adtte.csv", "safety.csv", "exposure.csv", "summary.json"}
    assert {"disposition.csv", "baseline.csv", "overview.csv"} <= set(contents(tmp_path / "sdtm"))


@pytest.mark.thorough
def test_conventions_by_preset_setting_and_file(command, sdtm, tmp_path):
    (tmp_path / "mine.json").write_text('{"preset": "ema", "confirm_days": 21}', "utf-8")
    for options, said in (
        (["--conventions", "ema"], "ema"),
        (["--conventions", "mine.json", "--set", "death_window_days=35"], "ema, except confirm_days=21, death_window_days=35"),
    ):
        ended = command("endpoints", sdtm, "--study", STUDY, "--out", "e", *options)
        assert ended.code == 0
        assert said in ended.err.replace("data_cutoff=2023-07-31, ", "").replace(", data_cutoff=2023-07-31", "")


def test_json_is_all_that_goes_to_stdout(command, sdtm, tmp_path):
    said = command("endpoints", sdtm, "--study", STUDY, "--out", "e", "--json")
    summary = json.loads(said.out)
    assert summary["PFS"]["n"] == 6
    assert {finding["severity"] for finding in summary["findings"]} <= {"information", "warning"}
    assert said.err == ""
    registered = command("registry", "results", sdtm, "--study", STUDY, "--out", "r.xml", "--json")
    assert (json.loads(registered.out)["file"], registered.err) == ("r.xml", "")
    told = json.loads(command("to-fhir", sdtm, "--study", STUDY, "--out", "f", "--json").out)
    assert told["counts"]["Patient"] == 6
    assert told["synthetic"] is True
    back = json.loads(command("from-fhir", "f", "--out", "s", "--json").out)
    assert (back["synthetic"], len(back["files"])) == (True, len(list((tmp_path / "s").iterdir())))


def test_a_domain_under_another_name(command, spoiled):
    (spoiled / "rs.csv").rename(spoiled / "readings.csv")
    without = json.loads(command("to-fhir", spoiled, "--study", STUDY, "--out", "f", "--json").out)["counts"]
    named = command("to-fhir", spoiled, "--study", STUDY, "--out", "g", "--json", "--domain", "rs=readings.csv")
    assert json.loads(named.out)["counts"]["Observation"] > without["Observation"]
    assert command("to-fhir", spoiled, "--study", STUDY, "--out", "h", "--domain", "readings.csv").code == 2


def test_registry_results_are_written_and_checked(command, sdtm, tmp_path):
    said = command("registry", "results", sdtm, "--study", STUDY, "--out", "results.xml")
    assert (said.code, said.out) == (0, "results.xml\n")
    checked = command("registry", "check", "results.xml", "--json")
    errors = [f for f in json.loads(checked.out) if f["severity"] == "error"]
    assert checked.code == (1 if errors else 0)
    assert not [f for f in errors if "schema" in f["code"]]
    (tmp_path / "broken.xml").write_bytes(b"<study><oops></study>")
    assert command("registry", "check", "broken.xml").code == 1


@pytest.mark.thorough
def test_a_table_of_endpoints_ends_the_demonstration(command, small):
    out = small("r4").out  # run once before: what an edited lesion changes is said
    path = out / STUDY / "sdtm" / "tr.csv"
    rows = list(csv.reader(path.read_text("utf-8").splitlines()))
    names = rows[0]
    row = next(r for r in rows if r[names.index("TRLNKID")] == "T01" and r[names.index("VISIT")] == "WEEK 6")
    for name in ("TRORRES", "TRSTRESC", "TRSTRESN"):
        row[names.index(name)] = "150"
    path.write_text("\n".join(",".join(r) for r in rows) + "\n", "utf-8")
    said = command("demo", "--out", out)
    assert said.code == 0
    assert "changed: SYN-001 PFS: " in said.out
    assert "*** SYNTHETIC DATA: about no real person ***" in said.out
    assert {"PFS", "ORR", "rate at 4 months"} <= {word.strip() for line in said.out.splitlines() for word in line.split("│")}
    for name in ("notebook", "registry", "FHIR"):
        assert f"\n{name}: " in said.out
    report = json.loads(command("demo", "--out", out, "--json", "--clean").out)
    assert (report["synthetic"], report["fhir"], report["written"], report["endpoints"]["PFS"]["n"]) == (True, "r4", 0, 6)
    assert [path.name for path in (out / STUDY).iterdir()] == ["sdtm"]


def test_a_lesion_too_small_to_measure_comes_back_as_its_one_row(command, sdtm, tmp_path):
    """The number beside the words is a default: one row of the source says both, and both come back in one."""
    source = tmp_path / "small"
    source.mkdir()
    for file in sdtm.iterdir():
        (source / file.name).write_bytes(file.read_bytes())
    with (source / "tr.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    row = next(r for r in rows if r["TRTESTCD"] == "LDIAM" and r["VISIT"] != "SCREENING")
    words = "TOO SMALL TO MEASURE"
    row.update(TRORRES=words, TRORRESU="", TRSTRESC=words, TRSTRESN="5", TRSTRESU="mm")
    with (source / "tr.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    said = command("to-fhir", source, "--study", STUDY, "--out", "fhir")
    assert (said.code, said.err) == (0, "")
    assert command("from-fhir", "fhir", "--out", "back").code == 0
    with Path("back/tr.csv").open(newline="", encoding="utf-8") as file:
        back = list(csv.DictReader(file))
    assert len(back) == len(rows)
    (found,) = [r for r in back if (r["USUBJID"], r["TRSEQ"]) == (row["USUBJID"], row["TRSEQ"])]
    assert {name: found[name] for name in ("TRTESTCD", "TRORRES", "TRSTRESC", "TRSTRESN", "TRSTRESU")} == {
        name: row[name] for name in ("TRTESTCD", "TRORRES", "TRSTRESC", "TRSTRESN", "TRSTRESU")
    }


@pytest.mark.parametrize("fhir", VERSIONS)
def test_validate_follows_the_manifest_of_a_folder(command, fhir_folders, fhir):
    said = command("validate", fhir_folders[fhir])
    assert (said.code, "none" in said.out) == (0, True)


def test_the_version_is_said(command):
    said = command("--version")
    assert (said.code, said.out.count(".")) == (0, 2)
