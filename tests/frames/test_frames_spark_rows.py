"""What Spark's workers do, without Spark: lines that arrive in any batches are numbered, and give the rows that `run_view` gives."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_trial.errors import UsageError
from fhir_trial.fhir.json import encode
from fhir_trial.frames import run_view
from fhir_trial.frames.definition import ViewError
from fhir_trial.frames.reading import Document, Lines
from fhir_trial.frames.spark import ddl, view_task
from fhir_trial.frames.spark_rows import FILE, LINE, PROBLEM, START, Refused, ViewTask, refused_findings, text_of

SCHEMA = pa.schema([(LINE, pa.binary()), (FILE, pa.string()), (START, pa.int64())])
VIEW = {
    "resource": "Patient",
    "select": [{"column": [{"name": "id", "path": "id"}, {"name": "given", "path": "name.given", "collection": True}]}],
}
PATIENTS = [{"resourceType": "Patient", "id": f"p{i}", "name": [{"given": [f"g{i}", "x"]}]} for i in range(7)]


def batches(lines: Sequence[tuple[bytes, str, int | None]], size: int) -> Iterator[pa.RecordBatch]:
    """As Spark hands them over: every line with its feed, whatever file it is of, so many at once."""
    for at in range(0, len(lines), size):
        rows = [{LINE: line + b"\n", FILE: file, START: start} for line, file, start in lines[at : at + size]]
        yield pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def run(task: ViewTask, lines: Sequence[tuple[bytes, str, int | None]], size: int = 3) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pa.Table.from_batches(task.rows(batches(lines, size)), task.schema()).to_pylist()
    return rows


@given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=12), st.integers(1, 13))
def test_lines_keep_their_file_and_number_however_they_arrive(files: list[str], size: int) -> None:
    lines = [(f"{file}{i}".encode(), file, 0) for i, file in enumerate(sorted(files))]
    found: list[tuple[str, int, bytes]] = []
    for piece in text_of(batches(lines, size)):
        assert isinstance(piece, Lines)
        found += [(piece.place, piece.first_line + i, text) for i, text in enumerate(piece.data.splitlines())]
    seen: dict[str, int] = {}
    expected = []
    for text, file, _ in lines:
        seen[file] = seen.get(file, 0) + 1
        expected.append((file, seen[file], text))
    assert found == expected


def test_a_later_part_of_a_large_file_says_so_and_a_document_stays_whole() -> None:
    lines = [(b"\xef\xbb\xbfone", "a", 0), (b"two", "a", 128), (b"three", "a", 128), (b"\xef\xbb\xbf{\n}", "b.json", None)]
    assert list(text_of(batches(lines, 9))) == [
        Lines("a", 1, b"one\n"),
        Lines("a from byte 128", 1, b"two\nthree\n"),
        Document("b.json", b"{\n}\n", optional=True),
    ]


def test_a_document_that_is_lines_is_read_as_lines() -> None:
    """Spark itself writes NDJSON into files that end in .json."""
    text = b'\xef\xbb\xbf{"resourceType": "Patient"}\n{"resourceType": "Patient"}'
    assert list(text_of(batches([(text, "part-0.json", None)], 9))) == [Lines("part-0.json", 1, text.removeprefix(b"\xef\xbb\xbf") + b"\n")]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_the_rows_are_those_of_the_engine(size: int) -> None:
    lines = [(encode(each), f"{i // 3}.ndjson", 0) for i, each in enumerate(PATIENTS)]
    task = view_task(VIEW, "r4", "raise", lineage=True)
    assert [{k: row[k] for k in ("id", "given")} for row in run(task, lines, size)] == run_view(VIEW, PATIENTS).to_pylist()
    assert [(row["_place"], row["_row"]) for row in run(task, lines, size)] == [(f"{i // 3}.ndjson", i % 3 + 1) for i in range(7)]


BAD = [(encode(PATIENTS[0]), "a", 0), (b'{"resourceType": "Pat', "a", 0), (b"\xff\xfe", "a", 0), (encode(PATIENTS[1]), "a", 0)]


def test_a_bad_line_ends_the_run_with_its_place_and_reason_and_no_value() -> None:
    with pytest.raises(Refused) as caught:
        run(view_task(VIEW, "r4", "raise", lineage=False), BAD)
    text = f"Traceback ...\nfhir_trial.frames.spark_rows.{type(caught.value).__name__}: {caught.value}\n\n\tat org.apache.spark"
    assert [(f.code, f.place, f.row) for f in refused_findings(text)] == [("truncated", "a", 2), ("not-json", "a", 3)]
    assert refused_findings("java.lang.OutOfMemoryError: heap") == []


def test_a_bad_line_is_left_out_or_a_row_of_its_own() -> None:
    good = run_view(VIEW, PATIENTS[:2]).to_pylist()
    assert run(view_task(VIEW, "r4", "skip", lineage=False), BAD) == good
    rows = run(view_task(VIEW, "r4", "column", lineage=False), BAD)
    assert [{k: row[k] for k in ("id", "given")} for row in rows if row[PROBLEM] is None] == good
    problems = [row for row in rows if row[PROBLEM] is not None]
    assert [(row["id"], row[PROBLEM]["place"], row[PROBLEM]["row"], row[PROBLEM]["code"]) for row in problems] == [
        (None, "a", 2, "truncated"),
        (None, "a", 3, "not-json"),
    ]


def test_a_view_that_is_wrong_is_refused_before_anything_runs() -> None:
    with pytest.raises(ViewError, match="birthDat"):
        view_task({"resource": "Patient", "select": [{"column": [{"name": "b", "path": "birthDat"}]}]}, "r4", "raise", lineage=False)
    with pytest.raises(UsageError, match="raise, skip, column"):
        view_task(VIEW, "r4", "ignore", lineage=False)  # type: ignore[arg-type]  # as a caller without types may
    with pytest.raises(UsageError, match="did you mean laboratory"):
        view_task("laboratry", "r4", "raise", lineage=False)


def test_every_column_type_has_one_of_sparks() -> None:
    tags = ["BOOLEAN", "INTEGER", "DECIMAL", "DOUBLE PRECISION", "VARCHAR"]
    paths = ["multipleBirth.ofType(boolean)", *["multipleBirth.ofType(integer)"] * 4]
    columns = [
        {"name": f"c{i}", "path": path, "tag": [{"name": "ansi/type", "value": tag}]}
        for i, (tag, path) in enumerate(zip(tags, paths, strict=True))
    ]
    columns.append({"name": "many", "path": "name.given", "collection": True})  # type: ignore[dict-item]
    task = view_task({"resource": "Patient", "select": [{"column": columns}]}, "r4", "column", lineage=True)
    assert ddl(task.schema()) == (
        "`_resource_id` string, `_version_id` string, `_place` string, `_row` bigint, `c0` boolean, `c1` bigint, `c2` decimal(38,12), "
        "`c3` double, `c4` string, `many` array<string>, "
        "`_problem` struct<`code`: string, `place`: string, `row`: bigint, `expected`: string>"
    )
