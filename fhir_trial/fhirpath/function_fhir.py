"""FHIR's own functions on elements and references (each is the FHIRPath function it is entered as)."""

import re
from decimal import Decimal
from typing import Any

from fhir_trial.fhirpath.functions import function
from fhir_trial.fhirpath.nodes import Items, Node, bare, read

_TARGET = re.compile(r"(?:^|.*/)([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]+)?$")


@function("hasValue", "boolean")
def _has_value(items: Items) -> Items:
    return [len(items) == 1 and _is_scalar(bare(items[0]))]


@function("getValue", "item")
def _get_value(items: Items) -> Items:
    return [value for item in items[:1] if _is_scalar(value := bare(item))] if len(items) == 1 else []


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | Decimal)


@function("htmlChecks", "boolean")
def _html_checks(items: Items) -> Items:
    # The rules of the narrative's XHTML are another validator's work; what is no XHTML at all is seen here.
    return [all(isinstance(text := bare(item), str) and text.lstrip().startswith("<div") for item in items)]


@function("getResourceKey", "string")
def _get_resource_key(items: Items) -> Items:
    return [key for item in items if (key := read(item, "id")) is not None]


def split_reference(text: str) -> tuple[str, str] | None:
    """The resource type and logical id in a literal reference; None where it has none (`urn:uuid:`, `#contained`, a query).

    >>> split_reference("https://example.org/fhir/Patient/p1/_history/2"), split_reference("#p1")
    (('Patient', 'p1'), None)
    """
    match = _TARGET.match(text)
    return (match[1], match[2]) if match else None


def reference_key(text: Any, type_name: Any, wanted: str | None) -> str | None:
    """`getReferenceKey(wanted)` of one reference: what `getResourceKey()` of its target gives, where that is of the wanted type."""
    if not isinstance(text, str):
        return None
    target = split_reference(text)
    if target is not None:
        return target[1] if wanted is None or target[0] == wanted else None
    return text if text.startswith("urn:") and (wanted is None or type_name == wanted) else None


def resolved(items: Items, resource: Any) -> Items:
    """What `resolve()` can say without a server: the type of each resource referred to, and the contained resource itself."""
    found: Items = []
    for item in items:
        value = bare(item)
        text = value if isinstance(value, str) else read(value, "reference")
        if isinstance(text, str) and text.startswith("#"):
            found += [
                Node(inner, read(inner, "resourceType")) for inner in read(resource, "contained") or () if read(inner, "id") == text[1:]
            ]
            continue
        target = split_reference(text) if isinstance(text, str) else None
        name = target[0] if target else None if isinstance(value, str) else read(value, "type")
        if name:
            found.append(Node(None, name))
    return found
