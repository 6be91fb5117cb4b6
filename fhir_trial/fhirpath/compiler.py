"""A typed tree to Python closures over decoded JSON or typed structs: built once, called for every item."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from fhir_trial.fhir.shapes import Shapes
from fhir_trial.fhirpath import function_collections, function_fhir, function_numbers, function_strings  # noqa: F401  they enter themselves
from fhir_trial.fhirpath.boundaries import decimal_boundary, temporal_boundary
from fhir_trial.fhirpath.checker import STANDARD_TEXTS, check
from fhir_trial.fhirpath.each import EACH_RUNS
from fhir_trial.fhirpath.errors import FhirPathError, Unanswerable
from fhir_trial.fhirpath.function_fhir import reference_key, resolved
from fhir_trial.fhirpath.functions import EACH, FUNCTIONS
from fhir_trial.fhirpath.kinds import TEMPORALS, Kind, Typed
from fhir_trial.fhirpath.nodes import Items, Run, Scope, bare, read
from fhir_trial.fhirpath.operators import (
    as_moment,
    both,
    calculate,
    contains,
    differs,
    either,
    equals,
    equivalent,
    implied,
    is_number,
    joined,
    order,
    single,
    truth,
    unioned,
)
from fhir_trial.fhirpath.parser import parse
from fhir_trial.fhirpath.steps import children, descendants, field_reader, type_of, untyped_reader
from fhir_trial.fhirpath.syntax import Binary, Call, Constant, Index, Literal, Member, Negation, Path, Quantity, TypeTest, Variable
from fhir_trial.fhirpath.temporal import Temporal


@dataclass(frozen=True)
class CompiledPath:
    """An expression ready to run on items of its context type.

    Called with an item it gives the items found as plain JSON values: dict, list, str, `Decimal`, int, bool.
    """

    text: str
    typed: Typed = field(repr=False)
    run: Run = field(repr=False)

    @property
    def kind(self) -> Kind:
        """The types of what it finds, and whether it can find several."""
        return self.typed.kind

    def __call__(self, item: Any, resource: Any = None, variables: Mapping[str, Items] | None = None) -> Items:
        """The items found; `resource` is `%resource` where the item is only a part of it. Raises `FhirPathError`."""
        scope = Scope(item if resource is None else resource, item, variables or {})
        return [value for found in self.items(item, scope) if (value := plain(found)) is not None]

    def items(self, item: Any, scope: Scope) -> Items:
        """The items found, primitives still with their extensions."""
        try:
            return self.run(item, scope)
        except Unanswerable as error:
            raise FhirPathError(self.text, self.typed.node.position, "unanswerable-expression", str(error)) from None
        except RecursionError:
            raise FhirPathError(self.text, self.typed.node.position, "unanswerable-expression", "the data is nested too deeply") from None


def compile_path(
    expression: str | Path, shapes: Shapes, context: str | Kind, variables: Mapping[str, Kind] | None = None, root: str | None = None
) -> CompiledPath:
    """An expression checked on the version's shapes and ready to run on items of type `context`.

    `variables` are the kinds of its `%constants`, whose values each call gives; `root` is the type of `%resource` where that is another.
    Raises `FhirPathError`.

    >>> from fhir_trial.fhir.shapes import shapes
    >>> family = compile_path("name.where(use = 'official').family", shapes("r4"), "Patient")
    >>> family({"resourceType": "Patient", "name": [{"use": "official", "family": "Doe"}, {"family": "Roe"}]})
    ['Doe']
    >>> compile_path("name.famly", shapes("r4"), "Patient")
    Traceback (most recent call last):
    ...
    fhir_trial.fhirpath.errors.FhirPathError: HumanName has no element famly, at character 6 of `name.famly`; did you mean family?
    """
    path = parse(expression) if isinstance(expression, str) else expression
    return compile_typed(path, check(path, shapes, context, variables, root), shapes)


def compile_typed(path: Path, typed: Typed, shapes: Shapes) -> CompiledPath:
    """The closures of a tree that is typed already."""
    return CompiledPath(path.text, typed, _Compiler(shapes).run(typed))


def plain(item: Any) -> Any:
    """An item as a JSON value."""
    value = bare(item)
    if isinstance(value, Temporal):
        return str(value)
    return {"value": value.value, "unit": value.unit} if isinstance(value, Quantity) else value


class _Compiler:
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
        operator = typed.node.operator
        if operator in _LOGIC:
            return _logic(operator, left, right)
        if operator in _COMPARISONS:
            compare = _COMPARISONS[operator]
            temporal = any(part.kind.touches(TEMPORALS) for part in typed.parts)
            return lambda this, scope: compare(left(this, scope), right(this, scope), temporal)
        if operator in _JOINS:
            join = _JOINS[operator]
            return lambda this, scope: join(left(this, scope), right(this, scope))
        return lambda this, scope: calculate(operator, left(this, scope), right(this, scope))

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


def _answer(value: bool | None) -> Items:
    return [] if value is None else [value]


def _opposite(value: bool | None) -> Items:
    return [] if value is None else [not value]


def _ordered(test: Callable[[int], bool]) -> Callable[[Items, Items, bool], Items]:
    def compare(left: Items, right: Items, temporal: bool) -> Items:
        found = order(left, right, temporal)
        return [] if found is None else [test(found)]

    return compare


def _logic(operator: str, left: Run, right: Run) -> Run:
    combine, settled = _LOGIC[operator]

    def logic(this: Any, scope: Scope) -> Items:
        one = truth(left(this, scope))
        if one is settled:
            return [combine(one, None)]
        return _answer(combine(one, truth(right(this, scope))))

    return logic


_NEVER = object()
_LOGIC: dict[str, tuple[Callable[[bool | None, bool | None], bool | None], object]] = {
    "and": (both, False),
    "or": (either, True),
    "implies": (implied, False),
    "xor": (differs, _NEVER),
}
"""Each operator with the left side that settles it alone."""
_COMPARISONS: dict[str, Callable[[Items, Items, bool], Items]] = {
    "=": lambda a, b, temporal: _answer(equals(a, b, temporal)),
    "!=": lambda a, b, temporal: _opposite(equals(a, b, temporal)),
    "~": lambda a, b, temporal: [equivalent(a, b, temporal)],
    "!~": lambda a, b, temporal: [not equivalent(a, b, temporal)],
    "<": _ordered(lambda found: found < 0),
    "<=": _ordered(lambda found: found <= 0),
    ">": _ordered(lambda found: found > 0),
    ">=": _ordered(lambda found: found >= 0),
    "in": lambda a, b, temporal: _answer(contains(b, a, temporal)),
    "contains": lambda a, b, temporal: _answer(contains(a, b, temporal)),
}
_JOINS: dict[str, Callable[[Items, Items], Items]] = {"|": unioned, "&": joined}
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
