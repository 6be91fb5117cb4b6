"""Projection pushdown: which members of a resource a view's paths can read, and a typed struct that decodes these alone.

What no path names is skipped by the decoder and never becomes a Python object.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Optional

import msgspec

from fhir_trial.fhirpath import Field, Typed
from fhir_trial.fhirpath.kinds import ANY_RESOURCE, INTEGERS
from fhir_trial.fhirpath.syntax import Binary, Call, Constant, Index, Literal, Member, TypeTest, Variable
from fhir_trial.frames.view import Select, View

_PASSED = frozenset(["first", "last", "single", "tail", "skip", "take", "trace", "combine", "where", "ofType", "as", "getValue"])
"""Functions that yield items of their base: what is read of the result is read of the base."""
_COUNTED = frozenset(
    ["exists", "empty", "count", "hasValue", "not", "all", "allTrue", "anyTrue", "allFalse", "anyFalse", "is", "join", "resolve"]
)
"""Functions that look at no member of their items (or name those they read below)."""
_READ = {"getResourceKey": ("id",), "getReferenceKey": ("reference", "type"), "resolve": ("reference", "type")}


@dataclass
class Need:
    """What is needed of one place in a resource: some members, or the `whole` of it as plain JSON."""

    type: str
    many: bool = False
    whole: bool = False
    members: "dict[str, Need]" = field(default_factory=dict)

    def has_whole(self) -> bool:
        """Whether some part is needed whole."""
        return self.whole or any(member.has_whole() for member in self.members.values())

    def with_whole(self) -> frozenset[str]:
        """The members of which some part is needed whole."""
        return frozenset(name for name, member in self.members.items() if member.has_whole())

    def child(self, json: str, type_name: str, many: bool) -> "Need":
        """The need of a member, made where it was not needed before."""
        if json not in self.members:
            self.members[json] = Need(type_name, many)
        return self.members[json]

    def sibling(self, step: Field) -> None:
        """Need the `_` member beside a primitive, where its id and extensions stand."""
        self.child(f"_{step.json}", "", step.many).whole = True


def needs(view: View) -> Need:
    """All that the view can read of a resource, primitives without their siblings: the program that is written for it asks for these."""
    root = Need(view.resource)
    root.child("resourceType", "code", False)
    walker = Walker(root)
    for condition in view.where:
        walker.walk(condition.typed, [root])
    for select in view.selects:
        walker.select(select, [root])
    return root


class Walker:
    """Follows paths from what is needed of their context to what is needed of the items they find."""

    def __init__(self, root: Need, siblings: bool = False) -> None:
        """`root` is the resource; with `siblings`, primitives are needed with their extensions."""
        self.root = root
        self.siblings = siblings

    def select(self, select: Select, focus: list[Need]) -> None:
        """Note what a select and all inside it read."""
        inner = focus
        if select.paths:
            inner = [found for path in select.paths for found in self.walk(path.typed, focus)]
        if select.each.value == "repeat":
            self._whole(inner)
        for column in select.columns:
            self.walk(column.path.typed, inner)
        for child in (*select.selects, *select.unions):
            self.select(child, inner)

    def walk(self, typed: Typed, focus: list[Need]) -> list[Need]:
        """The needs of the items that an expression yields on items of `focus`; all it reads on the way is noted."""
        match typed.node:
            case Member() if typed.fields:
                return [self._step(owner, step) for owner in self.walk(typed.parts[0], focus) for step in typed.fields]
            case Index():
                self.walk(typed.parts[1], focus)
                return self.walk(typed.parts[0], focus)
            case Call(name=name):
                return self.call(name, typed, focus)
            case TypeTest() | Member() if typed.type_name:
                return self._of_resource(self.walk(typed.parts[0], focus))
            case Literal() | Variable() | Constant():
                return self._leaf(typed.node, focus)
        return self._other(typed, focus)

    def _step(self, owner: Need, step: Field) -> Need:
        if self.siblings and step.is_primitive:
            owner.sibling(step)
        return owner.child(step.json, step.type, step.many)

    def _leaf(self, node: Literal | Variable | Constant, focus: list[Need]) -> list[Need]:
        if isinstance(node, Constant) and node.name in ("resource", "rootResource"):
            return [self.root]
        return focus if not isinstance(node, Literal) and node.name in ("$this", "context") else []

    def _other(self, typed: Typed, focus: list[Need]) -> list[Need]:
        found = [need for part in typed.parts for need in self.walk(part, focus)]
        if not (isinstance(typed.node, Binary) and typed.node.operator in ("and", "or", "xor", "implies")):
            self._whole(found)
        return found if isinstance(typed.node, Binary) and typed.node.operator == "|" else []

    def _of_resource(self, items: list[Need]) -> list[Need]:
        self._whole(need for need in items if need.type in ANY_RESOURCE)
        return items

    def call(self, name: str, typed: Typed, focus: list[Need]) -> list[Need]:
        """The needs of what a function yields; what it reads of its items is noted."""
        base, *arguments = typed.parts
        items = self.walk(base, focus)
        inner = items if name in ("where", "select", "all", "exists") else focus
        found = [need for argument in arguments for need in self.walk(argument, inner)]
        if name in ("extension", "hasExtension"):
            return self._extensions(items)
        for need in items:
            for member in _READ.get(name, ()):
                need.child(member, "string", False)
        if typed.type_name:
            self._of_resource(items)
        if name == "resolve":
            self.root.child("contained", "Resource", True).whole = True
        if name == "select":
            return found
        if name in _PASSED:
            return self._of_resource([*items, *(found if name == "combine" else ())])
        if name not in _COUNTED and name not in _READ:
            self._whole([*items, *found])
        return [*items, *found] if name in ("union", "iif", "intersect", "exclude", "distinct") else []

    def _extensions(self, owners: list[Need]) -> list[Need]:
        found = [owner.child("extension", "Extension", True) for owner in owners if not owner.whole]
        for need in found:
            need.child("url", "uri", False)
        return found

    @staticmethod
    def _whole(items: Iterable[Need]) -> None:
        for need in items:
            need.whole = need.whole or not is_leaf(need)


_LEAVES: dict[str, Any] = {"boolean": bool, "decimal": Decimal, "integer64": int | str, **dict.fromkeys(INTEGERS - {"integer64"}, int)}


def struct_type(need: Need, name: str = "Resource") -> Any:
    """The msgspec type that decodes what is needed: a struct, a scalar, or any JSON for a whole.

    >>> from fhir_trial.frames.definition import read_view
    >>> view = read_view({"resource": "Patient", "select": [{"column": [{"name": "born", "path": "birthDate"}]}]})
    >>> struct_type(needs(view)).__struct_fields__
    ('resourceType', 'birthDate')
    """
    if need.whole:
        return Any
    if is_leaf(need):
        return _LEAVES.get(need.type, str)
    members = [(json, _member_type(child, f"{name}_{json}"), None) for json, child in need.members.items()]
    return msgspec.defstruct(name, members, gc=False)


def _member_type(need: Need, name: str) -> Any:
    inner: Any = struct_type(need, name)
    if inner is Any:
        return Any
    # Null stands in a list for a primitive that has extensions only.
    return Optional[list[Optional[inner]]] if need.many else Optional[inner]  # noqa: UP045  made at run time


def is_leaf(need: Need) -> bool:
    """Whether a JSON scalar stands there."""
    return Field("", need.type, False).is_primitive
