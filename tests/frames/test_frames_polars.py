"""A view's rows as polars has them: the same values and types, exact decimals among them, from nothing to several batches."""

import sys
from decimal import Decimal
from typing import Any

import pytest

from fhir_trial.errors import MissingExtra
from fhir_trial.frames import run_view
from fhir_trial.frames.data_frames import to_polars

polars = pytest.importorskip("polars")

COLUMNS = [
    {"name": "id", "path": "id"},
    {"name": "value", "path": "value.ofType(Quantity).value"},
    {"name": "approximate", "path": "value.ofType(Quantity).value", "tag": [{"name": "ansi/type", "value": "DOUBLE PRECISION"}]},
    {"name": "codes", "path": "code.coding.code", "collection": True},
    {"name": "has_code", "path": "code.exists()", "type": "boolean"},
]
VIEW = {"resource": "Observation", "select": [{"column": COLUMNS}]}


def observation(number: int) -> dict[str, Any]:
    quantity = {"value": Decimal(f"{number}.10")}
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "valueQuantity": quantity,
        "code": {"coding": [{"code": "a"}, {"code": "b"}]},
    }


@pytest.mark.parametrize("count", [0, 1, 4500])
def test_values_and_types_are_those_of_the_table(count: int) -> None:
    observations = [observation(number) for number in range(count)]
    frame = to_polars(run_view(VIEW, observations))
    assert frame.to_dicts() == run_view(VIEW, observations).to_pylist()
    assert dict(frame.schema) == {
        "id": polars.String,
        "value": polars.Decimal(38, 12),
        "approximate": polars.Float64,
        "codes": polars.List(polars.String),
        "has_code": polars.Boolean,
    }


def test_without_polars_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingExtra, match=r"fhir_trial\[polars\]"):
        to_polars(run_view(VIEW, []))
