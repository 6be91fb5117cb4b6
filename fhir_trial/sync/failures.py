"""What can go wrong between us and a server; no text here holds a body, a query string, an id or the server's own words.

ServerError
├── AnswerError    the server refused: status, issue codes and expressions, request id
├── BadAnswer      the answer is not FHIR JSON of the expected kind, or too large
├── Incomplete     a search's pages cannot be shown to be complete and without repeats
└── ForeignLink    the server pointed outside of itself; nothing was sent there
ConfigurationError
├── SignInRefused  401 or 403
└── WrongBaseUrl   there is no FHIR server at the base URL
Unreachable
└── Interrupted    one exchange broke on the way: whether the server acted is unknown
    ├── NotConnected  it did not: nothing was sent
    └── OutOfTime     the deadline is over
"""

import re
from functools import cache
from typing import Any

from fhir_trial.errors import ConfigurationError, InputError, ServerError, Unreachable
from fhir_trial.fhir import json, outcome
from fhir_trial.fhir.http import Request, Response
from fhir_trial.fhir.shapes import shapes
from fhir_trial.fhir.versions import VERSIONS

_EXPRESSION = re.compile(r"[A-Z][A-Za-z]+(\.[a-z][A-Za-z]*(\[\d{1,4}\])?){0,12}")
# Servers have longer ids than FHIR's 64 characters, and underscores; none that is a step upwards.
_ID = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~-]{1,256}")
_VERSION = re.compile(r"[!#-~]{1,256}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{4,64}")
_CODES = frozenset(
    (
        *("invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired", "forbidden", "suppressed"),
        *("processing", "not-supported", "duplicate", "multiple-matches", "not-found", "deleted", "too-long", "code-invalid", "extension"),
        *("too-costly", "business-rule", "conflict", "limited-filter", "transient", "lock-error", "no-store", "exception", "timeout"),
        *("incomplete", "throttled", "informational", "success"),
    )
)
"""HL7's issue-type codes: what else stands there may be data."""


class BadAnswer(ServerError):
    """The answer is not what was asked for: not JSON, not the expected resource, or larger than allowed."""


class Incomplete(ServerError):
    """The pages of a search cannot be shown to be complete: a loop, a repeat, or a total that is not reached."""


class ForeignLink(ServerError):
    """A link leads out of the server's origin and base path."""


class Interrupted(Unreachable):
    """One exchange broke on the way; whether the server acted on it is unknown."""


class NotConnected(Interrupted):
    """No connection was made, so nothing was sent."""


class OutOfTime(Interrupted):
    """The deadline is over, or cannot be met."""


class AnswerError(ServerError):
    """The server refused: `method`, `resource_type`, `status`, `issues` (code, expression) and `request_id` say what and why."""

    def __init__(self, request: Request, response: Response) -> None:
        """Keep what may be shown of the answer."""
        self.method, self.resource_type = request.method, resource_type(request.url)
        self.status, self.issues, self.request_id = response.status, issues(response), _request_id(response)
        super().__init__(f"{self.method} {self.resource_type}: the server answered {_in_words(self.status, self.issues, self.request_id)}")


class SignInRefused(ConfigurationError):
    """The server does not accept who we are (401) or what we ask for (403)."""

    def __init__(self, request: Request, response: Response) -> None:
        """Keep what may be shown of the answer."""
        self.status = response.status
        why = "the token is missing, wrong or expired" if response.status == 401 else "the token does not allow it"
        super().__init__(f"{request.method} {resource_type(request.url)}: {response.status}, {why}")


class WrongBaseUrl(ConfigurationError):
    """What the configuration calls a server's base URL is none."""

    def __init__(self, asked: str, answer: str) -> None:
        """Say what was asked for and what came."""
        super().__init__(
            f"GET {asked}: {answer}, expected a CapabilityStatement: check the base URL, which ends where resource types begin"
        )


def resource_type(url: str) -> str:
    """The resource type that a URL is about, without id or query; `server` where it names none.

    >>> resource_type("https://h.example/fhir/Patient/17?name=Smith"), resource_type("")
    ('Patient', 'server')
    """
    segments = url.partition("?")[0].split("/")
    return next((s for s in reversed(segments) if s in _known_types()), "server")


@cache
def _known_types() -> frozenset[str]:
    """Every resource type of every version: a link that a server gave may hold any other word."""
    return frozenset({"metadata"}).union(*(shapes(name).resource_types for name in VERSIONS))


def refusal(request: Request, response: Response) -> AnswerError | SignInRefused:
    """The error that a status other than 2xx means."""
    return (SignInRefused if response.status in (401, 403) else AnswerError)(request, response)


def issues(response: Response) -> tuple[tuple[str, str], ...]:
    """Code and expression of the OperationOutcome's issues, as far as they are from HL7's list and a path: hostile ones hold data."""
    stated = outcome.read(response.body)
    return shown_issues(stated)[:5] if stated else ()


def shown_issues(stated: outcome.Outcome) -> tuple[tuple[str, str], ...]:
    """Code and first expression of each issue that is an error, what is neither a code nor a path left out."""
    return tuple(
        (issue.code if issue.code in _CODES else "unknown", next(filter(_EXPRESSION.fullmatch, issue.expression[:1]), ""))
        for issue in stated.issues
        if issue.severity not in ("information", "warning", "success")
    )


def _request_id(response: Response) -> str | None:
    text = response.header("X-Request-Id") or ""
    return text if _REQUEST_ID.fullmatch(text) else None


def _in_words(status: int, found: tuple[tuple[str, str], ...], request_id: str | None) -> str:
    text = ", ".join(f"{code} at {path}" if path else code for code, path in dict.fromkeys(found))
    return f"{status}{f' ({text})' if text else ''}{f', request {request_id}' if request_id else ''}"


def checked_row(row: dict[str, Any], what: str) -> dict[str, Any]:
    """The row, if its id and version are what can stand in a URL and a header; else a `BadAnswer`: we would send them back.

    >>> checked_row({"id": "a-1.b", "meta": {"versionId": "7"}}, "GET Patient")["id"]
    'a-1.b'
    >>> checked_row({"id": "x?name=y"}, "GET Patient")
    Traceback (most recent call last):
    ...
    fhir_trial.sync.failures.BadAnswer: GET Patient: a row has no id that could be one
    """
    identity, meta = row.get("id"), row.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    if not isinstance(identity, str) or not _ID.fullmatch(identity):
        raise BadAnswer(f"{what}: a row has no id that could be one")
    if version is not None and not (isinstance(version, str) and _VERSION.fullmatch(version)):
        raise BadAnswer(f"{what}: a row has no version that could be one")
    return row


def in_words(error: InputError) -> str:
    """What is wrong with JSON, as the end of a sentence."""
    code = error.findings[0].code
    return "names a member twice" if code == "repeated-key" else f"is {code.replace('-', ' ')}"


def read_object(request: Request, response: Response, expected: str) -> dict[str, Any]:
    """The resource of type `expected` in an answer; `BadAnswer` for anything else, `AnswerError` for a refusal."""
    if not response.is_success:
        raise refusal(request, response)
    try:
        document = json.decode(response.body, "answer")
        json.refuse_ambiguity(response.body, document, "answer")
    except InputError as error:
        document, problem = None, f"the answer {in_words(error)}" if response.body.strip() else "the answer is empty"
    else:
        problem = f"the answer is no {expected}"
    if not isinstance(document, dict) or document.get("resourceType") != expected:
        raise BadAnswer(f"{request.method} {resource_type(request.url)}: {problem}")
    return document
