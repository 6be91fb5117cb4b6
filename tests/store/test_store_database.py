import os
import sqlite3
import threading
from typing import Any

import pytest

from fhir_trial.errors import ConfigurationError, FhirTrialError
from fhir_trial.fhir import json
from fhir_trial.fhir.http import Request, Response
from fhir_trial.fhir.shapes import shapes
from fhir_trial.store import Store, handle
from fhir_trial.store.database import parameter_key
from fhir_trial.store.schema import MIGRATIONS


def put(store: Store, identity: str, **members: Any) -> Response:
    body = json.encode({"resourceType": "Patient", "id": identity, **members})
    return handle(store, Request("PUT", f"Patient/{identity}", {}, body))


def total(store: Store, url: str = "Patient") -> int:
    found: int = handle(store, Request("GET", url)).json()["total"]
    return found


def test_rows_survive_a_restart(tmp_path):
    first = Store(tmp_path / "store.db")
    put(first, "p1", gender="female")
    put(first, "p1", gender="male")
    page = handle(first, Request("GET", "_history?_count=1")).json()["link"][1]["url"]
    first.close()
    second = Store(tmp_path / "store.db")
    assert handle(second, Request("GET", "Patient/p1")).header("ETag") == 'W/"2"'
    assert total(second, "Patient?gender=male") == 1
    assert len(handle(second, Request("GET", page)).json()["entry"]) == 1
    second.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such file modes")
def test_the_file_is_its_owners_alone(tmp_path):
    store = Store(tmp_path / "store.db")
    put(store, "p1")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    store.close()


def test_a_database_is_of_one_version(tmp_path):
    Store(tmp_path / "store.db", "r5").close()
    with pytest.raises(ConfigurationError, match="holds FHIR r5"):
        Store(tmp_path / "store.db", "r4")


def test_a_database_of_a_newer_program_is_left_alone(tmp_path):
    Store(tmp_path / "store.db").close()
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(ConfigurationError, match="use a newer"):
        Store(tmp_path / "store.db")


def test_a_step_that_fails_leaves_the_old_schema(tmp_path, monkeypatch):
    Store(tmp_path / "store.db").close()
    monkeypatch.setattr("fhir_trial.store.schema.MIGRATIONS", (*MIGRATIONS, "CREATE TABLE more (x);\nCREATE TABLE more (x);\n"))
    with pytest.raises(sqlite3.OperationalError):
        Store(tmp_path / "store.db")
    monkeypatch.undo()
    Store(tmp_path / "store.db").close()


@pytest.mark.parametrize("content", [None, b"not a database, and long enough to be seen as none" * 50])
def test_what_is_no_database_is_said(tmp_path, content):
    path = tmp_path / "store.db"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(FhirTrialError):
        Store(path)


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_many_threads_write_and_read_and_nothing_is_lost(tmp_path, kind):
    store = Store(tmp_path / "store.db" if kind == "file" else ":memory:")
    answers: list[int] = []

    def work(worker: int) -> None:
        for number in range(10):
            answers.append(put(store, f"p-{worker}-{number}").status)
            answers.append(put(store, "shared", active=bool((worker + number) % 2)).status)
            answers.append(handle(store, Request("GET", "Patient?_count=1000")).status)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status in answers} == {200, 201}
    assert total(store) == 61
    versions = [
        e["resource"]["meta"]["versionId"] for e in handle(store, Request("GET", "Patient/shared/_history?_count=1000")).json()["entry"]
    ]
    assert versions == [str(number) for number in range(len(versions), 0, -1)]
    store.close()


def test_a_reader_sees_no_part_of_a_transaction(tmp_path):
    store = Store(tmp_path / "store.db")
    with store.writing() as connection:
        connection.execute("INSERT INTO versions (type, id, version, updated, ended, method) VALUES ('Patient', 'x', 1, 0, 99, 'PUT')")
        seen: list[int] = []
        thread = threading.Thread(target=lambda: seen.append(total(store)))
        thread.start()
        thread.join()
    assert seen == [0]
    assert total(store) == 1
    store.close()


def test_another_program_that_writes_is_waited_for_and_then_named(tmp_path, monkeypatch):
    store = Store(tmp_path / "store.db")
    store._writer.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = put(store, "p1")
    assert (answer.status, answer.header("Retry-After")) == (503, "1")
    other.execute("ROLLBACK")
    other.close()
    assert put(store, "p1").status == 201
    store.close()


def test_a_full_disk_refuses_and_keeps_what_was_there(tmp_path):
    store = Store(tmp_path / "store.db")
    put(store, "p1")
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count = {pages}")
    statuses = {put(store, f"q{number}", name=[{"text": "x" * 5000}]).status for number in range(20)}
    assert 507 in statuses
    store._writer.execute("PRAGMA max_page_count = 1000000")
    assert put(store, "p2").status == 201
    assert handle(store, Request("GET", "Patient/p1")).status == 200
    store.close()


def test_without_validation_what_is_sent_is_kept():
    store = Store(":memory:", validate=None)
    assert put(store, "p1", bogus=1).status == 201
    store.close()


@pytest.mark.parametrize("fhir", ["r4", "r5"])
def test_no_two_search_parameters_share_a_key(fhir):
    shape = shapes(fhir)
    names = [(kind, name + tail) for kind in shape.resource_types for name in shape.search_parameters(kind) for tail in ("", ":identifier")]
    keys = {parameter_key(*name) for name in names}
    assert len(keys) == len(names)
    assert 0 not in keys
