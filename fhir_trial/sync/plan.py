"""What a sync would do, decided before anything is written: one item a resource, with the elements that differ.

`create`, `update`, `unchanged`, `conflict` (someone else changed it, or holds its id), `refused` (this server may not have it, with
the reason) and `delete` (only what we wrote ourselves, and only when asked for; absence alone never means it).
Where both sides changed different elements since the last sync the update brings both together; where they changed the same one, or only
the other side changed anything, someone must say which holds.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fhir_trial.errors import Finding, Findings
from fhir_trial.fhir.http import Exchange
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.compare import Keys, keys_of
from fhir_trial.sync.decide import ACTIONS, Action, Choices, Decisions, Item
from fhir_trial.sync.locate import Located, locate
from fhir_trial.sync.order import groups, place_of, references
from fhir_trial.sync.synced import Synced

Resource = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """All items of a sync with one server, referred-to resources first."""

    server: ServerInfo
    items: tuple[Item, ...]
    keys: Keys = field(repr=False)
    where: dict[str, str] = field(repr=False)
    """Our `Type/id` to the server's, where it gave an id of its own."""

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
                detail = "; ".join([*filter(None, [item.reason]), *(d.describe(show_values) for d in item.differences)])
                yield f"{item.action} {item.place}{f': {detail}' if detail else ''}"

    def __repr__(self) -> str:
        """Counts only."""
        return f"Plan({self.counts()})"


def make_plan(
    resources: Iterable[Resource], server: ServerInfo, synced: Mapping[str, Synced] | None = None, choices: Choices | None = None
) -> Exchange[Plan]:
    """Read what the server has of `resources` and decide on each.

    `synced` is what we last wrote, by `Type/id`: with it a change that someone else made is a conflict, without it ours is taken to be
    newer. Two different resources of one id, or one without a type or id, are an `InputError` before anything is asked.
    """
    ours = _by_place(resources)
    synced, choices = synced or {}, choices or Choices()
    gone = sorted(set(synced) - set(ours)) if choices.delete else []
    where = {place: known.at for place, known in synced.items() if known.at is not None}
    targets = {place: list(references(resource)) for place, resource in ours.items()}
    outside = _patients_outside(targets, ours) if not server.research_store else set()
    located = yield from locate([*ours, *gone], ours, server, where)
    strangers = yield from locate([], {}, server, {}, apart=sorted(outside))
    _note_places(where, located)
    decide = Decisions(server, synced, choices, _keys(ours, where), where)
    items = {place: decide.ours(resource, located) for place, resource in ours.items()}
    ordered = [place for group in groups(targets) for place in group]
    _refuse_dependents(items, targets, ordered, outside - strangers.theirs.keys())
    removed = [decide.gone(place, located.theirs[place]) for place in gone if place in located.theirs]
    return Plan(server, (*(items[place] for place in ordered), *_referrers_first(removed, located.theirs)), decide.keys, where)


def _keys(ours: Mapping[str, Resource], where: Mapping[str, str]) -> dict[str, str]:
    """Business keys by place, by the server's places too."""
    keys = {place: min(found) for place, resource in ours.items() if (found := keys_of(resource))}
    return keys | {there: keys[place] for place, there in where.items() if place in keys}


def _note_places(where: dict[str, str], located: Located) -> None:
    """Remember where the server keeps what it gave ids of its own."""
    for place, theirs in located.theirs.items():
        there = place_of(theirs)
        if there != place:
            where[place] = there
        else:
            where.pop(place, None)


def _patients_outside(targets: Mapping[str, list[str]], ours: Mapping[str, Resource]) -> set[str]:
    return {t for listed in targets.values() for t in listed if t.startswith("Patient/") and t not in ours}


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


def _refuse_dependents(items: dict[str, Item], targets: Mapping[str, list[str]], ordered: list[str], strangers: set[str]) -> None:
    """Refuse what refers to something refused: the server would answer that the reference leads nowhere."""
    for place in ordered:
        item = items[place]
        if item.action not in ("create", "update"):
            continue
        if not strangers.isdisjoint(targets[place]):
            items[place] = replace(item, action="refused", reason="it is about a patient whom this server does not have")
        elif any(_is_missing(items.get(t)) for t in targets[place]):
            items[place] = replace(item, action="refused", reason="it refers to a resource that is refused")


def _is_missing(item: Item | None) -> bool:
    """Whether the server lacks the resource and will go on lacking it."""
    return item is not None and item.action == "refused" and item.version is None


def _referrers_first(removed: list[Item], theirs: Mapping[str, Resource]) -> list[Item]:
    """Deletions in an order that never leaves a reference to nothing."""
    by_place = {item.place: item for item in removed}
    order = groups({place: list(references(theirs[place])) for place in by_place})
    return [by_place[place] for group in reversed(order) for place in group]
