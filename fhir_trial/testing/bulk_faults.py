"""A server whose bulk exports go wrong, one way at a time: the steps of the export as answers, in memory or over HTTP."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from fhir_trial.fhir.http import Request, Response
from fhir_trial.testing.acts import SUBJECT_DATA, outcome_answer

Manifest = dict[str, Any]
ROWS = 5


def observations(count: int = ROWS) -> bytes:
    """NDJSON of so many observations that name a subject."""
    rows = ({"resourceType": "Observation", "id": f"o-{n}", "status": "final", "note": [{"text": SUBJECT_DATA}]} for n in range(count))
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def manifest(base_url: str, **changes: Any) -> Manifest:
    """The manifest of one file, changed; an entry of `output` may hold `{base}` and `{elsewhere}`."""
    output = [{"type": "Observation", "url": f"{base_url}/files/1", "count": ROWS}]
    stated = {"transactionTime": "2026-01-01T00:00:00Z", "request": f"{base_url}/$export", "requiresAccessToken": True}
    return {**stated, "output": output, "error": [], "deleted": [], **changes}


@dataclass(frozen=True)
class BulkFault:
    """One way to break an export."""

    name: str
    change: Callable[["BulkServer"], None]
    recovers: bool = False
    error: str | None = None
    """The class of the error that a good client ends with."""


@dataclass
class BulkServer:
    """Answers an export; what it answers at each step can be replaced. `log` is every request."""

    base_url: str = "http://127.0.0.1:1/fhir"
    elsewhere: str = "http://127.0.0.2:1/fhir"
    kick_off: Response | None = None
    polls: list[Response] = field(default_factory=list)
    """Answered first, one each; then the manifest."""
    stated: Manifest = field(default_factory=dict)
    files: dict[str, list[Response]] = field(default_factory=dict)
    """The answers of each file, the last one again and again."""
    log: list[Request] = field(default_factory=list)
    deleted: bool = False

    def __post_init__(self) -> None:
        """A server that does everything right."""
        self.kick_off = self.kick_off or Response(202, {"Content-Location": f"{self.base_url}/jobs/1"})
        self.stated = self.stated or manifest(self.base_url)
        self.files = self.files or {"files/1": [ndjson(observations())]}

    def handle(self, request: Request) -> Response:
        """Answer one request; its URL is absolute or relative to the base."""
        self.log.append(request)
        path = urlsplit(request.url).path.removeprefix(urlsplit(self.base_url).path).strip("/")
        if path.endswith("$export"):
            assert self.kick_off is not None
            return self.kick_off
        if path == "jobs/1":
            if request.method == "DELETE":
                self.deleted = True
                return Response(202)
            if self.polls:
                return self.polls.pop(0) if len(self.polls) > 1 or self.polls[0].status != _FOR_EVER else Response(202)
            return Response(200, {"Content-Type": "application/json"}, json.dumps(self.stated).encode())
        answers = self.files.get(path)
        if not answers:
            return outcome_answer(404)
        return answers.pop(0) if len(answers) > 1 else answers[0]


_FOR_EVER = 299


def ndjson(body: bytes) -> Response:
    """A file."""
    return Response(200, {"Content-Type": "application/fhir+ndjson"}, body)


def _polls(*answers: Response) -> Callable[[BulkServer], None]:
    return lambda server: server.polls.extend(answers)


def _states(**changes: Any) -> Callable[[BulkServer], None]:
    def change(server: BulkServer) -> None:
        text = json.dumps(changes).replace("{base}", server.base_url).replace("{elsewhere}", server.elsewhere)
        server.stated = {**server.stated, **json.loads(text)}

    return change


def _file(*answers: Response) -> Callable[[BulkServer], None]:
    return lambda server: server.files.update({"files/1": list(answers)})


def _output(url: str = "{base}/files/1", **changes: Any) -> Callable[[BulkServer], None]:
    return _states(output=[{"type": "Observation", "url": url, "count": ROWS, **changes}])


def _begins(answer: Response) -> Callable[[BulkServer], None]:
    return lambda server: setattr(server, "kick_off", answer)


def _error_file(severity: str) -> Callable[[BulkServer], None]:
    def change(server: BulkServer) -> None:
        issue = {"severity": severity, "code": "processing", "diagnostics": SUBJECT_DATA}
        line = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()
        server.files["files/error"] = [ndjson(line)]
        server.stated["error"] = [{"type": "OperationOutcome", "url": f"{server.base_url}/files/error"}]

    return change


def _named_file(part: str, resource_type: str, content: bytes) -> Callable[[BulkServer], None]:
    """One more file in a part of the manifest."""

    def change(server: BulkServer) -> None:
        server.files["files/more"] = [ndjson(content)]
        server.stated[part] = [*server.stated[part], {"type": resource_type, "url": f"{server.base_url}/files/more"}]

    return change


_LATER = Response(202, {"Retry-After": "0", "X-Progress": SUBJECT_DATA})
BULK_FAULTS: dict[str, BulkFault] = {
    fault.name: fault
    for fault in (
        BulkFault("a few times 202", _polls(_LATER, _LATER), recovers=True),
        BulkFault("202 for ever", _polls(Response(_FOR_EVER)), error="OutOfTime"),
        BulkFault("a Retry-After beyond the limit", _polls(Response(202, {"Retry-After": "86400"})), error="OutOfTime"),
        BulkFault("429 while polling", _polls(outcome_answer(429, {"Retry-After": "0"})), recovers=True),
        BulkFault("503 while polling", _polls(outcome_answer(503, {"Retry-After": "0"})), recovers=True),
        BulkFault("500 while polling", _polls(*[outcome_answer(500)] * 9), error="AnswerError"),
        BulkFault("the job fails", _polls(*[outcome_answer(422)] * 2), error="AnswerError"),
        BulkFault("the job is gone", _polls(*[outcome_answer(404)] * 2), error="BadAnswer"),
        BulkFault("no place to ask", _begins(Response(202)), error="BadAnswer"),
        BulkFault("200 at once", _begins(Response(200, {}, b"{}")), error="BadAnswer"),
        BulkFault("a place elsewhere", _begins(Response(202, {"Content-Location": "http://127.0.0.2:1/jobs/1"})), error="ForeignLink"),
        BulkFault("refused", _begins(outcome_answer(400)), error="AnswerError"),
        BulkFault("not allowed", _begins(outcome_answer(403)), error="SignInRefused"),
        BulkFault("HTML instead of the manifest", _polls(Response(200, {"Content-Type": "text/html"}, b"<html>")), error="BadAnswer"),
        BulkFault("no time", _states(transactionTime=None), error="BadAnswer"),
        BulkFault("output is no list", _states(output={"type": "Observation"}), error="BadAnswer"),
        BulkFault("an entry that is none", _states(output=[None]), error="BadAnswer"),
        BulkFault("a type with ../", _output(type="../../etc/passwd"), error="BadAnswer"),
        BulkFault("a type that is none", _output(type="Observations"), error="BadAnswer"),
        BulkFault("a type that is a list", _output(type=["Observation"]), error="BadAnswer"),
        BulkFault("links that are none", _states(link=5), error="BadAnswer"),
        BulkFault("errors that are none", _named_file("error", "OperationOutcome", b'{"issue":5}'), error="Incomplete"),
        BulkFault("deletions that are none", _named_file("deleted", "Bundle", b'{"entry":5}'), error="BadAnswer"),
        BulkFault("a type that nobody asked for", _named_file("output", "Binary", b'{"resourceType":"Binary","id":"b"}'), recovers=True),
        BulkFault("a line without end", _file(ndjson(b'{"resourceType":"' + b"x" * 20_000_000)), error="BadAnswer"),
        BulkFault("a line of many values", _file(ndjson(b'{"a":[' + b"{}," * 600_000 + b"{}]}")), error="BadAnswer"),
        BulkFault("a member twice", _file(ndjson(b'{"resourceType":"Observation","id":"a","id":"b"}')), error="BadAnswer"),
        BulkFault("an id that is a path", _file(ndjson(b'{"resourceType":"Observation","id":"../b"}')), error="BadAnswer"),
        BulkFault("a count of text", _output(count=SUBJECT_DATA), error="BadAnswer"),
        BulkFault("output on another host", _output(url="{elsewhere}/files/1"), error="ForeignLink"),
        BulkFault("output in a file", _output(url="file:///etc/passwd"), error="ForeignLink"),
        BulkFault("output beside the base path", _output(url="{base}/../files/1"), error="ForeignLink"),
        BulkFault("an address that has expired, once", _file(outcome_answer(403), ndjson(observations())), recovers=True),
        BulkFault("an address that has expired", _file(outcome_answer(410)), error="AnswerError"),
        BulkFault("a file that is short", _file(ndjson(observations(ROWS - 1))), error="Incomplete"),
        BulkFault("a file with more", _file(ndjson(observations(ROWS + 1))), error="Incomplete"),
        BulkFault("a row twice", _file(ndjson(observations(ROWS - 1) + observations(1))), error="Incomplete"),
        BulkFault("a line cut", _file(ndjson(observations()[:-20])), error="BadAnswer"),
        BulkFault("another type inside", _output(type="Patient"), error="BadAnswer"),
        BulkFault("HTML in a file", _file(Response(200, {}, f"<html>{SUBJECT_DATA}".encode())), error="BadAnswer"),
        BulkFault("the same file twice", _states(output=[{"type": "Observation", "url": "{base}/files/1"}] * 2), error="Incomplete"),
        BulkFault("errors", _error_file("error"), error="Incomplete"),
        BulkFault("warnings", _error_file("warning"), recovers=True),
        BulkFault("further manifests", _states(link=[{"relation": "next", "url": "{base}/jobs/2"}]), error="BadAnswer"),
        BulkFault("no count", _output(count=None), recovers=True),
        BulkFault("500 on a file, once", _file(outcome_answer(500), ndjson(observations())), recovers=True),
    )
}
"""What may happen to a bulk export."""
