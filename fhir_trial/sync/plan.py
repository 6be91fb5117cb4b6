"""What a sync would do, decided before anything is written: one item a resource, with the elements that differ.

`create`, `update`, `unchanged`, `conflict` (someone else changed it, or holds its id), `refused` (this server may not have it, with
the reason) and `delete` (only what we wrote ourselves, and only when asked for; absence alone never means it).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fhir_trial.errors import Finding, Findings, UsageError
from fhir_trial.fhir.http import Exchange
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.compare import Difference, Keys, differences, digest, keys_of
from fhir_trial.sync.order import groups, place_of, references
from fhir_trial.sync.search import read_ids

Resource = dict[str, Any]
Action = Literal["create", "update", "unchanged", "conflict", "delete", "refused"]
ACTIONS: tuple[Action, ...] = ("create", "update", "unchanged", "conflict", "delete", "refused")


@dataclass(frozen=True, slots=True)
class Synced:
    """What the server may hold of our writing: the digest of what was last synced, and of what was sent without an answer since."""

    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """What happens to one resource; its repr shows no content."""

    action: Action
    place: str
    """`Type/id`."""
    resource: Resource | None = field(default=None, repr=False)
    """Ours; None for a deletion."""
    version: str | None = None
    """The server's version that the decision rests on."""
    differences: tuple[Difference, ...] = ()
    reason: str | None = None

    @property
    def type(self) -> str:
        """The resource type."""
        return self.place.partition("/")[0]

    @property
    def id(self) -> str:
        """The logical id."""
        return self.place.partition("/")[2]


@dataclass(frozen=True)
class Plan:
    """All items of a sync with one server, referred-to resources first."""

    server: ServerInfo
    items: tuple[Item, ...]
    keys: Keys = field(repr=False)

    def counts(self) -> dict[str, int]:
        """How many items of each action, every action named."""
        count = Counter(item.action for item in self.items)
        return {action: count[action] for action in ACTIONS}

    def of(self, *actions: Action) -> list[Item]:
        """The items of these actions, in order."""
        return [item for item in self.items if item.action in actions]

    def lines(self, show_values: bool = False) -> Iterator[str]:
        """The plan in words, a line an item that is not unchanged; values are masked unless asked for."""
        for item in self.items:
            if item.action != "unchanged":
                detail = item.reason or "; ".join(d.describe(show_values) for d in item.differences)
                yield f"{item.action} {item.place}{f': {detail}' if detail else ''}"

    def __repr__(self) -> str:
        """Counts only."""
        return f"Plan({self.counts()})"


@dataclass(frozen=True, slots=True)
class Choices:
    """What was asked for: `prefer` settles conflicts for ours (`source`) or theirs (`server`), `delete` removes what left the source."""

    prefer: Literal["source", "server"] | None = None
    delete: bool = False

    def __post_init__(self) -> None:
        """Refuse another word."""
        if self.prefer not in (None, "source", "server"):
            raise UsageError("prefer: expected source or server")


def make_plan(
    resources: Iterable[Resource], server: ServerInfo, synced: Mapping[str, Synced] | None = None, choices: Choices | None = None
) -> Exchange[Plan]:
    """Read what the server has of `resources` and decide on each.

    `synced` is what we last wrote, by `Type/id`: with it a change that someone else made is a conflict, without it ours is taken to be
    newer. Two different resources of one id, or one without a type or id, are an `InputError` before anything is asked.
    """
    ours = _by_place(resources)
    synced, choices = synced or {}, choices or Choices()
    keys = {place: next(iter(sorted(keys_of(resource))), None) for place, resource in ours.items()}
    decide = _Decisions(server, synced, choices, {place: key for place, key in keys.items() if key})
    gone = sorted(set(synced) - set(ours)) if choices.delete else []
    theirs = yield from read_places(place for place in (*ours, *gone) if server.holds(place.partition("/")[0]))
    items = {place: decide.ours(place, resource, theirs.get(place)) for place, resource in ours.items()}
    targets = {place: list(references(resource)) for place, resource in ours.items()}
    ordered = [place for group in groups(targets) for place in group]
    _refuse_dependents(items, targets, ordered)
    removed = [decide.gone(place, theirs[place]) for place in gone if place in theirs]
    return Plan(server, (*(items[place] for place in ordered), *_referrers_first(removed, theirs)), decide.keys)


def read_places(places: Iterable[str]) -> Exchange[dict[str, Resource]]:
    """What the server has of these `Type/id`s."""
    by_type: dict[str, list[str]] = {}
    for place in places:
        resource_type, _, identity = place.partition("/")
        by_type.setdefault(resource_type, []).append(identity)
    found: dict[str, Resource] = {}
    for resource_type, ids in sorted(by_type.items()):
        rows = yield from read_ids(resource_type, sorted(ids))
        found.update((f"{resource_type}/{identity}", row) for identity, row in rows.items())
    return found


def _by_place(resources: Iterable[Resource]) -> dict[str, Resource]:
    findings = Findings()
    found: dict[str, Resource] = {}
    for number, resource in enumerate(resources, 1):
        if not all(isinstance(resource.get(name), str) and resource[name] for name in ("resourceType", "id")):
            findings.add(Finding("no-identity", "resources", row=number, expected="a resourceType and an id"))
            continue
        place = place_of(resource)
        if found.setdefault(place, resource) != resource:
            findings.add(Finding("duplicate-id", place, row=number, expected="one resource an id"))
    findings.raise_errors()
    return found


class _Decisions:
    """The decision on one resource, from ours, theirs and what was last synced."""

    def __init__(self, server: ServerInfo, synced: Mapping[str, Synced], choices: Choices, keys: Keys) -> None:
        self._server, self._synced, self._choices, self.keys = server, synced, choices, keys

    def ours(self, place: str, resource: Resource, theirs: Resource | None) -> Item:
        """What happens to a resource of ours."""
        item = self._wanted(place, resource, theirs)
        if item.action not in ("create", "update"):
            return item
        reason = self._server.why_not_written(item.type)
        if reason is None and item.type == "Patient" and not self._server.research_store:
            reason = "a pseudonymous Patient is written only to a server declared a research store (research_store = true)"
        return replace(item, action="refused", reason=reason) if reason else item

    def gone(self, place: str, theirs: Resource) -> Item:
        """What happens to a resource that we wrote and no longer have."""
        changed = digest(theirs) not in self._synced[place].digests
        if changed and self._choices.prefer is None:
            return Item("conflict", place, version=version_of(theirs), reason="no longer in the source, but changed on the server")
        if changed and self._choices.prefer == "server":
            return Item("unchanged", place, version=version_of(theirs), reason="kept as on the server")
        return Item("delete", place, version=version_of(theirs), reason="no longer in the source")

    def _wanted(self, place: str, resource: Resource, theirs: Resource | None) -> Item:
        if theirs is None:
            return Item("create", place, resource, reason="it was deleted on the server" if place in self._synced else None)
        version = version_of(theirs)
        if keys_of(resource) and keys_of(theirs) and not keys_of(resource) & keys_of(theirs):
            return Item("conflict", place, resource, version, reason="another resource holds this id on the server")
        found = differences(theirs, resource, self.keys)
        if not found:
            return Item("unchanged", place, resource, version)
        reason = self._changed_there(place, resource, theirs)
        if reason is None or self._choices.prefer == "source":
            return Item("update", place, resource, version, found)
        if self._choices.prefer == "server":
            return Item("unchanged", place, resource, version, reason="kept as on the server")
        return Item("conflict", place, resource, version, found, reason)

    def _changed_there(self, place: str, resource: Resource, theirs: Resource) -> str | None:
        last = self._synced.get(place)
        if last is None or digest(theirs) in last.digests:
            return None
        ours_changed = digest(resource) not in last.digests
        return "changed on both sides since the last sync" if ours_changed else "changed on the server since the last sync"


def version_of(resource: Resource) -> str | None:
    """`meta.versionId`."""
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return version if isinstance(version, str) else None


def _refuse_dependents(items: dict[str, Item], targets: Mapping[str, list[str]], ordered: list[str]) -> None:
    """Refuse what refers to something refused: the server would answer that the reference leads nowhere."""
    for place in ordered:
        item = items[place]
        if item.action in ("create", "update") and any(_is_missing(items.get(t)) for t in targets[place]):
            items[place] = replace(item, action="refused", reason="it refers to a resource that is refused")


def _is_missing(item: Item | None) -> bool:
    """Whether the server lacks the resource and will go on lacking it."""
    return item is not None and item.action == "refused" and item.version is None


def _referrers_first(removed: list[Item], theirs: Mapping[str, Resource]) -> list[Item]:
    """Deletions in an order that never leaves a reference to nothing."""
    by_place = {item.place: item for item in removed}
    order = groups({place: list(references(theirs[place])) for place in by_place})
    return [by_place[place] for group in reversed(order) for place in group]
