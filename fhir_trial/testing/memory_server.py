"""A FHIR server in memory, just large enough to be broken: versions, transactions of PUT and DELETE, search by `_id`, pages."""

import copy
import threading
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fhir_trial.errors import InputError
from fhir_trial.fhir import bundles, json, outcome
from fhir_trial.fhir.http import Request, Response

Resource = dict[str, Any]


class MemoryServer:
    """Holds resources by `Type/id`; `log` is every request that came, `writes` how many changed something."""

    def __init__(self, base_url: str = "http://127.0.0.1:1/fhir", page_size: int = 10, transactions: bool = True) -> None:
        """Start empty."""
        self.base_url, self.page_size, self.transactions = base_url, page_size, transactions
        self.held: dict[str, Resource] = {}
        self.log: list[Request] = []
        self.writes = 0
        self._versions: dict[str, int] = {}
        self._lock = threading.RLock()

    def handle(self, request: Request) -> Response:
        """Answer one request; its URL is absolute or relative to the base."""
        with self._lock:
            self.log.append(request)
            parts = urlsplit(request.url)
            path = parts.path.removeprefix(urlsplit(self.base_url).path).strip("/") if "://" in request.url else parts.path.strip("/")
            try:
                return self._route(request, path, dict(parse_qsl(parts.query)))
            except InputError:
                return _failed(400, "structure")

    def _route(self, request: Request, path: str, query: dict[str, str]) -> Response:
        if request.method == "POST" and path == "" and self.transactions:
            return self._transaction(json.decode(request.body or b""))
        if request.method == "GET" and path == "metadata":
            return _answer(200, self._capability())
        if request.method == "GET" and "/" not in path:
            return _answer(200, self.page(path, query))
        if request.method == "GET" and path in self.held:
            return _answer(200, self.held[path])
        if request.method in ("PUT", "DELETE") and "/" in path:
            resource = json.decode(request.body or b"") if request.method == "PUT" else None
            status, body = self._write(path, resource, request.header("If-Match"))
            return _answer(status, body) if body is not None else _failed(status, "conflict")
        return _failed(404, "not-found")

    def page(self, resource_type: str, query: dict[str, str]) -> Resource:
        """One page of a search."""
        wanted = query["_id"].split(",") if "_id" in query else None
        rows = [r for place, r in sorted(self.held.items()) if r["resourceType"] == resource_type and (wanted is None or r["id"] in wanted)]
        size, start = min(int(query.get("_count", self.page_size)), self.page_size), int(query.get("_offset", 0))
        found = bundles.bundle("searchset", [{"resource": row, "search": {"mode": "match"}} for row in rows[start : start + size]])
        found["total"] = len(rows)
        if start + size < len(rows):
            asked = "".join(f"&{name}={value}" for name, value in query.items() if name not in ("_offset", "_count"))
            url = f"{self.base_url}/{resource_type}?_count={size}&_offset={start + size}{asked}"
            found["link"] = [{"relation": "next", "url": url}]
        return found

    def _transaction(self, bundle: Resource) -> Response:
        held, versions, writes = copy.copy(self.held), copy.copy(self._versions), self.writes
        answers: list[bundles.Entry] = []
        for entry in bundles.entries(bundle):
            request = entry["request"]
            status, body = self._write(request["url"], entry.get("resource"), request.get("ifMatch"))
            if body is None:
                self.held, self._versions, self.writes = held, versions, writes
                return _failed(status, "conflict" if status in (409, 412) else "invalid")
            stated = {"status": str(status), "location": f"{request['url']}/_history/1"}
            answers.append({"response": stated | ({"etag": f'W/"{body["meta"]["versionId"]}"'} if "meta" in body else {})})
        return _answer(200, bundles.bundle("transaction-response", answers))

    def _write(self, place: str, resource: Resource | None, if_match: str | None) -> tuple[int, Resource | None]:
        """Status and what is now held; None where nothing was written."""
        held = self.held.get(place)
        if if_match is not None and (held is None or if_match != f'W/"{held["meta"]["versionId"]}"'):
            return 412, None
        if resource is None:
            self.writes += place in self.held
            self.held.pop(place, None)
            return 204, {}
        if resource.get("status") == "invalid":
            return 422, None
        self._versions[place] = self._versions.get(place, 0) + 1
        self.writes += 1
        kept = {key: value for key, value in resource.get("meta", {}).items() if key != "versionId"}
        self.held[place] = {**resource, "meta": {**kept, "versionId": str(self._versions[place])}}
        return (200 if held else 201), self.held[place]

    def _capability(self) -> Resource:
        types = ("Patient", "Observation", "Provenance", "Group", "Organization", "ResearchStudy", "ResearchSubject", "BodyStructure")
        rest = {
            "mode": "server",
            "interaction": [{"code": "transaction"}] if self.transactions else [],
            "resource": [
                {"type": name, "updateCreate": True, "interaction": [{"code": code} for code in ("read", "update", "search-type")]}
                for name in types
            ],
        }
        return {"resourceType": "CapabilityStatement", "status": "active", "fhirVersion": "4.0.1", "rest": [rest]}


def _answer(status: int, body: Resource) -> Response:
    headers = {"Content-Type": "application/fhir+json"}
    return Response(status, headers, json.encode(body) if body else b"")


def _failed(status: int, code: str) -> Response:
    return _answer(status, outcome.outcome(code, "refused").to_fhir())
