"""The CapabilityStatement: what this server does, generated from what it is made of."""

from functools import cache
from typing import Any

from fhir_trial.fhir import json
from fhir_trial.fhir.shapes import shapes
from fhir_trial.store.call import FHIR_JSON, Call
from fhir_trial.store.database import parameter_key
from fhir_trial.store.index import indexed
from fhir_trial.store.moments import instant

_TYPE_INTERACTIONS = ("read", "vread", "update", "delete", "history-instance", "history-type", "create", "search-type")
_SYSTEM_INTERACTIONS = ("transaction", "batch", "history-system")
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


def capability_statement(call: Call) -> bytes:
    """The statement of one store, dated by its newest change."""
    with call.reading() as connection:
        updated = connection.execute("SELECT max(updated) FROM versions").fetchone()[0] or 0
    fhir = call.store.fhir
    statement = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(updated),
        "kind": "instance",
        "software": {"name": "fhir_trial embedded store"},
        "implementation": {"description": "An embedded FHIR server over SQLite", "url": call.base},
        "fhirVersion": fhir.number,
        "format": [FHIR_JSON, "json"],
        "rest": [
            {
                "mode": "server",
                "resource": _resources(fhir.name),
                "interaction": [{"code": code} for code in _SYSTEM_INTERACTIONS],
            }
        ],
    }
    return json.encode(statement)
