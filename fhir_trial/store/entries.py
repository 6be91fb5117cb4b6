"""The entries of a transaction or batch, taken apart; and the answers to them."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from fhir_trial.fhir.http import Request, Response
from fhir_trial.store.criteria import Pairs
from fhir_trial.store.refusals import Refusal
from fhir_trial.store.rows import Row

Answer = Callable[[Request, sqlite3.Connection | None], Response]
"""Answers a request that stands in a Bundle, on a transaction's connection."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
MAX_ENTRIES = 20_000


@dataclass(slots=True)
class Entry:
    """One entry, and what becomes of it."""

    number: int
    method: str
    url: str
    request: dict[str, Any] = field(repr=False)
    full_url: str | None = None
    resource: dict[str, Any] | None = field(default=None, repr=False)
    id: str | None = None
    """The logical id that it reads or writes, once known."""
    row: Row | None = None
    status: int = 200

    @property
    def place(self) -> str:
        """Where it stands in the Bundle."""
        return f"Bundle.entry[{self.number}]"

    @property
    def type(self) -> str:
        """The resource type in its url."""
        return self.url.partition("?")[0].strip("/").partition("/")[0]

    @property
    def path_id(self) -> str | None:
        """The id in its url, if it names one."""
        return self.url.partition("?")[0].strip("/").partition("/")[2] or None

    @property
    def query(self) -> Pairs:
        """The criteria in its url."""
        return parse_qsl(self.url.partition("?")[2], keep_blank_values=True)

    def condition(self, name: str) -> str | None:
        """`ifMatch`, `ifNoneExist` and the like."""
        value = self.request.get(name)
        return value if isinstance(value, str) else None

    @property
    def held(self) -> dict[str, Any]:
        """The resource it brings; a refusal when it should and does not."""
        if self.resource is None:
            raise Refusal(400, "required", "the entry needs a resource", expression=[self.place])
        return self.resource

    def answer(self, with_resource: bool) -> dict[str, Any]:
        """What a transaction answers to it."""
        response: dict[str, Any] = {"status": status_line(self.status)}
        if self.row is None:
            return {"response": response}
        if self.row.body is not None:
            response["location"] = f"{self.row.path}/_history/{self.row.version}"
        response |= {"etag": self.row.etag, "lastModified": self.row.instant}
        body = {"resource": msgspec.Raw(self.row.body)} if with_resource and self.row.body is not None else {}
        return {**body, "response": response}


def status_line(status: int) -> str:
    """A status with its words, as FHIR's examples write it.

    >>> status_line(201)
    '201 Created'
    """
    return f"{status} {HTTPStatus(status).phrase}"


def answered(response: Response) -> dict[str, Any]:
    """An HTTP response as the answer to an entry."""
    stated: dict[str, Any] = {"status": status_line(response.status)}
    names = (("location", "Location"), ("etag", "ETag"))
    stated |= {name: value for name, header in names if (value := response.header(header))}
    if response.status >= 400:
        stated["outcome"] = msgspec.Raw(response.body)
        return {"response": stated}
    return ({"resource": msgspec.Raw(response.body)} if response.body else {}) | {"response": stated}


def parse_entries(whole: dict[str, Any], base: str) -> Iterator[Entry]:
    """The entries of a Bundle; Refusal 400 names the first that cannot be understood."""
    listed = whole.get("entry", [])
    if not isinstance(listed, list) or len(listed) > MAX_ENTRIES:
        raise Refusal(400, "structure", f"expected at most {MAX_ENTRIES} entries", expression=["Bundle.entry"])
    for number, stated in enumerate(listed):
        yield _entry(number, stated, base)


def _entry(number: int, stated: Any, base: str) -> Entry:
    """One entry taken apart."""
    place = f"Bundle.entry[{number}]"
    request = stated.get("request") if isinstance(stated, dict) else None
    if not isinstance(request, dict) or not isinstance(request.get("url"), str) or request.get("method") not in _METHODS:
        raise Refusal(400, "required", f"expected request.url and request.method, one of {', '.join(sorted(_METHODS))}", expression=[place])
    resource, full_url = stated.get("resource"), stated.get("fullUrl")
    if resource is not None and not (isinstance(resource, dict) and isinstance(resource.get("resourceType"), str)):
        raise Refusal(400, "structure", "expected a resource with resourceType", expression=[f"{place}.resource"])
    url = request["url"].removeprefix(base + "/").lstrip("/")
    return Entry(number, request["method"], url, request, full_url if isinstance(full_url, str) else None, resource)
