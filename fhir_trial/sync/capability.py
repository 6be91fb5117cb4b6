"""What a server says it can do: its CapabilityStatement, read with care, since it is a hint and not a promise."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_trial.errors import ConfigurationError
from fhir_trial.fhir.http import Exchange, Request
from fhir_trial.fhir.versions import version
from fhir_trial.sync.search import ask

_VERSION = re.compile(r"\d\.\d\.\d(-[a-z0-9.]{1,20})?")


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """What a server does with one resource type."""

    interactions: frozenset[str]
    update_create: bool | None
    """Whether PUT to an id that does not exist creates the resource there; None where it is not said, as by HAPI, which does."""
    search_parameters: frozenset[str]


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A server as planning and applying need it; `types` is empty where the server says nothing of them."""

    base_url: str
    fhir_version: str
    transactions: bool = True
    research_store: bool = False
    types: Mapping[str, TypeInfo] = field(default_factory=dict, repr=False)
    software: str | None = None

    def holds(self, resource_type: str) -> bool:
        """Whether the server knows the type at all, as far as it says."""
        return not self.types or resource_type in self.types

    def why_not_written(self, resource_type: str) -> str | None:
        """Why resources of that type cannot be written here to ids of ours, None if they can."""
        if not self.types:
            return None
        known = self.types.get(resource_type)
        if known is None:
            return f"the server has no {resource_type}"
        if "update" not in known.interactions:
            return f"the server does not let {resource_type} be written"
        return (
            None
            if known.update_create is not False
            else f"the server does not take ids of ours for {resource_type} (updateCreate is false)"
        )


def discover(base_url: str, research_store: bool = False, fhir: str | None = None) -> Exchange[ServerInfo]:
    """Ask a server for its CapabilityStatement; `fhir` (r4, r5) is what it must speak, if given, else a `ConfigurationError`."""
    statement = yield from ask(Request("GET", "metadata"), "CapabilityStatement")
    rest = next(_objects(statement.get("rest")), {})
    software = statement.get("software")
    info = ServerInfo(
        base_url=base_url,
        fhir_version=stated if _VERSION.fullmatch(stated := str(statement.get("fhirVersion"))) else "unknown",
        transactions=any(i.get("code") == "transaction" for i in _objects(rest.get("interaction"))),
        research_store=research_store,
        types={str(r["type"]): _type_info(r) for r in _objects(rest.get("resource")) if "type" in r},
        software=str(software["name"])[:80] if isinstance(software, dict) and "name" in software else None,
    )
    if fhir is not None and info.fhir_version != version(fhir).number:
        raise ConfigurationError(f"the server speaks FHIR {info.fhir_version}, expected {version(fhir).number} ({fhir})")
    return info


def _type_info(resource: Mapping[str, Any]) -> TypeInfo:
    return TypeInfo(
        interactions=frozenset(str(i.get("code")) for i in _objects(resource.get("interaction"))),
        update_create=stated if isinstance(stated := resource.get("updateCreate"), bool) else None,
        search_parameters=frozenset(str(p.get("name")) for p in _objects(resource.get("searchParam"))),
    )


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())
