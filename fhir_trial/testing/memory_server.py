"""A FHIR server in memory, just large enough to be broken: versions, transactions of PUT and DELETE, creates, simple searches, pages."""

import copy
import threading
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fhir_trial.errors import InputError
from fhir_trial.fhir import bundles, json, outcome
from fhir_trial.fhir.http import Request, Response

Resource = dict[str, Any]
_INTERACTIONS = ("read", "create", "update", "delete", "search-type")


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
        if request.method == "POST":
            return self._post(request, path, query)
        if request.method == "GET":
            return self._get(path, query)
        if request.method in ("PUT", "DELETE") and "/" in path:
            resource = json.decode(request.body or b"") if request.method == "PUT" else None
            status, body = self._write(path, resource, request.header("If-Match"))
            return _answer(status, body) if body is not None else _failed(status, "conflict")
        return _failed(404, "not-found")

    def _get(self, path: str, query: dict[str, str]) -> Response:
        if path == "metadata":
            return _answer(200, self._capability())
        if "/" not in path:
            return _answer(200, self.page(path, query))
        return _answer(200, self.held[path]) if path in self.held else _failed(404, "not-found")

    def _post(self, request: Request, path: str, query: dict[str, str]) -> Response:
        if path == "":
            return self._transaction(json.decode(request.body or b"")) if self.transactions else _failed(404, "not-supported")
        if path.endswith("/_search"):
            form = dict(parse_qsl((request.body or b"").decode()))
            return _answer(200, self.page(path.partition("/")[0], query | form))
        return self._create(path, json.decode(request.body or b""), request.header("If-None-Exist"))

    def page(self, resource_type: str, query: dict[str, str]) -> Resource:
        """One page of a search."""
        rows = [r for _, r in sorted(self.held.items()) if r["resourceType"] == resource_type and _matches(r, query)]
        size, start = min(int(query.get("_count", self.page_size)), self.page_size), int(query.get("_offset", 0))
        found = bundles.bundle("searchset", [{"resource": row, "search": {"mode": "match"}} for row in rows[start : start + size]])
        found["total"] = len(rows)
        if start + size < len(rows):
            asked = "".join(f"&{name}={value}" for name, value in query.items() if name not in ("_offset", "_count"))
            url = f"{self.base_url}/{resource_type}?_count={size}&_offset={start + size}{asked}"
            found["link"] = [{"relation": "next", "url": url}]
        return found

    def _create(self, resource_type: str, resource: Resource, condition: str | None) -> Response:
        """POST: an id of the server's own, unless something matches the condition."""
        matches = self.page(resource_type, dict(parse_qsl(condition)))["total"] if condition else 0
        if matches > 1:
            return _failed(412, "multiple-matches")
        if matches == 1:
            return Response(200)
        identity = f"s{len(self._versions) + 1}"
        status, body = self._write(f"{resource_type}/{identity}", {**resource, "id": identity}, None)
        if body is None:
            return _failed(status, "invalid")
        return Response(status, {"Location": f"{self.base_url}/{resource_type}/{identity}/_history/1"})

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
            "resource": [{"type": name, "updateCreate": True, "interaction": [{"code": code} for code in _INTERACTIONS]} for name in types],
        }
        return {"resourceType": "CapabilityStatement", "status": "active", "fhirVersion": "4.0.1", "rest": [rest]}


def _matches(resource: Resource, query: dict[str, str]) -> bool:
    """Whether a resource is found by `_id`, `identifier`, `patient` or `subject`, and `category`."""
    if "_id" in query and resource["id"] not in query["_id"].split(","):
        return False
    if "identifier" in query and not set(query["identifier"].split(",")) & keys_of(resource):
        return False
    person = query.get("patient", query.get("subject"))
    if person is not None and f"Patient/{person}" not in _people(resource):
        return False
    codes = [coding.get("code") for category in resource.get("category", ()) for coding in category.get("coding", ())]
    said = [coding.get("code") for coding in resource.get("code", {}).get("coding", ())]
    is_coded = "code" not in query or not set(said).isdisjoint(query["code"].split(","))
    return is_coded and ("category" not in query or query["category"] in codes)


def _people(resource: Resource) -> set[str]:
    return {str(resource[name].get("reference")) for name in ("subject", "patient", "individual") if isinstance(resource.get(name), dict)}


def keys_of(resource: Resource) -> set[str]:
    """`system|value` of the identifiers of a resource."""
    stated = resource.get("identifier", [])
    listed = stated if isinstance(stated, list) else [stated]
    return {f"{item.get('system', '')}|{item['value']}" for item in listed if isinstance(item, dict) and item.get("value")}


def _answer(status: int, body: Resource) -> Response:
    headers = {"Content-Type": "application/fhir+json"}
    return Response(status, headers, json.encode(body) if body else b"")


def _failed(status: int, code: str) -> Response:
    return _answer(status, outcome.outcome(code, "refused").to_fhir())
