"""Rules of one entity compiled against the shapes of a version: the tree that writer, reader and views share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import msgspec

from fhir_trial.domain.entities import Entity
from fhir_trial.fhir.shapes import Shapes
from fhir_trial.mapping.codecs import (
    Codec,
    display_codec,
    field_types,
    one_way_codec,
    plain_codec,
    table_codec,
    unit_codec,
    unit_system_codec,
)
from fhir_trial.mapping.errors import RuleError
from fhir_trial.mapping.keys import logical_id, system_of
from fhir_trial.mapping.rules import CodeTable, DerivedRule, EachRule, EntityRules, FieldRule, LinkRule, RuleSet
from fhir_trial.mapping.tree import Leaf, Link, Node, TreeBuilder


@dataclass(frozen=True)
class Compiled:
    """An entity's tree, the class of each of its repeats, and a tree for each further path accepted on reading."""

    rules: EntityRules
    entity: type[Entity]
    root: Node
    members: Mapping[str, type[Entity]]
    also: tuple[tuple[str, Node], ...]


class Compiler:
    """Compiles the rules of one entity; `RuleError`s name the entity and the rule."""

    def __init__(self, rules: EntityRules, rule_set: RuleSet, entities: Mapping[str, type[Entity]], shapes: Shapes) -> None:
        """Check nothing yet."""
        self.rules, self.rule_set, self.entities, self.shapes = rules, rule_set, entities, shapes
        self.entity = entities[rules.entity]
        self.tree = TreeBuilder(shapes, rules.resource)
        self.members: dict[str, type[Entity]] = {}
        self.also: list[tuple[str, Node]] = []

    def compile(self) -> Compiled:
        """The whole tree; every field must be written by a rule or be declared lossy."""
        compiled = self.compile_reading()
        self._refuse_gaps()
        return compiled

    def compile_reading(self) -> Compiled:
        """The whole tree, for reading what others wrote: fields may be missing."""
        rules = self.rules
        for path, value in rules.constants.items():
            self.tree.constant(path, value)
        self._section(rules, self.entity, self.tree.root)
        for path, value in rules.companions.items():
            self.tree.companion(path, value)
        self._absent(rules, self.tree.root)
        return Compiled(rules, self.entity, self.tree.root, self.members, tuple(self.also))

    def _section(self, section: EntityRules | EachRule, entity: type[Entity], node: Node) -> None:
        types = field_types(entity)
        for name, rule in section.fields.items():
            self._known(name, types, entity)
            self._field(name, rule, types[name], node)
        for path, link in section.links.items():
            self.tree.link(path, self._link(path, link, types), node)
        for name, each in section.each.items():
            self._known(name, types, entity)
            self._each(name, each, get_args(types[name])[0], node)
        for path, derived in section.derived.items():
            self._known(derived.source, types, entity)
            self._derived(path, derived, types[derived.source], node)

    @staticmethod
    def _known(name: str, types: Mapping[str, Any], entity: type[Entity]) -> None:
        if name not in types:
            raise RuleError(f"rule {name!r}: {entity.__name__} has no such field ({', '.join(types)})")

    def _field(self, name: str, rule: FieldRule, python_type: Any, node: Node) -> None:
        if rule.kind == "unit":
            self._unit(name, rule, _Spot(self.tree, node))
            return
        if rule.keep is not None:
            self._leaf(rule.keep, name, None, python_type, _Spot(self.tree, node))
        self._leaf(rule.at, name, rule, python_type, _Spot(self.tree, node, kept=rule.keep is not None))
        for path in rule.also:
            other = TreeBuilder(self.shapes, node.type)
            self._leaf(path, name, rule, python_type, _Spot(other, other.root))
            self.also.append((name, other.root))

    def _leaf(self, path: str, name: str, rule: FieldRule | DerivedRule | None, python_type: Any, at: "_Spot") -> None:
        """One leaf; a Coding's code with its display beside it where the table has one."""
        coding = rule is not None and rule.kind == "coding"
        full = f"{path}.code" if coding else path
        place = at.tree.leaf(full, at.node)
        table = self._table(rule.codes) if rule is not None and rule.codes else {}
        binding = place.element.binding or (place.node.binding if place.json == "code" else None)
        if not table:
            codec = plain_codec(python_type, place.type, binding)
        elif at.kept:
            codec = one_way_codec(table)
        else:
            codec = table_codec(rule.codes if rule and rule.codes else "", table, python_type, binding)
        place.node.leaves.append(Leaf(place.json, place.type, name, full, codec, isinstance(rule, DerivedRule), at.kept))
        if coding and (displays := {e.split("|")[0]: e.split("|")[1] for e in table.values() if "|" in e}):
            shown = at.tree.leaf(f"{path}.display", at.node)
            shown.node.leaves.append(
                Leaf(shown.json, shown.type, name, path, display_codec(codec, displays), derived=True, kept=True, shown=True)
            )

    def _unit(self, name: str, rule: FieldRule, at: "_Spot") -> None:
        """A Quantity's unit as text, and UCUM's code and system beside it where UCUM has the unit."""
        units = unit_codec(self._table(rule.codes) if rule.codes else {})
        self._leaf(f"{rule.at}.unit", name, None, str, at)
        for element, codec, shown in (("code", units, False), ("system", unit_system_codec(units), True)):
            path = f"{rule.at}.{element}"
            place = at.tree.leaf(path, at.node)
            place.node.leaves.append(Leaf(place.json, place.type, name, path, codec, derived=shown, kept=True, shown=shown))

    def _table(self, name: str) -> CodeTable:
        if name not in self.rule_set.codes:
            raise RuleError(f"code table {name!r} is not in codes.yaml ({', '.join(sorted(self.rule_set.codes))})")
        return self.rule_set.codes[name]

    def _link(self, path: str, rule: LinkRule, types: Mapping[str, Any]) -> Link:
        if rule.to not in self.rule_set.entities:
            raise RuleError(f"link {path!r}: {rule.to!r} is no entity ({', '.join(self.rule_set.entities)})")
        target = self.rule_set.entities[rule.to]
        optional = {f.name for f in msgspec.structs.fields(self.entities[rule.to]) if not f.required}
        parts = []
        for part in target.key:
            name = rule.key.get(part, part)
            if name not in types:
                raise RuleError(f"link {path!r}: {rule.to} has {part!r} in its key, and {self.rules.entity} has no field {name!r}")
            parts.append((name, types[name], part in optional))
        return Link(path, rule.to, target.resource, system_of(rule.to), tuple(parts))

    def _each(self, name: str, rule: EachRule, member: type[Entity], node: Node) -> None:
        repeat = self.tree.repeat(rule.at, name, node)
        self.members[name] = member
        for path, value in rule.constants.items():
            self.tree.constant(path, value, repeat.node)
        self._section(rule, member, repeat.node)
        for path, value in rule.companions.items():
            self.tree.companion(path, value, repeat.node)
        self._absent(rule, repeat.node)

    def _absent(self, section: EntityRules | EachRule, node: Node) -> None:
        for path, code in section.absent.items():
            self.tree.absent(path, code, node)

    def _derived(self, path: str, rule: DerivedRule, python_type: Any, node: Node) -> None:
        if rule.kind == "id":
            place = self.tree.leaf(path, node)
            # the same text is the same id wherever it stands: a subject's arm leads to the study's
            make = lambda value: logical_id(system_of("name"), value)  # noqa: E731 - a codec is a pair of functions
            place.node.leaves.append(Leaf(place.json, place.type, rule.source, path, Codec(make, make), derived=True))
            return
        self._leaf(path, rule.source, rule, python_type, _Spot(self.tree, node, kept=rule.codes is not None))

    def _refuse_gaps(self) -> None:
        """A field that no rule writes and no `lossy` excuses would be lost in silence."""
        types = field_types(self.entity)
        linked = {part[0] for path, link in self.rules.links.items() for part in self._link(path, link, types).parts}
        keyed = set(self.rules.key) if self.rules.identifier else set()
        carried = set(self.rules.fields) | set(self.rules.each) | linked | keyed | set(self.rules.lossy)
        if gaps := [name for name in types if name not in carried]:
            raise RuleError(f"{self.rules.entity}: no rule writes {', '.join(gaps)}, and none is declared lossy")


@dataclass(frozen=True)
class _Spot:
    """Where a leaf goes: the tree, the node its path starts at, and whether the original is kept beside it."""

    tree: TreeBuilder
    node: Node
    kept: bool = False
