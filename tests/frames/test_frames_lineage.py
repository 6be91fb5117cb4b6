"""Each row's resource, its version and where it stood, when asked for."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from fhir_trial.errors import Findings
from fhir_trial.fhir.json import encode
from fhir_trial.frames import run_view
from fhir_trial.frames.lineage import LINEAGE

FAMILIES = {"forEachOrNull": "name", "column": [{"name": "family", "path": "family"}]}
VIEW = {"resource": "Patient", "select": [{"column": [{"name": "born", "path": "birthDate"}]}, FAMILIES]}


def patient(identity: str, version: str | None, *families: str) -> dict[str, Any]:
    resource: dict[str, Any] = {"resourceType": "Patient", "id": identity, "name": [{"family": f} for f in families]}
    return resource | ({"meta": {"versionId": version}} if version else {})


PATIENTS = [patient("a", "3", "Berg", "Dal"), patient("b", None), patient("c", "1", "Lund")]
PLACES = [("a", "3", 1), ("a", "3", 1), ("b", None, 2), ("c", "1", 4)]


def lineage_rows(source: Any, **options: Any) -> list[tuple[Any, ...]]:
    table = run_view(VIEW, source, lineage=True, **options)
    assert table.column_names == [*LINEAGE, "born", "family"]
    return [tuple(row[name] for name in LINEAGE) for row in table.to_pylist()]


@pytest.mark.parametrize("suffix", [".ndjson", ".ndjson.gz"])
def test_a_row_names_its_file_and_line_blank_ones_counted(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"Patient{suffix}"
    lines = [encode(PATIENTS[0]), encode(PATIENTS[1]), b"  ", encode(PATIENTS[2])]
    text = b"\xef\xbb\xbf" + b"\r\n".join(lines)
    path.write_bytes(gzip.compress(text) if suffix.endswith("gz") else text)
    assert lineage_rows(path) == [(i, v, path.name, line) for i, v, line in PLACES]


def test_a_row_below_a_bad_line_names_its_own(tmp_path: Path) -> None:
    path = tmp_path / "Patient.ndjson"
    path.write_bytes(b"\n".join([encode(PATIENTS[0]), encode(PATIENTS[1]), b'{"resourceType": "Pat', encode(PATIENTS[2])]))
    findings = Findings()
    assert lineage_rows(path, bad="skip", findings=findings) == [(i, v, path.name, line) for i, v, line in PLACES]
    assert [(f.place, f.row) for f in findings] == [(path.name, 3)]


def test_a_row_from_a_resource_that_fails_half_way_leaves_no_place_behind() -> None:
    one_name = {"resource": "Patient", "select": [{"column": [{"name": "family", "path": "name.family"}, {"name": "id_", "path": "id"}]}]}
    findings = Findings()
    table = run_view(one_name, [*PATIENTS, patient("d", "9", "Vik")], bad="skip", findings=findings, lineage=True)
    assert [(row["_resource_id"], row["_row"], row["id_"]) for row in table.to_pylist()] == [("b", 2, "b"), ("c", 3, "c"), ("d", 4, "d")]
    assert [f.row for f in findings] == [1]


def test_entries_of_bundles_and_resources_at_hand_have_a_number() -> None:
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in PATIENTS]}
    entries = [("a", "3", 1), ("a", "3", 1), ("b", None, 2), ("c", "1", 3)]
    assert lineage_rows(encode(bundle)) == [(i, v, "bytes entry", n) for i, v, n in entries]
    assert lineage_rows(bundle) == [(i, v, "bundle", n) for i, v, n in entries]
    assert lineage_rows(iter(PATIENTS)) == [(i, v, "resources", n) for i, v, n in entries]
    two_lines = encode(patient("z", None)) + b"\n" + encode(bundle)
    assert lineage_rows(two_lines)[1:] == [(i, v, "bytes row 2 entry", n) for i, v, n in entries]


def test_a_file_that_is_one_resource_has_no_line(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_bytes(encode(PATIENTS[2]))
    assert lineage_rows(path) == [("c", "1", "one.json", None)]


def test_without_it_the_table_is_the_views_own() -> None:
    assert run_view(VIEW, PATIENTS).column_names == ["born", "family"]
    own = run_view(VIEW, PATIENTS, lineage=True).drop_columns(list(LINEAGE))
    assert own.equals(run_view(VIEW, PATIENTS))
