import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_trial.fhir.shapes import shapes
from fhir_trial.fhir.versions import VERSIONS
from fhir_trial.fhirpath import FhirPathError, compile_path
from fhir_trial.validate import validate
from fhir_trial.validate.invariants import NATIVE, NOT_RUN

EXAMPLE = json.loads((Path(__file__).resolve().parents[1] / "data/hl7/r4/Observation-example.json").read_bytes())
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.text(max_size=3)
    | st.sampled_from(["2024", "Patient/1", "#a", "final", "http://terminology.hl7.org/CodeSystem/adverse-event-severity"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["coding", "system", "code", "value", "extension", "url", "reference"]), inner)
    ),
    max_leaves=8,
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths of all members and items of a value."""
    steps = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [p for step in steps for p in ((*path, step), *places(value[step], (*path, step)))]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(places(EXAMPLE)), ANY)
def test_whatever_stands_anywhere_findings_come_and_no_error(path: tuple[str | int, ...], value: Any) -> None:
    broken = json.loads(json.dumps(EXAMPLE))
    owner: Any = broken
    for step in path[:-1]:
        owner = owner[step]
    owner[path[-1]] = value
    for finding in validate(broken):
        assert finding.field
        assert finding.field.startswith(finding.place.partition("/")[0])


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(["Observation", "AdverseEvent", "Bundle"]), st.data())
def test_whatever_a_resource_holds_findings_come_and_no_error(kind: str, data: st.DataObject) -> None:
    members = data.draw(st.dictionaries(st.sampled_from(sorted(shapes("r4").members(kind))), ANY))
    assert validate({"resourceType": kind, **members})


@pytest.mark.parametrize("fhir", VERSIONS)
def test_every_invariant_is_run_or_says_why_not(fhir: str) -> None:
    known = shapes(fhir)
    stated = [(name, i) for name in known.types for i in known.invariants(name)]
    stated += [(t, i) for name in known.types for e in known.elements(name).values() for t in e.types for i in e.invariants]
    left: set[str] = set()
    for type_name, expression in {(t, i.expression) for t, i in stated if i.key not in NATIVE and i.key not in NOT_RUN}:
        try:
            compile_path(expression, known, type_name)
        except FhirPathError as error:
            left.add(f"{type_name}: {error}")
    assert left == set()
    assert {i.key for _, i in stated} >= NATIVE.keys() - {"ref-2", "cod-1", "ident-1", "obs-8"}  # those are R5's


def test_a_unit_that_is_no_text_is_a_finding_of_a_range() -> None:
    low, high = {"value": 1, "code": "d"}, {"value": 7, "code": {"reference": 5}}
    found = validate({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "valueRange": {"low": low, "high": high}})
    assert any(f.field == "Observation.value.high.code" for f in found)
