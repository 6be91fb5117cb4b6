"""What holds of every file of the package: its size, its names, and where a FHIR version may decide."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_trial.fhir.versions import VERSIONS

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "fhir_trial").rglob("*.py"))
MODULES = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in FILES]
LINES_OF_A_FILE, LINES_OF_A_FUNCTION = 400, 50
VERSION_ROOM = ROOT / "fhir_trial" / "fhir" / "versions.py"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(file: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def names_a_version(node: ast.expr) -> bool:
    """Whether an expression is the name or number of a FHIR version, or a collection that holds one."""
    if isinstance(node, ast.Constant):
        known = {spelling for v in VERSIONS.values() for spelling in (v.name, v.name.upper(), v.number)}
        return isinstance(node.value, str) and node.value in known
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(names_a_version(element) for element in node.elts)
    return False


def version_branches(source: str) -> list[int]:
    """The lines that compare something with a FHIR version, match on one, or pick by one from a table written there."""
    found = []
    for node in ast.walk(ast.parse(source)):
        compared = isinstance(node, ast.Compare) and any(names_a_version(side) for side in (node.left, *node.comparators))
        matched = isinstance(node, ast.MatchValue) and names_a_version(node.value)
        tabled = isinstance(node, ast.Dict) and any(key is not None and names_a_version(key) for key in node.keys)
        if compared or matched or tabled:
            found.append(node.lineno)
    return sorted(found)


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("if fhir == 'r4':\n    pass", [1]),
        ("x = 1\ny = 2 if v in ('r5',) else 3", [2]),
        ("{'r4': 1}[fhir]", [1]),
        ("match v:\n    case 'r5':\n        pass", [2]),
        ("f('4.0.1' != v)", [1]),
        ("load('r4')", []),
    ],
)
def test_a_branch_on_the_version_is_seen(source: str, lines: list[int]) -> None:
    assert version_branches(source) == lines


def test_nothing_but_the_versions_themselves_branches_on_a_version() -> None:
    found = {
        f"{file.relative_to(ROOT)}:{line}"
        for file in FILES
        if file != VERSION_ROOM
        for line in version_branches(file.read_text(encoding="utf-8"))
    }
    assert found == set()


def test_files_and_functions_are_small() -> None:
    long_files = {str(file.relative_to(ROOT)) for file in FILES if len(file.read_text(encoding="utf-8").splitlines()) > LINES_OF_A_FILE}
    long_functions = {
        f"{file.relative_to(ROOT)}:{node.name}"
        for file in FILES
        for node in functions(file)
        if (node.end_lineno or 0) - node.lineno >= LINES_OF_A_FUNCTION
    }
    assert (long_files, long_functions) == (set(), set())


def test_what_a_module_says_it_offers_is_there() -> None:
    modules = [importlib.import_module(name) for name in MODULES if not name.endswith("__main__")]
    assert [module.__name__ for module in modules if not module.__doc__] == []
    missing = [f"{m.__name__}.{name}" for m in modules for name in getattr(m, "__all__", []) if not hasattr(m, name)]
    assert missing == []
