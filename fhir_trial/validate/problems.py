"""What a check says: nothing when all is well, else problems whose path grows as they travel up.

Paths are built only when something is wrong, so a valid resource costs no string.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fhir_trial.errors import Severity

Part = str | int
_SHOWN_CHARACTERS = 80


class Problem(NamedTuple):
    """One problem, its path relative to the value that was checked."""

    code: str
    """The finding's stable code."""
    expected: str
    found: str | None = None
    severity: Severity = "error"
    json_path: tuple[Part, ...] = ()
    """The steps in the JSON: `("valueQuantity", "unit")`."""
    path: tuple[Part, ...] = ()
    """The same steps by FHIRPath names: `("value", "unit")`."""


@dataclass(frozen=True, slots=True)
class Bundled:
    """What a resource in a Bundle may refer to there."""

    types: dict[str, str]
    """The types of the Bundle's resources by `fullUrl`."""
    is_transaction: bool
    """Whether a `urn:` must lead to one of them: the server that takes the transaction knows no others."""


_NOT_BUNDLED = Bundled({}, False)


@dataclass(frozen=True, slots=True)
class Context:
    """What checks may know of the resource around them."""

    root: dict[str, Any]
    """The resource that stands for itself: the outermost, or the one in a Bundle's entry."""
    contained: dict[str, str] = field(default_factory=dict)
    """The types of its contained resources by id."""
    bundled: Bundled = _NOT_BUNDLED


Problems = list[Problem] | None
"""None when all is well: the usual case must not cost a list."""
Check = Callable[[Any, Context], Problems]


def problem(code: str, expected: str, found: Any = None) -> list[Problem]:
    """One problem of the value itself; a long value is cut."""
    return [Problem(code, expected, None if found is None else str(found)[:_SHOWN_CHARACTERS])]


def under(problems: list[Problem], json_part: Part, part: Part) -> list[Problem]:
    """The same problems seen from the object or array that holds the value."""
    return [p._replace(json_path=(json_part, *p.json_path), path=(part, *p.path)) for p in problems]


def _objects(listed: Any) -> list[dict[str, Any]]:
    """The objects in an array, if it is one."""
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def context_of(resource: dict[str, Any], around: Context | None = None) -> Context:
    """The context of a resource that is not contained in another; `around` is that of the Bundle it stands in."""
    contained = {str(c.get("id")): str(c.get("resourceType")) for c in _objects(resource.get("contained"))}
    bundled = around.bundled if around else _NOT_BUNDLED
    if resource.get("resourceType") == "Bundle":
        whole = [
            (e.get("fullUrl"), e["resource"].get("resourceType"))
            for e in _objects(resource.get("entry"))
            if isinstance(e.get("resource"), dict)
        ]
        bundled = Bundled({str(url): str(kind) for url, kind in whole}, resource.get("type") == "transaction")
    return Context(resource, contained, bundled)
