"""What a sync would do, decided before anything is written: one item a resource, with the elements that differ.

`create`, `update`, `unchanged`, `conflict` (someone else changed it, or holds its id), `refused` (this server may not have it, with
the reason) and `delete` (only what we wrote ourselves, and only when asked for; absence alone never means it).
Where both sides changed different elements since the last sync the update brings both together; where they changed the same one, or only
the other side changed anything, someone must say which holds.

A sync is planned piece by piece, from resources on disk: nothing but what must be reported is kept from one piece to the next.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fhir_trial.fhir.http import Exchange
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.compare import Keys
from fhir_trial.sync.decide import ACTIONS, Action, Choices, Decisions, Item
from fhir_trial.sync.locate import Located, locate
from fhir_trial.sync.order import batches, place_of, references
from fhir_trial.sync.spool import PIECE, Spool
from fhir_trial.sync.synced import Synced

Resource = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """The items of a sync with one server, or of a piece of it, referred-to resources first."""

    server: ServerInfo
    items: tuple[Item, ...]
    keys: Keys = field(repr=False)
    where: MutableMapping[str, str] = field(repr=False)
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
    """Read what the server has of `resources` and decide on each; the whole plan, in memory.

    `synced` is what we last wrote, by `Type/id`: with it a change that someone else made is a conflict, without it ours is taken to be
    newer. Two different resources of one id, or one without a type or id, are an `InputError` before anything is asked.
    """
    items: list[Item] = []
    with Spool.of(resources) as ours:
        for step in plan_by_piece(ours, server, {} if synced is None else synced, choices):
            items.extend((yield from step).items)
        return Plan(server, tuple(items), dict(ours.keys), dict(ours.where))


def plan_by_piece(
    ours: Spool, server: ServerInfo, synced: Mapping[str, Synced], choices: Choices | None = None
) -> Iterator[Exchange[Plan]]:
    """The plan of a sync in pieces, deletions last; each is an exchange to be run to its end before the next is asked for.

    A piece may be carried out as soon as it is planned: all that it refers to is in it or in an earlier one.
    """
    planner = _Planner(ours, server, synced, choices or Choices())
    yield planner.look_outside()
    for piece in ours.pieces(PIECE):
        yield planner.decide(piece)
    if planner.choices.delete:
        with Spool() as theirs:
            yield planner.find_gone(theirs)
            for piece in theirs.pieces_backwards(PIECE):
                yield planner.let_go(theirs, piece)


class _Planner:
    """Decides on piece after piece; what was refused, and where the server keeps what, holds for the pieces that follow."""

    def __init__(self, ours: Spool, server: ServerInfo, synced: Mapping[str, Synced], choices: Choices) -> None:
        self._ours, self._server, self._synced, self.choices = ours, server, synced, choices
        self._missing: set[str] = set()
        """What is refused and not on the server, which refuses what refers to it."""
        self._strangers: set[str] = set()
        """Patients whom ours are about and whom the server does not have."""

    def look_outside(self) -> Exchange[Plan]:
        """Find out about what ours refer to and do not hold; nothing is decided yet."""
        for places in batches(self._ours.outside(), PIECE):
            self._recall(places)
            patients = [place for place in places if place.startswith("Patient/") and not self._server.research_store]
            located = yield from locate([], {}, self._server, {}, apart=sorted(patients))
            self._strangers |= set(patients) - located.theirs.keys()
        return self._plan(())

    def decide(self, piece: Sequence[Resource]) -> Exchange[Plan]:
        """The plan of some of ours."""
        ours = {place_of(resource): resource for resource in piece}
        known = self._recall(ours)
        located = yield from locate(ours, ours, self._server, self._ours.where)
        self._note_places(located)
        decide = self._decisions(known)
        items = {place: decide.ours(resource, located) for place, resource in ours.items()}
        if self._strangers or self._missing or any(map(_is_missing, items.values())):
            self._refuse_dependents(items, {place: set(references(resource)) for place, resource in ours.items()})
        return self._plan(items.values())

    def find_gone(self, theirs: Spool) -> Exchange[Plan]:
        """Put what the server still has of what left the source into `theirs`; nothing is decided yet."""
        for places in batches((place for place in self._synced if place not in self._ours), PIECE):
            self._recall(places)
            located = yield from locate(places, {}, self._server, self._ours.where)
            self._note_places(located)
            theirs.take(located.theirs.values())
            for place, resource in located.theirs.items():
                if place_of(resource) != place:
                    theirs.where[place_of(resource)] = place
        theirs.arrange()
        return self._plan(())

    def let_go(self, theirs: Spool, piece: Sequence[Resource]) -> Exchange[Plan]:
        """The plan of some that left the source: each before what it refers to."""
        gone = {theirs.where.get(place, place): resource for resource in piece for place in (place_of(resource),)}
        decide = self._decisions(self._known(gone))
        yield from ()  # an exchange like the others; there is nothing left to ask
        return self._plan(self._kept_if_needed(decide.gone(place, resource)) for place, resource in gone.items())

    def _kept_if_needed(self, item: Item) -> Item:
        """What stays in the source may refer to what left it: the server would refuse, or be left with references to nothing."""
        if item.action != "delete" or not self._ours.refers_to(item.place):
            return item
        return replace(item, action="refused", reason="no longer in the source, but what is there refers to it")

    def _plan(self, items: Iterable[Item]) -> Plan:
        return Plan(self._server, tuple(items), self._ours.keys, self._ours.where)

    def _decisions(self, known: Mapping[str, Synced]) -> Decisions:
        return Decisions(self._server, known, self.choices, self._ours.keys, self._ours.where)

    def _known(self, places: Iterable[str]) -> dict[str, Synced]:
        """What is remembered of these places since the last sync."""
        return {place: synced for place in places if (synced := self._synced.get(place)) is not None}

    def _recall(self, places: Iterable[str]) -> dict[str, Synced]:
        """The same; where the server put them then is noted, until it is seen."""
        known = self._known(places)
        self._ours.where.update((place, synced.at) for place, synced in known.items() if synced.at is not None)
        return known

    def _note_places(self, located: Located) -> None:
        """Remember where the server keeps what it gave ids of its own."""
        for place, theirs in located.theirs.items():
            if (there := place_of(theirs)) != place:
                self._ours.where[place] = there
            else:
                self._ours.where.pop(place, None)

    def _refuse_dependents(self, items: dict[str, Item], targets: Mapping[str, set[str]]) -> None:
        """Refuse what refers to something refused: the server would answer that the reference leads nowhere."""
        before = -1
        while len(self._missing) > before:  # in a circle what comes first may refer to what is refused last
            before = len(self._missing)
            self._missing.update(place for place, item in items.items() if _is_missing(item))
            for place, item in items.items():
                reason = self._why_dependent(targets[place]) if item.action in ("create", "update") else None
                if reason is not None:
                    items[place] = replace(item, action="refused", reason=reason)
                    self._missing.update([place] if _is_missing(items[place]) else [])

    def _why_dependent(self, targets: set[str]) -> str | None:
        if not self._strangers.isdisjoint(targets):
            return "it is about a patient whom this server does not have"
        return None if self._missing.isdisjoint(targets) else "it refers to a resource that is refused"


def _is_missing(item: Item) -> bool:
    """Whether the server lacks the resource and will go on lacking it."""
    return item.action == "refused" and item.version is None
