"""The loop on the synthetic cohort: what it leaves, what a second run does, and what an edit of the data changes."""

import csv
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loop_runs import STUDY, VERSIONS, Ran

from fhir_trial.config import Server
from fhir_trial.domain.entities import Result
from fhir_trial.endpoints.conventions import for_study
from fhir_trial.errors import ConfigurationError
from fhir_trial.mapping import load
from fhir_trial.trial import demo as loop
from fhir_trial.trial.changes import Changes
from fhir_trial.trial.connection import connect, connect_embedded
from fhir_trial.trial.demo import Disagreement, clean, demo, store_file
from fhir_trial.trial.exchange import pull_study
from fhir_trial.trial.opened import OpenTrial
from fhir_trial.trial.publish import measure_url, result_row
from fhir_trial.trial.resources import is_synthetic
from fhir_trial.validate import validate

pytestmark = pytest.mark.thorough

RESULT_TYPES = {
    "r4": {"measure": "Measure", "population": "Group", "result": "MeasureReport", "provenance": "Provenance"},
    "r5": {"measure": "EvidenceVariable", "population": "Group", "result": "Evidence", "provenance": "Provenance"},
}


def on_server(ran: Ran) -> list[dict[str, Any]]:
    with connect_embedded(store_file(ran.folder, STUDY, ran.fhir), ran.fhir) as connection:
        return pull_study(STUDY, connection)


def edit(path: Path, change: dict[str, str], **where: str) -> None:
    """Change the one row of a CSV file that has these values."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    (row,) = [r for r in rows if all(r[name] == value for name, value in where.items())]
    row.update(change)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def test_everything_on_the_server_is_valid_and_marked_synthetic(ran: Ran) -> None:
    held = on_server(ran)
    assert len(held) == ran.done.written  # sent and results, each written once
    assert [r["id"] for r in held if not is_synthetic(r)] == []
    assert [f.describe() for resource in held for f in validate(resource, ran.fhir) if f.severity == "error"] == []


def test_the_results_on_the_server_are_those_of_the_analysis(ran: Ran) -> None:
    mapping, results = load(ran.fhir, ran.done.study), ran.done.results
    found: dict[str, list[Any]] = {name: [] for name in RESULT_TYPES[ran.fhir]}
    for resource in on_server(ran):
        entity = mapping.entity_of(resource)
        if entity in found:
            assert resource["resourceType"] == RESULT_TYPES[ran.fhir][entity]
            found[entity].append(mapping[entity].from_fhir(resource))
    read: dict[str, Result] = {row.endpoint: row for row in found["result"]}
    assert read.keys() == results.keys()
    assert {"PFS", "OS", "ORR", "SAFETY"} <= read.keys()
    for name, row in read.items():
        assert row == result_row(results[name], (row.data_from, row.data_until))
    assert {row.url for row in found["measure"]} == {measure_url(result) for result in results.values()}
    members = {row.endpoint: {m.subject for m in row.members} for row in found["population"]}
    assert members == {name: set(result.subjects["subject"]) for name, result in results.items()}
    assert {row.endpoint for row in found["provenance"]} == results.keys()
    assert len({row.digest for row in found["provenance"]}) == 1


def test_the_files_are_there_and_the_cohort_is_calibrated(ran: Ran) -> None:
    assert {path.name for path in (ran.folder / "endpoints").iterdir()} >= {
        "adsl.csv", "adrs.csv", "adtte.csv", "safety.csv", "exposure.csv", "summary.json", "disposition.csv", "baseline.csv", "adlb.csv",
    }  # fmt: skip
    assert all(path.exists() for path in ran.done.paths.values())
    assert {"notebook", "registry", "FHIR", "endpoints", "trial data"} == ran.done.paths.keys()
    assert ran.done.results["PFS"].n == 28
    assert 5 <= ran.done.results["ORR"].count <= 9
    median = ran.done.results["PFS"].estimate("median").value
    assert median is not None
    assert 1.8 <= median / 30.4375 <= 3.0


def test_both_versions_give_the_same_figures(small_runs: Callable[[str], Ran]) -> None:
    texts = [{path.name: path.read_bytes() for path in (small_runs(fhir).folder / "endpoints").iterdir()} for fhir in VERSIONS]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("fhir", VERSIONS)
def test_a_second_run_writes_nothing(small: Callable[[str], Ran], fhir: str) -> None:
    second = small(fhir).again()
    assert (second.written, second.changes) == (0, Changes())


def test_an_edited_lesion_changes_its_subject_alone(small: Callable[[str], Ran]) -> None:
    ran = small("r4")
    lesion = {"USUBJID": "SYN-001", "TRLNKID": "T01", "VISIT": "WEEK 6", "TREVAL": "INVESTIGATOR"}
    edit(ran.folder / "sdtm" / "tr.csv", {"TRORRES": "150", "TRSTRESC": "150", "TRSTRESN": "150"}, **lesion)
    third = ran.again()
    subjects = third.changes.subjects
    assert {c.subject for c in subjects} == {"SYN-001"}
    told = {(c.parameter, c.visit): c for c in subjects}
    assert {("OVR", "WEEK 6"), ("TRGRESP", "WEEK 6"), ("SDIAM", "WEEK 6"), ("BOR", None), ("PFS", None), ("TTP", None)} <= told.keys()
    assert (told["OVR", "WEEK 6"].before, told["OVR", "WEEK 6"].after) == ("SD 2022-04-05", "PD 2022-04-05")
    assert re.fullmatch(
        r"SYN-001 PFS: \d+ days, event \(progression\), [\d-]+ -> \d+ days, event \(progression\), 2022-04-05", told["PFS", None].describe()
    )
    assert told["SDIAM", "WEEK 6"].describe().startswith("SYN-001 SDIAM at WEEK 6 by INVESTIGATOR: ")
    assert {c.parameter: c.describe() for c in third.changes.figures}["PFS"].startswith("PFS: ")
    assert not set(third.changes.files) & {"adsl.csv", "safety.csv", "exposure.csv"}
    assert 0 < third.written < 40


def test_figures_that_did_not_survive_the_server_stop_the_run(small: Callable[[str], Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    ran = small("r4")
    whole = loop.pull_study
    monkeypatch.setattr(loop, "pull_study", lambda *a: [r for r in whole(*a) if r["resourceType"] != "AdverseEvent"])
    with pytest.raises(Disagreement, match=r"safety\.csv"):
        ran.again()


def test_clean_takes_what_runs_made_and_nothing_else(small: Callable[[str], Ran]) -> None:
    ran = small("r4")
    (ran.out / "notes.txt").write_text("mine", encoding="utf-8")
    noted = (ran.out / loop.MADE).read_text("utf-8")
    (ran.out / loop.MADE).write_text(f"{noted}../out/notes.txt\nnotes.txt\n{STUDY}/../notes.txt\n", encoding="utf-8")
    clean(ran.out)
    left = {path.relative_to(ran.out).as_posix() for path in ran.out.rglob("*") if path.is_file()}
    assert {name.rpartition("/")[0] for name in left} == {"", f"{STUDY}/sdtm"}  # the cohort was there before
    assert "notes.txt" in left


def test_clean_takes_the_folder_that_the_loop_made(ran: Ran, tmp_path: Path) -> None:
    out = shutil.copytree(ran.out, tmp_path / "out")
    clean(out)
    assert not out.exists()
    clean(out)


def test_clean_leaves_a_configuration_that_was_there_before(tmp_path: Path, small_runs: Callable[[str], Ran]) -> None:
    (tmp_path / "fhir-trial.toml").write_text("deadline = 5\n", encoding="utf-8")
    loop._write_notebook(tmp_path, small_runs("r4").done.study, "r4")
    clean(tmp_path)
    assert (tmp_path / "fhir-trial.toml").read_text("utf-8") == "deadline = 5\n"


def test_the_loop_on_a_server_over_http(small: Callable[[str], Ran], named_server: Callable[[bool], Server]) -> None:
    ran, server = small("r4"), named_server(True)
    first = demo(ran.out, "a", "r4", server)
    assert first.written == ran.done.written
    assert demo(ran.out, "a", "r4", server).written == 0
    with connect(server, "r4") as connection:
        held = Counter(resource["resourceType"] for resource in pull_study(STUDY, connection))
    assert (held["Patient"], held["Measure"]) == (6, len(first.results))


def test_a_server_that_is_no_research_store_gets_no_patient(small: Callable[[str], Ran], named_server: Callable[[bool], Server]) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing was written.*research store"):
        demo(small("r4").out, "a", "r4", named_server(False))
    with connect(named_server(False), "r4") as connection:
        assert pull_study(STUDY, connection) == []


def test_a_server_of_another_version_is_refused(named_server: Callable[[bool], Server]) -> None:
    with pytest.raises(ConfigurationError, match=r"4\.0\.1"):
        connect(named_server(True), "r5")


def test_results_under_other_conventions_stand_beside_the_protocols(small: Callable[[str], Ran]) -> None:
    ran = small("r4")
    store = f"embedded:{store_file(ran.folder, STUDY, ran.fhir)}"
    opened = OpenTrial(ran.done.study, Server("embedded", store, research_store=True), None, ran.fhir)
    opened.pull()
    under = for_study(ran.done.study, "ema")
    report = opened.publish(opened.analyse(under))
    assert report.written == 3 * len(ran.done.results)  # what is measured is the same
    mapping = load(ran.fhir, ran.done.study)
    rows = [mapping["result"].from_fhir(r) for r in on_server(ran) if mapping.entity_of(r) == "result"]
    presets = Counter(row.preset for row in rows)
    assert presets == {"protocol": len(ran.done.results), "ema": len(ran.done.results)}
    assert opened.publish(opened.analyse(under)).written == 0
