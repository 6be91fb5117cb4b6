"""Bundles: making the entries of a transaction, and walking those of any Bundle."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from fhir_trial.fhir.references import literal

Resource = dict[str, Any]
Entry = dict[str, Any]
BundleType = Literal["transaction", "batch", "collection", "searchset", "transaction-response", "batch-response", "history"]


def bundle(kind: BundleType, entries: Iterable[Entry]) -> Resource:
    """A Bundle of `entries`; one without entries has no `entry`: an empty array is not FHIR.

    >>> bundle("batch", [])
    {'resourceType': 'Bundle', 'type': 'batch'}
    """
    listed = list(entries)
    return {"resourceType": "Bundle", "type": kind} | ({"entry": listed} if listed else {})


def full_url(resource: Resource) -> str | None:
    """The `urn:uuid:` of a resource whose id is a UUID, which all ids we make are; else None.

    >>> full_url({"resourceType": "Patient", "id": "0b8e1f5e-3c1f-5d1f-9d7e-0a0a0a0a0a0a"})
    'urn:uuid:0b8e1f5e-3c1f-5d1f-9d7e-0a0a0a0a0a0a'
    """
    try:
        return f"urn:uuid:{UUID(resource.get('id', ''))}"
    except ValueError:
        return None


def _entry(request: dict[str, str | None], resource: Resource | None = None) -> Entry:
    """An entry with its request, absent conditions left out."""
    url = full_url(resource) if resource is not None else None
    held = {"resource": resource} if resource is not None else {}
    return ({"fullUrl": url} if url else {}) | held | {"request": {name: value for name, value in request.items() if value is not None}}


def update(resource: Resource, if_match: str | None = None) -> Entry:
    """PUT to the resource's own id; with `if_match` (an ETag) only when the server still holds that version.

    >>> update({"resourceType": "Patient", "id": "a1"}, 'W/"3"')["request"]
    {'method': 'PUT', 'url': 'Patient/a1', 'ifMatch': 'W/"3"'}
    """
    return _entry({"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}", "ifMatch": if_match}, resource)


def conditional_update(resource: Resource, query: str) -> Entry:
    """PUT to the one match of the search `query`, or create when there is none.

    >>> conditional_update({"resourceType": "Patient"}, "identifier=a|1")["request"]
    {'method': 'PUT', 'url': 'Patient?identifier=a|1'}
    """
    return _entry({"method": "PUT", "url": f"{resource['resourceType']}?{query}"}, resource)


def create(resource: Resource, if_none_exist: str | None = None) -> Entry:
    """POST; with `if_none_exist` (a search query) only when nothing matches. Without it a repeated POST writes twice.

    >>> create({"resourceType": "Patient"}, "identifier=a|1")["request"]
    {'method': 'POST', 'url': 'Patient', 'ifNoneExist': 'identifier=a|1'}
    """
    return _entry({"method": "POST", "url": resource["resourceType"], "ifNoneExist": if_none_exist}, resource)


def delete(resource_type: str, identity: str, if_match: str | None = None) -> Entry:
    """DELETE one resource.

    >>> delete("Patient", "a1")
    {'request': {'method': 'DELETE', 'url': 'Patient/a1'}}
    """
    return _entry({"method": "DELETE", "url": f"{resource_type}/{identity}", "ifMatch": if_match})


def entries(whole: Resource) -> Iterator[Entry]:
    """The entries of a Bundle that are objects; what else stands there is for validation to say."""
    return _objects(whole.get("entry"))


def _objects(listed: Any) -> Iterator[dict[str, Any]]:
    """The objects in an array; none when it is no array: what servers send is not taken for granted."""
    return (item for item in listed if isinstance(item, dict)) if isinstance(listed, list) else iter(())


def resources(whole: Resource, resource_type: str | None = None) -> Iterator[Resource]:
    """The resources of a Bundle, those of Bundles inside it too, or those of one type.

    >>> list(resources(bundle("collection", [{"resource": {"resourceType": "Patient", "id": "a"}}, {"fullUrl": "urn:x"}])))
    [{'resourceType': 'Patient', 'id': 'a'}]
    """
    for entry in entries(whole):
        resource = entry.get("resource")
        if not isinstance(resource, dict):
            continue
        if resource.get("resourceType") == "Bundle":
            yield from resources(resource, resource_type)
        elif resource_type in (None, resource.get("resourceType")):
            yield resource


def link(whole: Resource, relation: str) -> str | None:
    """The url of a Bundle's link: `next` for the following page.

    >>> link({"link": [{"relation": "next", "url": "http://example.org/fhir?page=2"}]}, "next")
    'http://example.org/fhir?page=2'
    """
    return next((item.get("url") for item in _objects(whole.get("link")) if item.get("relation") == relation), None)


@dataclass(frozen=True, slots=True)
class EntryResponse:
    """What a server answered to one entry of a transaction or batch."""

    status: int
    """HTTP status; 0 when the server gave none that can be read."""
    type: str | None
    """Resource type and logical id on the server, where the location tells them."""
    id: str | None
    version: str | None
    etag: str | None
    outcome: Resource | None = field(default=None, repr=False)


def responses(whole: Resource) -> Iterator[EntryResponse]:
    """The answers in a transaction-response or batch-response, in the order of the request's entries.

    >>> answer = {"response": {"status": "201 Created", "location": "Patient/a/_history/1", "etag": 'W/"1"'}}
    >>> next(responses(bundle("transaction-response", [answer])))
    EntryResponse(status=201, type='Patient', id='a', version='1', etag='W/"1"')
    """
    for entry in entries(whole):
        response = next(_objects([entry.get("response")]), {})
        status = re.match(r"\d{3}", str(response.get("status", "")))
        place = literal(str(response.get("location", "")))
        yield EntryResponse(
            status=int(status[0]) if status else 0,
            type=place.type if place else None,
            id=place.id if place else None,
            version=place.version if place else None,
            etag=response.get("etag"),
            outcome=response.get("outcome"),
        )
