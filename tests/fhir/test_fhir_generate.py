import json
from pathlib import Path
from typing import Any

import pytest

from fhir_trial.fhir.generate import main
from fhir_trial.fhir.shapes import Shapes
from fhir_trial.fhir.stored import read
from fhir_trial.fhir.value_sets import NotExpandable, expand

BASE = "http://hl7.org/fhir/StructureDefinition/"


def element(path: str, code: str | None = None, maximum: str = "1", **more: Any) -> dict[str, Any]:
    return {"path": path, "min": 0, "max": maximum, **({"type": [{"code": code}]} if code else {}), **more}


def definition(
    name: str, *elements: dict[str, Any], kind: str = "resource", base: str = "", derivation: str = "specialization"
) -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition",
        "id": name,
        "url": BASE + name,
        "type": name,
        "kind": kind,
        "abstract": False,
        "derivation": derivation,
        **({"baseDefinition": BASE + base} if base else {}),
        "snapshot": {"element": [element(name), *elements]},
        "differential": {"element": [element(name), *elements]},
    }


@pytest.fixture
def package(tmp_path: Path) -> Path:
    rule = {"key": "t-1", "severity": "error", "expression": "part.exists()", "human": "Needs a part"}
    thing = definition(
        "Thing",
        element("Thing.part", "BackboneElement", "*", constraint=[rule]),
        element("Thing.part.kind", "code", binding={"strength": "required", "valueSet": "http://x.org/kinds|1"}),
        element("Thing.again", contentReference="#Thing.part"),
        element("Thing.value[x]", "string"),
        element("Thing.never", "string", "0"),
    )
    value_set = {
        "resourceType": "ValueSet",
        "url": "http://x.org/kinds",
        "compose": {"include": [{"system": "http://x.org/s"}]},
    }
    codes = {"resourceType": "CodeSystem", "url": "http://x.org/s", "content": "complete", "concept": [{"code": "a"}, {"code": "b"}]}
    search = {
        "resourceType": "SearchParameter",
        "id": "s",
        "url": "http://x.org/sp",
        "code": "kind",
        "type": "token",
        "base": ["Thing"],
        "expression": "Thing.part.kind | Other.kind",
    }
    for index, resource in enumerate((thing, definition("code", kind="primitive-type"), value_set, codes, search)):
        (tmp_path / f"{resource['resourceType']}-{index}.json").write_text(json.dumps(resource))
    return tmp_path


def test_a_package_becomes_shapes(package: Path, tmp_path: Path) -> None:
    assert main(["--r4", str(package), "--to", str(tmp_path)]) == 0
    made = Shapes(read((tmp_path / "r4.json.gz").read_bytes()))
    part = made.element("Thing", "part")
    assert part is not None
    assert (part.types, part.many, part.invariants[0].key) == (("Thing.part",), True, "t-1")
    kind = made.element("Thing.part", "kind")
    assert kind is not None
    assert kind.codes_by_system == {"http://x.org/s": {"a", "b"}}
    again = made.element("Thing", "again")
    assert again is not None
    assert again.types == ("Thing.part",)
    assert made.element("Thing", "valueString") is not None
    assert made.element("Thing", "never") is None
    assert made.search_parameters("Thing")["kind"].expression == "Thing.part.kind"


def test_the_same_package_gives_the_same_bytes(package: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        main(["--r4", str(package), "--to", str(tmp_path / name)])
    made = (tmp_path / "one/r4.json.gz").read_bytes()
    assert made == (tmp_path / "two/r4.json.gz").read_bytes()
    assert made[4:8] == bytes(4)  # gzip's time of writing


SYSTEM = {
    "content": "complete",
    "concept": [
        {"code": "animal", "concept": [{"code": "cat"}, {"code": "dog", "property": [{"code": "tame", "valueBoolean": True}]}]},
        {"code": "plant"},
        {"code": "moss", "property": [{"code": "subsumedBy", "valueCode": "plant"}]},
    ],
}


def only(operator: str, value: str, name: str = "concept") -> list[dict[str, Any]]:
    return [{"system": "s", "filter": [{"property": name, "op": operator, "value": value}]}]


@pytest.mark.parametrize(
    ("compose", "codes"),
    [
        ({"include": [{"system": "s"}]}, {"animal", "cat", "dog", "plant", "moss"}),
        ({"include": only("is-a", "animal")}, {"animal", "cat", "dog"}),
        ({"include": only("descendent-of", "plant")}, {"moss"}),
        ({"include": only("is-not-a", "animal")}, {"plant", "moss"}),
        ({"include": only("=", "True", "tame")}, {"dog"}),
        ({"include": [{"system": "s", "concept": [{"code": "cat"}]}]}, {"cat"}),
        ({"include": [{"system": "s"}], "exclude": only("is-a", "animal")}, {"plant", "moss"}),
        ({"include": [{"valueSet": ["cats|1"]}]}, {"cat"}),
        ({"include": [{"system": "s", "valueSet": ["cats"]}]}, {"cat"}),
    ],
)
def test_value_sets_expand(compose: dict[str, Any], codes: set[str]) -> None:
    sets = {"all": {"compose": compose}, "cats": {"compose": {"include": [{"system": "s", "concept": [{"code": "cat"}]}]}}}
    assert expand("all", sets, {"s": SYSTEM}) == {"s": sorted(codes)}


@pytest.mark.parametrize(
    "compose",
    [
        {"include": [{"system": "elsewhere"}]},
        {"include": [{"system": "part"}]},
        {"include": [{"valueSet": ["unknown"]}]},
        {"include": only("regex", ".*")},
        {},
    ],
)
def test_what_is_not_all_known_is_not_expanded(compose: dict[str, Any]) -> None:
    systems = {"s": SYSTEM, "part": {"content": "fragment", "concept": [{"code": "a"}]}}
    with pytest.raises(NotExpandable):
        expand("all", {"all": {"compose": compose}}, systems)
