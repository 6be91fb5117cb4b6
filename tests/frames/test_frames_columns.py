"""Column types are known before the data is; numbers keep their value; files hold what the table holds."""

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fhir_trial.domain.arrow_types import DECIMAL
from fhir_trial.errors import Findings, InputError, UsageError
from fhir_trial.frames import ViewError, ViewRunner, read_view, run_view, write_view


def view(resource: str, **columns: Any) -> dict[str, Any]:
    described = [{"name": name, **(path if isinstance(path, dict) else {"path": path})} for name, path in columns.items()]
    return {"resource": resource, "select": [{"column": described}]}


QUANTITY = "value.ofType(Quantity).value"
TYPES = [
    ("Patient", {"path": "id"}, pa.string()),
    ("Patient", {"path": "birthDate"}, pa.string()),
    ("Patient", {"path": "active"}, pa.bool_()),
    ("Patient", {"path": "multipleBirth.ofType(integer)"}, pa.int64()),
    ("Patient", {"path": "name.count()"}, pa.int64()),
    ("Patient", {"path": "name.given", "collection": True}, pa.list_(pa.string())),
    ("Patient", {"path": "name.given.first()", "type": "http://hl7.org/fhirpath/System.String"}, pa.string()),
    ("Observation", {"path": QUANTITY}, DECIMAL),
    ("Observation", {"path": QUANTITY, "type": "decimal"}, DECIMAL),
    ("Observation", {"path": QUANTITY, "tag": [{"name": "ansi/type", "value": "DOUBLE PRECISION"}]}, pa.float64()),
    ("Observation", {"path": QUANTITY, "tag": [{"name": "ansi/type", "value": "CHARACTER VARYING"}]}, pa.string()),
    ("Observation", {"path": "value.ofType(integer)", "type": "decimal"}, DECIMAL),
    ("Observation", {"path": "contained.value", "type": "integer"}, pa.int64()),
]


@pytest.mark.parametrize(("resource", "column", "arrow"), TYPES)
def test_types(resource: str, column: dict[str, Any], arrow: pa.DataType) -> None:
    assert read_view(view(resource, c=column)).schema.field("c").type == arrow


WRONG = [
    ("Patient", {"path": "name"}, "wrong-column-type"),
    ("Patient", {"path": "deceased"}, "wrong-column-type"),
    ("Patient", {"path": "name.family", "type": "integer"}, "wrong-column-type"),
    ("Patient", {"path": "active", "type": "string"}, "wrong-column-type"),
    ("Patient", {"path": "name", "type": "HumanName"}, "wrong-column-type"),
    ("Patient", {"path": "id", "tag": [{"name": "ansi/type", "value": "BLOB"}]}, "wrong-column-type"),
    ("Patient", {"path": "id", "colection": True}, "unknown-member"),
    ("Patient", {"path": "nme"}, "unknown-element"),
    ("Patient", {"path": 5}, "wrong-shape"),
    ("Pateint", {"path": "id"}, "unknown-resource-type"),
]


@pytest.mark.parametrize(("resource", "column", "code"), WRONG)
def test_wrong_columns_are_refused(resource: str, column: dict[str, Any], code: str) -> None:
    with pytest.raises(ViewError) as caught:
        read_view(view(resource, c=column))
    assert [finding.code for finding in caught.value.findings] == [code]


def test_all_faults_of_a_view_are_said_at_once_with_places_and_suggestions() -> None:
    wrong = {
        "resource": "Patient",
        "fhirVersion": ["5.0.0"],
        "constant": [{"name": "x"}],
        "where": [{"path": "name.family"}, {"path": "active ="}],
        "select": [
            {"column": [{"name": "a b", "path": "id"}, {"name": "ok", "path": "name.famly"}]},
            {"forEach": "name", "repeat": ["contact"], "column": [{"name": "c", "path": "id"}]},
            {"forEach": "contct", "column": [{"name": "c", "path": "id"}]},
            {"forEachOrnull": "name", "column": [{"name": "d", "path": "id"}, {"name": "d", "path": "id"}]},
            {},
        ],
    }
    with pytest.raises(ViewError) as caught:
        read_view(wrong)
    text = str(caught.value)
    assert {finding.place: finding.code for finding in caught.value.findings} == {
        "view fhirVersion": "other-fhir-version",
        "view constant[0]": "wrong-constant",
        "view where[0].path": "not-a-condition",
        "view where[1].path": "unreadable-expression",
        "view select[0].column[0].name": "wrong-name",
        "view select[0].column[1].path": "unknown-element",
        "view select[1]": "conflicting-members",
        "view select[2].forEach": "unknown-element",
        "view select[3].forEachOrnull": "unknown-member",
        "view select[3].column[1].name": "repeated-name",
        "view select[4]": "nothing-selected",
    }
    assert "HumanName has no element famly, at character 6 of `name.famly`', expected family" in text
    assert "expected forEachOrNull" in text


def test_a_repeated_path_of_other_types_finds_nothing_and_is_said() -> None:
    recursive = {"resource": "QuestionnaireResponse", "select": [{"repeat": ["jurisdiction"], "column": [{"name": "c", "path": "code"}]}]}
    read = read_view(recursive)
    assert [(finding.code, finding.severity) for finding in read.findings] == [("element-of-other-types", "warning")]
    with pytest.raises(ViewError, match="has no element itm"):
        read_view({"resource": "QuestionnaireResponse", "select": [{"repeat": ["itm"], "column": [{"name": "c", "path": "linkId"}]}]})


def test_too_many_loops_are_refused() -> None:
    select: dict[str, Any] = {"column": [{"name": "c", "path": "%rowIndex"}]}
    for _ in range(30):
        select = {"forEach": "$this", "select": [select]}
    with pytest.raises(ViewError, match="31 loops in each other"):
        ViewRunner({"resource": "Patient", "select": [select]})


def observation(value: str) -> bytes:
    return f'{{"resourceType":"Observation","valueQuantity":{{"value":{value}}}}}'.encode()


@pytest.mark.parametrize("value", ["1.50", "0.1", "-7", "12345678901234567890.123456789012", "1e3", "0.000000000001"])
def test_decimals_are_exact(value: str) -> None:
    columns = view("Observation", exact=QUANTITY, digits={"path": QUANTITY, "tag": [{"name": "ansi/type", "value": "VARCHAR"}]})
    (row,) = run_view(columns, observation(value)).to_pylist()
    assert row["exact"] == Decimal(value)
    assert row["digits"] == format(Decimal(value), "f")


@pytest.mark.parametrize("value", ["1.1234567890123", "1e30"])
def test_a_decimal_that_a_column_cannot_hold_is_said_and_never_rounded(value: str) -> None:
    text = observation("1.5") + b"\n" + observation(value)
    findings = Findings()
    table = run_view(view("Observation", c=QUANTITY), text, bad="skip", findings=findings)
    assert table.column("c").to_pylist() == [Decimal("1.5"), None]
    assert [(finding.code, finding.place, finding.row, finding.field) for finding in findings] == [("not-exact", "bytes", 2, "c")]
    with pytest.raises(InputError):
        run_view(view("Observation", c=QUANTITY), text)


def test_computed_decimals_end_after_twelve_digits() -> None:
    assert run_view(view("Observation", c=f"{QUANTITY} / 3"), observation("2")).to_pylist() == [{"c": Decimal("0.666666666667")}]


ROWS = [
    {
        "resourceType": "Patient",
        "id": "p1",
        "active": True,
        "name": [{"family": "=HYPERLINK(1)", "given": ["a", 'b"c']}],
        "multipleBirthInteger": 2,
    },
    {"resourceType": "Patient", "id": "-5.0", "name": [{"family": "Doe, Ann\nBea"}]},
    {"resourceType": "Patient", "id": "@x"},
]
TABLE = view(
    "Patient",
    id="id",
    active="active",
    family="name.family",
    given={"path": "name.given", "collection": True},
    n="multipleBirth.ofType(integer)",
)


def test_csv_neutralises_formulas_and_says_so(tmp_path: Path) -> None:
    findings = Findings()
    assert write_view(TABLE, ROWS, tmp_path / "t.csv", findings=findings) == 3
    with (tmp_path / "t.csv").open(newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["id", "active", "family", "given", "n"],
            ["p1", "true", "'=HYPERLINK(1)", '["a","b\\"c"]', "2"],
            ["-5.0", "", "Doe, Ann\nBea", "[]", ""],
            ["'@x", "", "", "[]", ""],
        ]
    assert [(finding.code, finding.place) for finding in findings] == [("formula-text", "column id"), ("formula-text", "column family")]


def test_ndjson_and_parquet_hold_the_table_unchanged(tmp_path: Path) -> None:
    table = run_view(TABLE, ROWS)
    assert write_view(TABLE, ROWS, tmp_path / "t.ndjson") == write_view(TABLE, ROWS, tmp_path / "t.parquet") == 3
    assert [json.loads(line) for line in (tmp_path / "t.ndjson").read_text().splitlines()] == table.to_pylist()
    assert pq.read_table(tmp_path / "t.parquet") == table


def test_decimals_have_no_padding_in_text_files(tmp_path: Path) -> None:
    columns = view("Observation", c=QUANTITY)
    write_view(columns, observation("1.50"), tmp_path / "t.csv")
    write_view(columns, observation("1.50"), tmp_path / "t.ndjson")
    assert (tmp_path / "t.csv").read_text() == "c\n1.5\n"
    assert (tmp_path / "t.ndjson").read_text() == '{"c":1.5}\n'


def test_the_last_of_32_digits_is_in_every_file(tmp_path: Path) -> None:
    long = "12345678901234567890.123456789012"
    for name in ("t.csv", "t.ndjson", "t.parquet"):
        write_view(view("Observation", c=QUANTITY), observation(long), tmp_path / name)
    assert (tmp_path / "t.csv").read_text() == f"c\n{long}\n"
    assert (tmp_path / "t.ndjson").read_text() == f'{{"c":{long}}}\n'
    assert pq.read_table(tmp_path / "t.parquet")["c"].to_pylist() == [Decimal(long)]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("before")
    with pytest.raises(InputError):
        write_view(TABLE, [*ROWS, {"id": "no type"}], tmp_path / "t.csv")
    with pytest.raises(UsageError, match=r"\.csv, \.ndjson, \.parquet"):
        write_view(TABLE, ROWS, tmp_path / "t.xlsx")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("t.csv", "before")]


def test_parquet_row_groups_gather_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_trial.frames.writing._GROUP_ROWS", 3)
    monkeypatch.setattr("fhir_trial.frames.reading.GROUP", 2)
    assert write_view(TABLE, ROWS * 3, tmp_path / "t.parquet") == 9
    assert pq.ParquetFile(tmp_path / "t.parquet").metadata.num_row_groups == 3
    assert pq.read_table(tmp_path / "t.parquet").num_rows == 9


def test_a_runner_reports_progress_and_serves_several_sources() -> None:
    runner = ViewRunner(TABLE)
    seen: list[tuple[str, int, int | None]] = []
    assert sum(batch.num_rows for batch in runner.batches(ROWS, progress=lambda *step: seen.append(step))) == 3
    assert seen[-1] == ("rows of Patient", 3, None)
    assert sum(batch.num_rows for batch in runner.batches(ROWS[:1])) == 1
