from pathlib import Path

import pytest

from fhir_trial.errors import UsageError
from fhir_trial.validate import validate_files
from fhir_trial.validate.lines import line_of

BUNDLE = """{
  "resourceType": "Bundle",
  "type": "collection",
  "entry": [
    {"resource": {"resourceType": "Patient", "id": "a", "active": true}},
    {"resource": {
      "resourceType": "Patient",
      "id": "b",
      "name": [{"text": "a \\"}] b"}],
      "gender": "f"
    }}
  ]
}"""


def rows(*paths: Path) -> list[tuple[str, int | None, str | None, str]]:
    return [(f.place, f.row, f.field, f.code) for f in validate_files(paths)]


def test_a_bundle_names_the_line_and_the_resource(tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    file.write_text(BUNDLE)
    assert rows(file) == [(f"{file} Patient/b", 10, "Patient.gender", "unknown-code")]


def test_ndjson_is_checked_line_by_line_and_a_bad_line_stops_nothing(tmp_path: Path) -> None:
    file = tmp_path / "p.ndjson"
    file.write_bytes(b'{"resourceType":"Patient","id":"a"}\n\n{"resourceType":\n{"resourceType":"Patient","id":"c","gender":"f"}\n"\xff"\n')
    assert rows(file) == [
        (str(file), 3, None, "not-json"),
        (f"{file} Patient/c", 4, "Patient.gender", "unknown-code"),
        (str(file), 5, None, "not-utf-8"),
    ]


def test_a_byte_order_mark_and_blank_lines_are_no_findings(tmp_path: Path) -> None:
    text = b'\xef\xbb\xbf{"resourceType":"Patient","id":"a"}\r\n'
    (tmp_path / "p.ndjson").write_bytes(text + b" \r\n" + text[3:].replace(b'"a"', b'"b","gender":"f"'))
    (tmp_path / "p.json").write_bytes(text)
    assert rows(tmp_path) == [(f"{tmp_path / 'p.ndjson'} Patient/b", 3, "Patient.gender", "unknown-code")]


def test_folders_are_walked_and_an_empty_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "empty.json").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not FHIR")
    assert rows(tmp_path) == [(str(tmp_path / "inner" / "empty.json"), 1, None, "not-json")]


def test_a_file_of_another_kind_or_none_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<Patient/>")
    with pytest.raises(UsageError, match=r"\.json or \.ndjson"):
        rows(tmp_path / "a.xml")
    with pytest.raises(UsageError, match="no such file"):
        rows(tmp_path / "absent.json")
    with pytest.raises(UsageError, match="no file ends in"):
        rows(tmp_path)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 0),
        (("type",), 2),
        (("entry", 0), 4),
        (("entry", 1, "resource", "name", 0, "text"), 8),
        (("entry", 1, "resource", "absent"), 5),
        (("entry", 7), 3),
    ],
)
def test_lines(path: tuple[str | int, ...], line: int) -> None:
    assert line_of(BUNDLE.encode(), path) == line


@pytest.mark.parametrize(
    ("data", "found"),
    [(b"garbage", "7 bytes from 'g' on"), (b"", "nothing"), (b"\x89PNG\r\n" + b"x" * 1993, "1,999 bytes from '\ufffd' on")],
)
def test_what_is_no_json_is_told_by_its_length_and_first_character(tmp_path: Path, data: bytes, found: str) -> None:
    (tmp_path / "a.json").write_bytes(data)
    (finding,) = validate_files([tmp_path / "a.json"])
    assert (finding.code, finding.found) == ("not-json", found)
    assert found not in repr(finding)
