"""An authorization server and the FHIR server that it guards, on loopback: it checks what a hospital's would, and is as short of time.

Backend services (private_key_jwt, RS384 and ES384), standalone launch with PKCE, refresh tokens, discovery.
"""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import jwt

from fhir_trial.fhir.http import Request, Response
from fhir_trial.testing.memory_server import MemoryServer

CLIENT = "fhir-trial-tests"
LONGEST_ASSERTION_SECONDS = 300


class TokenServer:
    """`base_url` is the FHIR server, `grants` what tokens were given for; times and refusals can be set while it serves."""

    def __init__(self, public_keys: dict[str, Any], expires_in: float = 300.0) -> None:
        """`public_keys`: key id to the public key (any form PyJWT takes); "" for one without an id."""
        self.public_keys, self.expires_in = public_keys, expires_in
        self.grants: list[str] = []
        self.scopes: list[str] = []
        self.problems: list[str] = []
        """What was wrong with what was sent, in words."""
        self.busy = 0
        """How many token requests are answered with 503."""
        self.skew_seconds = 0.0
        self.accepts = True
        self._http = _Http(self)
        self.origin = f"http://127.0.0.1:{self._http.server_port}"
        self.base_url = f"{self.origin}/fhir"
        self.memory = MemoryServer(self.base_url)
        self._tokens: dict[str, float] = {}
        self._seen: set[str] = set()
        self._codes: dict[str, dict[str, str]] = {}
        self._refresh: set[str] = set()

    @contextmanager
    def serving(self) -> Iterator["TokenServer"]:
        """Serve until the block ends."""
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield self
        finally:
            self._http.shutdown()
            self._http.server_close()

    def revoke(self) -> None:
        """No token given so far holds any more."""
        self._tokens.clear()

    def now(self) -> float:
        """The server's clock."""
        return time.time() + self.skew_seconds

    def configuration(self) -> dict[str, Any]:
        """The SMART configuration."""
        return {
            "token_endpoint": f"{self.origin}/token",
            "authorization_endpoint": f"{self.origin}/authorize",
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
            "code_challenge_methods_supported": ["S256"],
            "capabilities": ["client-confidential-asymmetric", "launch-standalone", "permission-v2"],
        }

    def is_signed_in(self, header: str | None) -> bool:
        """Whether a request carries a token that holds."""
        return self._tokens.get((header or "").removeprefix("Bearer "), 0.0) > time.monotonic()

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """The answer to a token request."""
        if self.busy:
            self.busy -= 1
            return 503, {}
        grant = form.get("grant_type", "")
        problem = {"client_credentials": self._assertion, "authorization_code": self._code, "refresh_token": self._renewal}.get(
            grant, lambda _: "unsupported_grant_type"
        )(form)
        if problem or not self.accepts:
            self.problems.append(problem or "refused")
            return 400, {"error": "invalid_client", "error_description": "Zebulon Quimby's key"}
        self.grants.append(grant)
        self.scopes.append(form.get("scope", ""))
        token = f"token-{uuid4()}"
        self._tokens[token] = time.monotonic() + self.expires_in
        answer = {"access_token": token, "token_type": "bearer", "expires_in": self.expires_in, "scope": form.get("scope", "")}
        if grant != "client_credentials":
            refresh = f"refresh-{uuid4()}"
            self._refresh.add(refresh)
            answer["refresh_token"] = refresh
        return 200, answer

    def _assertion(self, form: dict[str, str]) -> str | None:
        try:
            signed = form["client_assertion"]
            header = jwt.get_unverified_header(signed)
            options = {"require": ["iss", "sub", "aud", "exp", "jti"], "verify_exp": False, "verify_iat": False}
            key = self.public_keys[header.get("kid", "")]
            claims = jwt.decode(signed, key, algorithms=["RS384", "ES384"], audience=f"{self.origin}/token", options=options)  # type: ignore[arg-type]
        except (KeyError, jwt.PyJWTError) as error:
            return f"assertion: {type(error).__name__}"
        if not self.now() < claims["exp"] <= self.now() + LONGEST_ASSERTION_SECONDS:
            return "assertion: expired or too long"
        if claims["jti"] in self._seen or claims["iss"] != claims["sub"] or claims["iss"] != CLIENT:
            return "assertion: used before, or of another"
        self._seen.add(claims["jti"])
        return None

    def authorize(self, query: dict[str, str]) -> str | None:
        """Where the person's browser is sent; None where the request is not one to be answered."""
        if query.get("code_challenge_method") != "S256" or query.get("client_id") != CLIENT or query.get("aud") != self.base_url:
            return None
        state = {"state": query.get("state", "")}
        if not self.accepts:
            return f"{query['redirect_uri']}?{urlencode({'error': 'access_denied', **state})}"
        code = str(uuid4())
        self._codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, **state})}"

    def _code(self, form: dict[str, str]) -> str | None:
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None:
            return "code: unknown or used"
        same = asked["redirect_uri"] == form.get("redirect_uri") and asked["code_challenge"] == _challenge(form.get("code_verifier", ""))
        return None if same else "code: of another"

    def _renewal(self, form: dict[str, str]) -> str | None:
        refresh = form.get("refresh_token", "")
        if refresh not in self._refresh:
            return "refresh: unknown"
        self._refresh.discard(refresh)
        return None


def _challenge(verifier: str) -> str:
    """RFC 7636, S256: by another hand than the client's."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().replace("=", "")


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner: TokenServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.owner = owner


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self) -> None:
        owner, parts = self.server.owner, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if parts.path == "/fhir/.well-known/smart-configuration":
            self._json(200, owner.configuration())
        elif parts.path == "/token" and self.command == "POST":
            self._json(*owner.token({name: values[0] for name, values in parse_qs(body.decode()).items()}))
        elif parts.path == "/authorize":
            to = owner.authorize({name: values[0] for name, values in parse_qs(parts.query).items()})
            self._answer(Response(302, {"Location": to}) if to else Response(400))
        elif parts.path.startswith("/fhir") and owner.is_signed_in(self.headers.get("Authorization")):
            self._answer(owner.memory.handle(Request(self.command, f"{owner.origin}{self.path}", dict(self.headers), body or None)))
        else:
            self._json(401, {})

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the names that http.server calls

    def _json(self, status: int, value: dict[str, Any]) -> None:
        self._answer(Response(status, {"Content-Type": "application/json"}, json.dumps(value).encode()))

    def _answer(self, response: Response) -> None:
        self.send_response_only(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Date", self.date_time_string(int(self.server.owner.now())))
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)
