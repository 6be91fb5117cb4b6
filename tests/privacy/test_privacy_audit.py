"""The audit log: its chain, who may change it, and what a purge leaves of a folder."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from loop_runs import STUDY, small_cohort

from fhir_trial.cli.main import run
from fhir_trial.privacy.audit import AuditLog
from fhir_trial.store import Store


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    made = AuditLog.of_folder(tmp_path)
    for number in range(4):
        made.record("pull", server="https://example.org", resources=number)
    return made


def alter(log: AuditLog, *statements: str) -> None:
    """Change the file past its own refusal, as somebody with access to it could."""
    with closing(sqlite3.connect(log.path, isolation_level=None)) as db:
        for statement in ("DROP TRIGGER entry_is_kept", "DROP TRIGGER entry_stays", *statements):
            db.execute(statement)


def test_a_chain_that_nobody_touched_is_whole(log: AuditLog) -> None:
    assert log.verify() == []
    assert [entry.number for entry in log.entries()] == [1, 2, 3, 4]
    assert json.loads(log.entries()[2].details) == {"resources": 2, "server": "https://example.org"}


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ("UPDATE entry SET details = '{}' WHERE number = 2", {2}),
        ("UPDATE entry SET who = 'somebody' WHERE number = 4", {4}),
        ("UPDATE entry SET at = '2020-01-01' WHERE number = 1", {1}),
        ("DELETE FROM entry WHERE number = 2", {2, 3}),
        ("DELETE FROM entry WHERE number = 1", {1, 2, 3}),
    ],
)
def test_what_is_altered_breaks_it_there(log: AuditLog, change: str, rows: set[int]) -> None:
    alter(log, change)
    assert {finding.row for finding in log.verify()} == rows


def test_what_is_cut_off_is_missed_by_who_noted_the_head(log: AuditLog) -> None:
    head = log.entries()[-1].hash
    alter(log, "DELETE FROM entry WHERE number > 2")
    assert log.verify() == []
    assert [finding.code for finding in log.verify(head)] == ["head-missing"]


def test_a_head_that_was_noted_is_found_behind_later_entries(log: AuditLog) -> None:
    head = log.entries()[-1].hash
    log.record("pull")
    assert log.verify(head) == []


@pytest.mark.parametrize("statement", ["DELETE FROM entry", "UPDATE entry SET who = 'x'"])
def test_the_table_refuses_changes(log: AuditLog, statement: str) -> None:
    with closing(sqlite3.connect(log.path)) as db, pytest.raises(sqlite3.IntegrityError, match="kept"):
        db.execute(statement)


def test_a_deed_that_fails_is_written_down(log: AuditLog) -> None:
    def fail() -> None:
        with log.doing("sync", server="s") as counts:
            counts["created"] = 3
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    begun, failed = log.entries()[-2:]
    assert (begun.what, failed.what) == ("sync begun", "sync failed")
    assert json.loads(failed.details) == {"created": 3, "error": "ValueError", "server": "s"}


def test_several_processes_make_one_chain(tmp_path: Path) -> None:
    program = (
        "import sys; from fhir_trial.privacy.audit import AuditLog; [AuditLog.of_folder(sys.argv[1]).record('pull') for _ in range(10)]"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert len(AuditLog.of_folder(tmp_path).entries()) == 20
    assert AuditLog.of_folder(tmp_path).verify() == []


@pytest.mark.skipif(os.name != "posix", reason="modes of files are of POSIX systems")
def test_only_its_owner_reads_it(log: AuditLog) -> None:
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_the_command_verifies(log: AuditLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "verify", str(tmp_path)]) == 0
    assert f"head: {log.entries()[-1].hash}" in capsys.readouterr().out
    assert run(["audit", "verify", str(tmp_path), "--head", "0" * 63 + "1"]) == 1
    alter(log, "UPDATE entry SET who = 'x' WHERE number = 2")
    assert run(["audit", "verify", str(log.path), "--json"]) == 1
    assert run(["audit", "verify", str(tmp_path / "nowhere")]) == 2


def test_a_purge_removes_what_we_stored_keeps_the_log_and_leaves_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    assert run(["to-fhir", str(small_cohort(tmp_path / "sdtm")), "--study", STUDY, "--out", str(folder)]) == 0
    Store(folder / "store.sqlite").close()
    sqlite3.connect(folder / "mine.sqlite").close()
    (folder / "notes.txt").write_text("mine", "utf-8")
    (folder / "Extra.ndjson").write_text("{}\n", "utf-8")
    before = {path.name for path in folder.rglob("*")}
    assert run(["purge", str(folder)]) == 0
    assert {path.name for path in folder.rglob("*")} == before, "without --apply nothing goes"
    assert run(["purge", str(folder), "--apply"]) == 0
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert left == {"notes.txt", "mine.sqlite", "Extra.ndjson", ".fhir-trial/audit.sqlite"}
    assert [entry.what for entry in AuditLog.of_folder(folder).entries()] == ["purge begun", "purge done"]
    assert "left, since it is not ours: notes.txt" in capsys.readouterr().err


@pytest.mark.parametrize("begun", [False, True])
def test_a_log_whose_making_was_cut_short_is_empty_and_goes_on(tmp_path: Path, begun: bool) -> None:
    """A process may be killed before the table is there: the file is empty, or a database without a table."""
    log = AuditLog(tmp_path / "audit.sqlite")
    log.path.touch()
    if begun:
        with closing(sqlite3.connect(log.path, isolation_level=None)) as db:
            db.execute("CREATE TABLE t (x)")
            db.execute("DROP TABLE t")
    before = log.path.read_bytes()
    assert (log.entries(), log.verify(), log.path.read_bytes()) == ([], [], before)
    log.record("pull", resources=1)
    assert [entry.number for entry in log.entries()] == [1]
