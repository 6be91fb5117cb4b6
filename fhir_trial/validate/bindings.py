"""Required bindings of codings and concepts: the code, with its system, is one of the value set."""

from collections.abc import Mapping
from typing import Any

from fhir_trial.fhir.shapes import Element
from fhir_trial.validate.problems import Check, Context, Problems, problem

Systems = Mapping[str, frozenset[str]]
_SHOWN_CODES = 24


def bound(element: Element, type_name: str) -> tuple[Check, ...]:
    """The checks that a required binding puts on a value of a complex type; () where none is known.

    Weaker bindings are advice: a code outside them is no error. HL7 binds no other complex type to a value set that it lists.
    """
    systems = element.codes_by_system
    makers = {"Coding": _coding, "CodeableConcept": _concept}
    return (makers[type_name](systems),) if systems is not None and type_name in makers else ()


def _is_among(coding: Any, systems: Systems) -> bool:
    """Whether a coding is in the value set."""
    code = coding.get("code") if isinstance(coding, dict) else None
    return isinstance(code, str) and code in systems.get(str(coding.get("system")), ())


def codes_text(codes: frozenset[str]) -> str:
    """The codes in words; of a long list the first few.

    >>> codes_text(frozenset({"male", "female"}))
    'female, male'
    """
    shown = sorted(codes)[:_SHOWN_CODES]
    more = len(codes) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _expected(systems: Systems) -> str:
    """The codes in words, with their systems."""
    return "; ".join(f"{codes_text(codes)} of {system}" for system, codes in systems.items())


def _coding(systems: Systems) -> Check:
    """The check of a Coding."""

    def check(value: Any, context: Context) -> Problems:
        if not isinstance(value, dict) or _is_among(value, systems):
            return None
        return problem("unknown-code", _expected(systems), f"{value.get('system')}|{value.get('code')}")

    return check


def _concept(systems: Systems) -> Check:
    """The check of a CodeableConcept: one coding at least is in the value set; text alone will not do."""

    def check(value: Any, context: Context) -> Problems:
        codings = value.get("coding") if isinstance(value, dict) else None
        if not isinstance(value, dict) or (isinstance(codings, list) and any(_is_among(c, systems) for c in codings)):
            return None
        if codings is None and "extension" in value:
            return None  # a data-absent-reason stands for the code
        given = [f"{c.get('system')}|{c.get('code')}" for c in codings if isinstance(c, dict)] if isinstance(codings, list) else []
        return problem("unknown-code", _expected(systems), ", ".join(given) or None)

    return check
