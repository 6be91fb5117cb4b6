"""Walking resources as JSON: their references, and a bound on their nesting."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fhir_trial.fhir.references import literal
from fhir_trial.store.refusals import Refusal

MAX_DEPTH = 64
"""Levels of nesting a resource may have."""
Replace = Callable[[str, str], str]
"""(name of the member, its text) to the text that stands instead."""


def check_depth(value: Any, left: int = MAX_DEPTH) -> None:
    """Refuse what is nested too deeply before anything else walks it."""
    if isinstance(value, dict | list):
        if left == 0:
            raise Refusal(400, "too-costly", f"nested deeper than {MAX_DEPTH} levels")
        for part in value.values() if isinstance(value, dict) else value:
            check_depth(part, left - 1)


def reference_texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every `reference` of References in a resource, with the FHIRPath of where it stands."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name == "reference" and isinstance(part, str):
                yield path, part
            elif isinstance(part, dict | list):
                yield from reference_texts(part, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            if isinstance(part, dict | list):
                yield from reference_texts(part, f"{path}[{number}]")


def replaced(value: Any, replace: Replace, name: str = "") -> Any:
    """A copy of a resource with `replace` applied to each text that may refer to another resource.

    `value` of an Identifier is business data even where it is a urn, and stays.
    """
    if isinstance(value, dict):
        return {member: replaced(part, replace, member) for member, part in value.items()}
    if isinstance(value, list):
        return [replaced(part, replace, name) for part in value]
    return replace(name, value) if isinstance(value, str) and name not in ("value", "div") else value


def targets(texts: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """(type, id) of every resource of this server among the references of a resource."""
    places = (literal(text.partition("#")[0]) for _, text in texts)
    return {(place.type, place.id) for place in places if place and place.base is None}
