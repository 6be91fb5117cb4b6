"""How HL7's definitions are stored, one compressed JSON file a version: written by `generate`, read by `shapes`.

Types, value sets and search parameters stay undecoded (`msgspec.Raw`) until one is asked for: a whole version takes long to
decode, and a call needs a few types.
"""

import gzip
from typing import Literal

import msgspec

Kind = Literal["resource", "complex-type", "primitive-type", "backbone"]


class Invariant(msgspec.Struct, frozen=True, omit_defaults=True):
    """One constraint of a type or an element, as HL7 states it."""

    key: str
    severity: Literal["error", "warning"]
    expression: str
    """FHIRPath, true where the constraint holds."""
    human: str


class StoredElement(msgspec.Struct, frozen=True, omit_defaults=True):
    """One element as it is stored; `shapes.Element` is what the rest of the package sees."""

    types: tuple[str, ...]
    min: int = 0
    many: bool = False
    choice: bool = False
    modifier: bool = False
    strength: str | None = None
    value_set: str | None = None
    targets: tuple[str, ...] = ()
    invariants: tuple[Invariant, ...] = ()


class StoredType(msgspec.Struct, frozen=True, omit_defaults=True):
    """One resource, data type or backbone element with all its elements, inherited ones too, and its own invariants only."""

    kind: Kind
    base: str | None
    elements: dict[str, StoredElement]
    abstract: bool = False
    invariants: tuple[Invariant, ...] = ()


class SearchParameter(msgspec.Struct, frozen=True, omit_defaults=True):
    """One search parameter of one resource type."""

    name: str
    type: str
    """`token`, `reference`, `date`, `string`, `quantity`, `number`, `uri`, `composite` or `special`."""
    expression: str
    """FHIRPath, only the branches that speak of this resource type."""
    targets: tuple[str, ...] = ()
    """The resource types a reference may lead to; () = any."""


Codes = dict[str, list[str]]
"""The codes of a value set by code system."""


class Definitions(msgspec.Struct, frozen=True):
    """A whole version, its parts undecoded."""

    number: str
    types: dict[str, msgspec.Raw]
    value_sets: dict[str, msgspec.Raw]
    """Those that a required binding names and that could be expanded completely."""
    search: dict[str, msgspec.Raw]
    """By resource type, and by `Resource` and `DomainResource` for the parameters of all."""
    names: tuple[str, ...]
    """The concrete resource types."""


def read(data: bytes) -> Definitions:
    """The definitions in a compressed file."""
    return msgspec.json.decode(gzip.decompress(data), type=Definitions)
