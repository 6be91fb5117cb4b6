"""The acts of a broken server: each is given the request at hand as an `Answer` and does with it what no server should."""

import gzip
import json
import socket
import struct
import time
import zlib
from collections.abc import Callable
from email.utils import formatdate
from functools import cache
from itertools import pairwise
from typing import Any, Protocol

from fhir_trial.fhir.http import Response

SUBJECT_DATA = "Zebulon Quimby"
"""A name that stands in many a hostile answer; it must be in no error, log or file name."""
BOMB_BYTES = 300 * 1024 * 1024


class Answer(Protocol):
    """What an act can do with the request at hand."""

    @property
    def base_url(self) -> str:
        """The base URL of the server itself."""

    @property
    def elsewhere(self) -> str:
        """The base URL of another server, which must never hear of anything."""

    def normal(self) -> Response:
        """The right answer, the server having acted."""

    def send(self, response: Response) -> None:
        """Send an answer with the right length."""

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""

    def close(self, reset: bool = False) -> None:
        """End the connection, as if the server had been pulled out if `reset`."""

    def wait(self) -> None:
        """Do nothing until the test is over."""


Act = Callable[[Answer], None]


def outcome_answer(status: int, headers: dict[str, str] | None = None) -> Response:
    """An OperationOutcome that names a subject wherever it can."""
    issue = {"severity": "error", "code": "processing", "diagnostics": SUBJECT_DATA, "expression": [f"Patient.name = '{SUBJECT_DATA}'"]}
    body = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()
    return Response(status, {"Content-Type": "application/fhir+json", **(headers or {})}, body)


def status(code: int, headers: dict[str, str] | None = None, acted: bool = False) -> Act:
    """Answer with a status and an OperationOutcome that names a subject, perhaps after having acted."""

    def act(answer: Answer) -> None:
        if acted:
            answer.normal()
        answer.send(outcome_answer(code, headers))

    return act


def later(seconds: float, skew_seconds: float = 0.0) -> Act:
    """429 with a Retry-After date, on a server whose clock is wrong by `skew_seconds`."""

    def act(answer: Answer) -> None:
        now = time.time() + skew_seconds
        answer.send(outcome_answer(429, {"Retry-After": formatdate(now + seconds, usegmt=True), "Date": formatdate(now, usegmt=True)}))

    return act


def redirect(code: int, to: str = "{elsewhere}/Observation?name=" + SUBJECT_DATA.replace(" ", "+")) -> Act:
    """Send the client away."""

    def act(answer: Answer) -> None:
        answer.send(Response(code, {"Location": to.format(elsewhere=answer.elsewhere, base=answer.base_url)}, b""))

    return act


def body(content: bytes, content_type: str = "application/fhir+json", acted: bool = False, **headers: str) -> Act:
    """Answer 200 with this body."""

    def act(answer: Answer) -> None:
        if acted:
            answer.normal()
        answer.send(Response(200, {"Content-Type": content_type, **{k.replace("_", "-"): v for k, v in headers.items()}}, content))

    return act


def changed(change: Callable[[dict[str, Any], Answer], None]) -> Act:
    """Answer with the right Bundle, changed."""

    def act(answer: Answer) -> None:
        bundle = json.loads(answer.normal().body)
        change(bundle, answer)
        answer.send(Response(200, {"Content-Type": "application/fhir+json"}, json.dumps(bundle).encode()))

    return act


def next_link(url: Any) -> Act:
    """The right page with another link to the next one; `{elsewhere}`, `{base}` and `{host}` are filled in."""

    def change(bundle: dict[str, Any], answer: Answer) -> None:
        host = answer.base_url.partition("://")[2].partition("/")[0]
        link = url.format(elsewhere=answer.elsewhere, base=answer.base_url, host=host) if isinstance(url, str) else url
        bundle["link"] = [{"relation": "next", "url": link}]

    return changed(change)


def member(name: str, value: Any) -> Act:
    """The right page with one member replaced."""
    return changed(lambda bundle, _: bundle.update({name: value}))


def first_entry(entry: Any) -> Act:
    """The right page with its first entry replaced."""
    return changed(lambda bundle, _: bundle["entry"].__setitem__(0, entry))


def more_entries(*entries: Any) -> Act:
    """The right page with entries added."""
    return changed(lambda bundle, _: bundle["entry"].extend(entries))


def cut(with_length: bool, part: float = 0.5) -> Act:
    """The right answer, its body cut; `with_length` says how long it should have been."""

    def act(answer: Answer) -> None:
        content = answer.normal().body
        length = b"Content-Length: %d\r\n" % len(content) if with_length else b""
        answer.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\n" + length + b"Connection: close\r\n\r\n")
        answer.raw(content[: int(len(content) * part)])
        answer.close()

    return act


def cut_chunk(answer: Answer) -> None:
    """A chunked answer that ends inside a chunk."""
    content = answer.normal().body
    answer.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(content) + content[:100])
    answer.close()


def reset(acted: bool = False, inside_body: bool = False) -> Act:
    """Pull the plug, before or after acting, or inside the body."""

    def act(answer: Answer) -> None:
        content = answer.normal().body if acted or inside_body else b""
        if inside_body:
            answer.raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content[: len(content) // 2])
        answer.close(reset=True)

    return act


def hang(acted: bool = False, head: bytes = b"") -> Act:
    """Say nothing, or nothing more than `head`."""

    def act(answer: Answer) -> None:
        if acted:
            answer.normal()
        answer.raw(head)
        answer.wait()

    return act


def drip(head: bytes, drop: bytes = b" ", every_seconds: float = 0.05) -> Act:
    """Send `head`, then a byte now and then for ever."""

    def act(answer: Answer) -> None:
        answer.raw(head)
        while True:
            answer.raw(drop)
            time.sleep(every_seconds)

    return act


def flood(head: bytes, block: bytes = b"a" * 65_536) -> Act:
    """Send `head`, then as much as the client takes."""

    def act(answer: Answer) -> None:
        answer.raw(head)
        while True:
            answer.raw(block)

    return act


@cache
def _bomb() -> bytes:
    packer, block = zlib.compressobj(9, wbits=31), b" " * (1024 * 1024)
    return b"".join(packer.compress(block) for _ in range(BOMB_BYTES // len(block))) + packer.flush()


def bomb(answer: Answer) -> None:
    """300 MB of blanks in 300 kB of gzip."""
    answer.send(Response(200, {"Content-Encoding": "gzip", "Content-Type": "application/fhir+json"}, _bomb()))


def packed(times: int = 1, keep: float = 1.0, corrupt: bool = False) -> Act:
    """The right answer in gzip: several times over, cut, or with a byte turned."""

    def act(answer: Answer) -> None:
        content = answer.normal().body
        for _ in range(times):
            content = gzip.compress(content)
        content = content[: int(len(content) * keep)]
        if corrupt:
            content = content[:40] + bytes(b ^ 0xFF for b in content[40:60]) + content[60:]
        encoding = ", ".join(["gzip"] * times)
        answer.send(Response(200, {"Content-Encoding": encoding, "Content-Type": "application/fhir+json"}, content))

    return act


def members(*ends: float, name: str = "gzip") -> Act:
    """The right answer in several gzip members, the first up to that part of it, and so on; with zeros after the last."""

    def act(answer: Answer) -> None:
        content = answer.normal().body
        at = [0, *(int(len(content) * end) for end in ends), len(content)]
        parts = [gzip.compress(content[start:end]) for start, end in pairwise(at)]
        answer.send(Response(200, {"Content-Encoding": name, "Content-Type": "application/fhir+json"}, b"".join(parts) + bytes(512)))

    return act


def after(head: bytes) -> Act:
    """The right answer, with other bytes in front of it."""

    def act(answer: Answer) -> None:
        content = answer.normal().body
        answer.raw(head + b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)

    return act


def member_twice(answer: Answer) -> None:
    """The right page without its total, and `entry` a second time with fewer rows."""
    bundle = json.loads(answer.normal().body)
    fewer = json.dumps({"link": bundle["link"], "entry": bundle["entry"][:3]})
    whole = json.dumps({name: value for name, value in bundle.items() if name not in ("total", "link")})
    answer.send(Response(200, {"Content-Type": "application/fhir+json"}, f"{whole[:-1]},{fewer[1:]}".encode()))


def fresh_rows_for_ever() -> Act:
    """Page after page of new rows with no total."""
    count = iter(range(1_000_000))

    def change(bundle: dict[str, Any], answer: Answer) -> None:
        bundle.pop("total", None)
        number = next(count)
        bundle["entry"] = [{"resource": {"resourceType": "Observation", "id": f"fresh-{number}"}}]
        bundle["link"] = [{"relation": "next", "url": f"{answer.base_url}/Observation?_offset=10&n={number}"}]

    return changed(change)


def empty_pages_for_ever() -> Act:
    """Page after page without a row."""
    count = iter(range(1_000_000))

    def change(bundle: dict[str, Any], answer: Answer) -> None:
        bundle.pop("total", None)
        bundle.pop("entry", None)
        bundle["link"] = [{"relation": "next", "url": f"{answer.base_url}/Observation?_offset=10&n={next(count)}"}]

    return changed(change)


def short_answer(bundle: dict[str, Any], _: Answer) -> None:
    """A transaction-response that lacks its last entry."""
    bundle.get("entry", []).pop()


def partial(answer: Answer) -> None:
    """A 200 whose entries say that nothing was taken."""
    failed = {"response": {"status": "400 Bad Request", "outcome": json.loads(outcome_answer(400).body)}}
    answer.send(Response(200, {}, json.dumps({"resourceType": "Bundle", "type": "transaction-response", "entry": [failed]}).encode()))


def abort(sock: socket.socket) -> None:
    """Close a socket so that its peer sees a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def hang_up_after(data: bytes) -> Act:
    """Send bytes and close."""

    def act(answer: Answer) -> None:
        answer.raw(data)
        answer.close()

    return act


def changed_type(content_type: str) -> Act:
    """The right answer under another content type."""
    return lambda answer: answer.send(Response(200, {"Content-Type": content_type}, answer.normal().body))


def acted_then(act: Act) -> Act:
    """Act as asked, then answer in another way."""

    def both(answer: Answer) -> None:
        answer.normal()
        act(answer)

    return both


def unsaid_close(answer: Answer) -> None:
    """The right answer on a connection that is then closed, although it was promised to stay."""
    answer.send(answer.normal())
    answer.close()
