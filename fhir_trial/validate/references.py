"""Literal references: their form, that a contained resource is there, and that they lead to a type the element allows."""

from typing import Any

from fhir_trial.fhir.references import literal
from fhir_trial.fhir.shapes import Element, Shapes
from fhir_trial.validate.problems import Check, Context, Problems, problem, under

_OTHER_FORMS = ("urn:", "http:", "https:")


def aimed(element: Element, type_name: str, shapes: Shapes) -> tuple[Check, ...]:
    """The checks on where a value of `element` leads; () for types that lead nowhere."""
    if type_name not in ("Reference", "CodeableReference"):
        return ()
    allowed = frozenset(element.targets) or shapes.resource_types
    expected = ", ".join(element.targets) or f"a resource type of FHIR {shapes.number}"

    def check(value: Any, context: Context) -> Problems:
        reference = value.get("reference") if isinstance(value, dict) else None
        if type_name == "CodeableReference":
            return under(found, "reference", "reference") if (found := check_reference(reference, context)) else None
        return check_reference(value, context)

    def check_reference(value: Any, context: Context) -> Problems:
        if not isinstance(value, dict):
            return None
        reference = value.get("reference")
        target = _target(reference, context) if isinstance(reference, str) else None
        stated = value.get("type") if target is None else target
        if not isinstance(stated, str) or stated in allowed:
            return _form(reference, context)
        if stated not in shapes.resource_types and (target is None or str(reference).startswith(("#", *_OTHER_FORMS))):
            return None  # a url that only looks like one of a resource, or a contained one whose type is refused where it stands
        return problem("wrong-reference-target", expected, stated)

    return (check,)


def _target(reference: str, context: Context) -> str | None:
    """The resource type that a reference names, or None when it tells none."""
    if reference.startswith("#"):
        return context.contained.get(reference[1:])
    if reference in context.bundled.types:
        return context.bundled.types[reference]
    found = literal(reference)
    return found.type if found else None


def _form(reference: Any, context: Context) -> Problems:
    """Whether a reference has one of the forms there are; a search (`Patient?identifier=1`) stands in transactions."""
    if not isinstance(reference, str):
        return None
    if context.bundled.is_transaction and reference.startswith("urn:") and reference not in context.bundled.types:
        return under(problem("unresolved-reference", "the fullUrl of an entry of the transaction", reference), "reference", "reference")
    if reference.startswith(("#", *_OTHER_FORMS)) or "?" in reference or literal(reference):
        return None
    return under(problem("invalid-reference", "Type/id, #id, an absolute url or a urn", reference), "reference", "reference")
