"""A typed tree to Python closures over decoded JSON or typed structs: built once, called for every item."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhir_trial.fhir.shapes import Shapes
from fhir_trial.fhirpath.boundaries import decimal_boundary, temporal_boundary
from fhir_trial.fhirpath.checker import STANDARD_TEXTS
from fhir_trial.fhirpath.each import EACH_RUNS
from fhir_trial.fhirpath.errors import Unanswerable
from fhir_trial.fhirpath.function_fhir import reference_key, resolved
from fhir_trial.fhirpath.functions import EACH, FUNCTIONS
from fhir_trial.fhirpath.kinds import TEMPORALS, Typed
from fhir_trial.fhirpath.nodes import Items, Run, Scope, read
from fhir_trial.fhirpath.operator_runs import binary_run
from fhir_trial.fhirpath.operators import as_moment, is_number, single
from fhir_trial.fhirpath.steps import children, descendants, field_reader, type_of, untyped_reader
from fhir_trial.fhirpath.syntax import Binary, Call, Constant, Index, Literal, Member, Negation, Quantity, TypeTest, Variable


def closure(typed: Typed, shapes: Shapes) -> Run:
    """The closure of a typed tree: from an item and its scope to the items found."""
    return _Closures(shapes).run(typed)


class _Closures:
    def __init__(self, shapes: Shapes) -> None:
        self.shapes = shapes

    def run(self, typed: Typed) -> Run:
        builder: Callable[[Typed], Run] = getattr(self, _BUILDERS[type(typed.node)])
        return builder(typed)

    def literal(self, typed: Typed) -> Run:
        assert isinstance(typed.node, Literal)
        items = [] if typed.node.value is None else [typed.node.value]
        return lambda this, scope: items

    def variable(self, typed: Typed) -> Run:
        assert isinstance(typed.node, Variable)
        return _VARIABLES[typed.node.name]

    def constant(self, typed: Typed) -> Run:
        assert isinstance(typed.node, Constant)
        name = typed.node.name
        if name in STANDARD_TEXTS:
            return lambda this, scope: [STANDARD_TEXTS[name]]
        if name.startswith("vs-"):
            return lambda this, scope: [f"http://hl7.org/fhir/ValueSet/{name[3:]}"]
        if name.startswith("ext-"):
            return lambda this, scope: [f"http://hl7.org/fhir/StructureDefinition/{name[4:]}"]
        if name in _SCOPE_CONSTANTS:
            return _SCOPE_CONSTANTS[name]
        return lambda this, scope: scope.variables.get(name, [])

    def member(self, typed: Typed) -> Run:
        assert isinstance(typed.node, Member)
        if typed.type_name:
            return self.of_type(typed)
        names_type = len(typed.fields) > 1
        readers = [field_reader(each, names_type) for each in typed.fields] or [untyped_reader(typed.node.name, self.shapes)]
        base = typed.parts[0]
        if len(readers) > 1:
            owners = self.run(base)
            return lambda this, scope: [item for owner in owners(this, scope) for reader in readers for item in reader(owner)]
        reader = readers[0]
        if isinstance(base.node, Variable) and base.node.name == "$this":
            return lambda this, scope: reader(this)
        owners = self.run(base)
        return lambda this, scope: [item for owner in owners(this, scope) for item in reader(owner)]

    def index(self, typed: Typed) -> Run:
        base, position = (self.run(part) for part in typed.parts)

        def at(this: Any, scope: Scope) -> Items:
            number = single(position(this, scope))
            return base(this, scope)[number : number + 1] if isinstance(number, int) and number >= 0 else []

        return at

    def negation(self, typed: Typed) -> Run:
        operand = self.run(typed.parts[0])

        def negative(this: Any, scope: Scope) -> Items:
            value = single(operand(this, scope))
            if isinstance(value, Quantity):
                return [Quantity(-value.value, value.unit)]
            if value is not None and not is_number(value):
                raise Unanswerable("a number expected")
            return [] if value is None else [-value]

        return negative

    def binary(self, typed: Typed) -> Run:
        assert isinstance(typed.node, Binary)
        left, right = (self.run(part) for part in typed.parts)
        return binary_run(typed.node.operator, left, right, any(part.kind.touches(TEMPORALS) for part in typed.parts))

    def type_test(self, typed: Typed) -> Run:
        assert isinstance(typed.node, TypeTest)
        return self.is_type(typed) if typed.node.operator == "is" else self.of_type(typed)

    def _typed_items(self, typed: Typed) -> tuple[Run, Callable[[Any], bool]]:
        """The operand of a type test, references resolved to what is known of their target, and the test of one item."""
        operand, wanted, shapes = typed.parts[0], typed.type_name, self.shapes
        kind = operand.kind
        is_resolved = isinstance(operand.node, Call) and operand.node.name == "resolve"
        run = self._resolve(operand) if is_resolved else self.run(operand)
        return run, lambda item: shapes.is_a(type_of(item, kind) or "", wanted)

    def is_type(self, typed: Typed) -> Run:
        operand, test = self._typed_items(typed)

        def is_type(this: Any, scope: Scope) -> Items:
            items = operand(this, scope)
            if len(items) > 1:
                raise Unanswerable(f"one item expected, {len(items)} found")
            return [test(item) for item in items]

        return is_type

    def of_type(self, typed: Typed) -> Run:
        operand, test = self._typed_items(typed)
        return lambda this, scope: [item for item in operand(this, scope) if test(item)]

    def call(self, typed: Typed) -> Run:
        assert isinstance(typed.node, Call)
        name = typed.node.name
        if special := _SPECIAL.get(name):
            builder: Callable[[Typed], Run] = getattr(self, special)
            return builder(typed)
        if name in EACH:
            return EACH_RUNS[name](typed, [self.run(part) for part in typed.parts])
        function = FUNCTIONS[name].run
        base, *arguments = (self.run(part) for part in typed.parts)
        if not arguments:
            return lambda this, scope: function(base(this, scope))
        return lambda this, scope: function(base(this, scope), *(argument(this, scope) for argument in arguments))

    def extension(self, typed: Typed) -> Run:
        base, url = (self.run(part) for part in typed.parts)

        def extension(this: Any, scope: Scope) -> Items:
            wanted = single(url(this, scope))
            return [found for owner in base(this, scope) for found in read(owner, "extension") or () if read(found, "url") == wanted]

        return extension

    def has_extension(self, typed: Typed) -> Run:
        found = self.extension(typed)
        return lambda this, scope: [bool(found(this, scope))]

    def reference_key(self, typed: Typed) -> Run:
        base, wanted = self.run(typed.parts[0]), typed.type_name or None

        def keys(this: Any, scope: Scope) -> Items:
            found = (reference_key(read(item, "reference"), read(item, "type"), wanted) for item in base(this, scope))
            return [key for key in found if key is not None]

        return keys

    def resolve(self, typed: Typed) -> Run:
        every = self._resolve(typed)
        return lambda this, scope: [item for item in every(this, scope) if item.value is not None]

    def _resolve(self, typed: Typed) -> Run:
        base = self.run(typed.parts[0])
        return lambda this, scope: resolved(base(this, scope), scope.resource)

    def children(self, typed: Typed) -> Run:
        base, kind, shapes = self.run(typed.parts[0]), typed.parts[0].kind, self.shapes
        return lambda this, scope: [child for item in base(this, scope) for child in children(item, type_of(item, kind), shapes)]

    def descendants(self, typed: Typed) -> Run:
        base, kind, shapes = self.run(typed.parts[0]), typed.parts[0].kind, self.shapes
        return lambda this, scope: descendants(base(this, scope), kind, shapes)

    def boundary(self, typed: Typed) -> Run:
        assert isinstance(typed.node, Call)
        base, *digits = (self.run(part) for part in typed.parts)
        kind, high = typed.parts[0].kind, typed.node.name == "highBoundary"

        def boundary(this: Any, scope: Scope) -> Items:
            items = base(this, scope)
            value = single(items)
            places = single(digits[0](this, scope)) if digits else None
            edge = None if value is None else _boundary(value, type_of(items[0], kind), high, places)
            return [] if edge is None else [edge]

        return boundary


def _boundary(value: Any, type_name: str | None, high: bool, digits: int | None) -> Any:
    if is_number(value):
        return decimal_boundary(Decimal(value), high, digits)
    if isinstance(value, dict) and is_number(value.get("value")):
        return {**value, "value": decimal_boundary(Decimal(value["value"]), high, digits)}
    moment = as_moment(value)
    if moment is None:
        raise Unanswerable("a number, date or time expected")
    kind = type_name if type_name in ("date", "time") else "dateTime" if type_name in TEMPORALS else moment.kind
    if (moment.kind == "time") != (kind == "time"):
        return None
    edge = temporal_boundary(moment, str(kind), high, digits)
    return str(edge) if edge is not None and isinstance(value, str) else edge


_SCOPE_CONSTANTS: dict[str, Run] = {
    "resource": lambda this, scope: [scope.resource],
    "rootResource": lambda this, scope: [scope.resource],
    "context": lambda this, scope: [scope.context],
}
_VARIABLES: dict[str, Run] = {
    "$this": lambda this, scope: [this],
    "$index": lambda this, scope: [scope.index],
    "$total": lambda this, scope: scope.total,
}
_BUILDERS: dict[type, str] = {
    Literal: "literal",
    Variable: "variable",
    Constant: "constant",
    Member: "member",
    Index: "index",
    Negation: "negation",
    Binary: "binary",
    TypeTest: "type_test",
    Call: "call",
}
_SPECIAL = {
    "ofType": "of_type",
    "as": "of_type",
    "is": "is_type",
    "getReferenceKey": "reference_key",
    "extension": "extension",
    "hasExtension": "has_extension",
    "resolve": "resolve",
    "children": "children",
    "descendants": "descendants",
    "lowBoundary": "boundary",
    "highBoundary": "boundary",
}
