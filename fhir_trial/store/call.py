"""One call to the store: the request taken apart, with what answering it needs."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fhir_trial.errors import InputError
from fhir_trial.fhir import json
from fhir_trial.fhir.http import Request, Response
from fhir_trial.fhir.outcome import outcome
from fhir_trial.store.criteria import Pairs
from fhir_trial.store.database import Store, parameter_key
from fhir_trial.store.index import Indexed, indexed
from fhir_trial.store.refusals import Refusal
from fhir_trial.store.rows import Row
from fhir_trial.store.trees import check_depth

FHIR_JSON = "application/fhir+json"


@dataclass(frozen=True, slots=True)
class Call:
    """A request to one place of the server: `path` is relative to `base`, which is how clients reach the server."""

    store: Store
    request: Request
    base: str
    path: tuple[str, ...]
    query: Pairs
    connection: sqlite3.Connection | None = None
    """The connection of the transaction that this call is part of, if any."""

    @property
    def type(self) -> str:
        """The resource type in the path."""
        return self.path[0]

    @property
    def id(self) -> str:
        """The logical id in the path."""
        return self.path[1]

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state."""
        if self.connection is not None:
            yield self.connection
        else:
            with self.store.reading() as connection:
                yield connection

    def parameters(self, resource_type: str) -> dict[str, Indexed]:
        """The search parameters of a type that are indexed."""
        return indexed(self.store.fhir.name, resource_type, parameter_key)

    def prefers(self, wanted: str) -> bool:
        """Whether the Prefer header asks for `wanted`."""
        return wanted in [part.strip() for part in (self.request.header("Prefer") or "").replace(";", ",").split(",")]

    def resource(self) -> dict[str, Any]:
        """The body as a resource; Refusal 400 or 415 when it is none."""
        check_content_type(self.request.header("Content-Type"), self.store.fhir.number)
        try:
            body = json.decode(self.request.body or b"")
        except InputError as error:
            raise Refusal(400, "invalid", error.findings[0].code.replace("-", " ")) from None
        return as_resource(body)


def as_resource(body: Any) -> dict[str, Any]:
    """`body` if it is an object with a resourceType and not nested too deeply."""
    if not isinstance(body, dict) or not isinstance(body.get("resourceType"), str):
        raise Refusal(400, "structure", "expected a resource: a JSON object with resourceType")
    check_depth(body)
    return body


def check_content_type(stated: str | None, number: str) -> None:
    """Refuse (415) a body that is not JSON, or is said to be of another FHIR version; none stated is taken for JSON."""
    kind, *settings = (part.strip().lower() for part in (stated or FHIR_JSON).split(";"))
    if kind not in (FHIR_JSON, "application/json", "text/json"):
        raise Refusal(415, "not-supported", "expected Content-Type application/fhir+json")
    versions = [part.removeprefix("fhirversion=") for part in settings if part.startswith("fhirversion=")]
    if any(not number.startswith(version) for version in versions):
        raise Refusal(415, "not-supported", f"this server holds FHIR {number}")


def body_response(status: int, value: Any, headers: dict[str, str] | None = None) -> Response:
    """A response with a resource as its body."""
    return Response(status, {"Content-Type": FHIR_JSON} | (headers or {}), value if isinstance(value, bytes) else json.encode(value))


def written_response(call: Call, status: int, row: Row) -> Response:
    """The response to a write of one resource, as Prefer asks: the resource, nothing, or an OperationOutcome."""
    headers = row.headers
    if status == 201 or call.request.method == "POST":
        headers["Location"] = f"{call.base}/{row.path}/_history/{row.version}"
    if call.prefers("return=minimal") or row.body is None:
        return Response(status, headers)
    if call.prefers("return=OperationOutcome"):
        return body_response(status, outcome("informational", "done", "information").to_fhir(), headers)
    return body_response(status, row.body, headers)
