"""OperationOutcome: what a server says went wrong, as a value, and as one sentence that holds no subject data."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fhir_trial.errors import Finding, InputError
from fhir_trial.fhir import json

SEVERITIES = ("fatal", "error", "warning", "information", "success")
"""Worst first; `success` is R5's."""
_SHOWN = 3
_PATH = re.compile(r"[A-Za-z][\w.\[\]]*")
_CODE = re.compile(r"[A-Za-z][\w\-]*")


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue of an OperationOutcome."""

    severity: str
    code: str
    """HL7's issue type: `invalid`, `not-found`, `conflict`..."""
    text: str | None = field(default=None, repr=False)
    """For people; what a server wrote here may name a subject."""
    expression: tuple[str, ...] = ()
    """FHIRPaths of the elements concerned."""

    def to_fhir(self) -> dict[str, Any]:
        """The issue as FHIR holds it."""
        issue: dict[str, Any] = {"severity": self.severity, "code": self.code}
        if self.text:
            issue["details"] = {"text": self.text}
        if self.expression:
            issue["expression"] = list(self.expression)
        return issue


@dataclass(frozen=True, slots=True)
class Outcome:
    """An OperationOutcome."""

    issues: tuple[Issue, ...]

    def to_fhir(self) -> dict[str, Any]:
        """The OperationOutcome resource."""
        return {"resourceType": "OperationOutcome", "issue": [issue.to_fhir() for issue in self.issues]}

    @property
    def is_failure(self) -> bool:
        """Whether any issue is an error."""
        return any(issue.severity in ("fatal", "error") for issue in self.issues)

    def sentence(self) -> str:
        """The worst issues in words: severity, kind and place. No text, diagnostics or values: those may hold subject data.

        >>> outcome("code-invalid", "'grave' for Ann", expression=["AdverseEvent.severity"]).sentence()
        'error code invalid at AdverseEvent.severity'
        """
        worst = sorted(self.issues, key=lambda issue: SEVERITIES.index(issue.severity) if issue.severity in SEVERITIES else len(SEVERITIES))
        more = len(worst) - _SHOWN
        return "; ".join(map(_words, worst[:_SHOWN])) + (f"; and {more} more" if more > 0 else "") if worst else "no issue given"


def _words(issue: Issue) -> str:
    """One issue without its text; a path only as far as it holds no literal."""
    code = issue.code.replace("-", " ") if _CODE.fullmatch(issue.code) else "unknown"
    severity = issue.severity if issue.severity in SEVERITIES else "error"
    path = _PATH.match(issue.expression[0]) if issue.expression else None
    return f"{severity} {code}" + (f" at {path[0]}" if path else "")


def outcome(code: str, text: str, severity: str = "error", expression: Iterable[str] = ()) -> Outcome:
    """An outcome of one issue.

    >>> outcome("not-found", "no such resource").to_fhir()["issue"]
    [{'severity': 'error', 'code': 'not-found', 'details': {'text': 'no such resource'}}]
    """
    return Outcome((Issue(severity, code, text, tuple(expression)),))


def from_findings(findings: Iterable[Finding]) -> Outcome:
    """The outcome that says what is wrong with a resource: kind, place and what was expected, not what was found.

    >>> from_findings([Finding("unknown-element", "Patient/1", field="Patient.sex", expected="gender")]).sentence()
    'error invalid at Patient.sex'
    """
    return Outcome(
        tuple(
            Issue(
                finding.severity,
                "invalid",
                finding.code.replace("-", " ") + (f", expected {finding.expected}" if finding.expected else ""),
                (finding.field,) if finding.field else (),
            )
            for finding in findings
        )
    )


def read(body: bytes | dict[str, Any]) -> Outcome | None:
    """The outcome in a response body, or None when it holds none: servers behind proxies answer in HTML.

    >>> read(b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"conflict"}]}').sentence()
    'error conflict'
    >>> read(b"<html>") is None
    True
    """
    try:
        resource = json.decode(body) if isinstance(body, bytes) else body
    except InputError:
        return None
    if not isinstance(resource, dict) or resource.get("resourceType") != "OperationOutcome":
        return None
    listed = resource.get("issue")
    return Outcome(tuple(_issue(item) for item in listed if isinstance(item, dict)) if isinstance(listed, list) else ())


def _issue(stated: dict[str, Any]) -> Issue:
    """One issue as some server wrote it: nothing in it is taken for granted."""
    details = stated.get("details")
    text = details.get("text") if isinstance(details, dict) else None
    expression = stated.get("expression")
    return Issue(
        severity=str(stated.get("severity", "error")),
        code=str(stated.get("code", "unknown")),
        text=text if isinstance(text, str) else None,
        expression=tuple(map(str, expression)) if isinstance(expression, list) else (),
    )
