"""SMART tokens as conversations: discovery, a signed assertion for a token (backend services), a code for a token, a renewal.

Generators that read no clock; secrets are in the requests they yield and nowhere else. Sources: SMART App Launch 2.2 (backend services,
standalone launch, PKCE), RFC 6749, RFC 7523, RFC 7636.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import jwt
from jwt.exceptions import InvalidKeyError, PyJWTError

from fhir_trial.errors import ConfigurationError, InputError
from fhir_trial.fhir import json as fhir_json
from fhir_trial.fhir.http import Exchange, Request, Response, moment
from fhir_trial.sync.origin import Origin

ASSERTION_SECONDS = 240
"""How long an assertion holds; five minutes is the most that the specification allows."""
ALGORITHMS = ("RS384", "ES384")
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_REASONS = ("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope")
_DEFAULT_SECONDS = 300.0


class TokenRefused(ConfigurationError):
    """The authorization server gives no token; its own words are not repeated."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token; its repr shows none of it."""

    access: str = field(repr=False)
    seconds: float
    """How long it holds."""
    refresh: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What a server's SMART configuration says."""

    token: str
    authorize: str | None = None
    capabilities: tuple[str, ...] = ()
    challenges: tuple[str, ...] = ()
    skew_seconds: float = 0.0
    """How far the server's clock is ahead of ours."""

    def scope(self, wanted: str) -> str:
        """The scopes in the server's own spelling: where it knows only the first version's, `.rs` is `.read`.

        >>> Endpoints("https://h.example/token", capabilities=("permission-v1",)).scope("system/Patient.rs")
        'system/Patient.read'
        """
        if "permission-v1" in self.capabilities and "permission-v2" not in self.capabilities:
            return wanted.replace(".cruds", ".*").replace(".rs", ".read")
        return wanted


def discover_endpoints(now: float) -> Exchange[Endpoints]:
    """The endpoints of `.well-known/smart-configuration`, each https off loopback; `ConfigurationError` where there are none."""
    response = yield Request("GET", ".well-known/smart-configuration", {"Accept": "application/json"})
    stated = _object(response) if response.is_success else {}
    token = stated.get("token_endpoint")
    if not isinstance(token, str):
        raise ConfigurationError(f"the server names no token endpoint (.well-known/smart-configuration: {response.status}): set token_url")
    authorize = stated.get("authorization_endpoint")
    listed = {name: stated.get(name) for name in ("capabilities", "code_challenge_methods_supported")}
    found = {name: tuple(map(str, value)) if isinstance(value, list) else () for name, value in listed.items()}
    return Endpoints(
        checked(token),
        checked(authorize) if isinstance(authorize, str) else None,
        found["capabilities"],
        found["code_challenge_methods_supported"],
        _skew(response, now),
    )


def checked(url: str) -> str:
    """An endpoint of an authorization server: https, or this machine; `ConfigurationError` for another."""
    try:
        origin = Origin.parse(url.partition("?")[0])
    except ConfigurationError:
        raise ConfigurationError("the authorization server's endpoint: expected https://HOST/PATH without a user") from None
    if "?" in url or "#" in url:
        raise ConfigurationError("the authorization server's endpoint: expected no query")
    return str(origin)


def assertion(client_id: str, key: str, audience: str, now: float, key_id: str | None = None) -> str:
    """The signed assertion of who we are, for one use; `key` is a PEM, a JWK or a JWKS (the private one)."""
    signer, algorithm, stated_id = _signer(key, key_id)
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "exp": int(now) + ASSERTION_SECONDS,
        "iat": int(now),
        "jti": str(uuid4()),
    }
    headers = {"typ": "JWT"} | ({"kid": stated_id} if stated_id else {})
    try:
        return jwt.encode(claims, signer, algorithm=algorithm, headers=headers)
    except (PyJWTError, TypeError, ValueError):
        raise _bad_key() from None


def _signer(key: str, key_id: str | None) -> tuple[Any, str, str | None]:
    """The key, the algorithm that goes with it, and its id."""
    if key.lstrip().startswith("{"):
        stated = _jwk(key, key_id)
        try:
            return jwt.PyJWK(stated, algorithm=_of_jwk(stated)).key, _of_jwk(stated), key_id or stated.get("kid")
        except (PyJWTError, ValueError, TypeError):
            raise _bad_key() from None
    return key, "ES384" if _is_elliptic(key) else "RS384", key_id


def _jwk(text: str, key_id: str | None) -> dict[str, Any]:
    """The one private key of a JWK or JWKS, that of `key_id` where there are several."""
    try:
        document = json.loads(text)
    except ValueError:
        raise _bad_key() from None
    keys = document.get("keys", [document]) if isinstance(document, dict) else []
    private = [k for k in keys if isinstance(k, dict) and "d" in k and key_id in (None, k.get("kid"))]
    if len(private) != 1:
        raise ConfigurationError(f"key: expected one private key{f' of id {key_id}' if key_id else ''}, found {len(private)}")
    return dict(private[0])


def _of_jwk(stated: Mapping[str, Any]) -> str:
    return "ES384" if stated.get("kty") == "EC" else "RS384"


def _is_elliptic(pem: str) -> bool:
    try:
        jwt.get_algorithm_by_name("ES384").prepare_key(pem)
    except (InvalidKeyError, ValueError, TypeError):
        return False
    return True


def _bad_key() -> ConfigurationError:
    return ConfigurationError("key: expected a private key, RSA or EC P-384, as PEM, JWK or JWKS")


def backend_token(endpoints: Endpoints, client_id: str, signed: str, scope: str) -> Exchange[Token]:
    """A token for a program, by its assertion."""
    form = {
        "grant_type": "client_credentials",
        "scope": endpoints.scope(scope),
        "client_assertion_type": _ASSERTION_TYPE,
        "client_assertion": signed,
    }
    return (yield from _ask(endpoints.token, form))


def code_token(endpoints: Endpoints, client_id: str, code: str, verifier: str, redirect: str) -> Exchange[Token]:
    """A token for a person, by the code that the browser brought and the verifier that only we know."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "client_id": client_id, "code_verifier": verifier}
    return (yield from _ask(endpoints.token, form))


def renewed_token(endpoints: Endpoints, client_id: str, refresh: str) -> Exchange[Token]:
    """A new token for a person who need not be asked again."""
    token = yield from _ask(endpoints.token, {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": client_id})
    return token if token.refresh is not None else Token(token.access, token.seconds, refresh)


def _ask(url: str, form: Mapping[str, str]) -> Exchange[Token]:
    response = yield Request("POST", url, _FORM, urlencode(form).encode())
    stated = _object(response)
    if not response.is_success:
        reason = stated.get("error")
        said = f" ({reason})" if reason in _REASONS else ""
        raise TokenRefused(f"the authorization server answered {response.status}{said}: check client_id, key and scope")
    access, seconds, refresh = (stated.get(name) for name in ("access_token", "expires_in", "refresh_token"))
    is_token = isinstance(access, str) and access.isascii() and access.isprintable() and " " not in access and 0 < len(access) <= 16_384
    if not is_token or str(stated.get("token_type", "")).lower() != "bearer":
        raise TokenRefused("the authorization server's answer holds no bearer token")
    return Token(str(access), _seconds(seconds), refresh if isinstance(refresh, str) else None)


def _seconds(stated: Any) -> float:
    try:
        seconds = float(stated)
    except (TypeError, ValueError):
        return _DEFAULT_SECONDS
    return seconds if 0 < seconds < 10 * 86_400 else _DEFAULT_SECONDS


def _object(response: Response) -> dict[str, Any]:
    try:
        document = fhir_json.decode(response.body, "answer")
    except InputError:
        return {}
    return document if isinstance(document, dict) else {}


def _skew(response: Response, now: float) -> float:
    theirs = moment(response.header("Date"))
    return theirs - now if theirs is not None else 0.0
