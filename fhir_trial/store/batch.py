"""Batches: each entry is a call of its own, and fails alone."""

from typing import Any

from fhir_trial.errors import InputError
from fhir_trial.fhir import json
from fhir_trial.fhir.http import Request, Response
from fhir_trial.store.call import Call, body_response
from fhir_trial.store.entries import Answer, Entry, answered, parse_entries
from fhir_trial.store.refusals import Refusal, invalid

_HEADERS = {"ifMatch": "If-Match", "ifNoneMatch": "If-None-Match", "ifNoneExist": "If-None-Exist"}


def batch(call: Call, whole: dict[str, Any], answer: Answer) -> Response:
    """The batch-response: an answer or an OperationOutcome for every entry, in their order."""
    prefer = call.request.header("Prefer") or "return=minimal"
    listed = [answered(_response(entry, answer, prefer)) for entry in parse_entries(whole, call.base)]
    return body_response(200, {"resourceType": "Bundle", "type": "batch-response"} | ({"entry": listed} if listed else {}))


def _response(entry: Entry, answer: Answer, prefer: str) -> Response:
    """The response to one entry."""
    headers = {header: value for name, header in _HEADERS.items() if (value := entry.condition(name))}
    try:
        body = json.encode(entry.resource) if entry.resource is not None else None
        return answer(Request(entry.method, entry.url, headers | {"Prefer": prefer}, body), None)
    except Refusal as refusal:
        return refusal.at(entry.place).response()
    except InputError as error:
        return invalid(error.findings, 400).response()
