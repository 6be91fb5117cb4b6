"""A view's loop as Python source, written once and compiled: nested loops for what repeats, one append a column and row.

A union (and a `forEachOrNull`) first gathers its rows, so what follows it is written once however many branches it has.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fhir_trial.errors import Finding
from fhir_trial.fhir.shapes import shapes
from fhir_trial.fhirpath import CompiledPath, FhirPathError, Path, Typed, compile_typed
from fhir_trial.fhirpath.errors import Unanswerable
from fhir_trial.fhirpath.function_fhir import reference_key
from fhir_trial.fhirpath.nodes import Scope, read
from fhir_trial.fhirpath.syntax import Binary, Constant
from fhir_trial.frames.columns import converter
from fhir_trial.frames.definition import ViewError
from fhir_trial.frames.inline import Cell, Chain, Chaining, ask_for_siblings, chain_of, inner_need, write_cell, write_chain
from fhir_trial.frames.projection import Need, Walker
from fhir_trial.frames.source_text import SourceText
from fhir_trial.frames.values import checked, many_values, one_value, repeated, several
from fhir_trial.frames.view import Column, Each, Select, View

Program = Callable[[Sequence[Any], Sequence[list[Any]]], tuple[list[tuple[int, Exception]], list[int]]]
"""Appends the rows of resources to one list a column. Gives the failures as (index of the resource, why), whose rows are left out, and the
indexes of what is a Bundle or has no type at all."""

_MOST_LOOPS = 16
"""Python allows 20 nested blocks in a function, of which the loop and `try` around a resource are two."""
RAISED = (Unanswerable, FhirPathError, ValueError, TypeError, ArithmeticError, AttributeError, RecursionError)
"""What a resource of an unexpected shape can make a path raise: it becomes a finding, and the other resources go on."""


@dataclass(frozen=True)
class _Context:
    """The names of the item that a select's paths start from, its scope and its index, and what is needed of it.

    `need` stands where the item is a struct that statements can read, `focus` whatever it is.
    """

    item: str
    scope: str
    index: str
    need: Need | None
    focus: list[Need]


def build(view: View, need: Need, places: bool = False) -> Program:
    """The loop of a view over structs (or objects) decoded to `need`, to which it adds the siblings of primitives that it reads.

    With `places` there is one list more than columns: it takes the index of each row's resource. Raises `ViewError` where the view nests
    too many loops.
    """
    writer = _Writer(view, need, places)
    text = writer.text()
    names: dict[str, Any] = dict(writer.source.names)
    exec(compile(text, f"<view of {view.resource}>", "exec"), names)
    program: Program = names["run"]
    return program


class _Writer:
    def __init__(self, view: View, need: Need, places: bool) -> None:
        self.view = view
        self.need = need
        self.places = places
        self.walker = Walker(need, siblings=True)
        names: dict[str, Any] = {"Scope": Scope, "one": one_value, "many": many_values, "read": read, "RAISED": RAISED}
        names |= {"repeated": repeated, "constants": view.constants, "checked": checked, "several": several}
        self.source = SourceText(names | {"reference_key": reference_key})

    def text(self) -> str:
        count = len(self.view.columns)
        source = self.source
        with source.block("def run(resources, columns):"):
            for i in range(count):
                source.write(f"add{i} = columns[{i}].append")
            source.write("first = columns[0]")
            if self.places:
                source.write(f"place = columns[{count}].append")
            source.write("failures, others = [], []")
            with source.block("for at, item in enumerate(resources):"):
                self.other_types()
                source.write("mark = len(first)")
                with source.block("try:"), source.only_if_used("scope_", _scope("scope_", "item", "0")):
                    self.resource(list(range(count)))
                with source.block("except RAISED as error:"):
                    source.write("for column in columns: del column[mark:]")
                    source.write("failures.append((at, error))")
            source.write("return failures, others")
        if source.most_loops > _MOST_LOOPS:
            raise ViewError(
                [Finding("too-many-loops", "view select", found=f"{source.most_loops} loops in each other", expected=f"{_MOST_LOOPS}")]
            )
        return source.text()

    def other_types(self) -> None:
        kind = "read(item, 'resourceType')" if self.need.whole else "item.resourceType"
        self.source.write(f"kind = {kind}")
        with self.source.block(f"if kind != {self.view.resource!r}:"):
            with self.source.block("if kind == 'Bundle' or kind is None:"):
                self.source.write("others.append(at)")
            self.source.write("continue")

    def resource(self, slots: list[int]) -> None:
        context = _Context("item", "scope_", "0", None if self.need.whole else self.need, [self.need])
        for condition in self.view.where:
            for part in _conjuncts(condition.typed):
                self.condition(condition, part, context)

        def finish() -> None:
            for i in slots:
                self.source.write(f"add{i}(v{i})")
            if self.places:
                self.source.write("place(at)")

        self.product(self.view.selects, context, slots, finish)

    def condition(self, whole: CompiledPath, part: Typed, context: _Context) -> None:
        """Leave the resource out unless the part of the condition is true."""
        simple = Chaining(self.view.constants).condition(part) if context.need is not None else None
        chain = self.chain(part, context) if simple is None else None
        if simple is not None:
            self.source.write(f"if not ({simple(context.item)}): continue")
        elif chain is not None and part.kind.types == ("boolean",):
            write_cell(self.source, chain, context.item, Cell("holds", "", False, "where"))
            self.source.write("if holds is not True: continue")
        else:
            path = self.closure(compile_typed(Path(whole.text, part.node), part, shapes(self.view.fhir)), context)
            self.source.write(f"if not checked({path}({context.item}, {context.scope})): continue")

    def product(self, selects: Sequence[Select], context: _Context, slots: list[int], then: Callable[[], None]) -> None:
        """The rows of several selects side by side: each inside the one before."""
        if not selects:
            then()
            return
        width = len(list(selects[0].all_columns()))
        self.select(selects[0], context, slots[:width], lambda: self.product(selects[1:], context, slots[width:], then))

    def select(self, select: Select, context: _Context, slots: list[int], then: Callable[[], None]) -> None:
        match select.each:
            case Each.ONCE:
                self.body(select, context, slots, then)
            case Each.FOR_EACH | Each.REPEAT:
                found, need, focus = self.items_of(select, context)
                with self.each_of(found, need, focus) as inner:
                    self.body(select, inner, slots, then)
            case Each.OR_NULL:
                rows = self.source.name("rows")
                self.source.write(f"{rows} = []")
                found, need, focus = self.items_of(select, context)
                with self.each_of(found, need, focus) as inner:
                    self.body(select, inner, slots, self.gather(rows, slots))
                self.nothing(select, found, rows, slots)
                self.spread(rows, slots, then)

    def chain(self, typed: Typed, context: _Context) -> Chain | None:
        """The path as plain statements, where it is so simple; the sibling that they read is asked for."""
        chain = None if context.need is None else chain_of(typed, context.need, self.view.constants)
        if chain is not None and context.need is not None:
            ask_for_siblings(chain, context.need)
        return chain

    def closure(self, path: CompiledPath, context: _Context) -> str:
        """The name of the path's closure; the siblings that it reads are asked for."""
        self.walker.walk(path.typed, context.focus)
        return self.source.name("path", path.run)

    def items_of(self, select: Select, context: _Context) -> tuple[str, Need | None, list[Need]]:
        """The name of the list that holds the items of a select's paths, and what is needed of each: alone where they are structs."""
        found = self.source.name("found")
        focus = [need for path in select.paths for need in self.walker.walk(path.typed, context.focus)]
        if select.each is Each.REPEAT:
            paths = [self.closure(path, context) for path in select.paths]
            self.source.write(f"{found} = repeated({context.item}, {context.scope}, ({' '.join(f'{path},' for path in paths)}))")
            return found, None, focus
        chain = self.chain(select.paths[0].typed, context)
        if chain is None or context.need is None or chain.end or chain.steps[-1].field.is_primitive:
            self.source.write(f"{found} = {self.closure(select.paths[0], context)}({context.item}, {context.scope})")
            return found, None, focus
        self.source.write(f"{found} = []")
        write_chain(self.source, chain, context.item, lambda item: self.source.write(f"{found}.append({item})"))
        return found, inner_need(chain, context.need), focus

    @contextmanager
    def each_of(self, found: str, need: Need | None, focus: list[Need]) -> Iterator[_Context]:
        """A loop over the items found."""
        item, index, scope = (self.source.name(prefix) for prefix in ("item", "index", "scope"))
        with self.source.block(f"for {index}, {item} in enumerate({found}):"):
            self.source.write("pass")
            with self.source.only_if_used(scope, _scope(scope, item, index)):
                yield _Context(item, scope, index, need, focus)

    def body(self, select: Select, context: _Context, slots: list[int], then: Callable[[], None]) -> None:
        own, rest = slots[: len(select.columns)], slots[len(select.columns) :]
        for column, slot in zip(select.columns, own, strict=True):
            self.column(column, context, slot)
        union_width = len(list(select.unions[0].all_columns())) if select.unions else 0
        product_slots, union_slots = rest[: len(rest) - union_width], rest[len(rest) - union_width :]
        after = then if not select.unions else lambda: self.union(select.unions, context, union_slots, then)
        self.product(select.selects, context, product_slots, after)

    def union(self, unions: Sequence[Select], context: _Context, slots: list[int], then: Callable[[], None]) -> None:
        rows = self.source.name("rows")
        self.source.write(f"{rows} = []")
        for select in unions:
            self.select(select, context, slots, self.gather(rows, slots))
        self.spread(rows, slots, then)

    def gather(self, rows: str, slots: list[int]) -> Callable[[], None]:
        return lambda: self.source.write(f"{rows}.append(({' '.join(f'v{i},' for i in slots)}))")

    def spread(self, rows: str, slots: list[int], then: Callable[[], None]) -> None:
        with self.source.block(f"for {' '.join(f'v{i},' for i in slots)} in {rows}:"):
            then()

    def nothing(self, select: Select, found: str, rows: str, slots: list[int]) -> None:
        """One row of nulls where nothing was found; its own `%rowIndex` is 0."""
        indexes = {i for column, i in zip(select.columns, slots, strict=False) if _is_row_index(column)}
        values = " ".join("0," if i in indexes else "None," for i in slots)
        with self.source.block(f"if not {found}:"):
            self.source.write(f"{rows}.append(({values}))")

    def column(self, column: Column, context: _Context, slot: int) -> None:
        if _is_row_index(column):
            self.source.write(f"v{slot} = {context.index}")
            return
        convert = converter(column.arrow, column.path.typed)
        name = self.source.name("convert", convert) if convert else ""
        chain = self.chain(column.path.typed, context)
        if chain is not None:
            write_cell(self.source, chain, context.item, Cell(f"v{slot}", name, column.collection, column.name))
            return
        path = self.closure(column.path, context)
        call = "many" if column.collection else "one"
        self.source.write(f"v{slot} = {call}({path}({context.item}, {context.scope}), {name or None}, {column.name!r})")


def _scope(name: str, item: str, index: str) -> str:
    return f"{name} = Scope(item, {item}, dict(constants, rowIndex=[{index}]))"


def _conjuncts(typed: Typed) -> Iterator[Typed]:
    """The parts of a condition that must all be true."""
    if isinstance(typed.node, Binary) and typed.node.operator == "and":
        for part in typed.parts:
            yield from _conjuncts(part)
    else:
        yield typed


def _is_row_index(column: Column) -> bool:
    node = column.path.typed.node
    return isinstance(node, Constant) and node.name == "rowIndex" and not column.collection
