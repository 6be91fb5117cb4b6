"""The validator's door: a resource in, findings out."""

from typing import Any

from fhir_trial.errors import Finding
from fhir_trial.fhir.versions import DEFAULT
from fhir_trial.validate.objects import compiler
from fhir_trial.validate.problems import Part, Problem, problem


def validate(resource: Any, fhir: str = DEFAULT) -> list[Finding]:
    """What is wrong with a resource, in the order of its members; [] when nothing is.

    A Bundle's resources are checked too, each finding at its own resource: `place` is `Type/id`, `field` the path from there.

    >>> validate({"resourceType": "Patient", "id": "p1", "gender": "femail", "birthDate": "2001-02-30"})
    [Finding(code='unknown-code', place='Patient/p1', row=None, field='Patient.gender', expected='female, male, other, unknown', ...
    """
    return [as_finding(found, resource) for found in problems_of(resource, fhir)]


def problems_of(resource: Any, fhir: str) -> list[Problem]:
    """The problems of a resource with their paths into its JSON."""
    try:
        return compiler(fhir).root(resource) or []
    except RecursionError:
        return problem("too-deep", "fewer levels of nesting")


def as_finding(found: Problem, resource: Any) -> Finding:
    """A problem as a finding at the innermost resource that stands for itself."""
    place, steps = innermost(found, resource)
    return Finding(found.code, place, field=path_text(steps), found=found.found, expected=found.expected, severity=found.severity)


def innermost(found: Problem, resource: Any) -> tuple[str, tuple[Part, ...]]:
    """Name and path inside it of the resource a problem is in: the one in a Bundle's entry, but not a contained one."""
    place, start, value = _name(resource), 0, resource
    for depth, step in enumerate(found.json_path, 1):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            break
        if step == "resource" and isinstance(value, dict) and "resourceType" in value:
            place, start = _name(value), depth
    return place, (place.partition("/")[0], *found.path[start:])


def _name(resource: Any) -> str:
    """`Type/id`, or what of it there is."""
    if not isinstance(resource, dict):
        return "resource"
    kind, identity = resource.get("resourceType", "resource"), resource.get("id")
    return f"{kind}/{identity}" if identity is not None else str(kind)


def path_text(steps: tuple[Part, ...]) -> str:
    """Steps as a path.

    >>> path_text(("Observation", "component", 0, "value"))
    'Observation.component[0].value'
    """
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")
