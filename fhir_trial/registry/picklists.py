"""The words PRS accepts, typed: what `picklists.yaml` holds."""

from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct


class Picklists(Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of length, and the trial's words to those of PRS."""

    limits: dict[str, int]
    not_completed: dict[str, str]
    sex: dict[str, str]
    race: dict[str, str]
    ethnicity: dict[str, str]
    interval_levels: tuple[str, ...]
    organ_systems: tuple[str, ...]
    organ_system_synonyms: dict[str, str]
    missing: dict[str, str]

    def organ_system(self, name: str) -> str | None:
        """The organ system as PRS names it, or None for one it does not know.

        >>> picklists().organ_system("GENERAL DISORDERS AND ADMINISTRATION SITE CONDITIONS")
        'General disorders'
        """
        known = {system.upper(): system for system in self.organ_systems} | self.organ_system_synonyms
        return known.get(name.upper())


@cache
def picklists() -> Picklists:
    """The picklists of this package's `picklists.yaml`."""
    return msgspec.yaml.decode(files(__package__).joinpath("picklists.yaml").read_bytes(), type=Picklists)
