"""What servers do wrong, as data: a name, where it happens, how often, and the act itself. `FaultServer` plays one of them on loopback."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fhir_trial.testing.acts import (
    SUBJECT_DATA,
    Act,
    Answer,
    acted_then,
    after,
    body,
    bomb,
    changed,
    changed_type,
    cut,
    cut_chunk,
    drip,
    empty_pages_for_ever,
    first_entry,
    flood,
    fresh_rows_for_ever,
    hang,
    hang_up_after,
    later,
    member,
    member_twice,
    members,
    more_entries,
    next_link,
    outcome_answer,
    packed,
    partial,
    redirect,
    reset,
    short_answer,
    status,
    unsaid_close,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break."""

    name: str
    where: Literal["page", "write", "first"]
    """The second page of a search of Observations, any request that is no GET, or the first page."""
    act: Act
    times: int | None = None
    """How often it happens; None is always."""
    recovers: bool = False
    """Whether a good client gets everything all the same; otherwise it must end with one named error."""


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\n"
_OUTCOME_ENTRY = {"resource": json.loads(outcome_answer(400).body), "search": {"mode": "outcome"}}
_WARNING_ENTRY = {
    "resource": {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "warning", "code": "informational", "diagnostics": SUBJECT_DATA}],
    },
    "search": {"mode": "outcome"},
}
_FOREIGN = "{elsewhere}/Observation?_offset=20"
_DEEP = b'{"resourceType":"Bundle","entry":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def _first_page(answer: Answer) -> str:
    row = {"resourceType": "Observation", "status": "final", "code": {"text": "size"}}  # what clients that look at rows ask for
    rows = [{"resource": {**row, "id": f"o-{n:03}"}} for n in range(10)]
    return json.dumps({"entry": rows, "link": [{"relation": "next", "url": f"{answer.base_url}/Observation?_offset=20"}]})


def _statuses() -> Iterator[Fault]:
    for code in (408, 429, 500, 502, 503, 504):
        yield Fault(f"{code} once", "page", status(code), times=1, recovers=True)
        yield Fault(f"{code} for ever", "page", status(code))
    yield Fault("429 with seconds", "page", status(429, {"Retry-After": "1"}), times=1, recovers=True)
    yield Fault("429 with a date", "page", later(1), times=1, recovers=True)
    yield Fault("429 with a date, clock an hour ahead", "page", later(1, 3600), times=1, recovers=True)
    yield Fault("429 for a day", "page", status(429, {"Retry-After": "86400"}))
    yield Fault("429 with nonsense", "page", status(429, {"Retry-After": "soon " + SUBJECT_DATA}), times=1, recovers=True)
    for code in (400, 401, 403, 404, 410, 422, 451, 501, 505, 599):
        yield Fault(f"{code}", "page", status(code, {"X-Request-Id": SUBJECT_DATA}))


def _connections() -> Iterator[Fault]:
    yield Fault("reset before the answer, once", "page", reset(), times=1, recovers=True)
    yield Fault("reset before the answer, for ever", "page", reset())
    yield Fault("reset inside the body, once", "page", reset(inside_body=True), times=1, recovers=True)
    yield Fault("reset inside the body, for ever", "page", reset(inside_body=True))
    for with_length in (True, False):
        words = "with" if with_length else "without"
        yield Fault(f"body cut {words} a length, once", "page", cut(with_length), times=1, recovers=True)
        yield Fault(f"body cut {words} a length, for ever", "page", cut(with_length))
    yield Fault("body cut inside a chunk, once", "page", cut_chunk, times=1, recovers=True)
    yield Fault("hang once", "page", hang(), times=1, recovers=True)
    yield Fault("hang for ever", "page", hang())
    yield Fault("hang inside the body", "page", hang(head=_HEAD + b"Content-Length: 5000\r\n\r\n{"))
    yield Fault("slow drip of the body", "page", drip(_HEAD + b"\r\n{"))
    yield Fault("slow drip of the headers", "page", drip(_HEAD + b"X-A: ", b"a"))
    yield Fault("slow drip of the status line", "page", drip(b"HTTP/1.1 2", b"0"))
    yield Fault("slow drip of a chunk's size", "page", drip(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"))
    yield Fault("100 Continue for ever", "page", flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000))
    yield Fault("103 before the answer", "page", after(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"), recovers=True)
    yield Fault("102 before the answer", "page", after(b"HTTP/1.1 102 Processing\r\n\r\n" * 20), recovers=True)
    yield Fault("103 for ever", "page", flood(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000))
    yield Fault("a body without end", "page", flood(_HEAD + b"\r\n"))
    yield Fault("a chunk's size without end", "page", flood(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65_536))
    yield Fault("headers without end", "page", flood(_HEAD, b"X-A: a\r\n" * 1000))
    yield Fault("trailers without end", "page", flood(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: a\r\n" * 1000))
    yield Fault("a header line without end", "page", flood(_HEAD + b"X-A: "))
    for name, length in (
        ("nonsense", b"ten"),
        ("below nothing", b"-5"),
        ("beyond reason", b"9" * 30),
        ("two of them", b"1\r\nContent-Length: 2"),
    ):
        yield Fault(f"a length that is {name}", "page", hang_up_after(_HEAD + b"Content-Length: " + length + b"\r\n\r\n{}"))
    yield Fault("a status that is nonsense", "page", hang_up_after(b"HTTP/1.1 abc OK\r\n\r\n"))
    yield Fault("101", "page", hang_up_after(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"))
    yield Fault("closes without saying so", "page", unsaid_close, recovers=True)
    yield Fault("no HTTP at all", "page", hang_up_after(b"220 mail.example ESMTP\r\n"))


def _bodies() -> Iterator[Fault]:
    yield Fault("wrong content type", "page", changed_type("text/plain"), recovers=True)
    yield Fault("HTML with 200", "page", body(f"<html><p>{SUBJECT_DATA}</p></html>".encode(), "text/html"))
    yield Fault("empty 200", "page", body(b""))
    yield Fault("204", "page", status(204))
    yield Fault("not a Bundle", "page", body(json.dumps({"resourceType": "Patient", "name": [{"text": SUBJECT_DATA}]}).encode()))
    yield Fault("an outcome with 200", "page", body(outcome_answer(400).body))
    for name, content in (("array", b"[]"), ("null", b"null"), ("text", b'"Bundle"'), ("number", b"1e999999")):
        yield Fault(f"JSON {name}", "page", body(content))
    yield Fault("deep JSON", "page", body(_DEEP))
    yield Fault("a number beyond reckoning", "page", body(b'{"resourceType":"Bundle","total":1e99999999999999999999}'))
    yield Fault("a member twice", "page", member_twice)
    yield Fault("a million values", "page", member("extension", [{}] * 1_000_000))
    yield Fault("bad UTF-8", "page", body(b'{"resourceType":"Bundle","entry":[{"resource":{"id":"\xff"}}]}'))
    yield Fault(
        "a lone surrogate", "page", body(b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Observation","id":"\\ud800"}}]}')
    )
    yield Fault("UTF-16", "page", body('{"resourceType":"Bundle"}'.encode("utf-16")))
    yield Fault("gzip", "page", packed(), recovers=True)
    yield Fault("gzip in members", "page", members(0.3, 0.3, 0.7), recovers=True)
    yield Fault("gzip under its other name", "page", members(name="x-gzip"), recovers=True)
    yield Fault("gzip twice", "page", packed(2))
    yield Fault("gzip cut", "page", packed(keep=0.5))
    yield Fault("gzip corrupt", "page", packed(corrupt=True))
    yield Fault("gzip that is none", "page", body(b"{}", Content_Encoding="gzip"))
    yield Fault("gzip bomb", "page", bomb)
    yield Fault("unknown encoding", "page", body(b"{}", Content_Encoding="br"))


LINKS = {
    "on another host": _FOREIGN,
    "with the base URL in its query": "{elsewhere}/Observation?u={base}/Observation",
    "with the base URL in its fragment": "{elsewhere}/Observation#{base}",
    "with the host as user": "http://{host}@127.0.0.2/fhir/Observation?_offset=20",
    "with a user": "http://user:secret@{host}/fhir/Observation?_offset=20",
    "with a backslash": "http://127.0.0.2\\@{host}/fhir/Observation?_offset=20",
    "without a scheme": "//127.0.0.2/fhir/Observation?_offset=20",
    "with another scheme": "https://{host}/fhir/Observation?_offset=20",
    "to a file": "file:///etc/passwd",
    "to data": "data:application/json,{{}}",
    "in capitals of JavaScript": "JAVASCRIPT:alert(1)",
    "out of the base path": "{base}/../admin?_offset=20",
    "out of the base path, escaped": "{base}/%2e%2e/admin?_offset=20",
    "beside the base path": "{base}-other/Observation?_offset=20",
    "with a new line": "{base}/Observation?_offset=20\r\nX-A: b",
    "with a bad port": "http://127.0.0.1:99999/fhir",
    "with a bad address": "http://[::1/fhir",
    "that is empty": "",
    "that is no text": 17,
    "that is null": None,
    "to itself": "{base}/Observation?_count=10&_offset=10",
    "back to the first page": "{base}/Observation?_count=10",
    "of a megabyte": "{base}/Observation?_offset=20&a=" + "a" * 1_000_000,
    "that has expired": "{base}/Expired/page?_offset=20",
}
"""Links to the next page that lead nowhere good."""


def _links() -> Iterator[Fault]:
    for name, url in LINKS.items():
        yield Fault(f"next link {name}", "page", next_link(url))
    yield Fault("next link that is relative", "page", next_link("Observation?_count=10&_offset=20"), recovers=True)
    yield Fault("next link of a query alone", "page", next_link("?_count=10&_offset=20"), recovers=True)
    yield Fault("next link in other capitals", "page", next_link("HTTP://{host}/fhir/Observation?_count=10&_offset=20"), recovers=True)
    yield Fault("two next links", "page", changed(lambda bundle, _: bundle["link"].append({"relation": "next", "url": "x"})))
    yield Fault("pages without end", "page", fresh_rows_for_ever())
    yield Fault("pages without rows, without end", "page", empty_pages_for_ever())
    yield Fault("a page repeated", "page", changed(lambda bundle, a: bundle.update(json.loads(_first_page(a)))))
    yield Fault("link is no list", "page", member("link", {"relation": "next"}))
    for code in (301, 302, 303, 307, 308):
        yield Fault(f"{code} to another host", "page", redirect(code))
    yield Fault("307 to itself", "page", redirect(307, "{base}/Observation?_count=10&_offset=10"))


def _rows() -> Iterator[Fault]:
    yield Fault("a warning among the rows", "page", more_entries(_WARNING_ENTRY), recovers=True)
    yield Fault("an error among the rows", "page", more_entries(_OUTCOME_ENTRY))
    yield Fault("no total", "page", changed(lambda bundle, _: bundle.pop("total")), recovers=True)
    yield Fault("a row missing", "page", changed(lambda bundle, _: bundle["entry"].pop()))
    yield Fault("a row twice", "page", changed(lambda bundle, _: bundle["entry"].append(bundle["entry"][0])))
    yield Fault("a row too many", "page", more_entries({"resource": {"resourceType": "Observation", "id": "o-more"}}))
    yield Fault("the last page missing", "page", changed(lambda bundle, _: bundle.pop("link")))
    yield Fault("a total of text", "first", member("total", SUBJECT_DATA))
    yield Fault("a total below nothing", "first", member("total", -1))
    yield Fault("a total too high", "first", member("total", 26))
    yield Fault("a total too low", "first", member("total", 24))
    yield Fault("entry is no list", "page", member("entry", {"resource": {}}))
    yield Fault("a transaction-response", "page", member("type", "transaction-response"))
    for name, entry in (
        ("null", None),
        ("text", SUBJECT_DATA),
        ("without a resource", {"fullUrl": "urn:x"}),
        ("without an id", {"resource": {"resourceType": "Observation"}}),
        ("with a number for an id", {"resource": {"resourceType": "Observation", "id": 7}}),
        ("with a path for an id", {"resource": {"resourceType": "Observation", "id": "../Patient/x"}}),
        ("with a step upwards for an id", {"resource": {"resourceType": "Observation", "id": ".."}}),
        ("with a query for an id", {"resource": {"resourceType": "Observation", "id": "x?subject=y"}}),
        ("with a long id", {"resource": {"resourceType": "Observation", "id": "x" * 10_000}}),
        ("with a header for a version", {"resource": {"resourceType": "Observation", "id": "x", "meta": {"versionId": '1"\r\nA: b'}}}),
        ("of another type", {"resource": {"resourceType": "Patient", "id": "x", "name": [{"text": SUBJECT_DATA}]}}),
    ):
        yield Fault(f"an entry {name}", "page", first_entry(entry))


def _writing() -> Iterator[Fault]:
    """What may happen to a transaction or a single write."""
    for code in (500, 502, 503, 504):
        yield Fault(f"{code} before the server acts, once", "write", status(code), times=1, recovers=True)
        yield Fault(f"{code} after the server acted", "write", status(code, acted=True), times=1, recovers=True)
        yield Fault(f"{code} on every write", "write", status(code))
    yield Fault("429 on a write", "write", status(429, {"Retry-After": "0"}), times=2, recovers=True)
    yield Fault("reset before the server acts, once", "write", reset(), times=1, recovers=True)
    yield Fault("reset after the server acted", "write", reset(acted=True), times=1, recovers=True)
    yield Fault("reset on every write", "write", reset())
    yield Fault("hang after the server acted", "write", hang(acted=True), times=1, recovers=True)
    yield Fault("hang on every write", "write", hang())
    yield Fault("slow drip after the server acted", "write", acted_then(drip(_HEAD + b"\r\n{")), times=1, recovers=True)
    yield Fault("answer cut after the server acted", "write", cut(with_length=True), times=1, recovers=True)
    yield Fault("HTML with 200 after the server acted", "write", body(b"<html>", "text/html", acted=True), times=1, recovers=True)
    yield Fault("empty 200 after the server acted", "write", body(b"", acted=True), times=1, recovers=True)
    yield Fault("short answer after the server acted", "write", changed(short_answer), times=1, recovers=True)
    yield Fault("bomb after the server acted", "write", acted_then(bomb), times=1, recovers=True)
    yield Fault("200 and nothing done, once", "write", body(b"{}"), times=1, recovers=True)
    yield Fault("200 and nothing done", "write", body(b"{}"))
    yield Fault("entries that failed", "write", partial)
    for code in (301, 302, 303, 307, 308):
        yield Fault(f"{code} of a write to another host", "write", redirect(code))
    for code in (401, 403):
        yield Fault(f"{code} on a write", "write", status(code))
    for code in (400, 404, 405, 409, 412, 413, 415, 422, 428, 501):
        yield Fault(f"{code} on every write", "write", status(code, {"X-Request-Id": SUBJECT_DATA}))


READ_FAULTS: dict[str, Fault] = {fault.name: fault for part in (_statuses, _connections, _bodies, _links, _rows) for fault in part()}
"""What may happen while a search is read."""
WRITE_FAULTS: dict[str, Fault] = {fault.name: fault for fault in _writing()}
"""What may happen while resources are written."""
