"""Reading and writing one resource: each handler answers one HTTP call."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

from fhir_trial.fhir.http import Response
from fhir_trial.store.call import Call, body_response, written_response
from fhir_trial.store.criteria import Pairs
from fhir_trial.store.refusals import Refusal
from fhir_trial.store.rows import Row, latest, numbered
from fhir_trial.store.search import matches
from fhir_trial.store.writer import Writer, check_client_id, check_match


def _shown(call: Call, row: Row | None) -> Response:
    """A version as a response: 404 when there is none, 410 when it is a deletion, 304 when the client has it."""
    if row is None:
        raise Refusal(404, "not-found", "no such resource")
    if row.body is None:
        raise Refusal(410, "deleted", "the resource has been deleted", headers=row.headers)
    known = [tag.strip() for tag in (call.request.header("If-None-Match") or "").split(",")]
    if row.etag in known or row.etag.removeprefix("W/") in known:
        return Response(304, row.headers)
    return body_response(200, row.body, row.headers)


def read(call: Call) -> Response:
    """The current version of a resource."""
    with call.reading() as connection:
        return _shown(call, latest(connection, call.type, call.id))


def vread(call: Call) -> Response:
    """One version of a resource."""
    number = call.path[3]
    with call.reading() as connection:
        return _shown(call, numbered(connection, call.type, call.id, int(number)) if re.fullmatch(r"\d{1,9}", number) else None)


@contextmanager
def _writer(call: Call) -> Iterator[Writer]:
    """A writer whose work is kept when everything held."""
    with call.store.writing() as connection:
        writer = Writer(call, connection)
        yield writer
        writer.finish()


def typed_resource(call: Call, resource: dict[str, Any]) -> dict[str, Any]:
    """The resource of a request, which must be of the type that the url names."""
    if resource["resourceType"] != call.type:
        raise Refusal(400, "invalid", "the resource is of another type than the url names", expression=["Resource"])
    return resource


def query_pairs(text: str) -> Pairs:
    """The criteria of a condition: `identifier=a|1`, with or without what stands before a question mark."""
    return parse_qsl(text.rpartition("?")[2], keep_blank_values=True)


def one_match(call: Call, writer: Writer, resource_type: str, pairs: Pairs) -> Row | None:
    """The one resource a condition names, if any; 412 when there are several."""
    found = matches(call, writer.connection, resource_type, pairs)
    if len(found) > 1:
        raise Refusal(412, "multiple-matches", "the condition matches several resources")
    return found[0] if found else None


def create(call: Call) -> Response:
    """POST a resource; with If-None-Exist only when nothing matches, else the match is the answer."""
    resource = typed_resource(call, call.resource())
    condition = call.request.header("If-None-Exist")
    if condition is not None and call.store.limits is not None and not call.store.limits.conditional:
        raise Refusal(400, "not-supported", "this server has no conditional create")
    with _writer(call) as writer:
        found = one_match(call, writer, call.type, query_pairs(condition)) if condition is not None else None
        row = found or writer.create(resource)
    return written_response(call, 200 if found else 201, row)


def update(call: Call) -> Response:
    """PUT a resource to its id; an id that is new is created (`updateCreate`)."""
    resource = typed_resource(call, call.resource())
    if resource.get("id") != call.id:
        raise Refusal(400, "invalid", "the resource's id is another than the url's", expression=["Resource.id"])
    check_client_id(call.id)
    with _writer(call) as writer:
        current = writer.latest(call.type, call.id)
        if current is None and call.store.limits is not None and not call.store.limits.update_create:
            raise Refusal(405, "not-supported", "this server chooses the ids of new resources")
        if call.request.header("If-None-Match") == "*" and current is not None and current.body is not None:
            raise Refusal(412, "conflict", "the resource exists")
        row, created = writer.put(resource, call.id, call.request.header("If-Match"))
    return written_response(call, 201 if created else 200, row)


def conditional_update(call: Call) -> Response:
    """PUT a resource to the one match of a search, or create it."""
    resource = typed_resource(call, call.resource())
    with _writer(call) as writer:
        found = one_match(call, writer, call.type, call.query)
        identity = conditional_identity(resource, found)
        if identity is None:
            row, created = writer.create(resource), True
        else:
            row, created = writer.put(resource, identity, call.request.header("If-Match"))
    return written_response(call, 201 if created else 200, row)


def conditional_identity(resource: dict[str, Any], found: Row | None) -> str | None:
    """The id that a conditional update writes to: the match's, else the client's; 400 when they differ, None when the server chooses."""
    stated = resource.get("id")
    if found is not None:
        if stated not in (None, found.id):
            raise Refusal(400, "invalid", "the resource's id is another than the match's", expression=["Resource.id"])
        return found.id
    return None if stated is None else check_client_id(stated)


def delete(call: Call) -> Response:
    """DELETE a resource; again is no error, what never was is 404."""
    with _writer(call) as writer:
        current = writer.latest(call.type, call.id)
        if current is None:
            raise Refusal(404, "not-found", "no such resource")
        check_match(call.request.header("If-Match"), current)
        row = writer.delete(current)
    return Response(204, {"ETag": row.etag})


def conditional_delete(call: Call) -> Response:
    """DELETE the one match of a search; nothing to delete is no error."""
    with _writer(call) as writer:
        found = one_match(call, writer, call.type, call.query)
        if found is not None:
            writer.delete(found)
    return Response(204)
