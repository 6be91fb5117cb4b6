"""The HTTP rim: a Starlette application around `handle`, and a server on a port."""

import hmac
import logging
import socket
from collections.abc import Mapping

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.requests import Request as WebRequest
from starlette.responses import Response as WebResponse
from starlette.routing import Route

from fhir_trial.errors import ConfigurationError
from fhir_trial.fhir.http import Request, Response
from fhir_trial.store.database import Store
from fhir_trial.store.refusals import Refusal
from fhir_trial.store.server import MAX_BODY_BYTES, handle

ROOT = "/fhir"
"""The path under which the FHIR server stands."""
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def _check_token(headers: Mapping[str, str], token: str) -> None:
    """Refuse (401) a request without the bearer token; compared in constant time."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise Refusal(401, "login", "a bearer token is required", headers={"WWW-Authenticate": 'Bearer realm="fhir"'})


async def _body(request: WebRequest) -> bytes:
    """The body as far as the limit; Refusal 413 beyond it, before it is all read."""
    too_long = Refusal(413, "too-long", f"a body has at most {MAX_BODY_BYTES} bytes")
    stated = request.headers.get("content-length", "0")
    if stated.isdigit() and int(stated) > MAX_BODY_BYTES:
        raise too_long
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise too_long
        parts.append(part)
    return b"".join(parts)


def app(store: Store, token: str | None) -> Starlette:
    """The store as a web application under `/fhir`; everything but `/fhir/metadata` needs the bearer `token`, unless that is None."""
    if token is not None and not token.strip():
        raise ConfigurationError("the bearer token is empty")

    async def answer(request: WebRequest) -> WebResponse:
        path = request.scope["raw_path"].decode("latin-1").removeprefix(ROOT)
        base = f"{request.url.scheme}://{request.url.netloc}{ROOT}"
        try:
            if token is not None and path.strip("/") != "metadata":
                _check_token(request.headers, token)
            body = await _body(request)
        except Refusal as refusal:
            return _web(refusal.response())
        except ClientDisconnect:
            return WebResponse(status_code=400)
        query = f"?{request.url.query}" if request.url.query else ""
        call = Request(request.method, path.lstrip("/") + query, dict(request.headers), body)
        return _web(await run_in_threadpool(handle, store, call, base))

    return Starlette(routes=[Route(ROOT, answer, methods=METHODS), Route(ROOT + "/{path:path}", answer, methods=METHODS)])


def _web(response: Response) -> WebResponse:
    """A response as Starlette sends it; no cache keeps subject data."""
    return WebResponse(response.body, response.status, {"Cache-Control": "no-store", **response.headers})


def server(store: Store, token: str | None, host: str = "127.0.0.1", port: int = 0) -> tuple[uvicorn.Server, socket.socket, str]:
    """A server that listens already, and its base url; `run(sockets=[socket])` answers until `should_exit` is set.

    Without a token only this machine is served: ConfigurationError for any other host.
    """
    if token is None and host not in ("127.0.0.1", "::1", "localhost"):
        raise ConfigurationError(f"serving {host} needs a bearer token")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise ConfigurationError(f"port {port} of {host} cannot be used: {error.strerror}") from None
    # The access log would hold queries, and they hold identifiers.
    config = uvicorn.Config(app(store, token), log_level=logging.WARNING, access_log=False, lifespan="off", server_header=False)
    shown = f"[{host}]" if ":" in host else host
    return uvicorn.Server(config), listening, f"http://{shown}:{listening.getsockname()[1]}{ROOT}"


def serve(store: Store, token: str | None, host: str = "127.0.0.1", port: int = 0) -> None:
    """Serve until interrupted."""
    running, listening, _ = server(store, token, host, port)
    with listening:
        running.run(sockets=[listening])
