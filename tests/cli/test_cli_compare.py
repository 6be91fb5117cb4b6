"""Commands on endpoints as they are signed: conventions side by side, subgroups, locks and what differs between them."""

import csv
import json
from pathlib import Path

import pytest
from loop_runs import STUDY

pytestmark = pytest.mark.thorough
COMPARE = ("--study", STUDY, "--conventions", "protocol", "--conventions")


def died_late(folder: Path) -> str:
    """Let a subject die long after their last assessment, which `protocol` does not count; give back who."""
    path = folder / "dm.csv"
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    who = next(row for row in rows if row["USUBJID"] == "SYN-002")
    who.update(DTHDTC="2023-06-01", DTHFL="Y")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return str(who["USUBJID"])


def test_compare_names_the_subject_whose_outcome_changes_and_the_convention_behind_it(command, spoiled):
    who = died_late(spoiled)
    said = command("compare", spoiled, "--endpoint", "PFS", "--endpoint", "ORR", *COMPARE, "ema", "--json")
    found = json.loads(said.out)
    (change,) = found["endpoints"]["PFS"]["changes"]
    assert (change["subject"], change["conventions"], change["because"]) == (who, "ema", ["death_window_days"])
    assert (change["before"]["value"], change["after"]["value"], change["after"]["on"]) == ("censored", "event", "2023-06-01")
    assert "death 4" in change["before"]["reason"]
    assert change["after"]["source"] == "DM"
    figures = found["endpoints"]["PFS"]["figures"]
    assert figures["ema"]["events"] == figures["protocol"]["events"] + 1
    assert found["endpoints"]["ORR"]["changes"] == []
    assert [c["departures"] for c in found["conventions"]] == [{"data_cutoff": "2023-07-31"}] * 2


def test_compare_shows_a_table_and_a_line_a_change(command, spoiled):
    who = died_late(spoiled)
    said = command("compare", spoiled, "--endpoint", "PFS", *COMPARE, "ema")
    assert {"median", "protocol", "ema", "counted"} <= {
        word.strip() for line in said.out.splitlines() for word in line.replace("┃", "│").split("│")
    }
    (line,) = [line for line in said.out.splitlines() if line.startswith("changed: ")]
    assert line.startswith(f"changed: {who} PFS, ema: censored at ")
    assert line.endswith(" on 2023-06-01 (death); because of death_window_days")
    assert "SYNTHETIC" in said.out
    assert "conventions 2, ema: ema, except data_cutoff=2023-07-31" in said.err


def test_compare_takes_files_and_settings_and_says_when_nothing_changes(command, sdtm, tmp_path):
    (tmp_path / "mine.yaml").write_text("preset: protocol\nconfirm_days: 29\ndeath_window_days: none\n", "utf-8")
    said = command("compare", sdtm, "--endpoint", "OS", *COMPARE, "mine.yaml", "--set", "level=0.9")
    assert said.code == 0
    assert "no subject's outcome changes" in said.out
    assert "protocol, except confirm_days=29, death_window_days=none, data_cutoff=2023-07-31, level=0.9" in said.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--endpoint", "PSF", *COMPARE, "ema"], "no endpoint is named PSF: did you mean PFS?"),
        (["--endpoint", "PFS", "--study", STUDY, "--conventions", "ema"], "two conventions or more"),
        (["--endpoint", "PFS", *COMPARE, "emma"], "no preset is named emma"),
        (["--endpoint", "PFS", *COMPARE, "none.yaml"], "no file of conventions none.yaml"),
        (["--endpoint", "PFS", *COMPARE, "ema", "--set", "level"], "expected NAME=VALUE"),
        (["--endpoint", "PFS"], "Missing option"),
    ],
)
def test_compare_refuses_what_it_cannot_understand(command, sdtm, options, told):
    said = command("compare", sdtm, *options)
    assert (said.code, said.out) == (2, "")
    assert told in " ".join(said.err.split())


def test_compare_says_what_an_endpoint_lacks(command, spoiled):
    for name in ("rs.csv", "tr.csv", "tu.csv"):
        (spoiled / name).unlink()
    said = command("compare", spoiled, "--endpoint", "PFS", *COMPARE, "ema")
    assert said.code == 1
    assert "there is no PFS" in said.err


def test_endpoints_by_subgroup(command, sdtm, tmp_path):
    said = command("endpoints", sdtm, "--study", STUDY, "--out", "e", "--by", "SEX", "--by", "age:60", "--strata", "ecog", "--json")
    assert said.code == 0
    rows = list(csv.DictReader((tmp_path / "e" / "subgroups.csv").read_text("utf-8").splitlines()))
    pfs = {(r["FACTOR"], r["LEVEL"]): int(r["N"]) for r in rows if r["ENDPOINT"] == "PFS"}
    assert pfs[("All subjects", "All subjects")] == 6 == pfs["age:60", "<60"] + pfs["age:60", ">=60"]
    assert len(json.loads(said.out)["subgroups"]) == len(rows)
    assert {r["STRATA"] for r in rows if r["ENDPOINT"] == "PFS" and r["FACTOR"] == "SEX"} == {"ecog"}
    refused = command("endpoints", sdtm, "--study", STUDY, "--out", "f", "--by", "sexx")
    assert (refused.code, refused.out, "did you mean sex?" in refused.err) == (2, "", True)
    assert not (tmp_path / "f").exists()


def test_lock_and_diff(command, spoiled, tmp_path):
    assert command("endpoints", spoiled, "--study", STUDY, "--out", "a").code == 0
    assert command("diff", "a", "a").code == 2  # nothing is locked yet
    said = command("lock", "a")
    assert (said.code, said.out) == (0, "a/lock.json\n")
    assert "cutoff 2023-07-31" in said.err
    assert "SYNTHETIC" in said.err
    told = json.loads(command("lock", "a", "--json").out)
    assert (told["cutoff"], told["study"]["id"], told["conventions"]["preset"]) == ("2023-07-31", STUDY, "protocol")
    assert command("diff", "a", "a/lock.json").out == "the two locks hold the same\n"
    died_late(spoiled)
    assert command("endpoints", spoiled, "--study", STUDY, "--out", "b").code == 0
    assert command("lock", "b").code == 0
    differs = command("diff", "a", "b")
    assert differs.code == 1
    assert "adtte.csv SYN-002 OS CNSR: 1 -> 0\n" in differs.out
    assert any(line.startswith("summary.json OS.events: ") and line.endswith("subjects SYN-002") for line in differs.out.splitlines())
    report = json.loads(command("diff", "a/lock.json", "b/lock.json", "--json").out)
    assert report["same"] is False
    assert {c["name"] for c in report["rests_on"]} == {"snapshot.sha256"}
    assert {"SYN-002"} == {s for c in report["cells"] for s in c["subjects"]}
    (tmp_path / "a" / "adsl.csv").write_text("", "utf-8")
    changed = command("diff", "a", "b")
    assert (changed.code, changed.out) == (1, "")
    assert "a/adsl.csv: file changed" in changed.err
    assert command("lock", "a").code == 1


def test_what_is_no_folder_of_endpoints_is_not_locked(command, sdtm):
    for folder, code, words in ((sdtm, 1, "no endpoints"), ("nowhere", 2, "nowhere is no folder")):
        said = command("lock", folder)
        assert (said.code, said.out, words in said.err) == (code, "", True)
    assert command("diff", "nowhere", sdtm).code == 2
