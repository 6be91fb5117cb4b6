"""What the store refuses, as an HTTP status with an OperationOutcome that names kinds and places, never values."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from fhir_trial.errors import Finding, ServerError
from fhir_trial.fhir import json
from fhir_trial.fhir.http import Response
from fhir_trial.fhir.outcome import Outcome, from_findings, outcome


class Refusal(ServerError):
    """A request that is not carried out; its text holds no subject data."""

    def __init__(
        self, status: int, code: str, text: str, *, expression: Iterable[str] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        """Refuse with an HTTP `status`, an issue type `code`, a sentence and the elements concerned."""
        super().__init__(f"{status} {code}: {text}")
        self.status = status
        self.headers = dict(headers or {})
        self.outcome: Outcome = outcome(code, text, expression=expression)

    def at(self, place: str) -> "Refusal":
        """The same refusal, saying which part of the request it is about."""
        self.outcome = Outcome(tuple(replace(issue, expression=(place, *issue.expression)) for issue in self.outcome.issues))
        return self

    def response(self) -> Response:
        """The refusal as a response."""
        return Response(self.status, {"Content-Type": "application/fhir+json"} | self.headers, json.encode(self.outcome.to_fhir()))


def invalid(findings: Iterable[Finding], status: int = 422) -> Refusal:
    """The refusal of a resource that validation finds wrong: every error with its path."""
    refusal = Refusal(status, "invalid", "the resource is not valid")
    refusal.outcome = from_findings(findings)
    return refusal


def unknown_parameter(name: str, why: str = "no search parameter of this type and server") -> Refusal:
    """The refusal of a search parameter or modifier: ignoring one would answer another question."""
    return Refusal(400, "not-supported", f"{_shown(name)}: {why}")


def bad_value(name: str, expected: str) -> Refusal:
    """The refusal of a parameter's value, which is not repeated: it may name a subject."""
    return Refusal(400, "invalid", f"{_shown(name)}: expected {expected}")


def _shown(name: str) -> str:
    """A parameter's name as far as it is one: a badly built query may have a subject's data in its place."""
    return name if re.fullmatch(r"[A-Za-z_][\w\-.:]{0,40}", name) else "parameter"
