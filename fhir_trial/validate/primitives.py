"""The primitive types: which JSON values they accept (datatypes.html#primitive in each version).

One table for all versions: a type that a version lacks is never asked for.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from html.entities import html5
from math import isfinite
from typing import Any

Accepts = Callable[[Any], bool]

_YEAR, _MONTH, _DAY = r"([1-9]\d{3}|0(?!000)\d{3})", r"(0[1-9]|1[0-2])", r"(0[1-9]|[12]\d|3[01])"
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
_ZONE = r"(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_BASE64 = re.compile(r"(?:[0-9A-Za-z+/]{4})*(?:[0-9A-Za-z+/]{2}==|[0-9A-Za-z+/]{3}=)?")
_MAX_INTEGER = 2**31 - 1
_MAX_INTEGER64 = 2**63 - 1
_XHTML = "{http://www.w3.org/1999/xhtml}"
_NAMED_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9]*;)")
# narrative.html#security: no scripts, forms, frames or outside styles.
_FORBIDDEN = frozenset({"script", "form", "base", "link", "frame", "frameset", "iframe", "object", "head", "body", "embed", "input"})


@dataclass(frozen=True, slots=True)
class Primitive:
    """One primitive type."""

    json: str
    """The JSON type: `string`, `number` or `boolean`."""
    accepts: Accepts
    expected: str
    """What it accepts, in words."""


def _text(pattern: str) -> Accepts:
    """Strings that match `pattern` as a whole."""
    match = re.compile(pattern, re.ASCII).fullmatch

    def accepts(value: Any) -> bool:
        return type(value) is str and match(value) is not None

    return accepts


def _calendar(pattern: str) -> Accepts:
    """Strings that match `pattern` and name a day that exists."""
    match = re.compile(pattern, re.ASCII).fullmatch

    @lru_cache(maxsize=8192)
    def is_real(value: str) -> bool:
        found = match(value)
        if found is None:
            return False
        year, month, day = found.group(1, 2, 3)
        return day is None or int(day) < 29 or _exists(int(year), int(month), int(day))

    return lambda value: type(value) is str and is_real(value)


def _exists(year: int, month: int, day: int) -> bool:
    """Whether a day is in the calendar."""
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _integer(lowest: int, highest: int = _MAX_INTEGER) -> Accepts:
    """Whole JSON numbers in a range; `true` is no number."""
    return lambda value: type(value) is int and lowest <= value <= highest


def _is_decimal(value: Any) -> bool:
    """Any finite JSON number, exact or not."""
    return (type(value) is Decimal and value.is_finite()) or type(value) is int or (type(value) is float and isfinite(value))


def _is_integer64(value: Any) -> bool:
    """A 64-bit whole number written as a string, as JSON numbers lose digits beyond 53 bits."""
    return (
        type(value) is str
        and re.fullmatch(r"-?\d{1,19}|\+\d{1,19}", value) is not None
        and -_MAX_INTEGER64 - 1 <= int(value) <= _MAX_INTEGER64
    )


def _is_string(value: Any) -> bool:
    """Text that is not blank and holds no control characters but tab and line ends."""
    return type(value) is str and value != "" and not value.isspace() and _CONTROL.search(value) is None


def _is_base64(value: Any) -> bool:
    """Base64 of at least a byte; white space inside is allowed."""
    return type(value) is str and value != "" and _BASE64.fullmatch("".join(value.split())) is not None


@lru_cache(maxsize=1024)
def _is_narrative(value: str) -> bool:
    """A well-formed XHTML `div` with something to read in it, without active content (txt-1, txt-2)."""
    if "<!" in value.replace("<!--", "") or "<?" in value:
        return False
    named = _NAMED_ENTITY.sub(lambda m: html5.get(m[1], m[0]), value)
    try:
        root = ET.fromstring(named)
    except (ET.ParseError, UnicodeError):
        return False
    elements = list(root.iter())
    names = {element.tag.removeprefix(_XHTML) for element in elements}
    active = any(name.lower().startswith("on") for element in elements for name in element.attrib)
    filled = "img" in names or any(text.strip() for text in root.itertext())
    return root.tag == f"{_XHTML}div" and not names & _FORBIDDEN and not active and filled


_STRING = Primitive("string", _is_string, "text that is not blank")
_URI = Primitive("string", _text(r"[^\s\x00-\x1f]+"), "a URI without spaces")

PRIMITIVES: dict[str, Primitive] = {
    "boolean": Primitive("boolean", lambda value: type(value) is bool, "true or false"),
    "integer": Primitive("number", _integer(-_MAX_INTEGER - 1), "a whole number of 32 bits"),
    "positiveInt": Primitive("number", _integer(1), "a whole number above zero"),
    "unsignedInt": Primitive("number", _integer(0), "a whole number, not negative"),
    "integer64": Primitive("string", _is_integer64, "a whole number of 64 bits in a string"),
    "decimal": Primitive("number", _is_decimal, "a number"),
    "string": _STRING,
    "markdown": _STRING,
    "code": Primitive("string", _text(r"[^\s]+(?:\s[^\s]+)*"), "a code without spaces around it"),
    "id": Primitive("string", _text(r"[A-Za-z0-9\-.]{1,64}"), "1 to 64 letters, digits, - and ."),
    "uri": _URI,
    "url": _URI,
    "canonical": _URI,
    "oid": Primitive("string", _text(r"urn:oid:[0-2](?:\.(?:0|[1-9]\d*))+"), "urn:oid: and a dotted number"),
    "uuid": Primitive("string", _text(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "urn:uuid: and a UUID in lower case"),
    "base64Binary": Primitive("string", _is_base64, "base64"),
    "date": Primitive("string", _calendar(rf"{_YEAR}(?:-{_MONTH}(?:-{_DAY})?)?"), "an existing date: YYYY, YYYY-MM or YYYY-MM-DD"),
    "dateTime": Primitive(
        "string",
        _calendar(rf"{_YEAR}(?:-{_MONTH}(?:-{_DAY}(?:T{_CLOCK}{_ZONE})?)?)?"),
        "an existing date, or one with a time to the second and a zone",
    ),
    "instant": Primitive(
        "string", _calendar(rf"{_YEAR}-{_MONTH}-{_DAY}T{_CLOCK}{_ZONE}"), "an existing date with a time to the second and a zone"
    ),
    "time": Primitive("string", _text(_CLOCK), "hh:mm:ss"),
    "xhtml": Primitive(
        "string", lambda value: type(value) is str and _is_narrative(value), "a well-formed XHTML div without active content"
    ),
}


_LANGUAGE = Primitive("string", _text(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*"), "a language tag: en-GB")
GRAMMARS: dict[str, Primitive] = {
    "http://hl7.org/fhir/ValueSet/mimetypes": Primitive(
        "string", _text(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:\s*;.*)?|json|xml|ttl"), "a MIME type: text/plain"
    ),
    "http://hl7.org/fhir/ValueSet/all-languages": _LANGUAGE,
    "http://hl7.org/fhir/ValueSet/languages": _LANGUAGE,
    "http://hl7.org/fhir/ValueSet/currencies": Primitive("string", _text(r"[A-Z]{3}"), "a currency code of three capitals: EUR"),
}
"""Value sets without a list of codes that no code may be outside of: those that a grammar gives."""
BOUND_BY_THEIR_MOST = frozenset({"http://hl7.org/fhir/ValueSet/languages"})
"""Preferred value sets whose binding names a largest one that is required (maxValueSet): in R4 languages are any that BCP 47 allows."""
