"""Who we are to a server: nobody, a bearer token, a user and password, a program that signs (SMART backend services), or a person.

A token is renewed before it ends, and once after a 401. It is bound to the server's origin and base path by the transport.
"""

import base64
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from fhir_trial.config import Secret, Server
from fhir_trial.errors import ConfigurationError, Unreachable
from fhir_trial.fhir.http import Exchange, Request, Response, run
from fhir_trial.sync.failures import Interrupted
from fhir_trial.sync.pull import TRIAL_TYPES
from fhir_trial.sync.retry import TEMPORARY
from fhir_trial.sync.tokens import Endpoints, Token, assertion, backend_token, checked, discover_endpoints
from fhir_trial.sync.transport import Transport

T = TypeVar("T")
SECONDS = 20.0
"""How long one answer of an authorization server may take."""
_TRIES = 3
_MARGIN_SECONDS = 30.0
SCOPE = " ".join(f"system/{name}.rs" for name in TRIAL_TYPES)
"""What is asked for unless the configuration says more: reading and searching the types that a trial is told in."""


class SignIn(Protocol):
    """What goes into the Authorization header."""

    def authorization(self) -> str | None:
        """The header's value now; None for no header."""

    def renew(self, rejected: str | None) -> bool:
        """Whether there is another value than the one that was answered with 401."""


class Fixed:
    """A value that a secret gives: read anew each time, so a file that is rewritten is followed."""

    def __init__(self, value: Callable[[], str | None]) -> None:
        """Keep how to get it, not what it is."""
        self._value = value

    def authorization(self) -> str | None:
        """The value."""
        return self._value()

    def renew(self, rejected: str | None) -> bool:
        """Whether the secret says something else by now."""
        return self._value() != rejected


def nobody() -> Fixed:
    """No header."""
    return Fixed(lambda: None)


def bearer(secret: Secret) -> Fixed:
    """A token that someone else got."""
    return Fixed(lambda: f"Bearer {secret.reveal()}")


def basic(user: str, password: Secret) -> Fixed:
    """A user and a password."""
    return Fixed(lambda: "Basic " + base64.b64encode(f"{user}:{password.text()}".encode()).decode())


class Renewing:
    """A token that is got when it is needed, renewed before it ends and, once, when it is refused; safe to share between threads."""

    def __init__(self, get: Callable[[Token | None], Token], clock: Callable[[], float] = time.monotonic) -> None:
        """`get` is given the token before, if any, for its refresh token."""
        self._get, self._clock, self._lock = get, clock, threading.Lock()
        self._token: Token | None = None
        self._until = 0.0

    def authorization(self) -> str | None:
        """The header with a token that still holds."""
        with self._lock:
            if self._token is None or self._clock() >= self._until:
                self._renew()
            return self._header()

    def renew(self, rejected: str | None) -> bool:
        """Get another token, unless another thread has done so meanwhile."""
        with self._lock:
            if self._header() == rejected:
                self._renew()
            return True

    def _renew(self) -> None:
        token = self._get(self._token)
        self._token, self._until = token, self._clock() + token.seconds - min(_MARGIN_SECONDS, token.seconds / 4)

    def _header(self) -> str | None:
        return f"Bearer {self._token.access}" if self._token is not None else None

    def __repr__(self) -> str:
        """Never the token."""
        return "Renewing()"


class Backend:
    """How a program gets its token: discovery once, then an assertion signed for each token."""

    def __init__(self, server: Server, now: Callable[[], float] = time.time) -> None:
        """`ConfigurationError` where a client_id or a key is missing."""
        if not server.client_id or server.key is None:
            raise ConfigurationError(f"server {server.name!r}: sign_in backend needs client_id and key (env:, file: or keyring:)")
        self._server, self._now = server, now
        self._client_id, self._key = server.client_id, server.key
        self._endpoints: Endpoints | None = None

    def __call__(self, _: Token | None) -> Token:
        """A new token."""
        endpoints = self._endpoints = self._endpoints or find_endpoints(self._server, self._now())

        def ask() -> Exchange[Token]:
            now = self._now() + endpoints.skew_seconds
            signed = assertion(self._client_id, self._key.text(), endpoints.token, now, self._server.key_id)
            return backend_token(endpoints, self._client_id, signed, self._server.scope or SCOPE)

        return ask_for_token(endpoints, ask)


def find_endpoints(server: Server, now: float) -> Endpoints:
    """The authorization server's endpoints: those of the configuration, else as the server's SMART configuration says."""
    if server.token_url:
        return Endpoints(checked(server.token_url), None)
    transport = Transport(server.base_url)
    try:
        return run(discover_endpoints(now), lambda request: _patient(lambda: transport.send(request, SECONDS)))
    finally:
        transport.close()


def ask_for_token(endpoints: Endpoints, ask: Callable[[], Exchange[Token]]) -> Token:
    """Ask the authorization server, anew (with a new assertion) where it is busy or the exchange breaks."""
    transport = Transport(endpoints.token)

    def attempt() -> Token:
        return run(ask(), send)

    def send(request: Request) -> Response:
        response = transport.send(request, SECONDS)
        if response.status in TEMPORARY:
            raise Interrupted(f"the authorization server answered {response.status}")
        return response

    try:
        return _patient(attempt)
    finally:
        transport.close()


def _patient(attempt: Callable[[], T]) -> T:
    for number in range(_TRIES):
        try:
            return attempt()
        except Unreachable:
            if number + 1 == _TRIES:
                raise
            time.sleep(0.2 * 2**number)
    raise AssertionError


def sign_in_for(server: Server) -> SignIn:
    """The way of signing in that the configuration names; without one, a token if there is one."""
    way = server.sign_in or ("bearer" if server.token else "none")
    if way == "none":
        return nobody()
    if way == "bearer" and server.token is not None:
        return bearer(server.token)
    if way == "basic" and server.user and server.password is not None:
        return basic(server.user, server.password)
    if way == "backend":
        return Renewing(Backend(server))
    if way == "launch":
        from fhir_trial.sync.launch import Launch

        return Renewing(Launch(server))
    needs = {"bearer": "token", "basic": "user and password"}.get(way)
    if needs is None:
        raise ConfigurationError(f"server {server.name!r}, sign_in: {way[:20]!r} is none of none, bearer, basic, backend, launch")
    raise ConfigurationError(f"server {server.name!r}: sign_in {way} needs {needs}")
