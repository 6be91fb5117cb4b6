"""What is known of an expression before any data is seen: its possible types, and whether it can have several items."""

from dataclasses import dataclass

from fhir_trial.fhirpath.syntax import Expr

STRINGS = frozenset({"string", "code", "id", "markdown", "uri", "url", "canonical", "uuid", "oid", "base64Binary", "xhtml"})
TEMPORALS = frozenset({"date", "dateTime", "instant", "time"})
INTEGERS = frozenset({"integer", "integer64", "positiveInt", "unsignedInt"})
NUMBERS = INTEGERS | {"decimal"}
PRIMITIVES = STRINGS | TEMPORALS | NUMBERS | {"boolean"}
ANY_RESOURCE = frozenset({"Resource", "DomainResource"})
"""Types that say little of an item's elements: what stands there is known only from the data."""

_SYSTEM = {
    "String": "string",
    "Boolean": "boolean",
    "Integer": "integer",
    "Decimal": "decimal",
    "Date": "date",
    "DateTime": "dateTime",
    "Time": "time",
}


def plain_type(name: str) -> str:
    """A type specifier without its namespace, System types under FHIR's names.

    >>> plain_type("System.String"), plain_type("FHIR.Patient"), plain_type("Quantity")
    ('string', 'Patient', 'Quantity')
    """
    bare = name.rpartition(".")[2]
    return _SYSTEM.get(bare, bare)


@dataclass(frozen=True, slots=True)
class Kind:
    """Possible types (none: unknown until the data is seen) and whether there can be several items."""

    types: tuple[str, ...] = ()
    many: bool = False

    def within(self, family: frozenset[str]) -> bool:
        """Whether every possible type is known and of the family."""
        return bool(self.types) and family.issuperset(self.types)

    def touches(self, family: frozenset[str]) -> bool:
        """Whether a possible type is of the family."""
        return not family.isdisjoint(self.types)

    def one(self) -> "Kind":
        """The same types, one item at most."""
        return Kind(self.types, False)

    def several(self, many: bool = True) -> "Kind":
        """The same types, any number of items where `many`."""
        return Kind(self.types, self.many or many)


def union(*kinds: Kind) -> Kind:
    """The kind of what is either of these; unknown as soon as one is."""
    many = any(kind.many for kind in kinds)
    if any(not kind.types for kind in kinds):
        return Kind((), many)
    return Kind(tuple(dict.fromkeys(name for kind in kinds for name in kind.types)), many)


@dataclass(frozen=True, slots=True)
class Field:
    """One JSON member that a step reads: a choice type's step has one for each type it can have."""

    json: str
    type: str
    many: bool

    @property
    def is_primitive(self) -> bool:
        """Whether the member's value is a JSON scalar, with a `_` sibling for its extensions."""
        return self.type in PRIMITIVES


@dataclass(frozen=True, slots=True)
class Typed:
    """A construct with its kind and its typed operands, the base first and then the arguments.

    `fields` are what a member step reads (none where the owner's type is unknown); `type_name` is the type that `is`, `as` and their like
    name. An operand that is evaluated on each item of the base (as in `where`) is typed in that item's own context.
    """

    node: Expr
    kind: Kind
    parts: "tuple[Typed, ...]" = ()
    fields: tuple[Field, ...] = ()
    type_name: str = ""
