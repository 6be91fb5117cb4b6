"""Expanding value sets to their codes, from code systems at hand: used when definitions are generated, never at run time."""

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_trial.fhir.stored import Codes

Json = Mapping[str, Any]
Members = set[tuple[str, str]]


class NotExpandable(Exception):
    """The codes are not all in the packages: an external code system, a grammar, a fragment or an unsupported filter."""


def canonical(url: str) -> str:
    """A canonical url without its version.

    >>> canonical("http://hl7.org/fhir/ValueSet/observation-status|4.0.1")
    'http://hl7.org/fhir/ValueSet/observation-status'
    """
    return url.partition("|")[0]


def expand(url: str, value_sets: Mapping[str, Json], code_systems: Mapping[str, Json]) -> Codes:
    """All codes of the value set `url` by code system, sorted; `NotExpandable` when they cannot all be known."""
    codes: Codes = {}
    for system, code in sorted(_members(canonical(url), value_sets, code_systems)):
        codes.setdefault(system, []).append(code)
    if not codes:
        raise NotExpandable(url)
    return codes


def _members(url: str, value_sets: Mapping[str, Json], code_systems: Mapping[str, Json]) -> Members:
    """The (system, code) pairs of one value set."""
    if url not in value_sets or "compose" not in value_sets[url]:
        raise NotExpandable(url)
    compose = value_sets[url]["compose"]

    def of(part: Json) -> Members:
        imported = [_members(canonical(other), value_sets, code_systems) for other in part.get("valueSet", ())]
        own = [{(part["system"], code) for code in _selected(part, code_systems)}] if "system" in part else []
        return set.intersection(*imported, *own)

    included = set[tuple[str, str]]().union(*map(of, compose.get("include", ())))
    return included.difference(*map(of, compose.get("exclude", ())))


def _selected(part: Json, code_systems: Mapping[str, Json]) -> set[str]:
    """The codes that one include or exclude takes from its system."""
    if "concept" in part:
        return {concept["code"] for concept in part["concept"]}
    system = code_systems.get(part["system"])
    if system is None or system.get("content") != "complete":
        raise NotExpandable(part["system"])
    concepts = dict(_concepts(system.get("concept", ()), ()))
    selected = set(concepts)
    for rule in part.get("filter", ()):
        selected &= {code for code, concept in concepts.items() if _passes(code, concept, rule)}
    return selected


def _concepts(concepts: Any, parents: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every concept with the codes above it, by nesting or by `subsumedBy`/`parent` properties."""
    for concept in concepts:
        stated = tuple(p["valueCode"] for p in concept.get("property", ()) if p["code"] in ("subsumedBy", "parent") and "valueCode" in p)
        yield concept["code"], {"parents": parents[-1:] + stated, "above": parents + stated, "property": concept.get("property", ())}
        yield from _concepts(concept.get("concept", ()), (*parents, concept["code"]))


def _passes(code: str, concept: dict[str, Any], rule: Json) -> bool:
    """Whether one concept passes one filter."""
    operator, value = rule["op"], rule["value"]
    if operator == "is-a":
        return code == value or value in concept["above"]
    if operator == "descendent-of":
        return value in concept["above"]
    if operator == "is-not-a":
        return code != value and value not in concept["above"]
    if operator == "=":
        stated = {str(next(v for k, v in p.items() if k.startswith("value"))) for p in concept["property"] if p["code"] == rule["property"]}
        return value in stated or (rule["property"] == "notSelectable" and value == "false" and not stated)
    raise NotExpandable(f"filter {operator}")
