"""The syntax tree of FHIRPath: one frozen class a construct, each with the 0-based position where it stands."""

from dataclasses import dataclass
from decimal import Decimal

from fhir_trial.fhirpath.temporal import Temporal


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity literal: `4 'mg'` or `3 days` (calendar units keep their word, in the singular)."""

    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant in the text; `value` None is the empty collection `{}`."""

    value: str | int | Decimal | bool | Temporal | Quantity | None
    type: str
    position: int


@dataclass(frozen=True, slots=True)
class Variable:
    """`$this`, `$index` or `$total`."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Constant:
    """An external constant, `%name`."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Member:
    """A step to an element: `base.name`, or `name` alone on the context."""

    base: "Expr | None"
    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function call: `base.name(arguments)`."""

    base: "Expr | None"
    name: str
    arguments: "tuple[Expr, ...]"
    position: int


@dataclass(frozen=True, slots=True)
class Index:
    """One item by its 0-based position: `base[index]`."""

    base: "Expr"
    index: "Expr"
    position: int


@dataclass(frozen=True, slots=True)
class Negation:
    """Unary minus."""

    operand: "Expr"
    position: int


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two expressions."""

    operator: str
    left: "Expr"
    right: "Expr"
    position: int


@dataclass(frozen=True, slots=True)
class TypeTest:
    """`operand is Type` (a boolean) or `operand as Type` (those items that are of the type)."""

    operator: str
    operand: "Expr"
    type_name: str
    position: int


Expr = Literal | Variable | Constant | Member | Call | Index | Negation | Binary | TypeTest


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed expression with the text it came from."""

    text: str
    root: Expr
