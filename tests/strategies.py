"""Rows of every entity for property tests: any text, number, date and code that the domain allows."""

import datetime as dt
from decimal import Decimal
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from msgspec.structs import replace

from fhir_trial.domain.entities import ENTITIES, Entity, When
from fhir_trial.mapping.codecs import base_type
from fhir_trial.mapping.rules import RuleSet, load_rules

_WORD = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8)
_FREE = st.lists(_WORD, min_size=1, max_size=3).map(" ".join)
_CODE = st.text(st.sampled_from("abcXYZ019-/%.'"), min_size=1, max_size=8)

dates = st.dates(dt.date(1000, 1, 1)).map(dt.date.isoformat)
whens = st.one_of(
    dates,
    dates.map(lambda d: d[:7]),
    dates.map(lambda d: d[:4]),
    dates.map(lambda d: d + "T11:45"),
    dates.map(lambda d: d + "T11:45:09"),
    dates.map(lambda d: d + "T11:45:09+02:00"),
).map(When)

_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: _FREE,
    int: st.integers(0, 2**31 - 1),
    bool: st.booleans(),
    Decimal: st.decimals(-(10**9), 10**9, places=3, allow_nan=False, allow_infinity=False),
    When: whens,
}

_UNITS = st.sampled_from(("mg", "mcg", "mg/m2", "IU", "10*9/L", "kg", "%", "TABLET", "mm Hg", "m^2")) | _FREE

# Fields that stand in a FHIR `code`, which has no outer or double spaces.
_CODES = {"role", "relation", "state", "source", "preferred_term"}


@cache
def _rules() -> RuleSet:
    return load_rules("r4")


@cache
def _vocabulary(entity: str, field: str) -> tuple[str, ...]:
    """The values of a field's code table, where the table is all that the field may hold."""
    tables = _rules().codes
    own = _rules().entities.get(entity)
    if own is None:
        return ()
    sections = [own.fields, *(each.fields for each in own.each.values())]
    rule = next((s[field] for s in sections if field in s), None)
    # FHIR requires a study's status, so its word must be one that has a code.
    coded = rule.codes if rule is not None and (rule.keep is None or field == "status") else None
    coded = coded or next((d.codes for d in own.derived.values() if d.source == field and d.codes == "response-test"), None)
    return tuple(tables[coded]) if coded else ()


def _value(entity: str, field: str, annotation: Any) -> st.SearchStrategy[Any]:
    kind = base_type(annotation)
    if get_origin(kind) is tuple:
        return st.lists(_members(entity, get_args(kind)[0]), max_size=3).map(tuple)
    if words := _vocabulary(entity, field):
        return st.sampled_from(words).map(lambda w: w == "true" if kind is bool else int(w) if kind is int else w)
    strategy = _CODE if field in _CODES else _UNITS if field == "unit" else _SCALARS[kind]
    return strategy if kind is annotation else st.none() | strategy


def _members(entity: str, member: type[Entity]) -> st.SearchStrategy[Entity]:
    return st.builds(member, **{n: _value(entity, n, a) for n, a in get_type_hints(member).items()}).map(_in_order)


@cache
def rows(entity: str) -> st.SearchStrategy[Any]:
    """Rows of one entity that keep its own rules."""
    return _members(entity, ENTITIES[entity]).map(_consistent)


_PERIODS = (("start", "end"), ("started_on", "ended_on"), ("enrolled_on", "ended_on"), ("data_from", "data_until"))


def _in_order(row: Any) -> Any:
    """The row with no end before its start."""
    changes: dict[str, Any] = {}
    for start, end in _PERIODS:
        if (first := getattr(row, start, None)) is not None and getattr(row, end, None) is not None:
            changes |= {start: first[:10], end: first[:10]}
    return replace(row, **changes)


def _consistent(row: Any) -> Any:
    """The row with what contradicts HL7's rules taken out: those have tests of their own."""
    changes: dict[str, Any] = {}
    match type(row).__name__:
        case "Patient" if row.death_date is not None:
            changes["dead"] = None
        case "Condition" if row.end is not None:
            changes["status"] = "resolved"
        case "VitalSign" if row.not_done is not None:
            changes |= {"value": None, "unit": None, "not_done": True}
        case "Response" if row.not_done is not None:
            changes |= {"value": None, "not_done": True}
        case "AdverseEvent":
            changes["serious"] = any(c.present for c in row.criteria)
        case "Measure":
            changes["url"] = "https://fhir-trial.org/Measure/x"
        case "Provenance":
            changes["recorded"] = "2024-05-04T10:30:00Z"
        case "LaboratoryResult":
            changes |= _result(row)
        case "Result":
            changes |= {"measure": "https://fhir-trial.org/Measure/x", "figures": tuple(map(_ordered, row.figures))}
    return replace(row, **changes)


def _result(row: Any) -> dict[str, Any]:
    """What a laboratory result cannot have beside its number or its words."""
    if row.value is not None:
        return {"text": None, "not_done": None}
    return {"comparator": None, "unit": None, "not_done": row.not_done if row.text is None else None}


def _ordered(figure: Any) -> Any:
    if figure.lower is None or figure.upper is None:
        return figure
    return replace(figure, lower=min(figure.lower, figure.upper), upper=max(figure.lower, figure.upper))
