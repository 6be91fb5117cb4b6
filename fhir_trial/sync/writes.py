"""The requests that write: one item, or several in a transaction, of the version that was seen and so that no second copy comes about."""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_trial.fhir import bundles, json
from fhir_trial.fhir.http import Request
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.compare import keys_of
from fhir_trial.sync.decide import Item
from fhir_trial.sync.locate import moved, server_copy
from fhir_trial.sync.search import search_url

Resource = dict[str, Any]


def transaction(items: Sequence[Item], server: ServerInfo, where: Mapping[str, str]) -> Request:
    """All items in one request, each by its id; `where` says where the server keeps what of other types it gave ids of its own."""
    entries = [_entry(item, server.base_url, where) for item in items]
    return Request("POST", "", {"Content-Type": "application/fhir+json"}, json.encode(bundles.bundle("transaction", entries)))


def _entry(item: Item, base_url: str, where: Mapping[str, str]) -> bundles.Entry:
    """PUT or DELETE with a fullUrl that relative references resolve against, and If-Match of the version that was seen."""
    match = _etag(item)
    if item.resource is None:
        return bundles.delete(item.type, item.id, match)
    return bundles.update(moved(item.resource, where), match) | {"fullUrl": f"{base_url}/{item.place}"}


def single(item: Item, where: Mapping[str, str]) -> Request:
    """One item in a request of its own; `where` says where the server keeps what it gave ids of its own."""
    headers, match = {"Content-Type": "application/fhir+json"}, _etag(item)
    if match:
        headers["If-Match"] = match
    if item.resource is None:
        return Request("DELETE", where.get(item.place, item.place), {name: value for name, value in headers.items() if name == "If-Match"})
    if item.identity == "client-id":
        return Request("PUT", item.place, headers, json.encode(moved(item.resource, where)))
    if item.action == "create":
        condition = {"If-None-Exist": _condition(item.resource)} if item.identity == "conditional" else {}
        return Request("POST", item.type, headers | condition, json.encode(server_copy(item.resource, None, where)))
    place = where.get(item.place, item.place)
    return Request("PUT", place, headers, json.encode(server_copy(item.resource, place, where)))


def _condition(resource: Resource) -> str:
    """The search that must find nothing: by the business key."""
    return search_url("", [("identifier", min(keys_of(resource)))]).removeprefix("?")


def _etag(item: Item) -> str | None:
    return f'W/"{item.version}"' if item.version is not None else None
