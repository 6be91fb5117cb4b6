"""The reversible path language: members, `where`, `single`, `ofType` and `extension`, a strict subset of FHIRPath.

path   := step ("." step)*
step   := name | "where(" cond ("and" cond)* ")" | "single()" | "ofType(" Type ")" | "extension('" url "')"
cond   := path "=" literal          literal := 'text' | true | false | integer
"""

import re
from dataclasses import dataclass

from fhir_trial.mapping.errors import RuleError

Literal = str | bool | int


@dataclass(frozen=True, slots=True)
class Condition:
    """`path = value`, one condition of a `where`."""

    path: tuple["Step", ...]
    value: Literal


@dataclass(frozen=True, slots=True)
class Step:
    """One element of a path: its FHIRPath name, the type chosen of a choice, and the filter on its items."""

    name: str
    type: str | None = None
    where: tuple[Condition, ...] = ()
    single: bool = False
    """Whether a list has this one item and no other."""


_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<int>-?\d+)|(?P<word>[A-Za-z_]\w*)|(?P<sign>[().=]))")


class _Parser:
    """Recursive descent over the tokens of one path."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise RuleError(f"path {text!r}: cannot be read at {text[at:]!r}")
            at = match.end()
            kind = match.lastgroup or ""
            self.tokens.append((kind, match[kind]))
        self.at = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self, *expected: str) -> str:
        kind, value = self.peek()
        if expected and kind not in expected and value not in expected:
            raise RuleError(f"path {self.text!r}: found {value or 'the end'!r}, expected {' or '.join(expected)}")
        self.at += 1
        return value

    def path(self) -> tuple[Step, ...]:
        steps: list[Step] = []
        while True:
            self.step(steps)
            if self.peek()[1] != ".":
                return tuple(steps)
            self.take(".")

    def step(self, steps: list[Step]) -> None:
        name = self.take("word")
        if self.peek()[1] != "(":
            steps.append(Step(name))
            return
        self.take("(")
        if name == "extension":
            url = _unquote(self.take("text"))
            steps.append(Step("extension", where=(Condition((Step("url"),), url),)))
        elif name in ("where", "ofType", "single") and not steps:
            raise RuleError(f"path {self.text!r}: {name}() needs an element before it")
        elif name == "ofType":
            steps[-1] = Step(steps[-1].name, type=self.take("word"))
        elif name == "where":
            last = steps[-1]
            steps[-1] = Step(last.name, last.type, (*last.where, *self.conditions()), last.single)
        elif name == "single":
            steps[-1] = Step(steps[-1].name, steps[-1].type, steps[-1].where, single=True)
        else:
            raise RuleError(f"path {self.text!r}: {name}() cannot be reversed; use members, where, single, ofType and extension")
        self.take(")")

    def conditions(self) -> tuple[Condition, ...]:
        found = [self.condition()]
        while self.peek()[1] == "and":
            self.take("and")
            found.append(self.condition())
        return tuple(found)

    def condition(self) -> Condition:
        path = self.path()
        self.take("=")
        kind, value = self.peek()
        self.take("text", "int", "true", "false")
        if kind == "text":
            return Condition(path, _unquote(value))
        return Condition(path, int(value) if kind == "int" else value == "true")


def _unquote(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1])


def parse_path(text: str) -> tuple[Step, ...]:
    """The steps of a path; `RuleError` says where it cannot be read.

    >>> [s.name for s in parse_path("code.coding.where(system='http://loinc.org').code")]
    ['code', 'coding', 'code']
    >>> parse_path("value.ofType(integer)")
    (Step(name='value', type='integer', where=(), single=False),)
    >>> parse_path("value.first()")
    Traceback (most recent call last):
    ...
    fhir_trial.mapping.errors.RuleError: path 'value.first()': first() cannot be reversed; use members, where, single, ofType and extension
    """
    parser = _Parser(text)
    steps = parser.path()
    if parser.at != len(parser.tokens):
        raise RuleError(f"path {text!r}: cannot be read from {parser.peek()[1]!r}")
    return steps
