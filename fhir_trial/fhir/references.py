"""Reading the literal references of FHIR: `Patient/1`, an absolute url of a resource, `#contained`, `urn:uuid:...`."""

import re
from dataclasses import dataclass

# http.html#reference-url: a base, a type, an id and perhaps a version.
_RESOURCE_URL = re.compile(
    r"(?:(?P<base>https?://[^?#]+)/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9.\-]{1,64})(?:/_history/(?P<version>[^/?#]+))?"
)


@dataclass(frozen=True, slots=True)
class Literal:
    """The resource that a literal reference names on some server."""

    type: str
    id: str
    base: str | None = None
    """The server's base url; None for a relative reference."""
    version: str | None = None


def literal(reference: str) -> Literal | None:
    """The type and id in a RESTful reference; None for `#contained`, `urn:` and other urls.

    >>> literal("http://example.org/fhir/Patient/7/_history/2")
    Literal(type='Patient', id='7', base='http://example.org/fhir', version='2')
    >>> literal("urn:uuid:0b8e1f5e-3c1f-4d1f-9d7e-0a0a0a0a0a0a") is None
    True
    """
    match = _RESOURCE_URL.fullmatch(reference)
    return Literal(match["type"], match["id"], match["base"], match["version"]) if match else None
