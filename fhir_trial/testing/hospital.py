"""A hospital's limited server: no transactions, ids of its own, few writes, searches by patient; it logs what it refused."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fhir_trial.fhir import outcome
from fhir_trial.fhir.http import Request, Response
from fhir_trial.fhir.json import encode
from fhir_trial.testing.memory_server import MemoryServer

WRITES = {
    "Condition": ("create",),
    "Observation": ("create", "update"),
    "Patient": ("create",),
    "Procedure": ("create", "update"),
    "QuestionnaireResponse": ("create",),
}
"""What may be written, by type."""
READ_ONLY = ("AdverseEvent", "MedicationAdministration", "MedicationRequest", "Provenance", "ResearchStudy", "ResearchSubject")
BY_PATIENT = {*WRITES, *READ_ONLY} - {"Patient", "ResearchStudy", "Provenance"}
"""The types that are searched by patient only (ResearchSubject by its study too)."""


class HospitalServer(MemoryServer):
    """A memory server that refuses what such a server does; `refused` is every request that it refused, with the status."""

    def __init__(self, base_url: str = "http://127.0.0.1:1/fhir", software: str = "Epic", page_size: int = 10) -> None:
        """Start empty; `software` is what its statement names, and may be anything."""
        super().__init__(base_url, page_size, transactions=False)
        self.software, self.refused = software, list[tuple[str, str, int]]()

    def handle(self, request: Request) -> Response:
        """Answer one request, or refuse it as a hospital's server does."""
        with self._lock:
            why = self._why_refused(request)
            if why is None:
                return super().handle(request)
            self.log.append(request)
            self.refused.append((request.method, request.url, why[0]))
            return Response(why[0], {"Content-Type": "application/fhir+json"}, encode(outcome.outcome(why[1], "refused").to_fhir()))

    def _why_refused(self, request: Request) -> tuple[int, str] | None:
        parts = urlsplit(request.url)
        path = parts.path.removeprefix(urlsplit(self.base_url).path).strip("/")
        resource_type, _, rest = path.partition("/")
        if resource_type == "metadata":
            return None
        if resource_type not in {*WRITES, *READ_ONLY} or rest.startswith("_") or "/" in rest:
            return 404, "not-supported"
        act = {"POST": "create", "PUT": "update"}.get(request.method)
        if request.method != "GET":
            exists = path in self.held or request.method == "POST"
            return (
                None if act in WRITES.get(resource_type, ()) and exists and not request.header("If-None-Exist") else (405, "not-supported")
            )
        return self._why_not_searched(resource_type, dict(parse_qsl(parts.query))) if not rest else None

    def _why_not_searched(self, resource_type: str, query: dict[str, str]) -> tuple[int, str] | None:
        by_person = {"patient", "subject", "_id"} & query.keys() or (resource_type == "ResearchSubject" and "study" in query)
        if resource_type in BY_PATIENT and not by_person:
            return 400, "required"
        if resource_type == "Observation" and not {"category", "_id", "code"} & query.keys():
            return 400, "required"
        return (400, "not-supported") if "_lastUpdated" in query else None

    def _capability(self) -> dict[str, Any]:
        def stated(name: str) -> dict[str, Any]:
            codes = ("read", "search-type", *WRITES.get(name, ()))
            parameters = ("patient", "category", "code", "date", "_id") if name in BY_PATIENT else ("_id", "identifier")
            return {
                "type": name,
                "updateCreate": False,
                "conditionalCreate": False,
                "interaction": [{"code": code} for code in codes],
                "searchParam": [{"name": parameter, "type": "token"} for parameter in parameters],
            }

        rest = {"mode": "server", "resource": [stated(name) for name in sorted({*WRITES, *READ_ONLY})]}
        return {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "software": {"name": self.software},
            "fhirVersion": "4.0.1",
            "rest": [rest],
        }
