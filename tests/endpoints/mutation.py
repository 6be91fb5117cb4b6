"""A mutation run: every threshold and clause of the endpoint rules changed, one at a time, and the tests asked whether they notice.

    python tests/endpoints/mutation.py [FILE.py ...] [--survivors | --rest] [--limit SECONDS]

Writes `mutation.csv` beside this file: one row a mutant with the test that caught it, or the reason why no test can. Reasons stand in that
file and are kept from run to run. A mutant changes one comparison, number, clause, case or table entry of one function or constant. Left
out are functions that only word findings, names of columns, and -1, 0 and 1 within functions, which are places and marks rather than
thresholds. Tests are collected once; each mutant is put into a fork of the process, which stops at the first failure. Needs an operating
system with fork.
"""

import argparse
import ast
import copy
import csv
import importlib
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ROOM = HERE.parents[1] / "fhir_trial" / "endpoints"
RESULT = HERE / "mutation.csv"
HEADER = ("place", "mutant", "result", "test", "reason")

COHORT, WRITTEN = "test_recist_cohort.py", ("test_recist_bad_input.py", "test_vignettes.py", "test_trace.py", "test_recist_pharmaverse.py")
COURSES = (COHORT, "test_recist_rules.py", "test_recist_states.py", "test_recist_examples.py")
BEST = ("test_response.py",)
TIMES = ("test_tte_facts.py", "test_tte_rules.py", "test_tte_definitions.py", "test_tte_examples.py")
CURVES = ("test_survival.py", "test_survival_plain.py")
TESTS = {
    **dict.fromkeys(
        ("target_response.py", "recist.py", "nontarget.py"), (*COURSES, "test_readings.py", "test_lineages.py", *BEST, *WRITTEN)
    ),
    **dict.fromkeys(("confirmation.py", "best_response.py"), (COHORT, *BEST)),
    **dict.fromkeys(("windows.py", "time_to_event.py", "time_to_event_rules.py"), TIMES),
    **dict.fromkeys(("survival.py", "logrank.py", "cox.py"), CURVES),
    "proportions.py": ("test_proportions.py",),
    **dict.fromkeys(
        ("targets.py", "readings.py", "visits.py", "lineage.py"),
        ("test_visits.py", "test_lineages.py", "test_readings.py", *COURSES, "test_recist_bad_input.py"),
    ),
    "baseline_limits.py": ("test_recist_bad_input.py", "test_recist_examples.py"),
    **dict.fromkeys(
        ("response.py", "overall_response.py"),
        ("test_overall_response.py", *BEST, "test_readings.py", "test_recist_bad_input.py", "test_recist_states.py"),
    ),
    **dict.fromkeys(("observation.py", "facts.py", "deaths.py"), (*TIMES, *BEST)),
    "dispositions.py": ("test_dispositions.py", *TIMES, *BEST, "test_analyse.py"),
    "estimates.py": ("test_estimates.py", "test_analyse.py"),
    "conventions.py": ("test_conventions.py", "test_conventions_act.py", COHORT, *TIMES),
}
"""The files that hold rules, and the tests that are asked."""

WORDS_ONLY = (
    "_report",
    "report",
    "_place",
    "place_of",
    "_described",
    "sentence",
    "describe",
    "_find",
    "__repr__",
    "_allowed",
    "_undated",
    "_nearest",
)
"""Functions that word what is said, and decide nothing."""

PATIENCE_SECONDS = 120
"""Of processor time: another's work on the machine catches no mutant."""
KEPT_EVERY = 5
"""Mutants after which the result is written, so that a run that is ended is not lost."""
SWAPS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
NAMES = {"minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min", "cummin": "cummax", "any": "all", "all": "any"}


Found = dict[tuple[str, str], tuple[str, str]]
"""Result and test by place and change."""


@dataclass(frozen=True)
class Mutant:
    """One change: in which file and function (or constant), what it was and became, and the module's tree with it."""

    file: str
    owner: str
    change: str
    tree: ast.Module

    @property
    def place(self) -> str:
        """File and function."""
        return f"{self.file}:{self.owner}"


def changed(node: ast.AST) -> Iterator[ast.AST]:
    """Every way in which this node is mutated."""
    if isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            if type(operator) in SWAPS:
                other = copy.deepcopy(node)
                other.ops[i] = SWAPS[type(operator)]()
                yield other
    elif isinstance(node, ast.BoolOp):
        for i in range(len(node.values)):
            rest = [value for j, value in enumerate(node.values) if j != i]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
        yield from (node.left, node.right)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert):
        yield node.operand
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
        yield ast.Constant(
            not node.value if isinstance(node.value, bool) else node.value + 1 if node.value == int(node.value) else node.value * 1.1
        )
    else:
        yield from _changed_structure(node)


def _changed_structure(node: ast.AST) -> Iterator[ast.AST]:
    """Cases, entries and names."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "select" and len(node.args) > 1:
        cases, values = node.args[:2]
        if isinstance(cases, ast.List) and isinstance(values, ast.List):
            for i in range(len(cases.elts)):
                lists = [ast.List([e for j, e in enumerate(part.elts) if j != i], ast.Load()) for part in (cases, values)]
                yield ast.Call(node.func, [*lists, *node.args[2:]], node.keywords)
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) > 1 and not _is_columns(node):
        for i in range(len(node.elts)):
            yield ast.Tuple([e for j, e in enumerate(node.elts) if j != i], ast.Load())
    elif isinstance(node, ast.Dict) and len(node.keys) > 1 and not _is_table(node):
        for i in range(len(node.keys)):
            kept = [j for j in range(len(node.keys)) if j != i]
            yield ast.Dict([node.keys[j] for j in kept], [node.values[j] for j in kept])
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield ast.Attribute(node.value, NAMES[node.attr], node.ctx)
    elif isinstance(node, ast.Name) and node.id in NAMES and isinstance(node.ctx, ast.Load):
        yield ast.Name(NAMES[node.id], ast.Load())


def _is_columns(node: ast.Tuple) -> bool:
    """Whether a tuple is nothing but names in lower case: columns."""
    return all(isinstance(e, ast.Constant) and isinstance(e.value, str) and e.value.replace("_", "").islower() for e in node.elts)


def _is_table(node: ast.Dict) -> bool:
    """Whether a dict makes the columns of a table: its values are computed."""
    return not all(isinstance(value, ast.Constant | ast.Tuple | ast.Name | ast.UnaryOp) for value in node.values)


def mutants(file: str) -> Iterator[Mutant]:
    """Every mutant of a file of the room."""
    tree = ast.parse((ROOM / file).read_text())
    told: Counter[tuple[str, str]] = Counter()
    for owner, part in _owners(tree):
        for path, node in _nodes(part, part):
            for other in changed(node):
                mutated = copy.deepcopy(tree)
                twin = next(p for name, p in _owners(mutated) if name == owner)
                _put(twin, path, other)
                change = f"{_short(node)} -> {_short(other)}"
                told[owner, change] += 1
                number = f" ({told[owner, change]})" if told[owner, change] > 1 else ""
                yield Mutant(file, owner, change + number, ast.fix_missing_locations(mutated))


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 160 else text[:100] + " ... " + text[-55:]


def _owners(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Functions, methods and constants by qualified name; words-only functions and enumerations are left out."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith(WORDS_ONLY):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and not item.name.startswith(WORDS_ONLY):
                    yield f"{node.name}.{item.name}", item
                elif isinstance(item, ast.AnnAssign) and node.name == "Conventions" and isinstance(item.value, ast.Constant):
                    yield f"{node.name}.{ast.unparse(item.target)}", item
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id not in (
                "__all__",
                "COLUMNS",
                "REASONS",
                "TARGET_REASONS",
                "PlainValue",
                "_IN_WORDS",
            ):
                yield target.id, node


def _is_mark(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) <= 1


def _nodes(part: ast.AST, owner: ast.AST, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], ast.AST]]:
    """The expressions of a function's body or a constant's value, with the way to each; annotations and texts are none."""
    for name, value in ast.iter_fields(part):
        if name in ("annotation", "returns", "decorator_list", "targets", "target", "slice", "args") and not isinstance(part, ast.Call):
            continue
        for i, child in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                here = (*path, (name, i if isinstance(value, list) else None))
                if isinstance(child, ast.expr) and not (_is_mark(child) and isinstance(owner, ast.FunctionDef)):
                    yield here, child
                yield from _nodes(child, owner, here)


def _put(part: ast.AST, path: tuple[Any, ...], other: ast.AST) -> None:
    for name, i in path[:-1]:
        part = getattr(part, name) if i is None else getattr(part, name)[i]
    name, i = path[-1]
    if i is None:
        setattr(part, name, other)
    else:
        getattr(part, name)[i] = other


def install(mutant: Mutant) -> None:
    """Put the mutant into this process: a function's code, a constant's value wherever it was imported."""
    module = importlib.import_module(f"fhir_trial.endpoints.{mutant.file.removesuffix('.py')}")
    fresh = ModuleType(module.__name__)
    fresh.__file__ = module.__file__
    sys.modules[module.__name__] = fresh  # dataclasses look their module up
    try:
        exec(compile(mutant.tree, str(module.__file__), "exec"), fresh.__dict__)
    finally:
        sys.modules[module.__name__] = module
    first, _, rest = mutant.owner.partition(".")
    old, new = getattr(module, first), getattr(fresh, first)
    if rest and first == "Conventions" and not callable(getattr(old, rest)) and not isinstance(vars(old).get(rest), property):
        old.__init__.__kwdefaults__[rest] = new.__init__.__kwdefaults__[rest]
    elif rest or isinstance(_function(old), FunctionType):
        old, new = (vars(part)[rest] if rest else part for part in (old, new))
        ours, theirs = _function(old), _function(new)
        ours.__code__, ours.__defaults__, ours.__kwdefaults__ = theirs.__code__, theirs.__defaults__, theirs.__kwdefaults__
    elif isinstance(old, dict):
        old.clear()
        old.update(new)
    else:
        defaults = importlib.import_module("fhir_trial.endpoints.conventions").Conventions.__init__.__kwdefaults__
        defaults.update({name: new for name, value in defaults.items() if value is old})
        for loaded in [m for name, m in sys.modules.items() if name.startswith("fhir_trial.endpoints")]:
            if first in vars(loaded):
                setattr(loaded, first, new)


def _function(thing: Any) -> Any:
    """The plain function behind a property, a static method or a cache."""
    thing = thing.fget if isinstance(thing, property) else getattr(thing, "__func__", thing)
    return getattr(thing, "__wrapped__", thing)


class Run:
    """The pytest plugin that runs the tests once for each mutant, those first that caught most."""

    def __init__(self, wanted: list[Mutant], limit: float, keep: Callable[[Found], None]) -> None:
        """Mutants to run until `limit` seconds have passed; `keep` writes down what was found so far."""
        self.wanted, self.limit, self.keep, self.found, self.pipe = wanted, limit, keep, Found(), -1
        self.caught = Counter((place.partition(":")[0], row["test"]) for (place, _), row in known().items() if row["result"] == "caught")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """In a fork: the first failure says its test and ends the process."""
        if report.failed and self.pipe < 0:
            pytest.exit(f"{report.nodeid} fails without any mutant", returncode=2)
        if report.failed:
            os.write(self.pipe, report.nodeid.encode())
            os._exit(1)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Every mutant in a fork of its own."""
        self.baseline(session.items)
        start = time.monotonic()
        for mutant in self.wanted:
            if time.monotonic() - start > self.limit:
                break
            items = self.items_for(mutant, session.items)
            result, test = self.ask(mutant, items)
            self.found[mutant.place, mutant.change] = (result, test)
            self.caught[mutant.file, test.partition("::")[2]] += result == "caught"
            if len(self.found) % KEPT_EVERY == 0:
                self.keep(self.found)
        self.keep(self.found)
        return True

    def baseline(self, items: list[pytest.Item]) -> None:
        """All tests once without any mutant: they must pass, and what they remember is there for the forks."""
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)

    def items_for(self, mutant: Mutant, items: list[pytest.Item]) -> list[pytest.Item]:
        """The tests of the mutant's file, in the order of how many mutants of it each has caught."""
        files = TESTS[mutant.file]
        mine = [item for item in items if item.path.name in files]
        return sorted(mine, key=lambda item: (-self.caught[mutant.file, item.nodeid.partition("::")[2]], files.index(item.path.name)))

    def ask(self, mutant: Mutant, items: list[pytest.Item]) -> tuple[str, str]:
        """Whether a test fails in a fork with the mutant."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            self.pipe = writing
            _alone(mutant, items)
        os.close(writing)
        status = os.waitpid(child, 0)[1]
        test = os.read(reading, 4096).decode()
        os.close(reading)
        if os.WIFSIGNALED(status):
            return "caught", "no end within the time allowed"
        return ("caught", test) if os.WEXITSTATUS(status) else ("survived", "")


def _alone(mutant: Mutant, items: list[pytest.Item]) -> None:
    """What a fork does: put the mutant in, run the tests, end with 1 where one fails."""
    signal.setitimer(signal.ITIMER_PROF, PATIENCE_SECONDS)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    try:
        install(mutant)
    except BaseException:
        os._exit(1)  # what cannot be imported is noticed by everything
    for module in [m for name, m in sys.modules.items() if name.startswith("fhir_trial.endpoints")]:
        for remembering in [thing for thing in vars(module).values() if hasattr(thing, "cache_clear")]:
            remembering.cache_clear()
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    os._exit(0)


def known() -> dict[tuple[str, str], dict[str, str]]:
    """The rows of the last run."""
    if not RESULT.exists():
        return {}
    with RESULT.open(newline="") as stream:
        return {(row["place"], row["mutant"]): row for row in csv.DictReader(stream)}


def write(files: list[str], everything: list[Mutant], found: Found) -> None:
    """The result with the reasons of the last one; rows of mutants that are no more are dropped."""
    before, rows = known(), []
    for mutant in everything:
        key = mutant.place, mutant.change
        last = before.get(key, dict.fromkeys(HEADER, ""))
        result, test = found.get(key, (last["result"], last["test"]))
        if result:  # what the time did not suffice for has no row
            rows.append((*key, result, test.partition("::")[2] or test, last["reason"] if result != "caught" else ""))
    rows += [
        tuple(row[name] for name in HEADER) for (place, _), row in before.items() if place.partition(":")[0] in set(TESTS) - set(files)
    ]
    with RESULT.open("w", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(HEADER)
        table.writerows(sorted(rows, key=lambda row: list(TESTS).index(row[0].partition(":")[0])))


def main() -> int:
    """Run the mutants of the files that are named, or of all; 1 where one survives without a reason."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", default=list(TESTS))
    parser.add_argument("--survivors", action="store_true", help="only those that no test caught in the last run")
    parser.add_argument("--rest", action="store_true", help="only those that no run came to")
    parser.add_argument("--limit", type=float, default=1e9, help="seconds after which the rest is left for the next run")
    options = parser.parse_args()
    files = options.files or list(TESTS)
    everything = [mutant for file in files for mutant in mutants(file)]
    before = known()
    last = {(m.place, m.change): before.get((m.place, m.change), {}).get("result") for m in everything}
    skipped = {"caught", "survived"} if options.rest else {"caught"} if options.survivors else set[str]()
    wanted = [m for m in everything if last[m.place, m.change] not in skipped]
    tests = sorted({str(HERE / test) for file in files for test in TESTS[file] if (HERE / test).exists()})
    run = Run(wanted, options.limit, lambda found: write(files, everything, found))
    pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", *tests], plugins=[run])
    rows = [row for row in known().values() if row["place"].partition(":")[0] in files]
    survivors = [row for row in rows if row["result"] == "survived"]
    sys.stdout.write(f"{len(rows)} mutants, {len(rows) - len(survivors)} caught, {len(survivors)} survived\n")
    unexplained = [row for row in survivors if not row["reason"]]
    for row in unexplained:
        sys.stdout.write(f"survived: {row['place']}: {row['mutant']}\n")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
