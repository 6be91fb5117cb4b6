"""Checkers of objects, compiled from the shapes: one a type, made when first needed and kept."""

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any

from fhir_trial.fhir.shapes import Element, Shapes, shapes
from fhir_trial.validate.bindings import bound, codes_text
from fhir_trial.validate.invariants import element_invariants, type_invariants
from fhir_trial.validate.primitives import BOUND_BY_THEIR_MOST, GRAMMARS, PRIMITIVES
from fhir_trial.validate.problems import Check, Context, Problem, Problems, context_of, problem, under
from fhir_trial.validate.references import aimed
from fhir_trial.validate.rules import RULES

_ABSTRACT_RESOURCES = ("Resource", "DomainResource")


def _accept(value: Any, context: Context) -> Problems:
    """Nothing to check here."""
    return None


def all_of(checks: tuple[Check, ...]) -> Check:
    """One check that runs several on the same value."""
    if len(checks) == 1:
        return checks[0]

    def check(value: Any, context: Context) -> Problems:
        problems: Problems = None
        for one in checks:
            found = one(value, context)
            if found is not None:
                problems = found if problems is None else problems + found
        return problems

    return check


def primitive(type_name: str, codes: frozenset[str] | None) -> Check:
    """The check of a primitive value, of its code too where a required binding is known."""
    rule = PRIMITIVES[type_name]
    accepts = rule.accepts

    def refuse(value: Any) -> list[Problem]:
        kinds = {"string": str, "boolean": bool}
        if value is None:
            return problem("null-value", rule.expected)
        if value == "":
            return problem("empty-string", rule.expected)
        is_kind = isinstance(value, kinds[rule.json]) if rule.json in kinds else not isinstance(value, str | bool | list | dict)
        return problem(f"invalid-{type_name}" if is_kind else "wrong-json-type", rule.expected if is_kind else f"a JSON {rule.json}", value)

    def check(value: Any, context: Context) -> Problems:
        return None if accepts(value) else refuse(value)

    def check_code(value: Any, context: Context) -> Problems:
        if type(value) is str and value in known:
            return None
        return refuse(value) if not accepts(value) else problem("unknown-code", codes_text(known), value)

    known = codes or frozenset()
    return check if codes is None else check_code


def spelled(element: Element) -> tuple[Check, ...]:
    """The check of a code whose required value set is a grammar; () where it is none."""
    url = element.binding_url or ""
    grammar = GRAMMARS.get(url) if element.strength == "required" or url in BOUND_BY_THEIR_MOST else None
    if grammar is None:
        return ()
    accepts, expected = grammar.accepts, grammar.expected
    return (lambda value, _: None if accepts(value) or not isinstance(value, str) else problem("unknown-code", expected, value),)


def many(one: Check) -> Check:
    """The check of an array whose items pass `one`."""

    def check(value: Any, context: Context) -> Problems:
        if type(value) is not list:
            return problem("not-an-array", "a JSON array: the element may repeat")
        if not value:
            return problem("empty-array", "at least one item, or no member")
        problems: Problems = None
        for index, item in enumerate(value):
            found = one(item, context)
            if found is not None:
                problems = (problems or []) + under(found, index, index)
        return problems

    return check


def single(one: Check) -> Check:
    """The check of a value that may not repeat."""

    def check(value: Any, context: Context) -> Problems:
        return one(value, context) if type(value) is not list else problem("not-repeatable", "one value: the element does not repeat")

    return check


def siblings(one: Check) -> Check:
    """The check of the array beside a repeating primitive: objects or null, not only nulls."""

    def check(value: Any, context: Context) -> Problems:
        if type(value) is not list:
            return problem("not-an-array", "a JSON array: the element may repeat")
        if not any(item is not None for item in value):
            return problem("empty-array", "at least one object")
        problems: Problems = None
        for index, item in enumerate(value):
            found = one(item, context) if item is not None else None
            if found is not None:
                problems = (problems or []) + under(found, index, index)
        return problems

    return check


class Compiler:
    """Makes and keeps the checkers of one FHIR version."""

    def __init__(self, version_shapes: Shapes) -> None:
        """Compile nothing yet."""
        self.shapes = version_shapes
        self._objects: dict[str, ObjectChecker] = {}

    def object(self, type_name: str) -> "ObjectChecker":
        """The checker of a resource, data type or backbone element."""
        if type_name not in self._objects:
            self._objects[type_name] = ObjectChecker(self, type_name)
        return self._objects[type_name]

    def resource(self, value: Any, context: Context) -> Problems:
        """Check any resource, within the context of what contains it."""
        if type(value) is not dict:
            return problem("not-an-object", "a resource")
        name = value.get("resourceType")
        if not isinstance(name, str) or name not in self.shapes.resource_types:
            code = "unknown-resource-type" if name is not None else "no-resource-type"
            return problem(code, f"a resource type of FHIR {self.shapes.number}", name)
        return self.object(name)(value, context)

    def root(self, value: Any, context: Context | None = None) -> Problems:
        """Check a resource that stands for itself: the outermost, or the one in a Bundle's entry or a parameter."""
        return self.resource(value, context_of(value, context)) if type(value) is dict else problem("not-an-object", "a resource", value)

    def value(self, element: Element, type_name: str) -> Check:
        """The check of one value of an element, of one of its types."""
        if type_name in _ABSTRACT_RESOURCES:
            # A contained resource shares its container's context, for `#id` leads to the container's others.
            return self.resource if element.name == "contained" else self.root
        if self.shapes.is_primitive(type_name):
            checks: tuple[Check, ...] = (primitive(type_name, element.binding), *spelled(element))
        else:
            checks = (self.object(type_name), *bound(element, type_name), *aimed(element, type_name, self.shapes))
        return all_of((*checks, *element_invariants(element, type_name, self.shapes)))

    def member(self, element: Element, type_name: str) -> Check:
        """The check of what stands under one JSON name of an element."""
        one = self.value(element, type_name)
        return many(one) if element.many else single(one)


class ObjectChecker:
    """The check of one type's JSON objects; what it needs is compiled on first use, as types refer to themselves."""

    def __init__(self, compiler: Compiler, type_name: str) -> None:
        """Compile nothing yet."""
        self._compiler = compiler
        self._name = type_name
        self._elements = compiler.shapes.elements(type_name)

    @cached_property
    def _members(self) -> Mapping[str, tuple[Check, str]]:
        """The check and the FHIRPath name of each JSON member, those of primitives' siblings (`_status`) too."""
        members: dict[str, tuple[Check, str]] = {}
        if self._compiler.shapes.kind(self._name) == "resource":
            members["resourceType"] = (_accept, "resourceType")
        for element in self._elements.values():
            for type_name, json_name in element.json_names.items():
                members[json_name] = (self._compiler.member(element, type_name), element.name)
                if self._compiler.shapes.is_primitive(type_name):
                    extended = self._compiler.object("Element")
                    members[f"_{json_name}"] = (siblings(extended) if element.many else single(extended), element.name)
        return members

    @cached_property
    def _required(self) -> tuple[tuple[str, frozenset[str]], ...]:
        """Each element that must be there with the JSON names that will do."""
        return tuple((e.name, self._names(e)) for e in self._elements.values() if e.min > 0)

    @cached_property
    def _choices(self) -> tuple[tuple[str, frozenset[str]], ...]:
        """Each choice element with its JSON names."""
        return tuple((e.name, frozenset(e.json_names.values())) for e in self._elements.values() if e.is_choice)

    @cached_property
    def _rules(self) -> tuple[Check, ...]:
        """HL7's invariants of the type, and our rules."""
        return (*type_invariants(self._name, self._compiler.shapes), *RULES.get(self._name, ()))

    @staticmethod
    def _names(element: Element) -> frozenset[str]:
        """The JSON names under which an element counts as present, siblings too."""
        return frozenset(name for json_name in element.json_names.values() for name in (json_name, f"_{json_name}"))

    def __call__(self, value: Any, context: Context) -> Problems:
        """Check one object."""
        if type(value) is not dict:
            return problem("not-an-object" if value is not None else "null-value", f"a JSON object ({self._name})", value)
        if not value:
            return problem("empty-object", "at least one member, or no object")
        problems = self._check_members(value, context)
        for name, names in self._required:
            if names.isdisjoint(value):
                problems += under(problem("missing-element", "at least one value"), name, name)
        for name, names in self._choices:
            if len(given := names & value.keys()) > 1:
                problems += under(problem("more-than-one-choice", "one of " + ", ".join(sorted(given))), min(given), name)
        for rule in self._rules:
            found = rule(value, context)
            if found is not None:
                problems += found
        return problems or None

    def _check_members(self, value: dict[str, Any], context: Context) -> list[Problem]:
        """The problems of the members, each by itself."""
        problems: list[Problem] = []
        members = self._members
        for name, inner in value.items():
            member = members.get(name)
            if member is None:
                problems += self._unknown(name)
                continue
            found = member[0](inner, context)
            if found is not None:
                problems += under(self._allowed_nulls_removed(found, name, value), name, member[1])
        return problems

    def _unknown(self, name: str) -> list[Problem]:
        """A member that the type does not have."""
        suggestion = self._compiler.shapes.suggest(self._name, name)
        expected = f"an element of {self._name}" + (f"; did you mean {suggestion}?" if suggestion else "")
        return under(problem("unknown-element", expected), name, name)

    @staticmethod
    def _allowed_nulls_removed(problems: list[Problem], name: str, value: dict[str, Any]) -> list[Problem]:
        """Problems without the nulls of a primitive array that an extension at the same index stands for."""
        beside = value.get(f"_{name}")
        if not isinstance(beside, list):
            return problems

        def is_allowed(p: Problem) -> bool:
            index = p.json_path[0] if p.code == "null-value" and len(p.json_path) == 1 else None
            return isinstance(index, int) and index < len(beside) and beside[index] is not None

        return [p for p in problems if not is_allowed(p)]


@lru_cache
def compiler(fhir: str) -> Compiler:
    """The compiler of a FHIR version by name; its checkers are kept for the process."""
    return Compiler(shapes(fhir))
