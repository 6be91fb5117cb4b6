"""A view's loop as Python source, written once and compiled: nested loops for what repeats, one append a column and row.

A union (and a `forEachOrNull`) first gathers its rows, so what follows it is written once however many branches it has.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fhir_trial.errors import Finding
from fhir_trial.fhirpath import FhirPathError
from fhir_trial.fhirpath.errors import Unanswerable
from fhir_trial.fhirpath.nodes import Scope, read
from fhir_trial.fhirpath.syntax import Constant
from fhir_trial.frames.columns import converter, is_computed
from fhir_trial.frames.definition import ViewError
from fhir_trial.frames.values import checked, many_values, one_value, repeated
from fhir_trial.frames.view import Column, Each, Select, View

Program = Callable[[Sequence[Any], Sequence[list[Any]]], tuple[list[tuple[int, Exception]], list[int]]]
"""Appends the rows of resources to one list a column. Gives the failures as (index of the resource, why), whose rows are left out, and the
indexes of resources of other types."""

_MOST_LOOPS = 16
"""Python allows 20 nested blocks in a function."""
RAISED = (Unanswerable, FhirPathError, ValueError, TypeError, ArithmeticError, AttributeError, RecursionError)
"""What a resource of an unexpected shape can make a path raise: it becomes a finding, and the other resources go on."""


def build(view: View) -> Program:
    """The loop of a view over structs (or objects) of its projection; raises `ViewError` where it nests too many loops."""
    writer = _Writer(view)
    source = writer.source()
    names: dict[str, Any] = dict(writer.names)
    exec(compile(source, f"<view of {view.resource}>", "exec"), names)
    program: Program = names["run"]
    return program


class _Writer:
    def __init__(self, view: View) -> None:
        self.view = view
        self.lines: list[str] = []
        self.names: dict[str, Any] = {"Scope": Scope, "one": one_value, "many": many_values, "read": read, "RAISED": RAISED}
        self.names |= {"repeated": repeated, "constants": view.constants, "checked": checked}
        self.depth = 0
        self.loops = 0
        self.most_loops = 0
        self.counter = 0

    def write(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    @contextmanager
    def block(self, opening: str) -> Iterator[None]:
        self.write(opening)
        is_loop = opening.startswith("for ")
        self.depth += 1
        self.loops += is_loop
        self.most_loops = max(self.most_loops, self.loops)
        yield
        self.depth -= 1
        self.loops -= is_loop

    def name(self, prefix: str, value: Any = None) -> str:
        """A fresh name, standing for `value` where one is given."""
        self.counter += 1
        fresh = f"{prefix}{self.counter}"
        if value is not None:
            self.names[fresh] = value
        return fresh

    def source(self) -> str:
        count = len(self.view.columns)
        with self.block("def run(resources, columns):"):
            for i in range(count):
                self.write(f"add{i} = columns[{i}].append")
            self.write("first = columns[0]")
            self.write("failures, others = [], []")
            with self.block("for at, item in enumerate(resources):"):
                self.other_types()
                self.write("mark = len(first)")
                with self.block("try:"):
                    self.resource(list(range(count)))
                with self.block("except RAISED as error:"):
                    self.write("for column in columns: del column[mark:]")
                    self.write("failures.append((at, error))")
            self.write("return failures, others")
        if self.most_loops > _MOST_LOOPS:
            finding = Finding(
                "too-many-loops", "view select", found=str(self.most_loops), expected=f"at most {_MOST_LOOPS} nested in each other"
            )
            raise ViewError([finding])
        return "\n".join(self.lines)

    def other_types(self) -> None:
        with self.block(f"if read(item, 'resourceType') != {self.view.resource!r}:"):
            self.write("others.append(at)")
            self.write("continue")

    def resource(self, slots: list[int]) -> None:
        self.write("scope = Scope(item, item, dict(constants, rowIndex=[0]))")
        for condition in self.view.where:
            path = self.name("path", condition.run)
            self.write(f"if not checked({path}(item, scope)): continue")

        def finish() -> None:
            for i in slots:
                self.write(f"add{i}(v{i})")

        self.product(self.view.selects, "item", ("scope", "0"), slots, finish)

    def product(self, selects: Sequence[Select], item: str, scope: tuple[str, str], slots: list[int], then: Callable[[], None]) -> None:
        """The rows of several selects side by side: each inside the one before."""
        if not selects:
            then()
            return
        width = len(list(selects[0].all_columns()))
        self.select(selects[0], item, scope, slots[:width], lambda: self.product(selects[1:], item, scope, slots[width:], then))

    def select(self, select: Select, item: str, scope: tuple[str, str], slots: list[int], then: Callable[[], None]) -> None:
        match select.each:
            case Each.ONCE:
                self.body(select, item, scope, slots, then)
            case Each.FOR_EACH | Each.REPEAT:
                with self.items_of(self.call_of(select, item, scope[0])) as inner:
                    self.body(select, *inner, slots, then)
            case Each.OR_NULL:
                rows, found = self.name("rows"), self.name("found")
                self.write(f"{rows}, {found} = [], {self.call_of(select, item, scope[0])}")
                with self.items_of(found) as inner:
                    self.body(select, *inner, slots, self.gather(rows, slots))
                self.nothing(select, found, rows, slots)
                self.spread(rows, slots, then)

    def call_of(self, select: Select, item: str, scope: str) -> str:
        """The items of a select's paths; none where a repeat has no path that holds."""
        paths = [self.name("path", path.run) for path in select.paths]
        if select.each is Each.REPEAT:
            return f"repeated({item}, {scope}, ({' '.join(f'{path},' for path in paths)}))"
        return f"{paths[0]}({item}, {scope})"

    @contextmanager
    def items_of(self, found: str) -> Iterator[tuple[str, tuple[str, str]]]:
        """A loop over the items found; gives the names of the item, its scope and its index."""
        inner, index, scope = self.name("item"), self.name("index"), self.name("scope")
        with self.block(f"for {index}, {inner} in enumerate({found}):"):
            self.write(f"{scope} = Scope(item, {inner}, dict(constants, rowIndex=[{index}]))")
            yield inner, (scope, index)

    def body(self, select: Select, item: str, scope: tuple[str, str], slots: list[int], then: Callable[[], None]) -> None:
        own, rest = slots[: len(select.columns)], slots[len(select.columns) :]
        for column, slot in zip(select.columns, own, strict=True):
            self.column(column, item, scope, slot)
        union_width = len(list(select.unions[0].all_columns())) if select.unions else 0
        product_slots, union_slots = rest[: len(rest) - union_width], rest[len(rest) - union_width :]
        after = then if not select.unions else lambda: self.union(select.unions, item, scope, union_slots, then)
        self.product(select.selects, item, scope, product_slots, after)

    def union(self, unions: Sequence[Select], item: str, scope: tuple[str, str], slots: list[int], then: Callable[[], None]) -> None:
        rows = self.name("rows")
        self.write(f"{rows} = []")
        for select in unions:
            self.select(select, item, scope, slots, self.gather(rows, slots))
        self.spread(rows, slots, then)

    def gather(self, rows: str, slots: list[int]) -> Callable[[], None]:
        return lambda: self.write(f"{rows}.append(({' '.join(f'v{i},' for i in slots)}))")

    def spread(self, rows: str, slots: list[int], then: Callable[[], None]) -> None:
        with self.block(f"for {' '.join(f'v{i},' for i in slots)} in {rows}:"):
            then()

    def nothing(self, select: Select, found: str, rows: str, slots: list[int]) -> None:
        """One row of nulls where nothing was found; its own `%rowIndex` is 0."""
        indexes = {i for column, i in zip(select.columns, slots, strict=False) if _is_row_index(column)}
        values = " ".join("0," if i in indexes else "None," for i in slots)
        with self.block(f"if not {found}:"):
            self.write(f"{rows}.append(({values}))")

    def column(self, column: Column, item: str, scope: tuple[str, str], slot: int) -> None:
        if _is_row_index(column) and not column.collection:
            self.write(f"v{slot} = {scope[1]}")
            return
        path, convert = self.name("path", column.path.run), converter(column.arrow, is_computed(column.path.typed))
        call = "many" if column.collection else "one"
        arguments = [f"{path}({item}, {scope[0]})", self.name("convert", convert) if convert else "None", repr(column.name)]
        self.write(f"v{slot} = {call}({', '.join(arguments)})")


def _is_row_index(column: Column) -> bool:
    node = column.path.typed.node
    return isinstance(node, Constant) and node.name == "rowIndex"
