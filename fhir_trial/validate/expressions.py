"""Invariants as HL7 writes them, in FHIRPath, compiled when first met."""

from functools import cache
from typing import Any

from fhir_trial.fhir.shapes import Invariant, Shapes
from fhir_trial.fhirpath import FhirPathError, compile_path
from fhir_trial.validate.problems import Check, Context, Problem, Problems


def expression_check(invariant: Invariant, type_name: str, shapes: Shapes) -> Check:
    """The check of an invariant on values of a type."""
    broken = [Problem(f"invariant-{invariant.key}", invariant.human, severity=invariant.severity)]

    @cache
    def holds() -> Any:
        return compile_path(invariant.expression, shapes, type_name)

    def check(value: Any, context: Context) -> Problems:
        if value == {}:
            return None  # refused as empty already
        try:
            found = holds()(value, context.root)
        except FhirPathError:
            # The value's own shape is wrong and said where it is, so that the expression has no answer.
            return None
        return broken if found == [False] else None

    return check
