"""The one place that opens connections: `requests`, one session, no redirects, bounded in time and bytes, bound to one server."""

import io
import logging
import os
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from http.cookiejar import Cookie, DefaultCookiePolicy
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

from fhir_trial.errors import ConfigurationError, PartlyDone, Unreachable
from fhir_trial.fhir.http import Request, Response
from fhir_trial.sync.deadline import Budget, BudgetAdapter
from fhir_trial.sync.failures import BadAnswer, ForeignLink, Interrupted, NotConnected, resource_type
from fhir_trial.sync.folder import disk
from fhir_trial.sync.limits import FILE_LIMIT_BYTES, LIMIT_BYTES, LIMIT_VALUES, is_too_full
from fhir_trial.sync.origin import Origin

_LARGE_BYTES = 4 * 1024 * 1024
_large = threading.Lock()
"""Answers beyond `_LARGE_BYTES` are read one after the other: eight searches at once would hold eight of them."""
_LOOK_SECONDS = 0.1
_BLOCK_BYTES = 64 * 1024
_UNPACKED_BYTES = 1024 * 1024
_COOKIES, _COOKIE_BYTES = 20, 4096
_FHIR_JSON = "application/fhir+json"
_ours = threading.local()


def _keep(record: logging.LogRecord) -> bool:
    """Drop urllib3's debug lines while we talk: they hold query strings, which hold subject identifiers."""
    return not getattr(_ours, "talking", False)


for _name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.response", "urllib3.util.retry", "charset_normalizer"):
    logging.getLogger(_name).addFilter(_keep)


class Transport:
    """Sends requests to one server and nowhere else.

    `authorization` gives the header's value when it is needed; a link or redirect never carries it to another origin or base path. Answers
    are read whole, at most `limit_bytes` once decoded, within the seconds given to `send`.
    """

    def __init__(self, base_url: str, authorization: Callable[[], str | None] | None = None, limit_bytes: int = LIMIT_BYTES) -> None:
        """Open nothing yet; a wrong base URL is a `ConfigurationError`."""
        self.origin = Origin.parse(base_url)
        self._is_one_of_many, self._is_over = False, lambda: False
        self._sink: _Sink | None = None
        self._authorization, self._limit_bytes, self._budget = authorization, limit_bytes, Budget()
        self._session = requests.Session()
        # No .netrc and no proxy by surprise: .netrc would replace our token.
        self._session.trust_env = False
        self._session.cookies.set_policy(_FewCookies())
        self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or True
        adapter = BudgetAdapter(self._budget)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def send(self, request: Request, seconds: float) -> Response:
        """The whole answer within `seconds`.

        `Interrupted`: the exchange broke. `ForeignLink`: the URL is not this server's, nothing was sent. `BadAnswer`: it is too large.
        """
        return self._send(request, seconds, _Sink(self._limit_bytes, self._budget, self._is_over))

    def download(self, request: Request, seconds: float, path: Path) -> Response:
        """As `send`, but the body of a 2xx goes to `path`, which is there only once it is whole; the response's own body is empty.

        Time in which the file comes at a good pace does not count against `seconds`.
        """
        part = path.with_name(f"{path.name}.part")
        try:
            with disk(path.parent), part.open("wb") as stream:
                response = self._send(request, seconds, _Sink(FILE_LIMIT_BYTES, self._budget, self._is_over, stream))
            if response.is_success:
                part.replace(path)
            return response
        finally:
            part.unlink(missing_ok=True)

    def _send(self, request: Request, seconds: float, sink: "_Sink") -> Response:
        url = self.origin.resolve(request.url)
        headers = {"Accept": _FHIR_JSON, "Accept-Encoding": "gzip", "User-Agent": "fhir-trial", **request.headers}
        if request.body is not None:
            headers.setdefault("Content-Type", _FHIR_JSON)
        if self._authorization is not None and (value := self._authorization()) is not None:
            headers["Authorization"] = value
        self._let_go()
        self._budget.start(seconds, sink.limit_bytes, sink.is_file)
        _ours.talking = True
        try:
            response, problem = self._exchange(request, url, headers, sink)
        finally:
            _ours.talking = False
            self._sink = sink
            if not self._is_one_of_many:
                self._let_go()
        # Raised here, with no cause attached: the library's own errors quote the URL.
        what = f"{request.method} {resource_type(request.url)}"
        if problem is not None or response is None:
            raise self._failure(what, problem, sink)
        if 300 <= response.status < 400 and response.status != 304:
            raise ForeignLink(f"{what}: the server redirects ({response.status}), which is not followed: is the base URL right?")
        return response

    def clock(self) -> float:
        """Seconds that only grow, those left out in which a file came at a good pace."""
        return self._budget.clock()

    def share(self, is_over: Callable[[], bool]) -> None:
        """Be one of several at work at once: a large answer keeps others from being read until our next request, or all `is_over`."""
        self._is_one_of_many, self._is_over = True, is_over

    def close(self) -> None:
        """Close all connections."""
        self._let_go()
        self._session.close()

    def _let_go(self) -> None:
        """Let the next large answer be read: ours has been made use of."""
        if self._sink is not None:
            self._sink.release()
        self._sink = None

    def __repr__(self) -> str:
        """The base URL; never the token."""
        return f"Transport({self.origin})"

    def _exchange(self, request: Request, url: str, headers: Mapping[str, str], sink: "_Sink") -> tuple[Response | None, Exception | None]:
        try:
            proxies = {} if self.origin.is_loopback else get_environ_proxies(url)
            seconds = self._budget.seconds_left()
            prepared = requests.Request(request.method, url, headers=dict(headers), data=request.body).prepare()
            answer = self._session.send(
                prepared, stream=True, allow_redirects=False, timeout=(seconds, seconds), verify=self._session.verify, proxies=proxies
            )
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            return None, error
        try:
            if not 300 <= answer.status_code < 400:
                _read(answer, sink)
            return Response(answer.status_code, dict(answer.headers), sink.body()), None
        except (requests.RequestException, HTTPError, OSError, ValueError, BadAnswer, zlib.error) as error:
            # A half-read connection must not go back to the pool.
            answer.raw.close()
            return None, error
        finally:
            answer.close()

    def _failure(self, what: str, problem: Exception | None, sink: "_Sink") -> Exception:
        if isinstance(problem, BadAnswer):
            return BadAnswer(f"{what}: {problem}")
        if self._budget.exhausted:
            return BadAnswer(f"{what}: the answer is larger than {sink.limit_bytes} bytes")
        if isinstance(problem, requests.exceptions.SSLError):
            return ConfigurationError(f"{what}: the server's certificate is not accepted")
        if isinstance(problem, requests.exceptions.ConnectTimeout | requests.exceptions.ConnectionError) and _refused(problem):
            return NotConnected(f"{what}: no connection to {urlsplit(str(self.origin)).netloc}")
        return Interrupted(f"{what}: the exchange broke off ({_kind(problem)})")


class _FewCookies(DefaultCookiePolicy):
    """Cookies that a load balancer needs to send a search's pages to one machine, and not what would fill memory and requests."""

    def __init__(self) -> None:
        super().__init__()
        self._names: set[str] = set()

    def set_ok(self, cookie: Cookie, request: Any) -> bool:
        """Whether a cookie is kept: small, and one of few."""
        size = len(cookie.name) + len(cookie.value or "") + len(cookie.path)
        if size > _COOKIE_BYTES or (cookie.name not in self._names and len(self._names) >= _COOKIES) or not super().set_ok(cookie, request):
            return False
        self._names.add(cookie.name)
        return True


class _Sink:
    """Where a body goes: to a file if it is a good answer's, else to memory; at most so many bytes once decoded."""

    def __init__(self, limit_bytes: int, budget: Budget, is_over: Callable[[], bool], stream: IO[bytes] | None = None) -> None:
        self.limit_bytes, self._stream, self._count = limit_bytes, stream, 0
        self._body, self._budget, self._is_over, self._is_large = io.BytesIO(), budget, is_over, False

    @property
    def is_file(self) -> bool:
        """Whether good answers go to a file."""
        return self._stream is not None

    @property
    def left(self) -> int:
        """Bytes that may still come, and one."""
        return self.limit_bytes + 1 - self._count

    def take(self, block: bytes, is_good: bool) -> None:
        """Take a decoded block."""
        self._count += len(block)
        to_file = self._stream is not None and is_good
        if self._count > (self.limit_bytes if to_file else min(self.limit_bytes, LIMIT_BYTES)):
            raise BadAnswer(f"the answer is larger than {self.limit_bytes} bytes")
        if self._stream is not None and is_good:
            try:
                self._stream.write(block)
            except OSError as error:
                raise PartlyDone(f"the disk takes no more ({error.strerror}); run again to resume") from None
        else:
            self._body.write(block)
            while self._body.tell() > _LARGE_BYTES and not self._is_large:
                if self._is_over():
                    raise Unreachable("another search ended first")
                self._is_large = _large.acquire(timeout=min(self._budget.seconds_left(), _LOOK_SECONDS))

    def body(self) -> bytes:
        """The whole body; what would be much larger in memory than it is here is refused before anyone decodes it."""
        whole = self._body.getvalue()
        if is_too_full(whole):
            raise BadAnswer(f"the answer holds more than {LIMIT_VALUES} values")
        return whole

    def release(self) -> None:
        """Let the next large answer be read."""
        if self._is_large:
            _large.release()
        self._is_large = False


def _read(answer: requests.Response, sink: _Sink) -> None:
    """The decoded body, into `sink`; decoding is ours, since a few bytes of gzip can be gigabytes."""
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise BadAnswer("the answer has an encoding that was not asked for")
    packed, is_good = _Packed(sink) if encoding.endswith("gzip") else None, 200 <= answer.status_code < 300
    for block in answer.raw.stream(_BLOCK_BYTES, decode_content=False):
        for decoded in packed.unpack(block) if packed else (block,):
            sink.take(decoded, is_good)
    if packed is not None:
        packed.end()


class _Packed:
    """A gzip stream, of one member or of many: storage services and parallel packers write a file in parts."""

    def __init__(self, sink: _Sink) -> None:
        self._sink, self._decoder, self._is_begun = sink, zlib.decompressobj(wbits=31), False

    def unpack(self, block: bytes) -> Iterator[bytes]:
        """A block unpacked, a megabyte at a time; zeros between members are padding."""
        while block := block if self._is_begun else block.lstrip(b"\0"):
            self._is_begun = True
            decoded = self._decoder.decompress(block, self._room)
            while decoded:
                yield decoded
                decoded = self._decoder.decompress(self._decoder.unconsumed_tail, self._room) if not self._decoder.eof else b""
            block = self._decoder.unused_data
            if self._decoder.eof:
                self._decoder, self._is_begun = zlib.decompressobj(wbits=31), False

    @property
    def _room(self) -> int:
        return min(self._sink.left, _UNPACKED_BYTES)

    def end(self) -> None:
        """`zlib.error` where the last member is not whole."""
        if self._is_begun:
            raise zlib.error


def _refused(problem: Exception) -> bool:
    return "NewConnectionError" in repr(problem) or "NameResolutionError" in repr(problem)


def _kind(problem: Exception | None) -> str:
    """The last error's kind in a word; its text may quote the URL."""
    text = repr(problem)
    if isinstance(problem, zlib.error):
        return "its compression is corrupt"
    return "no answer in time" if "imeout" in text or "timed out" in text else "the connection was closed early"
