"""The decision on one resource: from ours, the server's, what was last synced, what this server may have, and what was asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fhir_trial.errors import UsageError
from fhir_trial.fhir import json
from fhir_trial.sync.blinding import without_arm
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.compare import Difference, Keys, differences, keys_of
from fhir_trial.sync.locate import Located
from fhir_trial.sync.merge import merge
from fhir_trial.sync.order import place_of
from fhir_trial.sync.profile import Identity
from fhir_trial.sync.synced import Synced

Resource = dict[str, Any]
Action = Literal["create", "update", "unchanged", "conflict", "delete", "refused"]
ACTIONS: tuple[Action, ...] = ("create", "update", "unchanged", "conflict", "delete", "refused")
Side = Literal["source", "server"]
NO_RESEARCH_STORE = "a pseudonymous Patient is written only to a server declared a research store (research_store = true)"


@dataclass(frozen=True, slots=True)
class Item:
    """What happens to one resource; its repr shows no content."""

    action: Action
    place: str
    """`Type/id`."""
    resource: Resource | None = field(default=None, repr=False)
    """What the server shall hold; None for a deletion."""
    version: str | None = None
    """The server's version that the decision rests on."""
    differences: tuple[Difference, ...] = ()
    reason: str | None = None
    at: str | None = None
    """`Type/id` on the server, where it differs."""
    identity: Identity = "client-id"
    """How it is written without a second copy."""
    source: Resource | None = field(default=None, repr=False)
    """Ours, where `resource` is something else: merged with, or settled for, the server's."""
    held: Resource | None = field(default=None, repr=False)
    """What the server holds, as it was read."""

    @property
    def type(self) -> str:
        """The resource type."""
        return self.place.partition("/")[0]

    @property
    def id(self) -> str:
        """The logical id."""
        return self.place.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Choices:
    """What was asked for: `prefer` settles conflicts for ours (`source`) or theirs (`server`), `settled` single ones by `Type/id`.

    `delete` removes what left the source. `withhold_arm` keeps the arms of a blinded study from a server that is no research store.
    """

    prefer: Side | None = None
    delete: bool = False
    settled: Mapping[str, Side] = field(default_factory=dict)
    withhold_arm: bool = False

    def __post_init__(self) -> None:
        """Refuse another word."""
        if not {self.prefer, *self.settled.values()} <= {None, "source", "server"}:
            told = next(word for word in (self.prefer, *self.settled.values()) if word not in (None, "source", "server"))
            raise UsageError(f"prefer: found {told!r}, expected source or server")

    def of(self, place: str) -> Side | None:
        """What was chosen for one resource."""
        return self.settled.get(place, self.prefer)


class Decisions:
    """Decides on one resource after the other."""

    def __init__(self, server: ServerInfo, synced: Mapping[str, Synced], choices: Choices, keys: Keys, where: Mapping[str, str]) -> None:
        """Know the server, what was synced, what was asked for, business keys by place, and where the server keeps what."""
        self._server, self._synced, self._choices, self.keys, self._where = server, synced, choices, keys, where

    def ours(self, resource: Resource, located: Located) -> Item:
        """What happens to a resource of ours."""
        place = place_of(resource)
        theirs = located.theirs.get(place)
        if self._is_blinded:
            resource = without_arm(resource, theirs)
        item = self._wanted(place, resource, theirs)
        if place in located.several:
            item = Item("conflict", place, resource, reason="several resources on the server have its business identifier")
        item = replace(item, at=self._where.get(place), identity=self._server.identity(item.type), held=theirs)
        reason = self._why_not(item) if item.action in ("create", "update") else None
        return replace(item, action="refused", reason=reason) if reason else item

    def gone(self, place: str, theirs: Resource) -> Item:
        """What happens to a resource that we wrote and no longer have."""
        item = Item("delete", place, version=version_of(theirs), reason="no longer in the source", at=self._where.get(place))
        if not self._server.can_delete(item.type):
            return replace(
                item, action="refused", reason="no longer in the source, but the server does not delete: retract it by its status"
            )
        if self._synced[place].is_theirs_unchanged(theirs):
            return item
        if self._choices.of(place) is None:
            return replace(item, action="conflict", reason="no longer in the source, but changed on the server")
        if self._choices.of(place) == "server":
            return replace(item, action="unchanged", reason="kept as on the server")
        return item

    @property
    def _is_blinded(self) -> bool:
        return self._choices.withhold_arm and not self._server.research_store

    def _why_not(self, item: Item) -> str | None:
        """Why this server may not have it, or could not keep one copy of it; None if neither."""
        resource = item.resource or {}
        if not self._server.research_store and _holds_person(resource):
            return NO_RESEARCH_STORE
        if item.type == "Group" and self._is_blinded and resource.get("member"):
            return "its members may tell the arms of a blinded study"
        if reason := self._server.why_not_written(item.type, "create" if item.action == "create" else "update"):
            return reason
        if item.action == "create" and item.identity != "client-id":
            if not keys_of(resource):
                return "the server gives ids of its own, and without a business identifier it could not be found again"
            return self._server.why_not_found_again(item.type)
        return None

    def _wanted(self, place: str, resource: Resource, theirs: Resource | None) -> Item:
        if theirs is None:
            return Item("create", place, resource, reason="it was deleted on the server" if place in self._synced else None)
        version = version_of(theirs)
        if keys_of(resource) and keys_of(theirs) and not keys_of(resource) & keys_of(theirs):
            return Item("conflict", place, resource, version, reason="another resource holds this id on the server")
        found = differences(theirs, resource, self.keys)
        if not found:
            return Item("unchanged", place, resource, version)
        last, chosen = self._synced.get(place), self._choices.of(place)
        if last is None or not last.digests or chosen == "source":
            return Item("update", place, resource, version, found)
        if last.is_theirs_unchanged(theirs):
            return self._against_theirs(Item("update", place, resource, version, found), theirs, last)
        return self._against_change(Item("conflict", place, resource, version, found), theirs, last)

    def _against_theirs(self, item: Item, theirs: Resource, last: Synced) -> Item:
        """Only we changed it, or the sides differ as was accepted: what was accepted stays so."""
        ours = item.resource or {}
        if last.base is None or last.source is None:
            return item
        if not last.is_as_remembered(theirs):  # a write of ours whose answer was lost, over what had been accepted
            return self._against_change(replace(item, action="conflict"), theirs, last)
        if last.is_ours_unchanged(ours):
            return replace(item, action="unchanged", differences=(), reason="differs from the server as was settled")
        return self._merged(item, merge(ours, theirs, last.base).resource, theirs, "update")

    def _against_change(self, item: Item, theirs: Resource, last: Synced) -> Item:
        """Someone else changed it since."""
        ours, chosen = item.resource or {}, self._choices.of(item.place)
        if last.is_ours_unchanged(ours):
            if chosen == "server":
                return replace(item, action="unchanged", differences=(), reason="kept as on the server", resource=theirs, source=ours)
            return replace(item, reason="changed on the server since the last sync")
        if last.base is None:
            if chosen == "server":
                return replace(item, action="unchanged", differences=(), reason="kept as on the server", resource=theirs, source=ours)
            return replace(item, reason="changed on both sides since the last sync")
        found = merge(ours, theirs, last.base)
        if found.disputed and chosen is None:
            return replace(item, reason=f"changed on both sides since the last sync: {', '.join(found.disputed)}")
        return self._merged(item, found.resource, theirs, f"merged; as on the server: {', '.join((*found.kept, *found.disputed))}")

    def _merged(self, item: Item, resource: Resource, theirs: Resource, reason: str) -> Item:
        left = differences(theirs, resource, self.keys)
        ours = item.resource
        if not left:
            return replace(item, action="unchanged", resource=theirs, source=ours, differences=(), reason="kept as on the server")
        return replace(
            item, action="update", resource=resource, source=ours, differences=left, reason=None if reason == "update" else reason
        )


def _holds_person(resource: Resource) -> bool:
    """Whether it is a Patient or has one anywhere inside: contained, or in a Bundle or Parameters that goes as a resource of its own."""
    return any(item.get("resourceType") == "Patient" for item in json.objects(resource))


def version_of(resource: Resource) -> str | None:
    """`meta.versionId`."""
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return version if isinstance(version, str) else None
