"""The one error of this room: an expression that cannot be read, typed or evaluated, with its place."""

from fhir_trial.errors import Finding, InputError


class FhirPathError(InputError):
    """An expression is wrong at `position` (0-based character of `expression`); its text names no subject data.

    >>> raise FhirPathError("name.famly", 5, "unknown-element", "Patient.name has no element famly", "family")
    Traceback (most recent call last):
    ...
    fhir_trial.fhirpath.errors.FhirPathError: Patient.name has no element famly, at character 6 of `name.famly`; did you mean family?
    """

    def __init__(self, expression: str, position: int, code: str, problem: str, suggestion: str | None = None) -> None:
        """Keep where the problem is; the same words stand in the one finding."""
        self.expression = expression
        self.position = position
        self.code = code
        self.problem = problem
        self.suggestion = suggestion
        finding = Finding(code, f"`{expression}`", field=f"character {position + 1}", found=problem, expected=suggestion)
        super().__init__([finding])
        ask = f"; did you mean {suggestion}?" if suggestion else ""
        self.args = (f"{problem}, at character {position + 1} of `{expression}`{ask}",)


class Unanswerable(Exception):
    """An operator or function met items it has no answer for; the compiled path turns it into a `FhirPathError`."""
