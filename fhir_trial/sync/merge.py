"""Three-way merge of a resource: ours, the server's, and what both were when last synced, element by element.

An element is merged as a whole and its parts are never mixed: a value of ours with a unit of theirs would be a measurement that nobody
made.
Of the last sync only digests are at hand, so the journal holds no content; that is enough to say who changed what.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from fhir_trial.fhir import json
from fhir_trial.sync.compare import Resource, plain, stated

_FAMILY = re.compile(r"_?([a-z]+)")
_DIGEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class Base:
    """The elements' digests of the last sync: `ours` as in the source, `theirs` as on the server, which differ where that was accepted."""

    ours: Mapping[str, bytes]
    theirs: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge gives: the resource, whose change each differing element is, and where both sides changed the same one."""

    resource: Resource = field(repr=False)
    kept: tuple[str, ...]
    """Changed by someone else and not by us, or accepted before: as on the server."""
    taken: tuple[str, ...]
    """Changed by us and not by anyone else."""
    disputed: tuple[str, ...]
    """Changed on both sides, to different values; the server's stands in `resource`."""


def elements(resource: Resource) -> dict[str, bytes]:
    """A digest for each element; those of one choice type count as one.

    >>> sorted(elements({"resourceType": "Observation", "id": "o", "status": "final", "valueInteger": 3, "_status": {"id": "x"}}))
    ['status', 'value']
    """
    return elements_of(plain(resource))


def elements_of(said: Resource) -> dict[str, bytes]:
    """The digests of the elements from what `plain` gives."""
    return {family: _digest(held) for family, held in _families(said).items()}


def merge(ours: Resource, theirs: Resource, base: Base) -> Merged:
    """Bring changes of both sides together."""
    mine, yours = _families(stated(ours)), _families(stated(theirs))
    my_digests, your_digests = elements(ours), elements(theirs)
    result = {name: value for name, value in ours.items() if name not in stated(ours)}
    sides: dict[str, list[str]] = {"same": [], "kept": [], "taken": [], "disputed": []}
    for family in {**mine, **yours}:
        side = _side(family, my_digests.get(family), your_digests.get(family), base)
        sides[side].append(family)
        result |= mine.get(family, {}) if side in ("same", "taken") else yours.get(family, {})
    return Merged(result, *(tuple(sorted(sides[name])) for name in ("kept", "taken", "disputed")))


def _side(family: str, mine: bytes | None, yours: bytes | None, base: Base) -> str:
    if mine == yours:
        return "same"
    if mine == base.ours.get(family):
        return "kept"
    return "taken" if yours == base.theirs.get(family) else "disputed"


def _families(members: Resource) -> dict[str, Resource]:
    found: dict[str, Resource] = {}
    for name, value in members.items():
        match = _FAMILY.match(name)
        found.setdefault(match[1] if match else name, {})[name] = value
    return found


def _digest(held: Resource) -> bytes:
    return hashlib.blake2b(json.encode(held), digest_size=_DIGEST_BYTES).digest()
