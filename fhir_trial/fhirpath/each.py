"""Functions whose arguments are evaluated on each item: `where`, `select`, `all`, `exists`, `repeat`, `iif`, `aggregate`."""

from collections.abc import Callable
from typing import Any

from fhir_trial.fhirpath.errors import Unanswerable
from fhir_trial.fhirpath.kinds import Typed
from fhir_trial.fhirpath.nodes import Items, Run, Scope
from fhir_trial.fhirpath.operators import distinct, truth
from fhir_trial.fhirpath.syntax import Variable

Builder = Callable[[Typed, list[Run]], Run]
_MOST_REPEATS = 100_000


def _uses_index(typed: Typed) -> bool:
    return (isinstance(typed.node, Variable) and typed.node.name == "$index") or any(_uses_index(part) for part in typed.parts)


def _matching(typed: Typed, runs: list[Run]) -> Run:
    """The base's items for which the first argument is true."""
    base, criterion = runs
    if _uses_index(typed.parts[1]):
        return lambda this, scope: [item for i, item in enumerate(base(this, scope)) if truth(criterion(item, scope.at(i))) is True]
    return lambda this, scope: [item for item in base(this, scope) if truth(criterion(item, scope)) is True]


def _exists(typed: Typed, runs: list[Run]) -> Run:
    found = _matching(typed, runs) if len(runs) > 1 else runs[0]
    return lambda this, scope: [bool(found(this, scope))]


def _all(typed: Typed, runs: list[Run]) -> Run:
    base, criterion = runs
    return lambda this, scope: [all(truth(criterion(item, scope.at(i))) is True for i, item in enumerate(base(this, scope)))]


def _select(typed: Typed, runs: list[Run]) -> Run:
    base, projection = runs
    return lambda this, scope: [found for i, item in enumerate(base(this, scope)) for found in projection(item, scope.at(i))]


def _repeat(typed: Typed, runs: list[Run]) -> Run:
    every = _repeat_all(typed, runs)
    return lambda this, scope: distinct(every(this, scope))


def _repeat_all(typed: Typed, runs: list[Run]) -> Run:
    base, projection = runs

    def repeat(this: Any, scope: Scope) -> Items:
        found: Items = []
        waiting = base(this, scope)
        while waiting:
            waiting = [item for owner in waiting for item in projection(owner, scope)]
            found.extend(waiting)
            if len(found) > _MOST_REPEATS:
                raise Unanswerable("the repetition does not end")
        return found

    return repeat


def _iif(typed: Typed, runs: list[Run]) -> Run:
    base, condition, *branches = runs

    def choose(this: Any, scope: Scope) -> Items:
        items = base(this, scope)
        if len(items) > 1:
            raise Unanswerable(f"one item expected, {len(items)} found")
        focus = items[0] if items else None
        if truth(condition(focus, scope)) is True:
            return branches[0](focus, scope)
        return branches[1](focus, scope) if len(branches) > 1 else []

    return choose


def _aggregate(typed: Typed, runs: list[Run]) -> Run:
    base, step, *start = runs

    def aggregate(this: Any, scope: Scope) -> Items:
        total = start[0](this, scope) if start else []
        for i, item in enumerate(base(this, scope)):
            total = step(item, Scope(scope.resource, scope.context, scope.variables, i, total))
        return total

    return aggregate


EACH_RUNS: dict[str, Builder] = {
    "where": _matching,
    "exists": _exists,
    "all": _all,
    "select": _select,
    "repeat": _repeat,
    "repeatAll": _repeat_all,
    "iif": _iif,
    "aggregate": _aggregate,
}
