"""Items as they travel through an expression: decoded JSON, wrapped only where JSON alone does not say enough."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

Items = list[Any]


class Node:
    """An item with what its JSON value lacks: the primitive's `_` sibling, or the type that a choice's JSON name carried."""

    __slots__ = ("element", "type", "value")

    def __init__(self, value: Any, type_name: str | None = None, element: Any = None) -> None:
        """`value` may be None: a primitive that has extensions only, or a resource elsewhere of which the type alone is known."""
        self.value = value
        self.type = type_name
        self.element = element

    def __repr__(self) -> str:
        """The type only: values are subject data."""
        return f"Node({self.type})"


@dataclass(slots=True)
class Scope:
    """What an expression can see: the resource, the item it started from, `$index`, `$total` and the values of constants."""

    resource: Any
    context: Any
    variables: Mapping[str, Items] = field(default_factory=dict)
    index: int = 0
    total: Items = field(default_factory=list)

    def at(self, index: int) -> "Scope":
        """The same scope at another `$index`."""
        return Scope(self.resource, self.context, self.variables, index, self.total)


Run = Callable[[Any, Scope], Items]
"""A compiled expression: from the context item and the scope to the items found."""


def bare(item: Any) -> Any:
    """The item without its wrapper."""
    return item.value if item.__class__ is Node else item


def bare_items(items: Items) -> Items:
    """Items as plain JSON values; a primitive without a value is none."""
    return [value for value in map(bare, items) if value is not None]


def read(owner: Any, name: str) -> Any:
    """A member of an item, whether it is a decoded object, a typed struct or the `_` sibling of a primitive; None where there is none."""
    if owner.__class__ is Node:
        owner = owner.value if owner.value.__class__ is dict or isinstance(owner.value, Struct) else owner.element
    if owner.__class__ is dict:
        return owner.get(name)
    return getattr(owner, name, None) if isinstance(owner, Struct) else None
