"""The official suite on a local Spark, and what a user of Spark meets: rows, Parquet, bad lines, what is missing."""

import gzip
import json
import os
import sys
from decimal import Decimal
from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from spark_runs import spark

from fhir_trial.errors import ConfigurationError, Findings, InputError, MissingExtra, UsageError
from fhir_trial.fhir.json import decode, encode
from fhir_trial.frames import run_view
from fhir_trial.frames.spark import check_java, local_session, mapped, naming_errors, text_frame, view_frame, view_task, write_parquet

__all__ = ["spark"]

OBSERVATION = {
    "resource": "Observation",
    "select": [
        {
            "column": [
                {"name": "id", "path": "id"},
                {"name": "subject", "path": "subject.getReferenceKey(Patient)"},
                {"name": "value", "path": "value.ofType(Quantity).value", "type": "decimal"},
                {"name": "codes", "path": "code.coding.code", "collection": True},
            ]
        }
    ],
}


def observation(number: int) -> bytes:
    codes = [{"code": "a"}, {"code": str(number)}]
    return encode(
        {
            "resourceType": "Observation",
            "id": f"o{number}",
            "meta": {"versionId": str(number)},
            "status": "final",
            "code": {"coding": codes},
            "subject": {"reference": f"Patient/p{number % 3}"},
            "valueQuantity": {"value": Decimal(f"{number}.50")},
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Lines, compressed lines, a Bundle, and the manifest of a pull."""
    held = tmp_path / "fhir"
    held.mkdir()
    (held / "Observation.ndjson").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(observation(n) for n in range(5)) + b"\r\n\r\n")
    (held / "more.ndjson.gz").write_bytes(gzip.compress(b"\n".join(observation(n) for n in range(5, 9))))
    entry = [{"resource": decode(observation(9))}, {"resource": {"resourceType": "Patient", "id": "p0"}}]
    (held / "bundle.json").write_bytes(
        json.dumps(decode(encode({"resourceType": "Bundle", "entry": entry})), default=str, indent=1).encode()
    )
    (held / "manifest.json").write_text('{"fhir": "r4", "files": []}\n', encoding="utf-8")
    return held


def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(row["id"]))


def dicts(frame: Any) -> list[dict[str, Any]]:
    with naming_errors():
        return [row.asDict(recursive=True) for row in frame.collect()]


@pytest.mark.spark
def test_spark_gives_the_rows_types_and_lineage_of_the_engine(spark: Any, folder: Path) -> None:
    frame = view_frame(spark, OBSERVATION, str(folder), lineage=True)
    assert dict(frame.dtypes)["value"] == "decimal(38,12)"
    rows = by_id(dicts(frame))
    own = by_id(run_view(OBSERVATION, folder, bad="skip").to_pylist())
    assert [{name: row[name] for name in own[0]} for row in rows] == own
    assert len(own) == 10
    lines = {row["id"]: (Path(row["_place"]).name, row["_row"], row["_version_id"]) for row in rows}
    assert (lines["o3"], lines["o6"]) == (("Observation.ndjson", 4, "3"), ("more.ndjson.gz", 2, "6"))
    assert lines["o9"][0] == "bundle.json entry"


@pytest.mark.spark
def test_rows_go_to_parquet_as_they_are_and_never_over_something(spark: Any, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert write_parquet(spark, OBSERVATION, str(folder), str(out)) == 10
    assert by_id(pq.read_table(out).to_pylist()) == by_id(run_view(OBSERVATION, folder, bad="skip").to_pylist())
    with pytest.raises(UsageError, match="already exists"):
        write_parquet(spark, OBSERVATION, str(folder), str(out))


@pytest.mark.spark
def test_bad_lines_are_named_or_skipped_and_counted(spark: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.ndjson").write_bytes(observation(20) + b'\n\n{"resourceType": "Obs\n\xff\n[]\n' + observation(21))
    expected = [("bad.ndjson", 3, "truncated"), ("bad.ndjson", 4, "not-json"), ("bad.ndjson", 5, "not-a-resource")]
    with pytest.raises(InputError, match=r"bad\.ndjson row 3: truncated") as caught:
        write_parquet(spark, OBSERVATION, str(folder), str(tmp_path / "none"))
    assert [(Path(f.place).name, f.row, f.code) for f in caught.value.findings] == expected
    assert not list((tmp_path / "none").rglob("*.parquet"))
    skipped = Findings()
    assert write_parquet(spark, OBSERVATION, str(folder), str(tmp_path / "rest"), skipped=skipped) == 12
    assert [(Path(f.place).name, f.row, f.code) for f in skipped] == expected
    assert pq.read_table(tmp_path / "rest").column_names == ["id", "subject", "value", "codes"]
    problems = [row["_problem"] for row in dicts(view_frame(spark, OBSERVATION, str(folder), bad="column")) if row["_problem"]]
    assert [(Path(p["place"]).name, p["row"], p["code"]) for p in problems] == expected
    assert len(dicts(view_frame(spark, OBSERVATION, str(folder), bad="skip"))) == 12


@pytest.mark.spark
def test_a_path_where_nothing_is_is_said(spark: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"path not found: .*nowhere"):
        view_frame(spark, OBSERVATION, str(tmp_path / "nowhere"))


def _plain(value: Any) -> Any:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return float(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _rows(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps({name: _plain(value) for name, value in row.items()}, sort_keys=True) for row in rows)


def _over(text: Any, view: dict[str, Any]) -> Any:
    task = view_task(view, "r4", "raise", lineage=False)
    return mapped(text, task.rows, task.schema())


@pytest.mark.spark
def test_the_official_suite_on_spark(spark: Any, shared: Path, tmp_path: Path) -> None:
    """Every case in one job: each view's rows as JSON, made by Spark from its own typed columns, beside the number of its case."""
    from pyspark.sql import functions

    expected: dict[int, list[str]] = {}
    refused = 0
    frames: list[Any] = []
    for path in sorted((shared / "data/sql-on-fhir-tests").glob("*.json")):
        suite = decode(path.read_bytes())
        source = tmp_path / f"{path.stem}.ndjson"
        source.write_bytes(b"\n".join(encode(each) for each in suite["resources"]))
        text = text_frame(spark, str(source))  # once for all views of a file: what `view_frame` would do for each
        for case in suite["tests"]:
            if case.get("expectError"):
                with pytest.raises(InputError):
                    dicts(_over(text, case["view"]))
                refused += 1
                continue
            number = len(expected)
            expected[number] = _rows(case["expect"])
            frame = _over(text, case["view"])
            assert frame.columns == case.get("expectColumns", frame.columns), case["title"]
            as_json = functions.to_json(functions.struct("*"), {"ignoreNullFields": "false"})
            frames.append(frame.select(functions.lit(number).alias("case"), as_json.alias("row")))
    found: dict[int, list[dict[str, Any]]] = {number: [] for number in expected}
    for row in dicts(reduce(lambda one, other: one.unionAll(other), frames)):
        found[row["case"]].append(json.loads(row["row"]))
    assert {number: _rows(rows) for number, rows in found.items()} == expected
    assert len(expected) + refused == 134


def test_missing_pyspark_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(MissingExtra, match=r"pip install \"fhir_trial\[spark\]\""):
        local_session()


def test_missing_or_old_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="no java in the folder that JAVA_HOME names"):
        check_java()
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="needs Java 17 or newer, and there is no java in PATH"):
        check_java()


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for Java is a script of a Unix shell")
@pytest.mark.parametrize(
    ("says", "is_fit"), [('openjdk version "17.0.2"', True), ('openjdk version "11.0.2"', False), ('java version "1.8.0"', False)]
)
def test_the_version_of_java_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, is_fit: bool) -> None:
    (tmp_path / "bin").mkdir()
    java = tmp_path / "bin" / "java"
    java.write_text(f"#!/bin/sh\necho '{says}' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    if is_fit:
        check_java()
    else:
        with pytest.raises(ConfigurationError, match="Spark needs Java 17 or newer, and"):
            check_java()
