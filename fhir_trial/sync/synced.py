"""What is remembered of a resource since the last sync with a server: digests, and where the server keeps it."""

from dataclasses import dataclass, field

from fhir_trial.sync.compare import Resource, digest, digest_of, plain
from fhir_trial.sync.merge import Base, elements_of


@dataclass(frozen=True, slots=True)
class Synced:
    """What the server may hold of our writing."""

    digests: tuple[str, ...]
    """Of what was last on the server, and of what was sent without an answer since."""
    source: str | None = None
    """Of the source's resource then, where it said something else and that was accepted; None: it said the same."""
    base: Base | None = field(default=None, repr=False)
    at: str | None = None
    """`Type/id` on the server, where it gave an id of its own."""

    def is_theirs_unchanged(self, theirs: Resource) -> bool:
        """Whether the server holds what we last saw or sent there."""
        return digest(theirs) in self.digests

    def is_as_remembered(self, theirs: Resource) -> bool:
        """Whether the server holds what it held at the last sync, and nothing that was sent since and whose answer was lost."""
        return bool(self.digests) and digest(theirs) == self.digests[0]

    def is_ours_unchanged(self, ours: Resource) -> bool:
        """Whether the source says what it said then."""
        said = digest(ours)
        return said == self.source if self.source is not None else said in self.digests


def remembered(ours: Resource, held: Resource | None = None) -> Synced:
    """What to keep of a resource of ours of which the server now holds `held`, or the same if that is None.

    Where they differ, that is how it shall stay until one of them changes.
    """
    ours_said = plain(ours)
    mine, wanted = elements_of(ours_said), digest_of(ours_said)
    if held is None or held is ours:
        return Synced((wanted,), None, Base(mine, mine))
    held_said = plain(held)
    said = digest_of(held_said)
    return Synced((said,), wanted if wanted != said else None, Base(mine, elements_of(held_said)))
