"""The official SQL on FHIR v2 test suite, all of it, in both FHIR versions and from each kind of source."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_trial.errors import InputError
from fhir_trial.fhir.json import decode
from fhir_trial.frames import run_view

FILES = [
    *("basic", "collection", "combinations", "constant", "constant_types", "fhirpath", "fhirpath_numbers", "fn_boundary", "fn_empty"),
    *("fn_extension", "fn_first", "fn_join", "fn_oftype", "fn_reference_keys", "foreach", "logic", "repeat", "row_index", "union"),
    *("validate", "view_resource", "where"),
]
CASES = 134


def _suite(shared: Path, name: str) -> dict[str, Any]:
    suite: dict[str, Any] = decode((shared / "data/sql-on-fhir-tests" / f"{name}.json").read_bytes())
    return suite


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return float(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _rows(rows: list[dict[str, Any]]) -> list[str]:
    """Rows in an order of their own: the suite has none."""
    return sorted(json.dumps({name: _plain(value) for name, value in row.items()}, sort_keys=True) for row in rows)


def test_the_suite_is_complete(shared: Path) -> None:
    assert sorted(path.stem for path in (shared / "data/sql-on-fhir-tests").glob("*.json")) == sorted(FILES)
    assert sum(len(_suite(shared, name)["tests"]) for name in FILES) == CASES


@pytest.mark.parametrize("fhir", ["r4", "r5"])
@pytest.mark.parametrize("source", ["dicts", "ndjson", "bundle"])
@pytest.mark.parametrize("name", FILES)
def test_official_cases(shared: Path, name: str, source: str, fhir: str) -> None:
    suite = _suite(shared, name)
    resources = _as_source(suite["resources"], source)
    for case in suite["tests"]:
        if case.get("expectError"):
            with pytest.raises(InputError):
                run_view(case["view"], resources, fhir)
            continue
        table = run_view(case["view"], resources, fhir)
        assert _rows(table.to_pylist()) == _rows(case["expect"]), case["title"]
        assert table.column_names == case.get("expectColumns", table.column_names), case["title"]


def _as_source(resources: list[Any], source: str) -> Any:
    from fhir_trial.fhir.json import encode

    if source == "dicts":
        return resources
    if source == "bundle":
        return encode({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in resources]})
    return b"\n".join(encode(each) for each in resources)
