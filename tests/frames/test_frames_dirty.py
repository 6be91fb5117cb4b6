"""What hostile or careless sources hold: each has one clear outcome, and the other resources are read."""

import json
from collections.abc import Iterator
from decimal import Decimal
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_trial.errors import Finding, Findings, InputError, UsageError
from fhir_trial.frames import ViewRunner, run_view
from fhir_trial.frames.data_frames import to_pandas
from fhir_trial.frames.reading import Lines

VIEW = {"resource": "Patient", "select": [{"column": [{"name": "id", "path": "id"}]}]}


def patient(id_: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_}


def text(id_: str) -> bytes:
    return json.dumps(patient(id_)).encode()


def bundle(*resources: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "entry": [{"resource": each} for each in resources]}


def skipping(source: Any, view: dict[str, Any] = VIEW) -> tuple[list[Any], list[tuple[str, str, int | None]]]:
    findings = Findings()
    rows = run_view(view, source, bad="skip", findings=findings).to_pylist()
    return [next(iter(row.values())) for row in rows], [(finding.code, finding.place, finding.row) for finding in findings]


# --- texts -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "found", "code"),
    [
        (b'{"resourceType":"Patient","id":"x","id":"y"}', ["y"], None),
        (b'{"resourceType":"Patient","id":"a\\u0000b"}', ["a\0b"], None),
        (b'{"resourceType":"Patient","id":NaN}', [], "not-json"),
        (b'{"resourceType":"Patient","id":"\\ud800 alone"}', [], "not-json"),
        (b'{"resourceType":"Patient","id":"\xff"}', [], "not-utf-8"),
        (b"\xff\xfe{\x00}\x00", [], "not-json"),
        (b'{"resourceType":"Patient","id":"x"} {}', [], "not-json"),
    ],
    ids=["repeated key", "zero byte", "NaN", "lone surrogate", "no utf-8", "utf-16", "two on a line"],
)
def test_odd_lines(line: bytes, found: list[str], code: str | None) -> None:
    lines = b"\n".join([text("a"), line, text("b")])
    assert skipping(lines) == (["a", *found, "b"], [(code, "bytes", 2)] if code else [])


def test_a_decoded_lone_surrogate_is_named_and_its_cell_is_empty() -> None:
    assert skipping([patient("a"), patient("\ud800")]) == (["a", None], [("not-utf-8", "resources", 2)])


def test_json_as_text_is_a_source_and_is_never_shown_as_a_path() -> None:
    assert skipping(text("a").decode()) == (["a"], [])
    assert skipping(f"\ufeff{text('a').decode()}\n{text('b').decode()}") == (["a", "b"], [])
    assert skipping('{"resourceType":"Patient","id":"\ud800"}') == ([], [("not-utf-8", "text", None)])
    with pytest.raises(InputError) as caught:
        run_view(VIEW, '{"id":"secret"')
    assert "secret" not in str(caught.value)


# --- numbers ---------------------------------------------------------------------------------------------------------------------------

VALUE = "value.ofType(Quantity).value"
NUMBERS = ["1e99999", "1e999999999", "-1e999999999", "1e-999999999", '"NaN"', '"Infinity"', "9" * 5000]
PATHS = [VALUE, *(f"{VALUE}{rest}" for rest in (".toString()", ".toInteger()", ".round(2)", " + 1", " * 2", ".lowBoundary()", ".power(2)"))]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("tag", [None, "CHARACTER VARYING", "DOUBLE PRECISION"])
def test_a_number_without_measure_is_named_and_fills_no_memory(number: str, tag: str | None) -> None:
    column = {"name": "c", "path": VALUE} | ({"tag": [{"name": "ansi/type", "value": tag}]} if tag else {})
    view = {"resource": "Observation", "select": [{"column": [column]}]}
    lines = [f'{{"resourceType":"Observation","valueQuantity":{{"value":{value}}}}}' for value in ("1.5", number)]
    found, said = skipping("\n".join(lines).encode(), view)
    assert [Decimal(found[0]), *filter(None, found[1:])] == [Decimal("1.5")]
    assert [(place, row) for _, place, row in said] == [("bytes", 2)]


@pytest.mark.parametrize("path", PATHS)
def test_no_function_writes_out_a_number_without_measure(path: str) -> None:
    view = {"resource": "Observation", "select": [{"column": [{"name": "c", "path": path}]}]}
    for number in ("1e999999999", "1e-999999999"):
        found, said = skipping(f'{{"resourceType":"Observation","valueQuantity":{{"value":{number}}}}}'.encode(), view)
        assert (list(filter(None, found)), len(said)) == ([], 1)


# --- Bundles ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["dict", "bytes", "line"])
def test_bundles_inside_bundles_and_entries_that_are_none(form: str, tmp_path: Path) -> None:
    (tmp_path / "secret.ndjson").write_bytes(text("secret"))
    whole = bundle(patient("a"), bundle(patient("b"), {"id": "none"}), str(tmp_path / "secret.ndjson"), patient("c"), None)
    whole["entry"] += [7, None, {}, {"resource": bundle()}]
    source: Any = whole if form == "dict" else json.dumps(whole).encode() + (b"\n" + text("d") if form == "line" else b"")
    found, said = skipping(source)
    assert sorted(found) == ["a", "b", "c"] + ["d"] * (form == "line")
    assert len(said) == 3
    assert [row for _, _, row in said] == [2, 3, 6]


def test_an_entry_list_that_is_none_is_named() -> None:
    for source in ({"resourceType": "Bundle", "entry": {}}, {"resourceType": "Bundle", "entry": None}):
        assert skipping(source) == ([], [])
    assert [code for code, _, _ in skipping({"resourceType": "Bundle", "entry": "x"})[1]] == ["unreadable"]


def test_a_large_bundle_comes_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_trial.frames.decoding.GROUP", 10)
    source = json.dumps(bundle(*(patient(str(number)) for number in range(35)))).encode()
    assert [batch.num_rows for batch in ViewRunner(VIEW).batches(source)] == [10, 10, 10, 5]


def test_deep_bundles() -> None:
    nested = patient("deepest")
    for _ in range(200):
        nested = bundle(nested)
    assert skipping(nested) == skipping(json.dumps(nested).encode()) == (["deepest"], [])


# --- streams ---------------------------------------------------------------------------------------------------------------------------

IDS = ["a", "ü", "c"]
FORMS = {
    "lines": b"\n".join(map(text, IDS)),
    "ended lines": b"".join(text(each) + b"\r\n" for each in IDS),
    "blank lines": b"\xef\xbb\xbf\n\n" + b"\n\n".join(map(text, IDS)),
    "bundle": json.dumps(bundle(*map(patient, IDS))).encode(),
    "pretty bundle": json.dumps(bundle(*map(patient, IDS)), indent=2).encode(),
}


@given(form=st.sampled_from(sorted(FORMS)), cuts=st.lists(st.integers(0, 500), max_size=6), size=st.sampled_from([20, 1 << 20]))
def test_a_download_may_end_its_parts_anywhere(form: str, cuts: list[int], size: int) -> None:
    whole = FORMS[form]
    edges = [0, *sorted({min(cut, len(whole)) for cut in cuts if cut > 3}), len(whole)]
    parts = [whole[start:end] for start, end in pairwise(edges)]
    assert skipping(iter(parts)) == (IDS, [])
    assert skipping(BytesIO(whole)) == (IDS, [])


def test_parts_without_line_ends_and_whole_documents() -> None:
    pretty = json.dumps(patient("b"), indent=1).encode()
    mixed = [text("a"), pretty, text("c"), patient("d"), text("e"), memoryview(text("f")), b"[", text("g") + b"\n", b"\n"]
    found, said = skipping(iter(mixed))
    assert found == ["a", "b", "c", "d", "e", "f"]
    assert [code for code, _, _ in said] == ["not-a-resource"]


def test_a_source_that_fails_midway_is_not_swallowed() -> None:
    def parts() -> Iterator[bytes]:
        yield text("a")
        raise ConnectionError("reset")

    with pytest.raises(ConnectionError):
        run_view(VIEW, parts())


# --- files -----------------------------------------------------------------------------------------------------------------------------


def test_a_file_that_is_a_folder_an_empty_folder_and_spark_s_file_names(tmp_path: Path) -> None:
    (tmp_path / "inner.ndjson").mkdir()
    (tmp_path / "part-0.json").write_bytes(b"\n".join(map(text, IDS)))
    (tmp_path / "empty.json").write_bytes(b"")
    (tmp_path / "empty.ndjson").write_bytes(b"")
    (tmp_path / "blank.ndjson").write_bytes(b"\xef\xbb\xbf\r\n \n")
    assert skipping(tmp_path) == (IDS, [("unreadable", "inner.ndjson", None)])
    with pytest.raises(UsageError, match="nothing to read"):
        run_view(VIEW, tmp_path / "inner.ndjson")


# --- findings --------------------------------------------------------------------------------------------------------------------------


def test_another_version_is_said_once_a_place() -> None:
    odd = b'{"resourceType":"Patient","id":"x","subject":1}\n' * 3
    findings = Findings()
    runner = ViewRunner(VIEW)
    pieces = [Lines("a", 1, odd), Lines("a", 4, odd), Lines("b", 1, odd)]
    assert sum(batch.num_rows for batch in runner.run(pieces, findings)) == 9
    assert [(finding.code, finding.place, finding.row) for finding in findings] == [
        ("unknown-elements", "a", 1),
        ("unknown-elements", "b", 1),
    ]


def test_findings_beyond_what_memory_should_hold_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_trial.frames.run._MOST_KEPT", 5)
    findings = Findings()
    run_view(VIEW, text("a") + b"\nno json" * 12, bad="skip", findings=findings)
    *kept, last = findings
    assert [finding.row for finding in kept] == [2, 3, 4, 5, 6]
    assert last == Finding("not-json", "the source", found="7 more", effect="they are counted and not listed")


# --- pandas ----------------------------------------------------------------------------------------------------------------------------


def test_pandas_with_arrow_s_types_or_numpy_s() -> None:
    table = pa.table(
        {"d": pa.array([Decimal("1.5"), None], pa.decimal128(38, 12)), "b": [True, None], "t": ["a", None], "l": [["x"], None], "n": [1, 2]}
    )
    exact, plain = to_pandas(table), to_pandas(table, "numpy")
    assert exact["d"].tolist() == [Decimal("1.5"), pd.NA]
    assert str(exact["n"].dtype) == "int64[pyarrow]"
    assert {name: str(kind) for name, kind in plain.dtypes.items()} == {
        "d": "float64",
        "b": "object",
        "t": "str",
        "l": "object",
        "n": "int64",
    }
    assert plain["d"].tolist()[0] == 1.5
    with pytest.raises(UsageError, match="arrow, numpy"):
        to_pandas(table, "polars")  # type: ignore[arg-type]
