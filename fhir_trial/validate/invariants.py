"""HL7's invariants. Those met in almost every resource are written out here, the others run as the FHIRPath that HL7 gives.

Not run: `ele-1`, `txt-1` and `txt-2`, for the structure is checked against empty objects and bad narratives anyway, and those of
`NOT_RUN`, each with its reason.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from fhir_trial.fhir.shapes import Element, Invariant, Shapes
from fhir_trial.validate.expressions import expression_check
from fhir_trial.validate.problems import Check, Context, Problem, Problems

Json = dict[str, Any]
Holds = Callable[[Json, Context], bool]

NOT_RUN = {
    "ele-1": "empty objects are refused as such",
    "txt-1": "narratives are checked as a primitive type",
    "txt-2": "narratives are checked as a primitive type",
    "dom-6": "best practice: a resource made from data needs no narrative",
    "obs-9": "resolves references to other resources",
    "opd-3": "needs a terminology server",
    "exs-1": "needs a terminology server",
    "cid-0": "HL7's expression names an element that the type does not have",
    "sdf-26": "HL7's expression compares a boolean with a string",
    "nsd-3": "HL7's expression compares a boolean with a string",
    "eld-11": "HL7's expression has a string in double quotes",
    "ras-1": "HL7's expression is about a Range and stands on a decimal too",
    "prov-1": "resolves references to other resources",
    "prov-2": "resolves references to other resources",
    "prov-3": "resolves references to other resources",
}


def _contained(resource: Json) -> list[Json]:
    """The contained resources that are objects."""
    listed = resource.get("contained")
    return [c for c in listed if isinstance(c, dict)] if isinstance(listed, list) else []


def _strings(value: Any) -> Iterator[str]:
    """Every string inside a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def _contained_are_referred_to(resource: Json, context: Context) -> bool:
    """dom-3: each contained resource is referred to, or refers to what contains it."""
    if "contained" not in resource:
        return True
    used = set(_strings(resource))
    return all(f"#{c.get('id')}" in used or "#" in set(_strings(c)) for c in _contained(resource))


def _extension_is_either(extension: Json, context: Context) -> bool:
    """ext-1: extensions or a value, not both and not neither."""
    has_value = any(name.startswith(("value", "_value")) for name in extension)
    return has_value != ("extension" in extension)


def _contained_is_there(reference: Json, context: Context) -> bool:
    """ref-1: a `#id` names a contained resource; `#` alone, from inside, names the container."""
    target = reference.get("reference")
    return not isinstance(target, str) or not target.startswith("#") or target == "#" or target[1:] in context.contained


def _ends_after_start(period: Json, context: Context) -> bool:
    """per-1: the end is not before the start, as far as their common precision tells."""
    start, end = period.get("start"), period.get("end")
    if not isinstance(start, str) or not isinstance(end, str):
        return True
    if "T" in start and "T" in end:
        try:
            return datetime.fromisoformat(start) <= datetime.fromisoformat(end)
        except (ValueError, TypeError):
            return True  # not dates: said where they stand
    digits = min(len(start), len(end), len("2026-01-31"))
    return start[:digits] <= end[:digits]


def _has_value(observation: Json) -> bool:
    """Whether an Observation has a value of any type."""
    return any(name.startswith(("value", "_value")) for name in observation)


def _codings(concept: Any) -> set[tuple[Any, ...]]:
    """The codings of a concept, each with all that it states."""
    listed = concept.get("coding") if isinstance(concept, dict) else None
    return {tuple(sorted((k, str(v)) for k, v in c.items())) for c in listed if isinstance(c, dict)} if isinstance(listed, list) else set()


def _value_is_not_in_a_component(observation: Json, context: Context) -> bool:
    """obs-7: a component with the observation's own code leaves no room for a value of its own."""
    components = observation.get("component")
    if not isinstance(components, list) or not _has_value(observation):
        return True
    own = _codings(observation.get("code"))
    return not any(own & _codings(c.get("code")) for c in components if isinstance(c, dict))


def _contained_lacks(*names: str) -> Holds:
    """dom-4 and dom-5: contained resources have no such members in `meta`."""
    return lambda resource, _: not any(name in c["meta"] for c in _contained(resource) if isinstance(c.get("meta"), dict) for name in names)


NATIVE: dict[str, Holds] = {
    "dom-2": lambda resource, _: not any("contained" in c for c in _contained(resource)),
    "dom-3": _contained_are_referred_to,
    "dom-4": _contained_lacks("versionId", "lastUpdated"),
    "dom-5": _contained_lacks("security"),
    "ext-1": _extension_is_either,
    "ref-1": _contained_is_there,
    "ref-2": lambda reference, _: not {"reference", "identifier", "display", "extension", "_reference", "_display"}.isdisjoint(reference),
    "per-1": _ends_after_start,
    "qty-3": lambda quantity, _: "code" not in quantity or "system" in quantity,
    "sqty-1": lambda quantity, _: "comparator" not in quantity,
    "cod-1": lambda coding, _: "display" not in coding or not {"code", "_code"}.isdisjoint(coding),
    "ident-1": lambda identifier, _: not {"value", "_value"}.isdisjoint(identifier),
    "obs-3": lambda limits, _: not {"low", "high", "text", "_text"}.isdisjoint(limits),
    "obs-6": lambda observation, _: "dataAbsentReason" not in observation or not _has_value(observation),
    "obs-7": _value_is_not_in_a_component,
    "obs-8": lambda observation, _: "bodySite" not in observation or "bodyStructure" not in observation,
}


def _native_check(invariant: Invariant, holds: Holds) -> Check:
    """The check of an invariant written out here."""
    broken = [Problem(f"invariant-{invariant.key}", invariant.human, severity=invariant.severity)]

    def check(value: Any, context: Context) -> Problems:
        return None if not value or not isinstance(value, dict) or holds(value, context) else broken

    return check


def _checks(invariants: tuple[Invariant, ...], type_name: str, shapes: Shapes) -> tuple[Check, ...]:
    """The checks of invariants on a value of a type."""
    run = [i for i in invariants if i.key not in NOT_RUN]
    native = [_native_check(i, NATIVE[i.key]) for i in run if i.key in NATIVE]
    return (*native, *(expression_check(i, type_name, shapes) for i in run if i.key not in NATIVE))


def type_invariants(type_name: str, shapes: Shapes) -> tuple[Check, ...]:
    """The invariants of a type, inherited ones included."""
    return _checks(shapes.invariants(type_name), type_name, shapes)


def element_invariants(element: Element, type_name: str, shapes: Shapes) -> tuple[Check, ...]:
    """The invariants that an element puts on each of its values, of the given type."""
    return _checks(element.invariants, type_name, shapes)
