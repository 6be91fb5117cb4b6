"""A folder proves that it is whole, or says what is wrong with it."""

import errno
import stat

import pytest

from fhir_trial.errors import InputError, PartlyDone
from fhir_trial.sync.folder import MANIFEST, FolderWriter, read_folder, read_manifest, write_folder

ROWS = {"Patient": [{"resourceType": "Patient", "id": str(n)} for n in "ab"], "Observation": [{"resourceType": "Observation", "id": "o"}]}


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path, {**ROWS, "AdverseEvent": []}, "r4", study="S1")
    return tmp_path


def code_of(folder) -> str:
    with pytest.raises(InputError) as raised:
        list(read_folder(folder))
    return raised.value.findings[0].code


def test_what_is_written_is_read_and_counted(folder):
    assert list(read_folder(folder)) == [*ROWS["Observation"], *ROWS["Patient"]]
    manifest = read_manifest(folder)
    assert (manifest.fhir, manifest.study, manifest.schema, manifest.empty) == ("r4", "S1", 1, ("AdverseEvent",))
    assert [(f.type, f.name, f.count) for f in manifest.files] == [
        ("Observation", "Observation.ndjson", 1),
        ("Patient", "Patient.ndjson", 2),
    ]
    assert sorted(p.name for p in folder.iterdir()) == ["Observation.ndjson", "Patient.ndjson", MANIFEST]


def test_the_same_resources_are_the_same_bytes(folder, tmp_path):
    write_folder(tmp_path / "again", {**ROWS, "AdverseEvent": []}, "r4", study="S1")
    for path in folder.glob("*.*"):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_what_is_not_finished_leaves_the_folder_as_it_was(folder, tmp_path):
    with FolderWriter(folder) as writer:
        writer.take("Patient", [])
        writer.take("Patient", [{"resourceType": "Patient", "id": "other"}])
    assert list(read_folder(folder)) == [*ROWS["Observation"], *ROWS["Patient"]]
    assert not list(folder.glob("*.part"))
    with FolderWriter(tmp_path / "new") as writer:
        writer.take("Patient", ROWS["Patient"])
    assert list((tmp_path / "new").iterdir()) == []


def test_a_kill_among_the_renames_leaves_no_manifest(folder, monkeypatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with FolderWriter(folder) as writer:
        writer.take("Patient", ROWS["Patient"])
        monkeypatch.setattr("pathlib.Path.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            writer.finish("r4")
    assert read_manifest(folder) is None


def test_only_its_owner_reads_what_is_about_people(folder):
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.ndjson")} == {0o600}


def test_files_of_the_time_before_do_not_stay(folder):
    (folder / "notes.ndjson").write_text("")
    write_folder(folder, {"Patient": ROWS["Patient"]}, "r4")
    assert sorted(p.name for p in folder.iterdir()) == ["Patient.ndjson", MANIFEST, "notes.ndjson"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda f: (f / "Patient.ndjson").write_text('{"resourceType":"Patient","id":"a"}\n'), "incomplete-file"),
        (lambda f: (f / "Patient.ndjson").write_bytes((f / "Patient.ndjson").read_bytes().replace(b'"a"', b'"c"')), "incomplete-file"),
        (lambda f: (f / "Patient.ndjson").unlink(), "missing-file"),
        (lambda f: (f / "Patient.ndjson").write_text('{"resourceType":'), "not-json"),
        (lambda f: (f / "Patient.ndjson").write_text("[]"), "not-a-resource"),
        (lambda f: (f / MANIFEST).write_text("{}"), "not-a-manifest"),
        (lambda f: (f / MANIFEST).write_text("["), "not-a-manifest"),
        (lambda f: (f / MANIFEST).write_text('{"schema": 2, "fhir": "r4"}'), "later-manifest"),
        (
            lambda f: (f / MANIFEST).write_text(
                '{"schema":1,"fhir":"r4","files":[{"type":"Patient","name":"../x.ndjson","count":0,"sha256":""}]}'
            ),
            "strange-file-name",
        ),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(folder, change, code: str):
    change(folder)
    assert code_of(folder) == code


def test_an_empty_folder_is_named(tmp_path):
    assert code_of(tmp_path) == "nothing-to-read"


@pytest.mark.parametrize("name", ["../Patient", "patient", "Patient/../x", ""])
def test_a_type_that_is_none_never_becomes_a_file_name(tmp_path, name: str):
    with FolderWriter(tmp_path / "out") as writer, pytest.raises(InputError):
        writer.take(name, [{}])
    assert not list((tmp_path / "out").iterdir())


def test_a_full_disk_is_said_and_leaves_no_manifest(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with FolderWriter(tmp_path) as writer:
        writer.take("Patient", ROWS["Patient"])
        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(PartlyDone, match="No space left"):
            writer.finish("r4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["os.fsync", "msgspec.json.format"])
def test_a_disk_that_is_full_at_the_end_leaves_the_folder_as_it_was(folder, monkeypatch, where: str):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with FolderWriter(folder) as writer:
        writer.take("Patient", [{"resourceType": "Patient", "id": "other"}])
        monkeypatch.setattr(f"fhir_trial.sync.folder.{where}", full)
        with pytest.raises(PartlyDone, match="cannot be written"):
            writer.finish("r4")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_lines_are_read_past_a_byte_order_mark_blank_lines_and_returns(tmp_path):
    (tmp_path / "Patient.ndjson").write_bytes(b'\xef\xbb\xbf{"resourceType":"Patient","id":"a"}\r\n\r\n{"resourceType":"Patient","id":"b"}')
    assert list(read_folder(tmp_path)) == ROWS["Patient"]
