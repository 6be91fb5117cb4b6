"""The embedded server: `handle` takes a request to its response, through a table of places and methods."""

import re
import sqlite3
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote

from fhir_trial.errors import InputError
from fhir_trial.fhir.http import Request, Response
from fhir_trial.store import export, search, single
from fhir_trial.store.batch import batch
from fhir_trial.store.call import Call, body_response
from fhir_trial.store.capability import capability_statement
from fhir_trial.store.database import Store
from fhir_trial.store.refusals import Refusal, invalid
from fhir_trial.store.transaction import transaction

BASE = "http://localhost/fhir"
"""Where a store that no rim serves says it is."""
MAX_BODY_BYTES = 64 * 1024 * 1024
Handler = Callable[[Call], Response]


def _search_form(call: Call) -> Response:
    """POST _search: criteria from the url and from the form."""
    kind = (call.request.header("Content-Type") or "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refusal(415, "not-supported", "expected Content-Type application/x-www-form-urlencoded")
    form = _pairs((call.request.body or b"").decode("utf-8", "replace"))
    return search.search(Call(call.store, call.request, call.base, call.path, [*call.query, *form]))


def _metadata(call: Call) -> Response:
    """What this server can do."""
    return body_response(200, capability_statement(call))


def _bundle(call: Call) -> Response:
    """A transaction or a batch."""
    whole = call.resource()
    process = {"transaction": transaction, "batch": batch}.get(str(whole.get("type"))) if whole["resourceType"] == "Bundle" else None
    if process is None:
        raise Refusal(400, "invalid", "expected a Bundle of type transaction or batch", expression=["Bundle.type"])
    return process(call, whole, lambda request, connection: dispatch(make_call(call.store, request, call.base, connection)))


PLACES: dict[tuple[str, ...], dict[str, Handler]] = {
    (): {"POST": _bundle},
    ("metadata",): {"GET": _metadata},
    ("_history",): {"GET": search.system_history},
    ("$export",): {"GET": export.start, "POST": export.start},
    ("$export-poll-status",): {"GET": export.status, "DELETE": export.forget},
    ("$export-file",): {"GET": export.file},
    ("Type",): {"GET": search.search, "POST": single.create, "PUT": single.conditional_update, "DELETE": single.conditional_delete},
    ("Type", "_search"): {"POST": _search_form},
    ("Type", "_history"): {"GET": search.type_history},
    ("Type", "$export"): {"GET": export.start, "POST": export.start},
    ("Type", "id", "$export"): {"GET": export.start, "POST": export.start},
    ("Type", "id"): {"GET": single.read, "PUT": single.update, "DELETE": single.delete},
    ("Type", "id", "_history"): {"GET": search.instance_history},
    ("Type", "id", "_history", "version"): {"GET": single.vread},
}
"""What answers, by place and method."""
_WORDS = ("_search", "_history", "$export")


def _pairs(query: str) -> list[tuple[str, str]]:
    """A query string taken apart."""
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=500)
    except ValueError:
        raise Refusal(400, "invalid", "the query cannot be read") from None


def _place(path: tuple[str, ...]) -> tuple[str, ...]:
    """The pattern of a path: fixed words stay, a resource type, id and version are named so."""
    if not path or path in PLACES:
        return path
    if any(part.startswith("$") and part != "$export" for part in path) or path[0].startswith("$"):
        raise Refusal(404, "not-supported", "of operations this server has $export only")
    second = (path[1] if path[1] in _WORDS else "id") if len(path) > 1 else ""
    return ("Type", *filter(None, (second,)), *(part if part in _WORDS else "version" for part in path[2:]))


def dispatch(call: Call) -> Response:
    """The response of the place and method that a call names."""
    place = _place(call.path)
    if place not in PLACES:
        raise Refusal(404, "not-found", "no such place on this server")
    of_type = place[:1] == ("Type",)
    if of_type and call.type not in call.store.shapes.resource_types:
        raise Refusal(404, "not-supported", "not a resource type of this FHIR version")
    handlers = PLACES[place]
    method = "GET" if call.request.method == "HEAD" else call.request.method
    if method not in handlers:
        allowed = ", ".join(sorted(handlers))
        raise Refusal(405, "not-supported", f"supported here: {allowed}", headers={"Allow": allowed})
    if call.store.limits is not None:
        call.store.limits.check(place, method, call.type if of_type else None)
    return handlers[method](call)


def make_call(store: Store, request: Request, base: str, connection: sqlite3.Connection | None = None) -> Call:
    """A request taken apart; its url is relative to `base`, or begins with it."""
    url = request.url.removeprefix(base)
    if re.match(r"[a-z]+:", url):
        raise Refusal(404, "not-found", "the url is not of this server")
    path, _, query = url.partition("#")[0].partition("?")
    return Call(store, request, base, tuple(unquote(part) for part in path.strip("/").split("/") if part), _pairs(query), connection)


def _check_form(request: Request) -> None:
    """Refuse a body that is too long (413) or packed (415), and (406) a client that takes no JSON."""
    if len(request.body or b"") > MAX_BODY_BYTES:
        raise Refusal(413, "too-long", f"a body has at most {MAX_BODY_BYTES} bytes")
    if (request.header("Content-Encoding") or "identity").lower() != "identity":
        raise Refusal(415, "not-supported", "a body is sent as it is, without Content-Encoding")
    accept = (request.header("Accept") or "*/*").lower()
    if not any(kind in accept for kind in ("json", "*/*", "application/*")):
        raise Refusal(406, "not-supported", "this server answers in application/fhir+json")


def handle(store: Store, request: Request, base: str = BASE) -> Response:
    """The response to one request; never raises for what a client can send, and says no value of what it was sent.

    >>> store = Store(":memory:")
    >>> made = handle(store, Request("PUT", "Patient/p1", {}, b'{"resourceType":"Patient","id":"p1"}'))
    >>> made.status, made.header("ETag"), handle(store, Request("GET", "Patient/p1")).json()["id"]
    (201, 'W/"1"', 'p1')
    """
    try:
        _check_form(request)
        response = dispatch(make_call(store, request, base))
    except Refusal as refusal:
        response = refusal.response()
    except InputError as error:
        response = invalid(error.findings, 400).response()
    except (sqlite3.Error, RecursionError) as error:
        response = failure(error).response()
    return Response(response.status, response.headers) if request.method == "HEAD" else response


def failure(error: Exception) -> Refusal:
    """The refusal that an error of the database becomes; its text may hold values and is left out."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Refusal(503, "lock-error", "another program writes to the store", headers={"Retry-After": "1"})
    if name.startswith("SQLITE_FULL"):
        return Refusal(507, "no-store", "the disk is full")
    return Refusal(500, "exception", f"the store failed: {name or type(error).__name__}")
