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


@dataclass(slots=True)
class Context:
    """What checks may know of the resource around them."""

    root: dict[str, Any]
    """The outermost resource, or the entry of a Bundle: contained resources are looked up in it."""
    contained: dict[str, str] = field(default_factory=dict)
    """The types of its contained resources by id."""


Problems = list[Problem] | None
"""None when all is well: the usual case must not cost a list."""
Check = Callable[[Any, Context], Problems]


def problem(code: str, expected: str, found: Any = None) -> list[Problem]:
    """One problem of the value itself; a long value is cut."""
    return [Problem(code, expected, None if found is None else str(found)[:_SHOWN_CHARACTERS])]


def under(problems: list[Problem], json_part: Part, part: Part) -> list[Problem]:
    """The same problems seen from the object or array that holds the value."""
    return [p._replace(json_path=(json_part, *p.json_path), path=(part, *p.path)) for p in problems]


def context_of(resource: dict[str, Any]) -> Context:
    """The context of a resource that is not contained in another."""
    listed = resource.get("contained")
    found = [c for c in listed if isinstance(c, dict)] if isinstance(listed, list) else []
    return Context(resource, {str(c.get("id")): str(c.get("resourceType")) for c in found})
