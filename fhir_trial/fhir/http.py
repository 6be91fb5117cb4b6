"""HTTP as values: a request, a response, and exchanges that yield the one and are sent the other.

What talks to a server is written as a generator and does no I/O; `run` drives it with any function that sends.
"""

import email.utils
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fhir_trial.fhir import json

T = TypeVar("T")


def _header(headers: Mapping[str, str], name: str) -> str | None:
    """The value of a header, whatever the case of its name."""
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), None)


def moment(text: str | None) -> float | None:
    """Seconds since 1970 of a date in a header, None for what is none: servers write anything there.

    >>> moment("Thu, 01 Jan 1970 00:00:10 GMT"), moment("Fri, 31 Dec 99999999 23:59:59 +9999"), moment(None)
    (10.0, None, None)
    """
    try:
        return email.utils.parsedate_to_datetime(text or "").timestamp()
    except (TypeError, ValueError, IndexError, OverflowError, OSError):
        return None


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `url` is absolute or relative to the server's base. Its repr hides headers and body: secrets and data."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)

    def header(self, name: str) -> str | None:
        """The value of a header, whatever the case of its name.

        >>> Request("GET", "Patient", {"if-match": 'W/"1"'}).header("If-Match")
        'W/"1"'
        """
        return _header(self.headers, name)


@dataclass(frozen=True, slots=True)
class Response:
    """One response; its repr shows the status only."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        """The value of a header, whatever the case of its name.

        >>> Response(200, {"etag": 'W/"2"'}).header("ETag")
        'W/"2"'
        """
        return _header(self.headers, name)

    def json(self) -> Any:
        """The body decoded; `InputError` when it is not JSON."""
        return json.decode(self.body, "response body")

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


Exchange = Generator[Request, Response, T]
"""A conversation with a server: yields requests, is sent responses, returns its result."""


def run(exchange: Exchange[T], send: Callable[[Request], Response]) -> T:
    """Drive `exchange` with `send` to its end; what `send` raises is thrown into the exchange, which may go on.

    >>> def status_of(url: str) -> Exchange[int]:
    ...     response = yield Request("GET", url)
    ...     return response.status
    >>> run(status_of("metadata"), lambda request: Response(200))
    200
    """
    try:
        request = next(exchange)
        while True:
            try:
                response = send(request)
            except Exception as error:
                request = exchange.throw(error)
            else:
                request = exchange.send(response)
    except StopIteration as end:
        result: T = end.value
        return result
