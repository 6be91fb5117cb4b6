"""Paths as plain Python statements: steps over structs, filtered by fixed text, where the whole of FHIRPath is not needed.

A path that is more than such steps has no chain, and is called as the closure that `fhirpath` compiled; the two agree on every resource.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from keyword import iskeyword

from fhir_trial.fhirpath import Field, Typed
from fhir_trial.fhirpath.kinds import STRINGS
from fhir_trial.fhirpath.nodes import Items
from fhir_trial.fhirpath.syntax import Binary, Call, Constant, Index, Literal, Member, Variable
from fhir_trial.frames.projection import Need, is_leaf
from fhir_trial.frames.source_text import SourceText

Condition = Callable[[str], str]
"""From the name of an item to the expression that is true where the item is wanted."""
_MOST_MANY = 3
"""Loops that one path may add to those of the view's rows."""
_ENDS = {"exists", "empty", "getReferenceKey", "getResourceKey"}


@dataclass(frozen=True)
class Step:
    """One member read, its items filtered, and perhaps only the first kept: then the loop around it `breaks`."""

    field: Field
    conditions: tuple[Condition, ...] = ()
    first: bool = False
    breaks: bool = False


@dataclass(frozen=True)
class Chain:
    """Steps from an item, and the function that ends the path, if one does."""

    steps: tuple[Step, ...]
    end: str = ""
    type_name: str = ""

    @property
    def many(self) -> bool:
        """Whether it can find several items."""
        many = False
        for step in self.steps:
            many = (many or step.field.many) and not step.first
        return many


def chain_of(typed: Typed, need: Need, constants: Mapping[str, Items]) -> Chain | None:
    """The path as a chain on items of which `need` is decoded, or None where it is more than that."""
    end = typed.node.name if isinstance(typed.node, Call) and typed.node.name in _ENDS and len(typed.parts) == 1 else ""
    found = Chaining(constants).steps(typed.parts[0] if end else typed)
    steps = None if found is None else _placed(found, need)
    if steps is None or (not steps and end != "getResourceKey"):
        return None
    last = steps[-1] if steps else None
    if last is not None and last.field.is_primitive and (end.startswith("get") or (last.field.many and (last.first or end))):
        # Primitives in a list have their extensions in a list beside them: the closure pairs them.
        return None
    return Chain(steps, end, typed.type_name)


def ask_for_siblings(chain: Chain, need: Need) -> None:
    """Need the sibling of the primitive at the chain's end, where one without a value counts."""
    if chain.steps and _reads_sibling(chain, chain.steps[-1]):
        inner_need(replace(chain, steps=chain.steps[:-1]), need).sibling(chain.steps[-1].field)


def _reads_sibling(chain: Chain, step: Step) -> bool:
    return step.field.is_primitive and not step.field.many and (step.breaks or chain.end in ("exists", "empty"))


def inner_need(chain: Chain, need: Need) -> Need:
    """What is needed of the items that the chain ends at."""
    for step in chain.steps:
        need = need.members[step.field.json]
    return need


def _placed(steps: tuple[Step, ...], need: Need) -> tuple[Step, ...] | None:
    """The steps with their breaks, where each reads from a struct and each `first` ends the innermost loop alone."""
    placed: list[Step] = []
    open_loops = 0
    for step in steps:
        if need.whole:
            return None
        open_loops += step.field.many
        if step.first and open_loops > 1:
            return None
        placed.append(replace(step, breaks=step.first and open_loops == 1))
        open_loops = 0 if step.first else open_loops
        need = need.members[step.field.json]
    return None if (need.whole and not is_leaf(need)) or sum(step.field.many for step in steps) > _MOST_MANY else tuple(placed)


@dataclass(frozen=True)
class Cell:
    """Where a path's value goes: the variable, the name of a converter or none, and the column's own name for messages."""

    variable: str
    convert: str
    collection: bool
    name: str


class Chaining:
    """Reads a typed tree as steps and conditions, as far as it is no more than these."""

    def __init__(self, constants: Mapping[str, Items]) -> None:
        """`constants` are the view's own, whose texts are fixed."""
        self.constants = constants

    def steps(self, typed: Typed) -> tuple[Step, ...] | None:
        """The steps of a path; None where it is more."""
        match typed.node:
            case Variable(name="$this"):
                return ()
            case Member() if len(typed.fields) == 1:
                before = self.steps(typed.parts[0])
                return None if before is None or (before and before[-1].field.is_primitive) else (*before, Step(typed.fields[0]))
            case Call(name="first") | Index(index=Literal(value=0)):
                before = self.steps(typed.parts[0])
                return (*before[:-1], replace(before[-1], first=True)) if before else before
            case Call(name="where"):
                return self._filtered(self.steps(typed.parts[0]), self.condition(typed.parts[1]))
            case Call(name="extension"):
                return self._extension(typed)
        return None

    def _filtered(self, steps: tuple[Step, ...] | None, condition: Condition | None) -> tuple[Step, ...] | None:
        if not steps or condition is None or steps[-1].first or steps[-1].field.is_primitive:
            return None
        return (*steps[:-1], replace(steps[-1], conditions=(*steps[-1].conditions, condition)))

    def _extension(self, typed: Typed) -> tuple[Step, ...] | None:
        before, url = self.steps(typed.parts[0]), self._fixed(typed.parts[1])
        if before is None or (before and before[-1].field.is_primitive) or url is None:
            return None
        return (*before, Step(Field("extension", "Extension", True), (lambda item: f"{item}.url == {url}",)))

    def condition(self, typed: Typed) -> Condition | None:
        """Equalities of single texts, joined by `and`; None for anything more."""
        if not isinstance(typed.node, Binary):
            return None
        if typed.node.operator == "and":
            one, other = (self.condition(part) for part in typed.parts)
            return (lambda item: f"{one(item)} and {other(item)}") if one and other else None
        if typed.node.operator != "=":
            return None
        return self._equality(*typed.parts) or self._equality(*reversed(typed.parts))

    def _equality(self, left: Typed, right: Typed) -> Condition | None:
        steps, fixed = self.steps(left), self._fixed(right)
        if steps is None or fixed is None or len(steps) != 1:
            return None
        field = steps[0].field
        if field.many or field.type not in STRINGS:
            return None
        return lambda item: f"{attribute(item, field.json)} == {fixed}"

    def _fixed(self, typed: Typed) -> str | None:
        """A text that is the same for every resource, as Python writes it."""
        if isinstance(typed.node, Literal) and isinstance(typed.node.value, str):
            return repr(typed.node.value)
        if isinstance(typed.node, Constant) and typed.kind.within(STRINGS) and typed.node.name in self.constants:
            return repr(self.constants[typed.node.name][0])
        return None


def attribute(owner: str, json: str) -> str:
    """The expression that reads a member of a struct.

    >>> attribute("item", "status"), attribute("item", "class")
    ('item.status', "getattr(item, 'class')")
    """
    return f"getattr({owner}, {json!r})" if iskeyword(json) else f"{owner}.{json}"


def write_chain(source: SourceText, chain: Chain, owner: str, found: Callable[[str], None]) -> None:
    """Statements that do what `found` writes, for each item of the chain."""
    if not chain.steps:
        found(owner)
        return
    step, rest = chain.steps[0], replace(chain, steps=chain.steps[1:])
    reads = attribute(owner, step.field.json)
    if step.field.is_primitive:
        _write_primitive(source, chain, owner, found)
        return
    item = source.name("t")
    test = " and ".join([f"{item} is not None", *(condition(item) for condition in step.conditions)])
    with ExitStack() as stack:
        if step.field.many:
            stack.enter_context(source.block(f"for {item} in {reads} or ():"))
        else:
            source.write(f"{item} = {reads}")
        stack.enter_context(source.block(f"if {test}:"))
        write_chain(source, rest, item, found)
        if step.breaks:
            source.write("break")


def _write_primitive(source: SourceText, chain: Chain, owner: str, found: Callable[[str], None]) -> None:
    """A primitive ends the chain; one without a value but with extensions is an item where items count or only the first is wanted."""
    step = chain.steps[0]
    item, reads = source.name("t"), attribute(owner, step.field.json)
    if step.field.many:
        with source.block(f"for {item} in {reads} or ():"), source.block(f"if {item} is not None:"):
            found(item)
        return
    source.write(f"{item} = {reads}")
    with source.block(f"if {item} is not None:"):
        found(item)
        if step.breaks:
            source.write("break")
    if _reads_sibling(chain, step):
        with source.block(f"elif {attribute(owner, '_' + step.field.json)} is not None:"):
            if chain.end:
                found(item)
            source.write("break" if step.breaks else "pass")


def write_cell(source: SourceText, chain: Chain, owner: str, cell: Cell) -> None:
    """Statements that put the value of a column, or of a condition, into `cell.variable`."""
    if len(chain.steps) == 1 and chain.steps[0].field.is_primitive and not (chain.many or chain.end or cell.convert or cell.collection):
        source.write(f"{cell.variable} = {attribute(owner, chain.steps[0].field.json)}")
        return
    start = {"exists": "False", "empty": "True"}.get(chain.end, "[]" if cell.collection else "None")
    source.write(f"{cell.variable} = {start}")

    def found(item: str) -> None:
        if chain.end in ("exists", "empty"):
            source.write(f"{cell.variable} = {chain.end == 'exists'}")
            return
        value = _value(source, chain, item)
        put = f"{cell.convert}({value})" if cell.convert else value
        with source.block(f"if {value} is not None:") if chain.end else nullcontext():
            _put(source, chain, cell, put)

    write_chain(source, chain, owner, found)
    if cell.collection and chain.end in ("exists", "empty"):
        source.write(f"{cell.variable} = [{cell.variable}]")


def _value(source: SourceText, chain: Chain, item: str) -> str:
    if not chain.end:
        return item
    key = source.name("key")
    if chain.end == "getResourceKey":
        source.write(f"{key} = {item}.id")
    else:
        source.write(f"{key} = reference_key({item}.reference, {item}.type, {chain.type_name or None!r})")
    return key


def _put(source: SourceText, chain: Chain, cell: Cell, value: str) -> None:
    if cell.collection:
        source.write(f"{cell.variable}.append({value})")
    elif not chain.many:
        source.write(f"{cell.variable} = {value}")
    else:
        with source.block(f"if {cell.variable} is not None:"):
            source.write(f"several({cell.name!r})")
        source.write(f"{cell.variable} = {value}")
