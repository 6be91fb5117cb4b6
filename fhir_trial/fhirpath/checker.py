"""The typing pass: every step checked against a FHIR version's shapes, and given its kind."""

from collections.abc import Mapping
from difflib import get_close_matches

from fhir_trial.fhir.shapes import Shapes
from fhir_trial.fhirpath.errors import FhirPathError
from fhir_trial.fhirpath.functions import EACH, FUNCTIONS, REFUSED, SPECIAL, TYPED, Function
from fhir_trial.fhirpath.kinds import ANY_RESOURCE, NUMBERS, PRIMITIVES, STRINGS, TEMPORALS, Field, Kind, Typed, plain_type, union
from fhir_trial.fhirpath.syntax import Binary, Call, Constant, Expr, Index, Literal, Member, Negation, Path, TypeTest, Variable

BOOLEAN = Kind(("boolean",))
STANDARD_TEXTS = {"ucum": "http://unitsofmeasure.org", "sct": "http://snomed.info/sct", "loinc": "http://loinc.org"}
_RESOURCE_CONSTANTS = ("resource", "rootResource")
_ORDER = frozenset({"<", "<=", ">", ">="})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "div", "mod"})
_FAMILIES = (NUMBERS | {"Quantity"}, STRINGS | TEMPORALS, frozenset({"boolean"}))


def check(path: Path, shapes: Shapes, context: str | Kind, variables: Mapping[str, Kind] | None = None, root: str | None = None) -> Typed:
    """The typed tree of an expression on items of type (or of one of the types of) `context`.

    `variables` are the kinds of its `%constants`; `root` is the type of `%resource` where that is not the context. Raises `FhirPathError`
    with the place of the first element, type, function or constant that the version does not know, and what it may have been meant to be.
    """
    kind = Kind((context,)) if isinstance(context, str) else context
    root = root or "".join(kind.types[:1])
    try:
        return _Checker(path.text, shapes, root, {"context": kind, **(variables or {})}).visit(path.root, kind)
    except RecursionError:
        raise FhirPathError(path.text, 0, "unreadable-expression", "too many steps or operators in a row") from None


class _Checker:
    def __init__(self, text: str, shapes: Shapes, root: str, variables: Mapping[str, Kind]) -> None:
        self.text = text
        self.shapes = shapes
        self.root = root
        self.variables = variables

    def fail(self, node: Expr, code: str, problem: str, suggestion: str | None = None) -> FhirPathError:
        return FhirPathError(self.text, node.position, code, problem, suggestion)

    def visit(self, node: Expr, context: Kind) -> Typed:
        match node:
            case Member():
                return self.member(node, context)
            case Binary():
                return self.binary(node, context)
            case Call():
                return self.call(node, context)
            case TypeTest():
                return self.of_type(node, node.operator, self.visit(node.operand, context), node.type_name)
            case Index():
                base = self.visit(node.base, context)
                return Typed(node, base.kind.one(), (base, self.visit(node.index, context)))
        return self.leaf(node, context)

    def leaf(self, node: Literal | Variable | Constant | Negation, context: Kind) -> Typed:
        match node:
            case Literal():
                return Typed(node, Kind((node.type,) if node.type else ()))
            case Variable():
                return Typed(node, {"$this": context.one(), "$index": Kind(("integer",))}.get(node.name, Kind((), True)))
            case Constant():
                return Typed(node, self.constant(node))
            case Negation():
                operand = self.visit(node.operand, context)
                return Typed(node, operand.kind, (operand,))

    def constant(self, node: Constant) -> Kind:
        if node.name in self.variables:
            return self.variables[node.name]
        if node.name in _RESOURCE_CONSTANTS:
            return Kind((self.root,) if self.root in self.shapes.resource_types else ())
        if node.name in STANDARD_TEXTS or node.name.startswith(("vs-", "ext-")):
            return Kind(("string",))
        close = get_close_matches(node.name, [*self.variables, *_RESOURCE_CONSTANTS], n=1)
        raise self.fail(node, "unknown-constant", f"no constant %{node.name} is defined", f"%{close[0]}" if close else None)

    def member(self, node: Member, context: Kind) -> Typed:
        if node.base is None and self._names_type(node.name, context):
            return Typed(node, Kind((node.name,)), (Typed(Variable("$this", node.position), context.one()),), type_name=node.name)
        base = self.visit(node.base, context) if node.base is not None else Typed(Variable("$this", node.position), context.one())
        if node.name == "value" and base.kind.within(PRIMITIVES):
            return Typed(Call(node.base, "getValue", (), node.position), base.kind.one(), (base,))
        fields = [field for name in base.kind.types for field in self._fields(node, name, base)]
        if not base.kind.types or (not fields and base.kind.touches(ANY_RESOURCE)):
            return Typed(node, Kind((), True), (base,))
        if not fields:
            raise self.unknown_element(node, base.kind)
        many = base.kind.many or any(field.many for field in fields)
        return Typed(node, Kind(tuple(dict.fromkeys(field.type for field in fields)), many), (base,), tuple(dict.fromkeys(fields)))

    def _names_type(self, name: str, context: Kind) -> bool:
        return name[:1].isupper() and (name in self.shapes.resource_types or name in ANY_RESOURCE or name in context.types)

    def _fields(self, node: Member, type_name: str, base: Typed) -> list[Field]:
        element = self.shapes.element(type_name, node.name)
        if element is None:
            return []
        if element.is_choice and node.name != element.name:
            written = element.types_as(node.name)[0]
            raise self.fail(node, "unknown-element", f"{node.name} is the JSON name of a choice", f"{element.name}.ofType({written})")
        return [Field(element.json_names[name], name, element.many) for name in element.types]

    def unknown_element(self, node: Member, owner: Kind) -> FhirPathError:
        names = " or ".join(owner.types)
        suggestion = next((found for name in owner.types if (found := self.shapes.suggest(name, node.name))), None)
        return self.fail(node, "unknown-element", f"{names} has no element {node.name}", suggestion)

    def binary(self, node: Binary, context: Kind) -> Typed:
        left, right = self.visit(node.left, context), self.visit(node.right, context)
        if node.operator in _ORDER | {"=", "~", "!=", "!~"}:
            self._comparable(node, left.kind, right.kind)
        if node.operator == "|":
            return Typed(node, union(left.kind, right.kind).several(), (left, right))
        if node.operator in _ARITHMETIC:
            return Typed(node, self._sum(node.operator, left.kind, right.kind), (left, right))
        return Typed(node, Kind(("string",)) if node.operator == "&" else BOOLEAN, (left, right))

    def _comparable(self, node: Binary, left: Kind, right: Kind) -> None:
        families = [next((f for f in _FAMILIES if kind.within(f)), None) for kind in (left, right)]
        primitive = left.within(PRIMITIVES) and right.within(PRIMITIVES)
        if primitive and None not in families and families[0] is not families[1]:
            raise self.fail(node, "incomparable-types", f"{_words(left)} '{node.operator}' {_words(right)} can never be answered")

    @staticmethod
    def _sum(operator: str, left: Kind, right: Kind) -> Kind:
        if left.within(NUMBERS) and right.within(NUMBERS):
            exact = operator == "/" or "decimal" in left.types or "decimal" in right.types
            return Kind(("integer",) if operator == "div" or not exact else ("decimal",))
        if left.within(STRINGS | TEMPORALS) or left.types == ("Quantity",):
            return left.one()
        return Kind()

    def call(self, node: Call, context: Kind) -> Typed:
        base = self.visit(node.base, context) if node.base is not None else Typed(Variable("$this", node.position), context.one())
        self._keyed(node, base.kind)
        if node.name in TYPED:
            self._arity(node, TYPED[node.name])
            return self.typed_call(node, base)
        if node.name in EACH:
            self._arity(node, EACH[node.name])
            parts = self._each_parts(node, base, context)
            return Typed(node, self._result(EACH[node.name], base.kind, parts[1:]), parts)
        entry = SPECIAL.get(node.name) or FUNCTIONS.get(node.name)
        if entry is None:
            raise self._unknown_function(node)
        self._arity(node, entry)
        parts = (base, *(self.visit(argument, context) for argument in node.arguments))
        return Typed(node, self._result(entry, base.kind, parts[1:]), parts)

    def _keyed(self, node: Call, base: Kind) -> None:
        """The functions that make keys of resources and References are asked of nothing else: they would find nothing, and say nothing."""
        known = {"getResourceKey": {*self.shapes.resource_types, *ANY_RESOURCE}, "getReferenceKey": {"Reference"}}.get(node.name)
        if known is not None and base.types and known.isdisjoint(base.types):
            wanted = "resource" if node.name == "getResourceKey" else "Reference"
            raise self.fail(node, "impossible-type", f"this is {_words(base)}, and {node.name}() is for a {wanted}")

    def _each_parts(self, node: Call, base: Typed, context: Kind) -> tuple[Typed, ...]:
        if node.name == "iif":
            condition, *branches = node.arguments
            own = base.kind if node.base is not None else context
            return (base, self.visit(condition, own.one()), *(self.visit(branch, own.one()) for branch in branches))
        if node.name in ("repeat", "repeatAll"):
            return (base, self._repeated(node, base.kind))
        return (base, *(self.visit(argument, base.kind.one()) for argument in node.arguments))

    def _repeated(self, node: Call, start: Kind) -> Typed:
        """The argument of `repeat` is evaluated on its own results too: type it until no new type appears."""
        reached = start
        while True:
            step = self.visit(node.arguments[0], reached.one())
            if not step.kind.types or set(step.kind.types) <= set(reached.types):
                return step
            reached = union(reached, step.kind)

    def _result(self, entry: Function, base: Kind, arguments: tuple[Typed, ...]) -> Kind:
        many = base.many or entry.many
        match entry.result:
            case "items":
                return union(base, *(part.kind for part in arguments)).several() if entry.many else base
            case "item":
                return base.one()
            case "any":
                return Kind((), True)
            case "argument":
                return union(*(part.kind for part in arguments[-1:])).several(many)
            case "branches":
                return union(*(part.kind for part in arguments[1:]))
            case _:
                return Kind((entry.result,), entry.many)

    def _arity(self, node: Call, entry: Function) -> None:
        given = len(node.arguments)
        if not entry.least <= given <= entry.most:
            wanted = str(entry.least) if entry.least == entry.most else f"{entry.least} to {entry.most}"
            raise self.fail(node, "wrong-arguments", f"{node.name}() takes {wanted} arguments, {given} given")

    def _unknown_function(self, node: Call) -> FhirPathError:
        if node.name in REFUSED:
            return self.fail(node, "refused-function", f"{node.name}() is not answered here: {REFUSED[node.name]}")
        known = [*FUNCTIONS, *EACH, *TYPED, *SPECIAL]
        same = [name for name in known if name.lower() == node.name.lower()] or get_close_matches(node.name, known, n=1)
        return self.fail(node, "unknown-function", f"there is no function {node.name}()", f"{same[0]}()" if same else None)

    def typed_call(self, node: Call, base: Typed) -> Typed:
        if not node.arguments:
            return Typed(node, Kind(("string",), base.kind.many), (base,))
        name = _dotted(node.arguments[0])
        if name is None:
            raise self.fail(node.arguments[0], "unknown-type", f"{node.name}() takes the name of a type")
        self._known_type(node.arguments[0], plain_type(name))
        if node.name == "getReferenceKey":
            return Typed(node, Kind(("string",), base.kind.many), (base,), type_name=plain_type(name))
        return self.of_type(node, "is" if node.name == "is" else "as", base, name)

    def of_type(self, node: Expr, operator: str, operand: Typed, type_name: str) -> Typed:
        wanted = plain_type(type_name)
        self._known_type(node, wanted)
        possible = self._possible(operand.kind, wanted)
        if possible == ():
            near = get_close_matches(wanted, operand.kind.types, n=1)
            raise self.fail(node, "impossible-type", f"this is {_words(operand.kind)}, never {wanted}", near[0] if near else None)
        if operator == "is":
            return Typed(node, BOOLEAN, (operand,), type_name=wanted)
        kind = Kind(possible or (wanted,), operand.kind.many)
        if isinstance(operand.node, Member) and operand.fields:
            # A choice that has the type itself is read under this type's JSON name alone, as SQL on FHIR has it.
            kind = Kind((wanted,), kind.many) if wanted in kind.types else kind
            fields = tuple(field for field in operand.fields if field.type in kind.types)
            return Typed(operand.node, kind, operand.parts, fields)
        return Typed(node, kind, (operand,), type_name=wanted)

    def _possible(self, kind: Kind, wanted: str) -> tuple[str, ...] | None:
        """The types of the kind that are the wanted one; None where only the data can say."""
        if not kind.types or kind.touches(ANY_RESOURCE) or wanted in ("Element", "BackboneElement", *ANY_RESOURCE):
            return None
        if exact := tuple(name for name in kind.types if self.shapes.is_a(name, wanted)):
            return exact
        return None if any(self.shapes.is_a(wanted, name) for name in kind.types) else ()

    def _known_type(self, node: Expr, name: str) -> None:
        if name not in self.shapes.types:
            close = get_close_matches(name, self.shapes.types, n=1)
            raise self.fail(node, "unknown-type", f"FHIR {self.shapes.number} has no type {name}", close[0] if close else None)


def _dotted(node: Expr) -> str | None:
    if not isinstance(node, Member):
        return None
    if node.base is None:
        return node.name
    start = _dotted(node.base)
    return None if start is None else f"{start}.{node.name}"


def _words(kind: Kind) -> str:
    return " or ".join(kind.types[:4]) + (" ..." if len(kind.types) > 4 else "")
