"""Tokens to the syntax tree, by precedence climbing (FHIRPath N1, section 6.8)."""

from collections.abc import Callable
from decimal import Decimal

from fhir_trial.fhirpath.errors import FhirPathError
from fhir_trial.fhirpath.syntax import Binary, Call, Constant, Expr, Index, Literal, Member, Negation, Path, Quantity, TypeTest, Variable
from fhir_trial.fhirpath.temporal import CALENDAR_UNITS, Temporal, parse_temporal
from fhir_trial.fhirpath.tokens import Token, tokens

_LEVELS = (
    ("implies",),
    ("or", "xor"),
    ("and",),
    ("in", "contains"),
    ("=", "~", "!=", "!~"),
    ("<=", "<", ">", ">="),
    ("|",),
    ("is", "as"),
    ("+", "-", "&"),
    ("*", "/", "div", "mod"),
)
_BINDS = {operator: strength for strength, level in enumerate(_LEVELS) for operator in level}
_TYPE_LEVEL = _BINDS["is"]
_MAX_DEPTH = 100
"""Nesting that no real expression has; beyond it Python's own stack would end the program."""


def parse(text: str) -> Path:
    """The syntax tree of an expression; raises `FhirPathError` with the position of what is wrong.

    >>> parse("name.where(use = 'official').family").root.name
    'family'
    >>> parse("name..family")
    Traceback (most recent call last):
    ...
    fhir_trial.fhirpath.errors.FhirPathError: expected the name of an element or function, found '.', at character 6 of `name..family`
    """
    parser = _Parser(text)
    root = parser.expression(0)
    parser.expect("end")
    return Path(text, root)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = list(tokens(text))
        self._at = 0
        self._depth = 0

    @property
    def now(self) -> Token:
        return self._tokens[self._at]

    def take(self) -> Token:
        token = self.now
        self._at += 1
        return token

    def is_sign(self, *signs: str) -> bool:
        return self.now.kind == "sign" and self.now.text in signs

    def fail(self, expected: str) -> FhirPathError:
        found = "the end" if self.now.kind == "end" else repr(self.now.text)
        return FhirPathError(self.text, self.now.position, "unreadable-expression", f"expected {expected}, found {found}")

    def expect(self, what: str) -> Token:
        if what == self.now.kind == "end" or self.is_sign(what):
            return self._tokens[self._at] if what == "end" else self.take()
        raise self.fail("an operator or the end" if what == "end" else repr(what))

    def expression(self, weakest: int) -> Expr:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise FhirPathError(self.text, self.now.position, "unreadable-expression", "nested too deeply")
        left = self.signed()
        while self.now.kind in ("word", "sign") and (strength := _BINDS.get(self.now.text, -1)) >= weakest:
            operator = self.take()
            if strength == _TYPE_LEVEL:
                left = TypeTest(operator.text, left, self.type_name(), operator.position)
            else:
                left = Binary(operator.text, left, self.expression(strength + 1), operator.position)
        self._depth -= 1
        return left

    def signed(self) -> Expr:
        signs = []
        while self.is_sign("+", "-"):
            signs.append(self.take())
        operand = self.steps()
        for sign in reversed(signs):
            operand = Negation(operand, sign.position) if sign.text == "-" else operand
        return operand

    def steps(self) -> Expr:
        step = self.term()
        while self.is_sign(".", "["):
            sign = self.take()
            if sign.text == ".":
                step = self.invocation(step)
            else:
                step = Index(step, self.expression(0), sign.position)
                self.expect("]")
        return step

    def term(self) -> Expr:
        token = self.now
        if self.is_sign("("):
            self.take()
            inner = self.expression(0)
            self.expect(")")
            return inner
        if self.is_sign("{"):
            self.take()
            self.expect("}")
            return Literal(None, "", token.position)
        literal = _LITERALS.get(token.kind)
        if literal is not None:
            self.take()
            return literal(self, token)
        if token.kind == "word" and token.text in ("true", "false"):
            self.take()
            return Literal(token.text == "true", "boolean", token.position)
        return self.invocation(None)

    def invocation(self, base: Expr | None) -> Expr:
        token = self.now
        if token.kind == "variable" and token.text in ("$this", "$index", "$total") and base is None:
            self.take()
            return Variable(token.text, token.position)
        if token.kind not in ("word", "name"):
            raise self.fail("the name of an element or function")
        self.take()
        if self.is_sign("("):
            return Call(base, token.text, self.arguments(), token.position)
        return Member(base, token.text, token.position)

    def arguments(self) -> tuple[Expr, ...]:
        self.expect("(")
        found: list[Expr] = []
        while not self.is_sign(")"):
            if found:
                self.expect(",")
            found.append(self.expression(0))
        self.expect(")")
        return tuple(found)

    def type_name(self) -> str:
        parts = [self._word()]
        while self.is_sign("."):
            self.take()
            parts.append(self._word())
        return ".".join(parts)

    def _word(self) -> str:
        if self.now.kind not in ("word", "name"):
            raise self.fail("the name of a type")
        return self.take().text

    def number(self, token: Token) -> Expr:
        exact = Decimal(token.text)
        if self.now.kind == "string":
            return Literal(Quantity(exact, self.take().text), "Quantity", token.position)
        if self.now.kind == "word" and self.now.text in CALENDAR_UNITS:
            return Literal(Quantity(exact, CALENDAR_UNITS[self.take().text]), "Quantity", token.position)
        return Literal(exact, "decimal", token.position) if "." in token.text else Literal(int(token.text), "integer", token.position)

    def temporal(self, token: Token) -> Expr:
        moment: Temporal | None = parse_temporal(token.text[1:])
        if moment is None:
            raise FhirPathError(self.text, token.position, "unreadable-expression", f"{token.text} is not a date or time")
        return Literal(moment, moment.kind, token.position)


_LITERALS: dict[str, Callable[[_Parser, Token], Expr]] = {
    "string": lambda _, token: Literal(token.text, "string", token.position),
    "constant": lambda _, token: Constant(token.text, token.position),
    "number": _Parser.number,
    "temporal": _Parser.temporal,
}
