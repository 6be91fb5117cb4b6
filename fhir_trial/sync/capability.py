"""What a server says it can do: its CapabilityStatement, read with care, since it is a hint and not a promise."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fhir_trial.errors import ConfigurationError
from fhir_trial.fhir.http import Exchange, Request
from fhir_trial.fhir.versions import version
from fhir_trial.sync.failures import AnswerError, BadAnswer, ForeignLink, WrongBaseUrl
from fhir_trial.sync.profile import GENERIC, Identity, Profile, named, recognise
from fhir_trial.sync.search import ask

_VERSION = re.compile(r"\d\.\d\.\d(-[a-z0-9.]{1,20})?")


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """What a server does with one resource type."""

    interactions: frozenset[str]
    update_create: bool | None
    """Whether PUT to an id that does not exist creates the resource there; None where it is not said, as by HAPI, which does."""
    search_parameters: frozenset[str] = frozenset()
    conditional_create: bool = False
    """Whether a POST with If-None-Exist creates only what is not there."""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A server as planning and applying need it; `types` is empty where the server says nothing of them."""

    base_url: str
    fhir_version: str
    transactions: bool = True
    research_store: bool = False
    types: Mapping[str, TypeInfo] = field(default_factory=dict, repr=False)
    software: str | None = None
    profile: Profile = field(default=GENERIC, repr=False)
    """What kind of server it is; it narrows what the server states."""

    def holds(self, resource_type: str) -> bool:
        """Whether the server knows the type at all, as far as it says."""
        return resource_type not in self.profile.absent and (not self.types or resource_type in self.types)

    def searches(self, resource_type: str) -> bool:
        """Whether the type can be searched, as far as the server says."""
        known = self.types.get(resource_type)
        return self.holds(resource_type) and (known is None or "search-type" in known.interactions)

    def identity(self, resource_type: str) -> Identity:
        """How a resource of that type gets its one place on the server."""
        known = self.types.get(resource_type)
        if self.profile.identity is not None:
            return self.profile.identity
        if known is None or known.update_create is not False:
            return "client-id"
        return "conditional" if known.conditional_create and "identifier" in known.search_parameters else "search-first"

    def why_not_written(self, resource_type: str, act: Literal["create", "update"] = "create") -> str | None:
        """Why resources of that type cannot be created or updated here, None if they can."""
        if not self.holds(resource_type):
            return f"the server has no {resource_type}"
        known, allowed = self.types.get(resource_type), self.profile.writes
        if allowed is not None and act not in allowed.get(resource_type, ()):
            what = "read-only" if resource_type not in allowed else f"never {act}d"
            return f"{resource_type} is {what} on a server like this ({self.profile.name})"
        if known is None:
            return None
        by_id = act == "update" or self.identity(resource_type) == "client-id"
        if by_id and "update" not in known.interactions:
            return f"the server does not let {resource_type} be written"
        if not by_id and "create" not in known.interactions:
            return f"the server does not take ids of ours for {resource_type} (updateCreate is false), and does not let it be created"
        return None

    def why_not_found_again(self, resource_type: str) -> str | None:
        """Why a resource that the server gives an id of its own could not be found again, None if it can or has ours."""
        known = self.types.get(resource_type)
        if self.identity(resource_type) == "client-id" or resource_type in self.profile.by_patient:
            return None
        if known is not None and known.search_parameters and "identifier" not in known.search_parameters:
            return f"the server gives {resource_type} an id of its own and does not search it by identifier: it could not be found again"
        return None

    def can_delete(self, resource_type: str) -> bool:
        """Whether the server deletes, as far as it says."""
        known = self.types.get(resource_type)
        return self.profile.deletes and (known is None or "delete" in known.interactions)

    def as_kind(self, profile: Profile) -> "ServerInfo":
        """The same server, taken to be of that kind."""
        transactions = self.transactions and profile.transactions is not False
        return replace(self, profile=profile, transactions=transactions)


def discover(base_url: str, research_store: bool = False, fhir: str | None = None, profile: str | None = None) -> Exchange[ServerInfo]:
    """Ask a server for its CapabilityStatement; `fhir` (r4, r5) is what it must speak, if given, else a `ConfigurationError`.

    What is at the base URL and no FHIR server is a `ConfigurationError` too. `profile` says what kind of server it is; without it the kind
    is recognised.
    """
    statement = yield from _statement(base_url)
    rest = next(_objects(statement.get("rest")), {})
    software = statement.get("software")
    info = ServerInfo(
        base_url=base_url,
        fhir_version=stated if _VERSION.fullmatch(stated := str(statement.get("fhirVersion"))) else "unknown",
        transactions=any(i.get("code") == "transaction" for i in _objects(rest.get("interaction"))),
        research_store=research_store,
        types={str(r["type"]): _type_info(r) for r in _objects(rest.get("resource")) if "type" in r},
        software=_shown(software["name"]) if isinstance(software, dict) and "name" in software else None,
    )
    if fhir is not None and info.fhir_version != version(fhir).number:
        raise ConfigurationError(f"the server speaks FHIR {info.fhir_version}, expected {version(fhir).number} ({fhir})")
    return info.as_kind(named(profile) if profile else _kind(info))


NOT_HERE = frozenset({404, 405, 410})
"""Statuses by which a server says that there is no FHIR at this base URL."""


def _statement(base_url: str) -> Exchange[dict[str, Any]]:
    """The CapabilityStatement; a `WrongBaseUrl` where the base URL leads to something else."""
    try:
        return (yield from ask(Request("GET", "metadata"), "CapabilityStatement"))
    except (AnswerError, BadAnswer, ForeignLink) as error:
        if isinstance(error, AnswerError) and error.status not in NOT_HERE:
            raise
        raise WrongBaseUrl(f"{base_url}/metadata", str(error).removeprefix("GET metadata: ")) from error


def _shown(name: Any) -> str:
    """A name as it may go to a terminal: short, and without what a terminal obeys."""
    return "".join(filter(str.isprintable, str(name)[:400]))[:80]


def _kind(info: ServerInfo) -> Profile:
    takes_our_ids = not info.types or any(known.update_create is not False for known in info.types.values())
    return recognise(info.software, info.transactions, takes_our_ids, info.types.keys())


def _type_info(resource: Mapping[str, Any]) -> TypeInfo:
    return TypeInfo(
        interactions=frozenset(str(i.get("code")) for i in _objects(resource.get("interaction"))),
        update_create=stated if isinstance(stated := resource.get("updateCreate"), bool) else None,
        search_parameters=frozenset(str(p.get("name")) for p in _objects(resource.get("searchParam"))),
        conditional_create=resource.get("conditionalCreate") is True,
    )


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())
