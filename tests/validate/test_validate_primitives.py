from decimal import Decimal
from typing import Any

import pytest

from fhir_trial.fhir.shapes import shapes
from fhir_trial.fhir.versions import VERSIONS
from fhir_trial.validate.primitives import PRIMITIVES

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'

ACCEPTED: list[tuple[str, Any]] = [
    ("boolean", False),
    ("integer", -(2**31)),
    ("positiveInt", 1),
    ("unsignedInt", 0),
    ("integer64", "-9223372036854775808"),
    ("decimal", Decimal("1.50")),
    ("decimal", 0),
    ("decimal", 0.5),
    ("string", "a\tb\n"),
    ("code", "a b"),
    ("id", "A-1.b"),
    ("uri", "urn:oid:1.2.3"),
    ("oid", "urn:oid:2.16.840"),
    ("uuid", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"),
    ("base64Binary", "YQ=="),
    ("base64Binary", "YWJj\n YWJj"),
    ("date", "2024"),
    ("date", "2024-02"),
    ("date", "2024-02-29"),
    ("dateTime", "2024-02-29T23:59:60Z"),
    ("dateTime", "2024-02-29T00:00:00.123+14:00"),
    ("instant", "2024-02-29T10:00:00-05:30"),
    ("time", "23:59:59.5"),
    ("xhtml", DIV.format("a &lt; b &eacute;<p>c</p>")),
    ("xhtml", DIV.format('<img src="#p" alt=""/>')),
]
REFUSED: list[tuple[str, Any]] = [
    ("boolean", 0),
    ("boolean", "true"),
    ("integer", 2**31),
    ("integer", True),
    ("integer", Decimal("1.0")),
    ("positiveInt", 0),
    ("unsignedInt", -1),
    ("integer64", 1),
    ("integer64", "9223372036854775808"),
    ("decimal", "1"),
    ("decimal", True),
    ("decimal", Decimal("NaN")),
    ("decimal", float("inf")),
    ("string", ""),
    ("string", "\x00"),
    ("string", " \n"),
    ("code", " a"),
    ("code", "a  b"),
    ("id", "x" * 65),
    ("id", ""),
    ("uri", "http://a b"),
    ("oid", "1.2.3"),
    ("uuid", "urn:uuid:C757873D-EC9A-4326-A141-556F43239520"),
    ("base64Binary", "YQ="),
    ("base64Binary", "Y*=="),
    ("base64Binary", ""),
    ("date", "2023-02-29"),
    ("date", "2024-13"),
    ("date", "0000"),
    ("date", "24-01-01"),
    ("date", "2024-01-01T10:00:00Z"),
    ("date", "٢٠٢٤"),
    ("dateTime", "2024-02-29T10:00Z"),
    ("dateTime", "2024-02-29T10:00:00"),
    ("dateTime", "2024-02-29T24:00:00Z"),
    ("dateTime", "2024-02-29 10:00:00Z"),
    ("dateTime", "2024-02-29T10:00:00+14:30"),
    ("instant", "2024-02-29"),
    ("instant", "2023-02-29T10:00:00Z"),
    ("time", "10:00"),
    ("time", "10:00:00Z"),
    ("xhtml", "text"),
    ("xhtml", DIV.format(" ")),
    ("xhtml", DIV.format("<p>open")),
    ("xhtml", DIV.format("<script>x</script>")),
    ("xhtml", DIV.format('<p onclick="x">y</p>')),
    ("xhtml", '<!DOCTYPE x [<!ENTITY a "b">]>' + DIV.format("&a;")),
    ("xhtml", "<div>no namespace</div>"),
]


@pytest.mark.parametrize(("type_name", "value"), ACCEPTED)
def test_accepted(type_name: str, value: Any) -> None:
    assert PRIMITIVES[type_name].accepts(value)


@pytest.mark.parametrize(("type_name", "value"), REFUSED)
def test_refused(type_name: str, value: Any) -> None:
    assert not PRIMITIVES[type_name].accepts(value)


@pytest.mark.parametrize("fhir", VERSIONS)
def test_every_primitive_type_has_its_rule(fhir: str) -> None:
    known = shapes(fhir)
    primitive = {name for name in known.types if known.kind(name) == "primitive-type"}
    assert primitive <= PRIMITIVES.keys()
