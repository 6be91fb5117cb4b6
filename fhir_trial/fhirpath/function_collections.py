"""Functions on whole collections: existence, subsetting, combining (each is the FHIRPath function it is entered as)."""

from typing import Any

from fhir_trial.fhirpath.errors import Unanswerable
from fhir_trial.fhirpath.functions import function
from fhir_trial.fhirpath.nodes import Items, bare
from fhir_trial.fhirpath.operators import distinct, is_number, same_value, single, truth, unioned


@function("empty", "boolean")
def _empty(items: Items) -> Items:
    return [not items]


@function("count", "integer")
def _count(items: Items) -> Items:
    return [len(items)]


@function("not", "boolean")
def _not_(items: Items) -> Items:
    value = truth(items)
    return [] if value is None else [not value]


@function("allTrue", "boolean")
def _all_true(items: Items) -> Items:
    return [all(bare(item) is True for item in items)]


@function("anyTrue", "boolean")
def _any_true(items: Items) -> Items:
    return [any(bare(item) is True for item in items)]


@function("allFalse", "boolean")
def _all_false(items: Items) -> Items:
    return [all(bare(item) is False for item in items)]


@function("anyFalse", "boolean")
def _any_false(items: Items) -> Items:
    return [any(bare(item) is False for item in items)]


@function("first", "item")
def _first(items: Items) -> Items:
    return items[:1]


@function("last", "item")
def _last(items: Items) -> Items:
    return items[-1:]


@function("single", "item")
def _only(items: Items) -> Items:
    if len(items) > 1:
        raise Unanswerable(f"one item expected, {len(items)} found")
    return items


@function("tail", "items")
def _tail(items: Items) -> Items:
    return items[1:]


@function("skip", "items", (1, 1))
def _skip(items: Items, number: Items) -> Items:
    return items[max(0, _number(number)) :]


@function("take", "items", (1, 1))
def _take(items: Items, number: Items) -> Items:
    return items[: max(0, _number(number))]


def _number(items: Items) -> int:
    value = single(items)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unanswerable("an integer expected")
    return value


@function("distinct", "items")
def _distinct_(items: Items) -> Items:
    return distinct(items)


@function("isDistinct", "boolean")
def _is_distinct(items: Items) -> Items:
    return [len(distinct(items)) == len(items)]


@function("union", "items", (1, 1), many=True)
def _union_(items: Items, other: Items) -> Items:
    return unioned(items, other)


@function("combine", "items", (1, 1), many=True)
def _combine(items: Items, other: Items) -> Items:
    return [*items, *other]


@function("intersect", "items", (1, 1))
def _intersect(items: Items, other: Items) -> Items:
    return distinct([item for item in items if _among(item, other)])


@function("exclude", "items", (1, 1))
def _exclude(items: Items, other: Items) -> Items:
    return [item for item in items if not _among(item, other)]


@function("subsetOf", "boolean", (1, 1))
def _subset_of(items: Items, other: Items) -> Items:
    return [all(_among(item, other) for item in items)]


@function("supersetOf", "boolean", (1, 1))
def _superset_of(items: Items, other: Items) -> Items:
    return [all(_among(item, items) for item in other)]


def _among(item: Any, items: Items) -> bool:
    return any(same_value(bare(item), bare(other), False) is True for other in items)


@function("sum", "item")
def _sum_(items: Items) -> Items:
    values = [bare(item) for item in items]
    if not all(is_number(value) for value in values):
        raise Unanswerable("numbers expected")
    return [sum(values)] if values else []


@function("trace", "items", (1, 2))
def _trace(items: Items, *_: Items) -> Items:
    # Nothing is written: what would be traced is subject data.
    return items
