"""The rule language, case by case: what a rule writes, and what the loader refuses."""

from decimal import Decimal
from pathlib import Path

import jsonschema
import msgspec
import pytest
import yaml

from fhir_trial.data_files import data_dir
from fhir_trial.domain.entities import Entity, When
from fhir_trial.errors import Findings, InputError
from fhir_trial.mapping.errors import RuleError
from fhir_trial.mapping.mapping import RuleMapping
from fhir_trial.mapping.rules import load_rules

MAPPINGS = data_dir("mappings")


class Item(Entity, frozen=True, kw_only=True):
    a: str | None = None
    n: int | None = None


class Probe(Entity, frozen=True, kw_only=True):
    study: str
    text: str | None = None
    other: str | None = None
    flag: bool | None = None
    count: int | None = None
    amount: Decimal | None = None
    day: When | None = None
    items: tuple[Item, ...] = ()


class Target(Entity, frozen=True, kw_only=True):
    study: str
    text: str


CODES = {
    "sex": {"F": "female", "M": "male"},
    "both": {"x": "C1|One", "y": "C1|One"},
    "shown": {"x": "C1|One", "y": "C2"},
    "bad": {"F": "lady"},
}
TARGET = {"entity": "target", "resource": "Patient", "key": ["study", "text"], "identifier": "identifier"}


def rules(tmp_path: Path, document: dict, fhir: str = "r4", over: dict | None = None) -> RuleMapping:
    base = {"entity": "probe", "resource": "Observation", "key": ["study"], "identifier": "identifier"}
    (tmp_path / fhir).mkdir(exist_ok=True)
    (tmp_path / "rules.schema.json").write_bytes((MAPPINGS / "rules.schema.json").read_bytes())
    lossy = {name: "this case leaves it out" for name in Probe.__struct_fields__ if name != "study"}
    document = base | document
    written = set(document.get("fields", {})) | set(document.get("each", {})) | {"study"}
    written |= {p for link in document.get("links", {}).values() for p in ["text", *link.get("key", {}).values()]}
    document["lossy"] = {name: why for name, why in lossy.items() if name not in written} | document.get("lossy", {})
    (tmp_path / "probe.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    (tmp_path / "target.yaml").write_text(yaml.safe_dump(TARGET))
    (tmp_path / "codes.yaml").write_text(yaml.safe_dump(CODES))
    (tmp_path / "systems.yaml").write_text("loinc: http://loinc.org\n")
    if over is not None:
        (tmp_path / fhir / "probe.yaml").write_text(yaml.safe_dump(over))
    return RuleMapping(load_rules(fhir, folder=tmp_path), fhir, {"probe": Probe, "target": Target})


NEEDED = {"is": {"status": "final", "code.text": "t"}}
QUANTITY = "value.ofType(Quantity)"
X = "extension('u')"

WRITES = [
    ("a member", {"fields": {"text": {"at": "method.text"}}}, {"text": "v"}, {"method": {"text": "v"}}),
    ("a choice by its type", {"fields": {"text": {"at": "value.ofType(string)"}}}, {"text": "v"}, {"valueString": "v"}),
    ("an integer", {"fields": {"count": {"at": "value.ofType(integer)"}}}, {"count": 3}, {"valueInteger": 3}),
    ("a boolean that is false", {"fields": {"flag": {"at": "value.ofType(boolean)"}}}, {"flag": False}, {"valueBoolean": False}),
    (
        "a decimal's digits",
        {"fields": {"amount": {"at": f"{QUANTITY}.value"}}},
        {"amount": Decimal("1.50")},
        {"valueQuantity": {"value": Decimal("1.50")}},
    ),
    ("a partial date", {"fields": {"day": {"at": "effective.ofType(dateTime)"}}}, {"day": "2023-05"}, {"effectiveDateTime": "2023-05"}),
    (
        "a local time",
        {"fields": {"day": {"at": "effective.ofType(dateTime)"}}},
        {"day": "2023-05-04T10:30"},
        {
            "effectiveDateTime": "2023-05-04",
            "_effectiveDateTime": {
                "extension": [{"url": "https://fhir-trial.org/StructureDefinition/local-time", "valueString": "2023-05-04T10:30"}]
            },
        },
    ),
    (
        "a filter, written with the item",
        {"fields": {"text": {"at": "method.coding.where(system='s').code"}}},
        {"text": "v"},
        {"method": {"coding": [{"code": "v", "system": "s"}]}},
    ),
    ("a filter whose item is empty", {"fields": {"text": {"at": "method.coding.where(system='s').code"}}}, {}, {}),
    (
        "two conditions",
        {"fields": {"text": {"at": "method.coding.where(system='s' and version='1').code"}}},
        {"text": "v"},
        {"method": {"coding": [{"code": "v", "system": "s", "version": "1"}]}},
    ),
    (
        "two filters of one list",
        {"fields": {"text": {"at": "method.coding.where(system='s').code"}, "other": {"at": "method.coding.where(system='t').code"}}},
        {"text": "v", "other": "w"},
        {"method": {"coding": [{"code": "v", "system": "s"}, {"code": "w", "system": "t"}]}},
    ),
    (
        "a nested path in a filter",
        {"fields": {"text": {"at": "component.where(code.coding.where(system='s').code='c').value.ofType(string)"}}},
        {"text": "v"},
        {"component": [{"valueString": "v", "code": {"coding": [{"system": "s", "code": "c"}]}}]},
    ),
    (
        "an extension",
        {"fields": {"text": {"at": f"{X}.value.ofType(string)"}}},
        {"text": "v"},
        {"extension": [{"valueString": "v", "url": "u"}]},
    ),
    (
        "an extension in an extension",
        {"fields": {"text": {"at": f"{X}.extension('w').value.ofType(code)"}}},
        {"text": "v"},
        {"extension": [{"extension": [{"valueCode": "v", "url": "w"}], "url": "u"}]},
    ),
    (
        "an extension of a primitive",
        {"fields": {"text": {"at": f"issued.{X}.value.ofType(string)"}}},
        {"text": "v"},
        {"_issued": {"extension": [{"valueString": "v", "url": "u"}]}},
    ),
    ("the only item of a list", {"fields": {"text": {"at": "note.single().text"}}}, {"text": "v"}, {"note": [{"text": "v"}]}),
    ("a code table", {"fields": {"text": {"at": "value.ofType(string)", "codes": "sex"}}}, {"text": "F"}, {"valueString": "female"}),
    (
        "a coding with its display",
        {"fields": {"text": {"at": "method.coding.where(system='s')", "as": "coding", "codes": "shown"}}},
        {"text": "x"},
        {"method": {"coding": [{"code": "C1", "display": "One", "system": "s"}]}},
    ),
    (
        "a kept original beside a code that two values share",
        {"fields": {"text": {"at": "method.coding.where(system='s')", "as": "coding", "codes": "both", "keep": "method.text"}}},
        {"text": "y"},
        {"method": {"text": "y", "coding": [{"code": "C1", "display": "One", "system": "s"}]}},
    ),
    (
        "a kept original that has no code",
        {"fields": {"text": {"at": "method.coding.where(system='s')", "as": "coding", "codes": "shown", "keep": "method.text"}}},
        {"text": "zzz"},
        {"method": {"text": "zzz"}},
    ),
    (
        "constants that go with a field",
        {"fields": {"amount": {"at": f"{QUANTITY}.value"}}, "with": {f"{QUANTITY}.code": "mm"}},
        {"amount": Decimal(2)},
        {"valueQuantity": {"value": Decimal(2), "code": "mm"}},
    ),
    ("such constants alone", {"fields": {"amount": {"at": f"{QUANTITY}.value"}}, "with": {f"{QUANTITY}.code": "mm"}}, {}, {}),
    (
        "what follows from a field",
        {"fields": {"text": {"at": "value.ofType(string)"}}, "derived": {"method.text": {"from": "text"}}},
        {"text": "v"},
        {"valueString": "v", "method": {"text": "v"}},
    ),
    (
        "a reason for what is absent",
        {"fields": {"day": {"at": "effective.ofType(dateTime)"}}, "absent": {"effective.ofType(dateTime)": "unknown"}},
        {},
        {
            "_effectiveDateTime": {
                "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
            }
        },
    ),
    (
        "a repeat, in order",
        {"each": {"items": {"at": "component", "is": {"code.text": "c"}, "fields": {"a": {"at": "value.ofType(string)"}}}}},
        {"items": (Item(a="1"), Item(a="2"))},
        {"component": [{"valueString": "1", "code": {"text": "c"}}, {"valueString": "2", "code": {"text": "c"}}]},
    ),
    ("a repeat without rows", {"each": {"items": {"at": "note", "fields": {"a": {"at": "text"}}}}}, {}, {}),
    (
        "a filtered repeat beside another item",
        {
            "fields": {"text": {"at": "extension('t').value.ofType(string)"}},
            "each": {"items": {"at": X, "fields": {"n": {"at": "value.ofType(integer)"}}}},
        },
        {"text": "v", "items": (Item(n=1),)},
        {"extension": [{"valueString": "v", "url": "t"}, {"valueInteger": 1, "url": "u"}]},
    ),
    (
        "a name of systems.yaml",
        {"fields": {"text": {"at": "method.coding.where(system='{loinc}').code"}}},
        {"text": "v"},
        {"method": {"coding": [{"code": "v", "system": "http://loinc.org"}]}},
    ),
    (
        "a link",
        {"links": {"subject": {"to": "target"}}},
        {"text": "7"},
        {
            "subject": {
                "reference": "Patient/27bd4fd8-e9d2-5d07-a5c3-4b1e5be37b1e",
                "identifier": {"system": "https://fhir-trial.org/sid/target", "value": "S/7"},
            }
        },
    ),
    ("a link to nobody", {"links": {"subject": {"to": "target"}}}, {}, {}),
]


@pytest.mark.parametrize(("title", "document", "values", "expected"), WRITES, ids=[case[0] for case in WRITES])
def test_a_rule_writes_and_reads_back(tmp_path, title, document, values, expected):
    document = document | {"is": NEEDED["is"] | document.get("is", {})}
    rule = rules(tmp_path, document)["probe"]
    row = Probe(study="S", **values)
    resource = rule.to_fhir(row)
    assert {"resourceType": "Observation", "status": "final", "code": {"text": "t"}}.items() <= resource.items()
    rest = {name: value for name, value in resource.items() if name not in ("resourceType", "id", "identifier", "status", "code")}
    if "subject" in expected:
        expected = {"subject": expected["subject"] | {"reference": rest["subject"]["reference"]}}
        assert rest["subject"]["reference"] == f"Patient/{rules(tmp_path, document)['target'].id(Target(study='S', text='7'))}"
    assert rest == expected
    assert rule.from_fhir(resource) == row


REFUSALS = [
    ("a misspelt element", {"fields": {"text": {"at": "metod.text"}}}, "did you mean 'method'"),
    ("two rules at one place", {"fields": {"text": {"at": "method.text"}, "other": {"at": "method.text"}}}, "another rule already"),
    ("an unfiltered repeat", {"fields": {"text": {"at": "method.coding.code"}}}, "repeats and needs where"),
    ("a choice without type", {"fields": {"text": {"at": "value"}}}, "needs ofType"),
    ("a function that cannot be reversed", {"fields": {"text": {"at": "note.first().text"}}}, "cannot be reversed"),
    ("a path that stops early", {"fields": {"text": {"at": "method."}}}, "found 'the end'"),
    ("a complex element as a value", {"fields": {"text": {"at": "method"}}}, "is no primitive"),
    ("a type that does not fit", {"fields": {"count": {"at": "method.text"}}}, "a int cannot stand in a FHIR string"),
    ("an ambiguous code table", {"fields": {"text": {"at": "method.text", "codes": "both"}}}, "stands for more than one value"),
    ("a code outside its value set", {"fields": {"text": {"at": "status", "codes": "bad"}}}, "not in the required value set"),
    ("a constant outside its value set", {"is": {"status": "done"}}, "not in its required value set"),
    ("a table that is not there", {"fields": {"text": {"at": "method.text", "codes": "nosuch"}}}, "not in codes.yaml"),
    ("a field that is not there", {"fields": {"nosuch": {"at": "method.text"}}}, "has no such field"),
    ("a link to a type that may not stand there", {"links": {"specimen": {"to": "target"}}}, "is not among Specimen"),
    ("a repeat on one element", {"each": {"items": {"at": "method", "fields": {}}}}, "does not repeat"),
    (
        "a list with two owners",
        {"each": {"items": {"at": "note", "fields": {"a": {"at": "text"}}}}, "fields": {"text": {"at": "note.single().text"}}},
        "already belongs|another rule owns",
    ),
    ("a system that is not there", {"fields": {"text": {"at": "method.coding.where(system='{nosuch}').code"}}}, "not in systems.yaml"),
]  # fmt: skip


@pytest.mark.parametrize(("title", "document", "message"), REFUSALS, ids=[case[0] for case in REFUSALS])
def test_the_loader_refuses(tmp_path, title, document, message):
    with pytest.raises(RuleError, match=message):
        rules(tmp_path, document)


def test_a_field_without_a_rule_is_refused(tmp_path):
    rules(tmp_path, {"fields": {"text": {"at": "method.text"}}})
    document = yaml.safe_load((tmp_path / "probe.yaml").read_text())
    del document["lossy"]["other"]
    (tmp_path / "probe.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    with pytest.raises(RuleError, match="no rule writes other"):
        RuleMapping(load_rules("r4", folder=tmp_path), "r4", {"probe": Probe, "target": Target})


@pytest.mark.parametrize("document", [{"fileds": {}}, {"key": []}, {"fields": {"text": {"path": "x"}}}, {"lossy": {"text": "short"}}])
def test_the_schema_refuses(tmp_path, document):
    with pytest.raises(InputError) as error:
        rules(tmp_path, document)
    assert all(f.code == "bad-rule" and f.place == "mappings/probe.yaml" for f in error.value.findings)


def test_an_overlay_replaces_and_removes(tmp_path):
    base = {"is": NEEDED["is"], "fields": {"text": {"at": "method.text"}, "other": {"at": "bodySite.text"}}}
    over = {"fields": {"text": {"at": "value.ofType(string)"}, "other": ""}, "lossy": {"other": "this version has no place"}}
    rule = rules(tmp_path, base, over=over)["probe"]
    resource = rule.to_fhir(Probe(study="S", text="v", other="w"))
    assert resource["valueString"] == "v"
    assert "bodySite" not in resource
    assert rule.lossy["other"] == "this version has no place"


READS = [
    ("a constant with another value", {"valueQuantity": {"value": Decimal(2), "code": "cm"}}, "code"),
    ("a second item of the filter", {"method": {"coding": [{"system": "s", "code": "a"}, {"system": "s", "code": "b"}]}}, "coding"),
    ("a code that is not in the table", {"valueString": "x", "bodySite": {"coding": [{"system": "s", "code": "Q"}]}}, "bodySite"),
    ("another type", {"method": "text"}, "method"),
]


@pytest.mark.parametrize(("title", "elements", "field"), READS, ids=[case[0] for case in READS])
def test_reading_finds(tmp_path, title, elements, field):
    document = {
        "fields": {
            "amount": {"at": f"{QUANTITY}.value"},
            "text": {"at": "method.coding.where(system='s').code"},
            "other": {"at": "bodySite.coding.where(system='s')", "as": "coding", "codes": "sex"},
        },
        "with": {f"{QUANTITY}.code": "mm"},
    }
    rule = rules(tmp_path, document)["probe"]
    resource = {"resourceType": "Observation", "id": "1", "identifier": [{"system": rule.system, "value": "S"}]} | elements
    findings = Findings()
    rule.read(resource, findings)
    assert [f.place for f in findings] == ["Observation/1"]
    assert next(iter(findings)).field is not None
    assert field in str(next(iter(findings)).field)


def test_other_paths_are_read_and_must_agree(tmp_path):
    document = {"fields": {"text": {"at": "value.ofType(string)", "also": ["note.single().text"]}}}
    rule = rules(tmp_path, document)["probe"]
    resource = {"resourceType": "Observation", "id": "1", "identifier": [{"system": rule.system, "value": "S"}]}
    assert rule.from_fhir(resource | {"note": [{"text": "v"}]}).text == "v"
    assert rule.from_fhir(resource | {"note": [{"text": "v"}], "valueString": "v"}).text == "v"
    with pytest.raises(InputError):
        rule.from_fhir(resource | {"note": [{"text": "w"}], "valueString": "v"})


def test_a_reference_without_identifier_is_resolved_or_found(tmp_path):
    rule = rules(tmp_path, {"links": {"subject": {"to": "target"}}})["probe"]
    resource = {
        "resourceType": "Observation",
        "id": "1",
        "identifier": [{"system": rule.system, "value": "S"}],
        "subject": {"reference": "Patient/9"},
    }
    findings = Findings()
    assert rule.read(resource, findings, {"Patient/9": "S/7"}).text == "7"
    assert len(findings) == 0
    rule.read(resource, findings)
    assert [f.field for f in findings] == ["subject"]


def test_the_packages_own_rules_meet_the_schema():
    schema = msgspec.json.decode((MAPPINGS / "rules.schema.json").read_bytes())
    validator = jsonschema.Draft202012Validator(schema | {"required": []})
    tables = {"codes", "systems", "extensions", "code-systems"}
    files = [p for p in MAPPINGS.rglob("*.yaml") if p.stem not in tables]
    assert len(files) > 20
    for path in files:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
        overlay = {name: value for name, value in document.items() if value != ""}
        for section in ("is", "with", "fields", "links", "each", "derived"):
            if section in overlay:
                overlay[section] = {name: rule for name, rule in overlay[section].items() if rule != ""}
        rules = {name: value for name, value in overlay.items() if path.parent.name != "reading" or name not in ("when", "unless", "set")}
        assert [e.message for e in validator.iter_errors(rules)] == [], path.name
