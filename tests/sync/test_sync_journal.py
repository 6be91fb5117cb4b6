"""The journal: private, locked, migrated, and honest about what was never answered."""

import sqlite3
import stat
import subprocess
import sys
import textwrap

import pytest

from fhir_trial.errors import ConfigurationError, PartlyDone, of_database
from fhir_trial.sync.journal import STEPS, Journal
from fhir_trial.sync.merge import Base
from fhir_trial.sync.synced import Synced


def test_a_second_sync_of_the_same_folder_refuses(tmp_path):
    with Journal.of_folder(tmp_path), pytest.raises(ConfigurationError, match="another sync of it is running") as refused:
        Journal.of_folder(tmp_path)
    assert refused.value.exit_code == 3
    Journal.of_folder(tmp_path).close()


def test_a_second_process_refuses_and_a_killed_one_lets_go(tmp_path):
    script = textwrap.dedent(f"""
        from fhir_trial.sync.journal import Journal
        journal = Journal.of_folder({str(tmp_path)!r})
        journal.begin("s", {{"Patient/a": "1"}})
        print("open", flush=True)
        input()
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "open\n"
        with pytest.raises(ConfigurationError):
            Journal.of_folder(tmp_path)
        process.kill()
    with Journal.of_folder(tmp_path) as journal:
        assert [sent.places for sent in journal.unanswered("s")] == [("Patient/a",)]


def test_what_was_answered_is_closed_and_what_was_not_stays(tmp_path):
    with Journal(tmp_path / "j.sqlite") as journal:
        first, second = journal.begin("s", {"Patient/a": "1", "Patient/b": None}), journal.begin("s", {"Patient/c": "3"})
        journal.begin("other", {"Patient/d": "4"})
        journal.close_request(first, "done", 200)
    with Journal(tmp_path / "j.sqlite") as journal:
        assert [(sent.number, sent.places) for sent in journal.unanswered("s")] == [(second, ("Patient/c",))]


def test_what_is_synced_is_kept_by_server_and_forgotten_when_gone():
    with Journal(":memory:") as journal:
        journal.remember("s", {"Patient/a": Synced(("1",)), "Patient/b": Synced(("2",))})
        journal.remember("t", {"Patient/a": Synced(("9",))})
        journal.remember("s", {"Patient/a": Synced(("3",))}, gone=["Patient/b"])
        assert journal.synced("s") == {"Patient/a": Synced(("3",))}
        assert journal.synced("t") == {"Patient/a": Synced(("9",))}


def test_what_was_sent_is_ours_until_the_place_is_settled():
    with Journal(":memory:") as journal:
        journal.remember("s", {"Patient/a": Synced(("1",))})
        journal.begin("s", {"Patient/a": "2", "Patient/b": "5", "Patient/c": None})
        journal.begin("s", {"Patient/a": "2"})
        assert journal.synced("s") == {"Patient/a": Synced(("1", "2")), "Patient/b": Synced(("5",))}
        journal.remember("s", {"Patient/a": Synced(("2",))}, gone=["Patient/b"])
        assert journal.synced("s") == {"Patient/a": Synced(("2",))}


def test_what_is_synced_is_read_a_part_at_a_time_while_it_is_written():
    places = [f"Patient/{number:04}" for number in range(2_500)]
    with Journal(":memory:") as journal:
        journal.remember("s", {place: Synced(("1",)) for place in places[::2]})
        journal.begin("s", dict.fromkeys(places[1::2], "2"))
        seen = []
        for place in journal.synced("s"):
            journal.remember("s", {place: Synced(("3",))})
            seen.append(place)
        assert seen == places
        assert len(journal.synced("s")) == 2_500


def test_the_file_is_private(tmp_path):
    Journal.of_folder(tmp_path).close()
    assert stat.S_IMODE((tmp_path / ".fhir-trial" / "journal.sqlite").stat().st_mode) == 0o600


def test_a_later_schema_is_refused(tmp_path):
    Journal(tmp_path / "j.sqlite").close()
    with sqlite3.connect(tmp_path / "j.sqlite") as db:
        db.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    db.close()
    with pytest.raises(ConfigurationError, match="later fhir-trial"):
        Journal(tmp_path / "j.sqlite")


def test_what_is_no_journal_is_refused(tmp_path):
    (tmp_path / "j.sqlite").write_bytes(b"not a database, but long enough to be read as one" * 100)
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        Journal(tmp_path / "j.sqlite")


def test_a_full_disk_ends_the_run_before_anything_is_sent(tmp_path):
    with Journal(tmp_path / "j.sqlite") as journal:
        journal._db.execute("PRAGMA max_page_count = 6")
        with pytest.raises(PartlyDone, match="cannot be written"):
            journal.begin("s", {f"Patient/{n}": "1" for n in range(100_000)})
        journal._db.execute("PRAGMA max_page_count = 100000")
        assert journal.unanswered("s") == []


@pytest.mark.parametrize("version", range(len(STEPS)))
def test_a_journal_of_each_earlier_schema_is_taken_over(tmp_path, version: int):
    path = tmp_path / "j.sqlite"
    with sqlite3.connect(path) as db:
        for step in STEPS[:version]:
            db.executescript(step)
        db.execute(f"PRAGMA user_version = {version}")
        if version:
            db.execute("INSERT INTO synced (server, place, digest) VALUES ('s', 'Patient/a', '1')")
            db.execute("INSERT INTO request (server, places) VALUES ('s', 'Patient/b')")
    db.close()
    with Journal(path) as journal:
        assert journal.synced("s") == ({"Patient/a": Synced(("1",))} if version else {})
        assert [sent.places for sent in journal.unanswered("s")] == ([("Patient/b",)] if version else [])
        journal.remember("s", {"Patient/c": Synced(("3",), "4", Base({"status": b"x"}, {"status": b"y"}), "Patient/9")})
    with Journal(path) as journal:
        assert journal.synced("s")["Patient/c"] == Synced(("3",), "4", Base({"status": b"x"}, {"status": b"y"}), "Patient/9")


def test_a_migration_that_breaks_off_is_begun_anew(tmp_path, monkeypatch):
    path = tmp_path / "j.sqlite"
    monkeypatch.setattr("fhir_trial.sync.journal.STEPS", STEPS[:1])
    Journal(path).close()
    monkeypatch.setattr(
        "fhir_trial.sync.journal.STEPS", (*STEPS, "ALTER TABLE synced ADD COLUMN one TEXT; ALTER TABLE nowhere ADD x TEXT;")
    )
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        Journal(path)
    monkeypatch.setattr("fhir_trial.sync.journal.STEPS", STEPS)
    Journal(path).close()


def test_a_full_disk_is_no_matter_of_configuration():
    db = sqlite3.connect(":memory:")
    db.execute("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError) as full:
        db.execute("CREATE TABLE t (a)")
    assert isinstance(of_database("journal", "it cannot be opened", full.value), PartlyDone)
    with pytest.raises(sqlite3.OperationalError) as wrong:
        db.execute("no SQL")
    assert isinstance(of_database("journal", "it cannot be opened", wrong.value), ConfigurationError)
    db.close()
