"""Every kind of source, and every kind of damage: each has one clear outcome, named by file, line and reason."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from fhir_trial.errors import Finding, Findings, InputError, UsageError
from fhir_trial.frames import ViewError, run_view

VIEW = {
    "resource": "Patient",
    "select": [
        {"column": [{"name": "id", "path": "id"}, {"name": "born", "path": "birthDate"}, {"name": "family", "path": "name.first().family"}]}
    ],
}
ONE = '{"resourceType":"Patient","id":"p1","birthDate":"1950-02"}'
TWO = '{"resourceType":"Patient","id":"p2","name":[{"family":"Doe"}]}'
OTHER = '{"resourceType":"Device","id":"d1"}'
BUNDLE = f'{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{ONE}}},{{"resource":{OTHER}}},{{"resource":{TWO}}}]}}'
BOTH = ["p1", "p2"]


def ids(source: Any, **options: Any) -> list[Any]:
    found: list[Any] = run_view(VIEW, source, **options).column("id").to_pylist()
    return found


def skipping(source: Any) -> tuple[list[Any], list[tuple[str, str, int | None]]]:
    """What is read of a damaged source, and what is said: code, place and line."""
    findings = Findings()
    read = ids(source, bad="skip", findings=findings)
    return read, [(finding.code, finding.place, finding.row) for finding in findings]


# --- kinds of source -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"{ONE}\n{TWO}\n",
        f"{ONE}\n{OTHER}\n{TWO}",
        f"\n\n{ONE}\n   \n{TWO}\n\n",
        f"{ONE}\r\n{TWO}\r\n",
        f"\ufeff{ONE}\n{TWO}",
        BUNDLE,
        f"\ufeff{BUNDLE}\r\n",
        json.dumps(json.loads(BUNDLE), indent=2),
        f"{BUNDLE}\n{OTHER}",
    ],
    ids=["lines", "other types", "blank lines", "crlf", "bom", "bundle", "bundle with bom", "pretty bundle", "a bundle as a line"],
)
def test_bytes(text: str) -> None:
    assert ids(text.encode()) == BOTH


@pytest.mark.parametrize("text", ["", "\n", "  \r\n", "\ufeff", '{"resourceType":"Bundle","type":"searchset","total":0}', OTHER])
def test_nothing_gives_an_empty_table_with_all_its_columns(text: str) -> None:
    table = run_view(VIEW, text.encode())
    assert table.num_rows == 0
    assert table.schema == run_view(VIEW, ONE.encode()).schema


@pytest.mark.parametrize("bundle", [{"resourceType": "Bundle", "type": "searchset"}, {"resourceType": "Bundle", "entry": []}, []])
def test_an_empty_bundle_is_an_empty_table(bundle: Any) -> None:
    assert run_view(VIEW, bundle).num_rows == 0


def test_decoded_sources() -> None:
    one, two, bundle = json.loads(ONE), json.loads(TWO), json.loads(BUNDLE)
    assert ids(one) == ["p1"]
    assert ids(bundle) == BOTH
    assert ids([one, two]) == BOTH
    assert ids(each for each in (one, two)) == BOTH
    assert ids([bundle, TWO.encode()]) == [*BOTH, "p2"]
    assert ids({"resourceType": "Bundle", "entry": [{}, {"resource": None}, {"resource": one}]}) == ["p1"]


def test_files_folders_globs_and_gzip(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text(f"{ONE}\n{OTHER}\n")
    (tmp_path / "b.ndjson.gz").write_bytes(gzip.compress(f"{TWO}\n".encode()))
    (tmp_path / "c.json").write_text(BUNDLE.replace("p1", "p3").replace("p2", "p4"))
    (tmp_path / "manifest.json").write_text('{"files": 3}')
    (tmp_path / "notes.txt").write_text("not read")
    assert ids(tmp_path / "a.ndjson") == ["p1"]
    assert ids(str(tmp_path / "*.ndjson*")) == BOTH
    assert ids([tmp_path / "b.ndjson.gz", tmp_path / "a.ndjson"]) == ["p2", "p1"]
    findings = Findings()
    assert ids(tmp_path, findings=findings) == ["p1", "p2", "p3", "p4"]
    assert [(finding.code, finding.place, finding.severity) for finding in findings] == [("passed-over", "manifest.json", "information")]


def test_a_file_without_a_known_ending_is_known_by_its_content(tmp_path: Path) -> None:
    for text in (f"{ONE}\n{TWO}", BUNDLE):
        (tmp_path / "export").write_text(text)
        assert ids(tmp_path / "export") == BOTH


def test_a_chunk_ends_with_a_line_however_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_trial.fhir.ndjson.CHUNK_BYTES", 50)
    (tmp_path / "a.ndjson").write_text("\n".join(f'{{"resourceType":"Patient","id":"p{i}"}}' for i in range(200)) + '\n{"bad')
    read, said = skipping(tmp_path / "a.ndjson")
    assert read == [f"p{i}" for i in range(200)]
    assert said == [("truncated", "a.ndjson", 201)]


@pytest.mark.parametrize("source", ["nowhere.ndjson", Path("/nowhere/at/all"), 5, None])
def test_no_source(source: Any) -> None:
    with pytest.raises(UsageError):
        run_view(VIEW, source)


def test_several_pathless_items_are_named() -> None:
    said = [("unreadable", "resources item 2", None), ("not-a-resource", "resources", 3)]
    assert skipping([json.loads(ONE), 7, {"id": "x"}]) == (["p1"], said)


# --- damage ----------------------------------------------------------------------------------------------------------------------------

DEEP = '{"resourceType":"Patient","id":"deep","extension":' + '[{"extension":' * 3000 + "[]" + "}]" * 3000 + "}"
DAMAGED = [
    ("truncated", '{"resourceType":"Patient","id":"p'),
    ("not-json", "not json"),
    ("not-json", '{"resourceType":"Patient","id":"p9",}'),
    ("not-a-resource", '{"id":"p9"}'),
    ("not-a-resource", "[1, 2]"),
    ("not-a-resource", "null"),
    ("unexpected-shape", '{"resourceType":"Patient","id":7}'),
    ("unexpected-shape", '{"resourceType":"Patient","name":"Doe"}'),
]


@pytest.mark.parametrize(("code", "line"), DAMAGED)
def test_a_damaged_line_is_named_and_the_others_are_read(code: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "Patient.ndjson").write_text(f"{ONE}\n\n{line}\n{TWO}\n")
    assert skipping(tmp_path / "Patient.ndjson") == (BOTH, [(code, "Patient.ndjson", 3)])
    with pytest.raises(InputError, match=r"Patient.ndjson row 3[:,] ") as caught:
        ids(tmp_path / "Patient.ndjson")
    assert [finding.code for finding in caught.value.findings] == [code]
    assert "Doe" not in str(caught.value)


def test_a_truncated_last_line_is_said() -> None:
    assert skipping(f"{ONE}\n{TWO}\n{ONE[:20]}".encode()) == (BOTH, [("truncated", "bytes", 3)])


def test_all_damage_is_reported_together() -> None:
    text = "\n".join(line for _, line in DAMAGED)
    with pytest.raises(InputError) as caught:
        ids(f"{ONE}\n{text}".encode())
    assert [(finding.code, finding.row) for finding in caught.value.findings] == [(code, i) for i, (code, _) in enumerate(DAMAGED, 2)]


def test_wrong_encoding_and_deep_nesting_are_named() -> None:
    latin = '{"resourceType":"Patient","id":"p9","birthDate":"Ä"}'.encode("latin-1")
    assert skipping(b"\n".join([ONE.encode(), latin, TWO.encode()])) == (BOTH, [("not-utf-8", "bytes", 2)])
    read, said = skipping("\n".join([ONE, DEEP, TWO]).encode())
    assert [each for each in read if each != "deep"] == BOTH
    assert said in ([], [("json-too-deep", "bytes", 2)])


def test_a_bundle_names_the_entry() -> None:
    damaged = BUNDLE.replace('"birthDate":"1950-02"', '"birthDate":1950')
    assert skipping(damaged.encode()) == (["p2"], [("unexpected-shape", "bytes entry", 1)])
    assert skipping(f"{damaged}\n{ONE}".encode()) == (["p1", "p2"], [("unexpected-shape", "bytes row 1 entry", 1)])
    assert skipping(b'{"resourceType":"Bundle","entry":{}}') == ([], [("unexpected-shape", "bytes", None)])


def test_a_damaged_gzip_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(f"{ONE}\n{TWO}".encode())[:-12])
    (tmp_path / "b.ndjson.gz").write_bytes(b"no gzip")
    (tmp_path / "c.ndjson").write_text(TWO)
    read, said = skipping(tmp_path)
    assert read[-1:] == ["p2"]
    assert said == [("unreadable", "a.ndjson.gz", None), ("not-json", "b.ndjson.gz", 1)]


def test_null_entries_and_primitive_extensions() -> None:
    view = {
        "resource": "Patient",
        "select": [
            {
                "column": [
                    {"name": "given", "path": "name.given", "collection": True},
                    {"name": "first", "path": "name.first().given.first()"},
                    {"name": "count", "path": "name.given.count()"},
                    {"name": "born", "path": "birthDate"},
                    {"name": "has_born", "path": "birthDate.exists()"},
                    {"name": "time", "path": "birthDate.extension('http://e.org/t').value.ofType(time)"},
                ]
            }
        ],
    }
    resource = {
        "resourceType": "Patient",
        "name": [None, {"given": [None, "Ann"], "_given": [{"extension": [{"url": "http://e.org/x", "valueCode": "masked"}]}, None]}],
        "_birthDate": {"extension": [{"url": "http://e.org/t", "valueTime": "04:05:06"}]},
    }
    expected = {"given": ["Ann"], "first": None, "count": 2, "born": None, "has_born": True, "time": "04:05:06"}
    for source in (resource, json.dumps(resource).encode()):
        assert run_view(view, source).to_pylist() == [expected]


def test_huge_texts_and_odd_members_are_kept() -> None:
    long = "ä" * 5_000_000
    resource = {"resourceType": "Patient", "id": "p1", "birthDate": long, "unknownMember": {"class": [1, None]}}
    assert run_view(VIEW, json.dumps(resource).encode()).column("born").to_pylist() == [long]


def test_a_resource_of_another_version_gives_what_its_version_has_in_common() -> None:
    """R5 calls R4's `individual` `subject`: what R4 lacks is not read, what is absent is null, and a shape that differs is named."""
    r5 = {"resourceType": "ResearchSubject", "id": "s1", "status": "active", "subject": {"reference": "Patient/p1"}}
    view = {
        "resource": "ResearchSubject",
        "select": [{"column": [{"name": "id", "path": "id"}, {"name": "who", "path": "individual.reference"}]}],
    }
    for source in (r5, [r5, r5], json.dumps(r5).encode(), f"{json.dumps(r5)}\n{json.dumps(r5)}".encode()):
        findings = Findings()
        assert run_view(view, source, findings=findings).to_pylist()[0] == {"id": "s1", "who": None}
        assert [(finding.code, finding.field, finding.severity) for finding in findings] == [("unknown-elements", "subject", "warning")]
    with pytest.raises(ViewError, match="ResearchSubject has no element individual"):
        run_view(view, r5, "r5")
    other_shape = {"resourceType": "ResearchSubject", "id": "s2", "individual": [{"reference": "Patient/p1"}]}
    with pytest.raises(InputError, match="unexpected shape"):
        run_view(view, json.dumps(other_shape).encode())


def test_several_values_for_a_cell_name_the_column_and_the_line() -> None:
    view = {"resource": "Patient", "select": [{"column": [{"name": "id", "path": "id"}, {"name": "family", "path": "name.family"}]}]}
    text = ONE + '\n{"resourceType":"Patient","id":"p3","name":[{"family":"A"},{"family":"B"}]}\n' + TWO
    findings = Findings()
    assert run_view(view, text.encode(), bad="skip", findings=findings).column("id").to_pylist() == BOTH
    (finding,) = findings
    assert finding == Finding("unanswerable", "bytes", 2, expected="column family: several values, and collection is not true")


def test_bad_is_raise_or_skip() -> None:
    with pytest.raises(UsageError, match="raise, skip"):
        run_view(VIEW, ONE.encode(), bad="ignore")  # type: ignore[arg-type]


def test_a_resource_that_fails_midway_leaves_no_rows_behind() -> None:
    view = {"resource": "Patient", "select": [{"forEach": "contact", "column": [{"name": "c", "path": "telecom.value"}]}]}
    contacts = [{"telecom": [{"value": "1"}]}, {"telecom": [{"value": "2"}, {"value": "3"}]}]
    findings = Findings()
    bad, good = ({"resourceType": "Patient", "contact": each} for each in (contacts, contacts[:1]))
    assert run_view(view, [bad, good], bad="skip", findings=findings).to_pylist() == [{"c": "1"}]
    assert [(finding.code, finding.row) for finding in findings] == [("unanswerable", 1)]


def test_first_is_the_first_and_no_other() -> None:
    resource = {"resourceType": "Patient", "name": [{"family": "A"}, {"family": "B"}]}
    assert run_view(VIEW, resource).column("family").to_pylist() == ["A"]
