"""A person signs in with the browser: SMART standalone launch with PKCE, the answer coming to a port of this machine."""

import base64
import hashlib
import hmac
import secrets
import sys
import threading
import time
import webbrowser
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from fhir_trial.config import Server
from fhir_trial.errors import ConfigurationError
from fhir_trial.sync.sign_in import ask_for_token, find_endpoints
from fhir_trial.sync.tokens import Endpoints, Token, TokenRefused, code_token, renewed_token

WAIT_SECONDS = 300.0
"""How long a person has to sign in."""
SCOPE = "openid fhirUser offline_access user/*.rs"
CALLBACK = "/callback"


def show_and_open(url: str) -> None:
    """Open the browser, and say where, since it may be on another screen."""
    sys.stderr.write(f"sign in with the browser: {url}\n")
    webbrowser.open(url)


class Launch:
    """How a person's token is got: by the browser the first time, then by its refresh token, which is kept in memory only."""

    def __init__(
        self,
        server: Server,
        open_url: Callable[[str], object] = show_and_open,
        wait_seconds: float = WAIT_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`ConfigurationError` where a client_id is missing."""
        if not server.client_id:
            raise ConfigurationError(f"server {server.name!r}: sign_in launch needs client_id")
        self._server, self._client_id, self._open, self._wait, self._now = server, server.client_id, open_url, wait_seconds, now
        self._endpoints: Endpoints | None = None

    def __call__(self, before: Token | None) -> Token:
        """A new token; a refresh token that is refused leads back to the browser."""
        endpoints = self._endpoints = self._endpoints or find_endpoints(self._server, self._now())
        if before is not None and (refresh := before.refresh) is not None:
            try:
                return ask_for_token(endpoints, lambda: renewed_token(endpoints, self._client_id, refresh))
            except TokenRefused:
                pass
        return self._by_browser(endpoints)

    def _by_browser(self, endpoints: Endpoints) -> Token:
        if endpoints.authorize is None:
            raise ConfigurationError("the server names no authorization endpoint: a person cannot sign in there")
        if endpoints.challenges and "S256" not in endpoints.challenges:
            raise ConfigurationError("the authorization server does not take S256 challenges: signing in there is not safe")
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
        with _Listener(self._server.redirect_port, state) as listener:
            asked = {
                "response_type": "code",
                "client_id": self._client_id,
                "redirect_uri": listener.url,
                "scope": endpoints.scope(self._server.scope or SCOPE),
                "state": state,
                "aud": self._server.base_url.rstrip("/"),
                "code_challenge": challenge(verifier),
                "code_challenge_method": "S256",
            }
            self._open(f"{endpoints.authorize}?{urlencode(asked)}")
            code = listener.wait(self._wait)
            return ask_for_token(endpoints, lambda: code_token(endpoints, self._client_id, code, verifier, listener.url))


def challenge(verifier: str) -> str:
    """The challenge of a verifier (RFC 7636, S256).

    >>> challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
    """
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class _Listener:
    """Waits on loopback for the browser to bring the answer; what does not carry our state is refused and not believed."""

    def __init__(self, port: int, state: str) -> None:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                taken = listener._take(self.path)
                self.send_response(200 if taken else 400)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.end_headers()
                self.wfile.write(b"Signed in: this window can be closed." if taken else b"Not an answer to what was asked.")

            def log_message(self, *_: object) -> None:
                """Say nothing: the address holds the code."""

        self._state, self._done = state, threading.Event()
        self._answer: dict[str, list[str]] = {}
        try:
            self._http = HTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise ConfigurationError(f"port {port} of this machine, where the browser's answer comes: {error.strerror}") from None

    @property
    def url(self) -> str:
        """The redirect address."""
        return f"http://127.0.0.1:{self._http.server_port}{CALLBACK}"

    def _take(self, path: str) -> bool:
        parts = urlsplit(path)
        answer = parse_qs(parts.query)
        stated = answer.get("state", [""])[0]
        if parts.path != CALLBACK or self._done.is_set() or not hmac.compare_digest(stated.encode(), self._state.encode()):
            return False
        self._answer = answer
        self._done.set()
        return True

    def wait(self, seconds: float) -> str:
        """The code; `TokenRefused` where the person or the server said no, or nobody answered."""
        if not self._done.wait(seconds):
            raise TokenRefused(f"nobody signed in within {seconds:.0f} s")
        code = self._answer.get("code", [""])[0]
        if not code:
            raise TokenRefused("the authorization server did not let the person in")
        return code

    def __enter__(self) -> "_Listener":
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
