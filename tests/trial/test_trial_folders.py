"""Folders of FHIR as others leave them: every command reads the same files, names what it does not read, and ends."""

import gzip
import json
import os
from pathlib import Path

import pytest

from fhir_trial.errors import Findings, InputError
from fhir_trial.frames import run_view
from fhir_trial.sync.folder import write_folder
from fhir_trial.trial.folder_reading import is_fhir_folder, read_resources
from fhir_trial.validate import validate_files

VIEW = {"resource": "Patient", "select": [{"column": [{"name": "id", "path": "id"}]}]}


def patient(id_, **rest):
    return {"resourceType": "Patient", "id": id_} | rest


def text(*ids):
    return b"".join(json.dumps(patient(each)).encode() + b"\n" for each in ids)


def bundle(*resources):
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in resources]}).encode()


def put(path, data):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def read(folder):
    findings = Findings()
    return sorted(r["id"] for r in read_resources(folder, findings)), {(f.code, f.place, f.row) for f in findings}


FOLDERS = {
    "packed lines": ({"p.ndjson.gz": gzip.compress(text("a", "b"))}, "ab", set()),
    "a packed Bundle": ({"p.json.gz": gzip.compress(bundle(patient("a")))}, "a", set()),
    "packed under a plain name": ({"p.ndjson": gzip.compress(text("a"))}, "a", set()),
    "a broken pack": (
        {"p.ndjson.gz": gzip.compress(text(*"abcdefgh") * 9)[:-9], "q.ndjson": text("a")},
        "a",
        {("unreadable", "p.ndjson.gz", None)},
    ),
    "other endings": ({"a.JSONL": text("a"), "b.NDJSON": text("b"), "c.JSON": text("c")}, "abc", set()),
    "lines in a document": ({"a.json": text("a", "b")}, "ab", set()),
    "Bundles in lines": (
        {"a.ndjson": bundle(patient("a"), json.loads(bundle(patient("b"), None))) + b"\n" + text("c")},
        "abc",
        {("not-a-resource", "a.ndjson row 1 entry row 2 entry", 2)},
    ),
    "a bad line": (
        {"a.ndjson": text("a") + b"{bad\n[]\n" + text("b")},
        "ab",
        {("not-json", "a.ndjson", 2), ("not-a-resource", "a.ndjson", 3)},
    ),
    "a member twice": ({"a.ndjson": b'{"resourceType":"Patient","id":"x","id":"a"}\n'}, "a", {("repeated-key", "a.ndjson", 1)}),
    "a folder in it": ({"a.ndjson": text("a"), "in/b.ndjson": text("b")}, "a", {("passed-over", "in", None)}),
    "a folder without FHIR": ({"a.ndjson": text("a"), "in/b.txt": text("b")}, "a", set()),
    "hidden files": ({"a.ndjson": text("a"), "._a.ndjson": b"\0\5"}, "a", {("passed-over", "._a.ndjson", None)}),
    "spaces and letters": ({"Pati ent ü.ndjson": text("a")}, "a", set()),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_from_fhir_and_a_view_read_the_same_of_a_folder_and_name_the_rest(name, tmp_path):
    files, ids, told = FOLDERS[name]
    for file, data in files.items():
        put(tmp_path / file, data)
    assert is_fhir_folder(tmp_path)
    assert read(tmp_path) == (list(ids), told)
    findings = Findings()
    rows = run_view(VIEW, tmp_path, bad="skip", findings=findings).to_pylist()
    assert sorted(row["id"] for row in rows) == list(ids)
    named = {place for code, place, _ in told if code != "repeated-key" and " entry" not in place}
    assert {f.place for f in findings} == named


def test_validation_reads_them_too_with_the_folders_in_it(tmp_path):
    bad = json.dumps(patient("a", gender="f")).encode()
    put(tmp_path / "a.ndjson.gz", gzip.compress(text("b") + bad))
    put(tmp_path / "in" / "b.JSON", bad)
    put(tmp_path / "in" / "c.json", bad + b"\n" + text("d"))
    put(tmp_path / "d.jsonl", b'{"resourceType":"Patient","id":"a","id":"b"}\n')
    put(tmp_path / "e.ndjson.gz", gzip.compress(bad * 9)[:-9])
    (tmp_path / "in" / "again").symlink_to(tmp_path)
    (tmp_path / "gone.ndjson").symlink_to(tmp_path / "nowhere")
    told = [(Path(f.place.split(" ")[0]).name, f.row, f.code) for f in validate_files([tmp_path])]
    assert told == [
        ("a.ndjson.gz", 2, "unknown-code"),
        ("d.jsonl", 1, "repeated-key"),
        ("e.ndjson.gz", None, "unreadable"),
        ("gone.ndjson", None, "unreadable"),
        ("b.JSON", 1, "unknown-code"),
        ("c.json", 1, "unknown-code"),
    ]


def test_a_pipe_in_a_folder_is_named_and_not_waited_for(tmp_path):
    put(tmp_path / "a.ndjson", text("a"))
    os.mkfifo(tmp_path / "b.ndjson")
    assert read(tmp_path) == (["a"], {("passed-over", "b.ndjson", None)})
    assert run_view(VIEW, tmp_path).num_rows == 1
    assert list(validate_files([tmp_path])) == []


def test_a_pipe_that_is_asked_for_is_read_whole(tmp_path):
    reading, writing = os.pipe()
    os.write(writing, text("a", "b"))
    os.close(writing)
    try:
        assert run_view(VIEW, f"/dev/fd/{reading}").num_rows == 2
    finally:
        os.close(reading)


def test_a_reference_by_full_url_finds_a_resource_with_an_id_of_its_own(tmp_path):
    urn = "urn:uuid:11111111-1111-4111-8111-111111111111"
    observation = {"resourceType": "Observation", "id": "o", "subject": {"reference": urn}}
    entries = [{"fullUrl": urn, "resource": patient("p")}, {"fullUrl": "urn:uuid:2", "resource": observation}]
    put(tmp_path / "a.json", json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode())
    found = {r["id"]: r for r in read_resources(tmp_path, Findings())}
    assert found["o"]["subject"] == {"reference": "Patient/p"}


def test_beside_a_manifest_lines_are_named_and_not_read_and_changed_files_refused(tmp_path):
    write_folder(tmp_path, {"Patient": [patient("a")]}, "r4")
    put(tmp_path / "Other.ndjson", text("b"))
    put(tmp_path / "c.json", bundle(patient("c")))
    assert read(tmp_path) == (["a", "c"], {("passed-over", "Other.ndjson", None)})
    put(tmp_path / "Patient.ndjson", text("a", "x"))
    with pytest.raises(InputError):
        read(tmp_path)
