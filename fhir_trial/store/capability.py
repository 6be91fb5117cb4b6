"""The CapabilityStatement: what this server does, generated from what it is made of."""

from functools import cache
from typing import Any

from fhir_trial.fhir import json
from fhir_trial.fhir.shapes import shapes
from fhir_trial.store.call import FHIR_JSON, Call
from fhir_trial.store.database import parameter_key
from fhir_trial.store.index import indexed
from fhir_trial.store.limits import Limits
from fhir_trial.store.moments import instant

_TYPE_INTERACTIONS = ("read", "vread", "update", "delete", "history-instance", "history-type", "create", "search-type")
_SYSTEM_INTERACTIONS = ("transaction", "batch", "history-system")
_BULK = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition"
_OF_THE_ROW = ({"name": "_id", "type": "token"}, {"name": "_lastUpdated", "type": "date"})


def _resource(fhir: str, resource_type: str) -> dict[str, Any]:
    """What is done with one resource type."""
    parameters = indexed(fhir, resource_type, parameter_key)
    searched = [{"name": name, "type": parameter.definition.type} for name, parameter in sorted(parameters.items())]
    return {
        "type": resource_type,
        "interaction": [{"code": code} for code in _TYPE_INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "referencePolicy": ["literal", "logical", "enforced"],
        "searchParam": [*_OF_THE_ROW, *searched],
    }


@cache
def _resources(fhir: str) -> list[dict[str, Any]]:
    """All resource types."""
    return [_resource(fhir, name) for name in sorted(shapes(fhir).resource_types)]


def _limited(resource: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """What is done with a resource type where a store is held to limits."""
    allowed = limits.resources[resource["type"]]
    return {
        "type": resource["type"],
        "interaction": [each for each in resource["interaction"] if each["code"] in allowed.interactions],
        "updateCreate": limits.update_create,
        "conditionalCreate": limits.conditional,
        "conditionalUpdate": limits.conditional,
        "searchParam": [each for each in resource["searchParam"] if each["name"] in allowed.search],
    }


def _rest(fhir: str, limits: Limits | None) -> dict[str, Any]:
    """What is done with resources, and with the whole system."""
    resources = _resources(fhir)
    system: tuple[str, ...] = _SYSTEM_INTERACTIONS
    exports = [("", "export", "export-system"), ("Patient", "patient-export", "export-type"), ("Group", "group-export", "export-group")]
    if limits is not None:
        resources = [_limited(resource, limits) for resource in resources if resource["type"] in limits.resources]
        system = tuple(code for code in system if code in limits.system)
        exports = [each for each in exports if each[2] in (limits.resources[each[0]].interactions if each[0] else limits.system)]
    operations: dict[str, list[dict[str, str]]] = {}
    for kind, name, _ in exports:
        operations.setdefault(kind, []).append({"name": name, "definition": f"{_BULK}/{name}"})
    return {
        "mode": "server",
        "resource": [each | ({"operation": operations[each["type"]]} if each["type"] in operations else {}) for each in resources],
        **({"interaction": [{"code": code} for code in system]} if system else {}),
        **({"operation": operations[""]} if "" in operations else {}),
    }


def capability_statement(call: Call) -> bytes:
    """The statement of one store, dated by its newest change."""
    with call.reading() as connection:
        updated = connection.execute("SELECT max(updated) FROM versions").fetchone()[0] or 0
    fhir, limits = call.store.fhir, call.store.limits
    statement = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(updated),
        "kind": "instance",
        "software": {"name": limits.software if limits else "fhir_trial embedded store"},
        "implementation": {"description": "An embedded FHIR server over SQLite", "url": call.base},
        "fhirVersion": fhir.number,
        "format": [FHIR_JSON, "json"],
        "rest": [_rest(fhir.name, limits)],
    }
    return json.encode(statement)
