"""Locks: the same bytes wherever they are made, nothing read back that was changed, and differences with the subjects behind them."""

import csv
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from loop_runs import STUDY, small_cohort

from fhir_trial.endpoints.analyse import analyse
from fhir_trial.endpoints.conventions import for_study
from fhir_trial.errors import InputError, UsageError
from fhir_trial.trial.derived import FINDINGS, INPUTS, LOCK, Source, write_endpoints
from fhir_trial.trial.digest import data_digest
from fhir_trial.trial.lock import lock, read_lock
from fhir_trial.trial.lock_difference import difference
from fhir_trial.trial.opened import read_source

pytestmark = pytest.mark.thorough

CUTOFF = "2022-06-30"
EVENT = {"USUBJID": "SYN-002", "AESEQ": "1", "AEBODSYS": "Gastrointestinal disorders", "AEDECOD": "Nausea"}
ELSEWHERE = """
import sys
from fhir_trial.cli.main import run

sys.exit(run(["endpoints", sys.argv[1], "--study", sys.argv[2], "--out", "out"]) or run(["lock", "out"]))
"""


@pytest.fixture(scope="module")
def sdtm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_cohort(tmp_path_factory.mktemp("lock") / "sdtm")


def derive(source: Path, out: Path, **settings: object) -> Path:
    """The endpoints of a folder of SDTM in `out`."""
    data = read_source(source, STUDY)
    write_endpoints(out, analyse(data, for_study(data.study, None, settings)), data, Source(source, STUDY))
    return out


@pytest.fixture(scope="module")
def derived(sdtm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return derive(sdtm, sdtm.parent / "derived")


@pytest.fixture(scope="module")
def edited(sdtm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The endpoints of the same data but for a lesion of one subject and the grade of an event of another."""
    source = shutil.copytree(sdtm, tmp_path_factory.mktemp("edited") / "sdtm")
    change = {"TRORRES": "150", "TRSTRESC": "150", "TRSTRESN": "150"}
    edit(source / "tr.csv", change, USUBJID="SYN-001", TRLNKID="T01", VISIT="WEEK 6", TREVAL="INVESTIGATOR")
    edit(source / "ae.csv", {"AETOXGR": "4"}, **EVENT)
    edit(source / "ae.csv", {"AETOXGR": "3"}, USUBJID="SYN-003", AESEQ="1", AEDECOD="Alopecia")
    return derive(source, source.parent / "derived")


@pytest.fixture
def folder(sdtm: Path, derived: Path, tmp_path: Path) -> Path:
    """A copy of the endpoints with the data beside them, for a test to change."""
    shutil.copytree(sdtm, tmp_path / "sdtm")
    return shutil.copytree(derived, tmp_path / "derived")


def codes(function: Callable[..., object], *arguments: object) -> set[tuple[str, str | None]]:
    with pytest.raises(InputError) as raised:
        function(*arguments)
    return {(f.code, f.field or Path(f.place).name) for f in raised.value.findings}


def edit(path: Path, change: dict[str, str], **where: str) -> None:
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    for row in rows:
        if all(row[name] == value for name, value in where.items()):
            row.update(change)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def test_a_lock_says_what_its_figures_rest_on(folder: Path) -> None:
    made = lock(folder)
    assert made.path == folder / LOCK
    data = read_source(folder.parent / "sdtm", STUDY)
    assert made.head["snapshot"]["sha256"] == data_digest(data)
    assert made.head["snapshot"]["rows"]["subject"] == 6
    assert (made.head["cutoff"], made.head["conventions"]["death_window_days"], made.head["synthetic"]) == ("2023-07-31", 63, True)
    assert {"fhir_trial", "numpy", "scipy"} <= made.head["versions"].keys()
    assert dict(made.texts) == {p.name: p.read_bytes().decode() for p in folder.iterdir() if p.name not in (LOCK, INPUTS, FINDINGS)}
    again = (folder / LOCK).read_bytes()
    assert (lock(folder).digest, (folder / LOCK).read_bytes()) == (made.digest, again)


@pytest.mark.thorough
def test_a_rerun_in_another_process_locale_zone_hash_seed_and_row_order_gives_the_same_bytes(
    folder: Path, sdtm: Path, tmp_path: Path
) -> None:
    lock(folder)
    elsewhere = tmp_path / "elsewhere" / "data"
    elsewhere.mkdir(parents=True)
    for path in sdtm.iterdir():
        head, *rows = path.read_text("utf-8").splitlines()
        random.Random(7).shuffle(rows)
        (elsewhere / path.name).write_text("\n".join([head, *rows]) + "\n", "utf-8")
    told = os.environ | {"PYTHONHASHSEED": "4711", "TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONUTF8": "0"}
    command = [sys.executable, "-c", ELSEWHERE, str(elsewhere), STUDY]
    done = subprocess.run(command, cwd=tmp_path / "elsewhere", env=told, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "elsewhere" / "out" / LOCK).read_bytes() == (folder / LOCK).read_bytes()


@pytest.mark.thorough
def test_a_cutoff_is_frozen_and_results_at_another_are_derived_anew(folder: Path, sdtm: Path, tmp_path: Path) -> None:
    assert lock(folder, "2023-07-31", tmp_path / "a.json").head["cutoff"] == "2023-07-31"
    at = lock(folder, CUTOFF)
    assert (at.head["cutoff"], at.head["conventions"]["data_cutoff"]) == (CUTOFF, CUTOFF)
    direct = lock(derive(sdtm, tmp_path / "direct", data_cutoff=CUTOFF))
    assert direct.path.read_bytes() == at.path.read_bytes()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert codes(lock, folder, "2022-05-01") == {("already-locked", LOCK)}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (tmp_path / "direct" / LOCK).unlink()
    with pytest.raises(UsageError, match="data_cutoff cannot be 'soon'"):
        lock(tmp_path / "direct", "soon")


def test_another_cutoff_needs_the_same_data(folder: Path, tmp_path: Path) -> None:
    edit(tmp_path / "sdtm" / "dm.csv", {"AGE": "99"}, USUBJID="SYN-001")
    assert codes(lock, folder, CUTOFF) == {("data-changed", "sdtm")}
    shutil.rmtree(tmp_path / "sdtm")
    with pytest.raises(UsageError, match=rf"data are not.*run endpoints --set data_cutoff={CUTOFF}"):
        lock(folder, CUTOFF)
    assert lock(folder).head["cutoff"] == "2023-07-31"


def test_results_that_were_changed_or_lost_are_not_locked(folder: Path, tmp_path: Path) -> None:
    edit(folder / "adtte.csv", {"AVAL": "1"}, USUBJID="SYN-001", PARAMCD="PFS")
    (folder / "safety.csv").unlink()
    assert codes(lock, folder) == {("file-changed", "adtte.csv"), ("file-missing", "safety.csv")}
    assert codes(lock, tmp_path) == {("no-endpoints", tmp_path.name)}
    (folder / INPUTS).write_text("{", "utf-8")
    assert {code for code, _ in codes(lock, folder)} == {"not-json"}


def test_another_lock_is_never_written_over(folder: Path, edited: Path, tmp_path: Path) -> None:
    first = lock(folder).path.read_bytes()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    data = read_source(edited.parent / "sdtm", STUDY)
    assert codes(write_endpoints, folder, analyse(data, for_study(data.study)), data) == {("already-locked", LOCK)}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    shutil.copytree(edited, folder, dirs_exist_ok=True)
    assert codes(lock, folder) == {("already-locked", LOCK)}
    assert (folder / LOCK).read_bytes() == first
    assert lock(folder, out=tmp_path / "second.json").path == tmp_path / "second.json"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda d: d["files"]["adtte.csv"]["lines"].__setitem__(1, "X"), ("lock-changed", "adtte.csv")),
        (lambda d: d.update(cutoff="2020-01-01"), ("lock-changed", LOCK)),
        (lambda d: d["conventions"].update(death_window_days=None), ("lock-changed", LOCK)),
        (lambda d: d.update(sha256="0" * 64), ("lock-changed", LOCK)),
        (lambda d: d.pop("files"), ("lock-changed", "files")),
        (lambda d: d["files"].update({"more.csv": 3}), ("lock-changed", "files")),
        (lambda d: d.pop("versions"), ("lock-changed", "versions")),
        (lambda d: d.update(lock=99), ("lock-version", "lock")),
        (lambda d: d.pop("lock"), ("no-lock", LOCK)),
    ],
)
def test_a_lock_that_is_not_as_it_was_made_is_refused(
    folder: Path, change: Callable[[dict[str, object]], object], found: tuple[str, str]
) -> None:
    path = lock(folder).path
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document), "utf-8")
    assert codes(read_lock, path) == {found}


def test_a_lock_by_its_folder_needs_the_files_as_they_were_locked_and_by_its_file_nothing(folder: Path, tmp_path: Path) -> None:
    made = lock(folder)
    (folder / "adsl.csv").write_text("", "utf-8")
    (folder / "adrs.csv").unlink()
    assert codes(read_lock, folder) == {("file-changed", "adsl.csv"), ("file-missing", "adrs.csv")}
    assert read_lock(made.path).digest == made.digest
    with pytest.raises(UsageError, match="there is no lock"):
        read_lock(tmp_path / "none.json")


def test_edited_records_are_found_with_the_cells_and_figures_behind_which_their_subjects_are(folder: Path, edited: Path) -> None:
    found = difference(lock(folder), lock(edited, out=folder / "edited.json"))
    assert {c.column for c in found.rests_on} == {"snapshot.sha256"}
    assert {subject for c in found.cells for subject in c.subjects} == {"SYN-001", "SYN-002", "SYN-003"}
    cells = {(c.file, *c.row, c.column): (c.before, c.after, c.subjects) for c in found.cells}
    assert cells["adtte.csv", "SYN-001", "PFS", "AVAL"][1:] == ("42", ("SYN-001",))
    assert cells["adrs.csv", "SYN-001", "OVR", "INVESTIGATOR", "", "WEEK 6", "AVALC"] == ("SD", "PD", ("SYN-001",))
    counts = {row[2:4]: told for row, told in cells.items() if row[0] == "safety.csv" and row[1] == "TOTAL" and row[-1] == "GRADE4"}
    assert {key: told[2] for key, told in counts.items()} == {
        (EVENT["AEBODSYS"], EVENT["AEDECOD"]): ("SYN-002",),
        (EVENT["AEBODSYS"], "*ANY*"): ("SYN-002",),
        ("*ANY*", "*ANY*"): ("SYN-002", "SYN-003"),
    }
    figures = {c.column: c.subjects for c in found.figures}
    assert {subjects for name, subjects in figures.items() if name.startswith("PFS.")} == {("SYN-001",)}
    assert not {name for name in figures if name.startswith(("OS.", "SAFETY."))}
    assert difference(lock(folder), lock(folder)).is_empty


def test_conventions_that_differ_are_named_and_move_no_data_digest(folder: Path, sdtm: Path, tmp_path: Path) -> None:
    found = difference(lock(folder), lock(derive(sdtm, tmp_path / "other", level="0.9", add_one=True)))
    assert {(c.column, c.before, c.after) for c in found.rests_on} == {
        ("conventions.level", "0.95", "0.9"), ("conventions.add_one", "false", "true"),
    }  # fmt: skip
    assert {c.column for c in found.cells if c.file == "adtte.csv"} == {"AVAL"}
