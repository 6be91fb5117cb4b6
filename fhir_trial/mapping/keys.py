"""Identity: the key of a row, its business identifier, its logical id, and references that carry both.

One base for everything of ours, permanent, a name and not a site. An id cannot be reversed and servers rewrite references, so
every reference carries the identifier beside it, and reading takes the key from there.
"""

import hashlib
import uuid
from collections.abc import Sequence
from functools import lru_cache

BASE = "https://fhir-trial.org/"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, BASE)


def system_of(entity: str) -> str:
    """The identifier system of an entity.

    >>> system_of("adverse_event")
    'https://fhir-trial.org/sid/adverse-event'
    """
    return f"{BASE}sid/{entity.replace('_', '-')}"


def join_key(parts: Sequence[object]) -> str:
    """The parts of a key as one text that `split_key` takes apart again; None is an empty part.

    >>> join_key(["S1", "01-701", 3, None, "A/B"])
    'S1/01-701/3//A%2FB'
    """
    return "/".join(["" if p is None else _escape(p) if type(p) is str else str(p) for p in parts])


def _escape(part: str) -> str:
    return part.replace("%", "%25").replace("/", "%2F") if "%" in part or "/" in part else part


def split_key(value: str) -> list[str | None]:
    """The parts of a key as they were joined, all as text.

    >>> split_key('S1/01-701/3//A%2FB')
    ['S1', '01-701', '3', None, 'A/B']
    """
    return [p.replace("%2F", "/").replace("%25", "%") if "%" in p else (p or None) for p in value.split("/")]


@lru_cache(maxsize=8_192)
def logical_id(system: str, value: str) -> str:
    """uuid5 of a business identifier: the same in R4 and R5, and never numeric."""
    digest = bytearray(hashlib.sha1(NAMESPACE.bytes + f"{system}|{value}".encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def reference(resource_type: str, system: str, value: str) -> dict[str, object]:
    """A Reference to the resource with that business identifier, by id and by identifier."""
    return {"reference": f"{resource_type}/{logical_id(system, value)}", "identifier": {"system": system, "value": value}}
