"""Views that are wrong in one way each, and the words in which that is said: never an error of the program, never silence."""

import re
from typing import Any

import pytest

from fhir_trial.errors import Findings
from fhir_trial.frames import ViewError, run_view

ID = {"column": [{"name": "id", "path": "id"}]}
PATIENT = {"resourceType": "Patient", "id": "p"}


def column(path: str, **more: Any) -> dict[str, Any]:
    return {"resource": "Patient", "select": [{"column": [{"name": "c", "path": path}]}]} | more


def constant(*given: dict[str, Any]) -> dict[str, Any]:
    return column("%k", constant=[{"name": "k"} | each for each in given])


def nested(member: str, levels: int) -> dict[str, Any]:
    inner = ID
    for _ in range(levels):
        inner = {member: [inner]}
    return {"resource": "Patient", "select": [inner]}


REFUSED = [
    ({"resource": ["Patient"], "select": [ID]}, "view resource: found \"['Patient']\""),
    ({"resource": {"a": 1}, "select": [ID]}, "view resource"),
    (constant({"valueInteger": "a"}), "view constant[0]: found 'a', expected a value of type integer"),
    (constant({"valueDecimal": "abc"}), "expected a value of type decimal"),
    (constant({"valueBoolean": "true"}), "expected a value of type boolean"),
    (constant({"valuePositiveInt": True}), "expected a value of type positiveInt"),
    (constant({"valueString": None}), "expected a value of type string"),
    (constant({"valueCode": ["a"]}), "expected a value of type code"),
    (constant({"valueCode": "a"}, {"valueCode": "b"}), "view constant[1].name: found 'k', expected a name of its own"),
    (column("id", constant=[{"name": "rowIndex", "valueString": "x"}]), "view constant[0].name: found 'rowIndex'"),
    (column("name.getReferenceKey()"), "this is HumanName, and getReferenceKey() is for a Reference"),
    (column("name.family.getResourceKey()"), "this is string, and getResourceKey() is for a resource"),
    (column("id" + " & id" * 3000), "too many steps or operators in a row"),
    (nested("select", 200), "expected at most 100 selects in each other"),
    (nested("unionAll", 300), "expected at most 100 selects in each other"),
]


@pytest.mark.parametrize(("view", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_a_wrong_view_is_refused_in_words(view: dict[str, Any], words: str) -> None:
    with pytest.raises(ViewError, match=re.escape(words)):
        run_view(view, [PATIENT])


@pytest.mark.parametrize("view", [nested("select", 90), nested("unionAll", 90), column("link.other.getReferenceKey(Patient)")])
def test_what_is_deep_or_a_reference_runs(view: dict[str, Any]) -> None:
    assert run_view(view, [PATIENT]).num_rows == 1


SHAPES = [
    ({"id": 5}, "field id: found 'a whole number', expected text"),
    ({"name": [{"given": "A"}]}, "field name[0].given: found 'text', expected an array"),
    ({"name": {"given": []}}, "field name: found 'an object', expected an array"),
    ({"active": "true"}, "field active: found 'text', expected true or false"),
]


@pytest.mark.parametrize(("member", "words"), SHAPES, ids=[words for _, words in SHAPES])
def test_a_member_of_another_type_is_named_with_what_was_found(member: dict[str, Any], words: str) -> None:
    paths = {"i": "id", "g": "name.given.first()", "a": "active"}
    view = {"resource": "Patient", "select": [{"column": [{"name": name, "path": path} for name, path in paths.items()]}]}
    findings = Findings()
    assert run_view(view, [PATIENT | member], bad="skip", findings=findings).num_rows == 0
    assert [finding.describe() for finding in findings] == [f"resources row 1, {words}"]
