"""Whether a server's resource says what ours says: by element, references by key, without what servers add by themselves."""

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from fhir_trial.domain.decimals import EXACT
from fhir_trial.errors import Finding, InputError
from fhir_trial.fhir import json
from fhir_trial.fhir.references import literal

Resource = dict[str, Any]
Keys = Mapping[str, str]
"""`Type/id` to business key, of the resources at hand."""

IGNORED = {
    "*": frozenset({"resourceType", "id", "meta", "text"}),
    "Provenance": frozenset({"recorded", "occurredDateTime", "occurredPeriod", "period"}),
    "AuditEvent": frozenset({"recorded", "period", "occurredDateTime", "occurredPeriod"}),
}
"""Elements left out: identity, what servers write themselves (narrative, versions), and times that come from the first write."""
_LEFT_OUT = {name: names | IGNORED["*"] for name, names in IGNORED.items()}
_META = ("profile", "security", "tag")
"""Of `meta`, ours must be there; servers keep earlier ones and add their own."""
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_REFERENCE_ONLY = frozenset({"reference", "identifier", "type", "display", "id", "extension"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One element that differs; its values are shown only by `describe(show_values=True)`."""

    path: str
    theirs: Any = field(default=None, repr=False)
    ours: Any = field(default=None, repr=False)

    def describe(self, show_values: bool = False) -> str:
        """The difference in words, values masked unless asked for.

        >>> Difference("status", "final", "amended").describe()
        'status: changed'
        >>> Difference("status", "final", "amended").describe(show_values=True)
        "status: 'final' -> 'amended'"
        """
        kind = "added" if self.theirs is None else "removed" if self.ours is None else "changed"
        return f"{self.path}: {_shown(self.theirs)} -> {_shown(self.ours)}" if show_values else f"{self.path}: {kind}"


@dataclass(frozen=True, slots=True)
class _Target:
    """What a reference points to: by key where it is known, and by type and id."""

    key: str | None
    place: str | None

    def same_as(self, other: "_Target") -> bool:
        if self.key is not None and other.key is not None:
            return self.key == other.key
        return self.place == other.place


def differences(theirs: Resource, ours: Resource, keys: Keys) -> tuple[Difference, ...]:
    """What would change on the server if ours were written over theirs; empty when they say the same."""
    with _depth_checked(ours):
        if stated(theirs) == stated(ours):
            return tuple(_meta(theirs, ours))
        return (*_walk("", canonical(theirs, keys), canonical(ours, keys)), *_meta(theirs, ours))


def digest(resource: Resource) -> str:
    """sha256 of what a resource says by itself: a reference counts by its own identifier, whatever else is at hand."""
    return digest_of(plain(resource))


def plain(resource: Resource) -> Resource:
    """What a resource says, element by element, in one spelling: equal for all that say the same."""
    with _depth_checked(resource):
        return {name: _spelled(value) for name, value in sorted(stated(resource).items())}


def digest_of(said: Resource) -> str:
    """The digest of a resource from what `plain` gives."""
    return hashlib.sha256(json.encode(said)).hexdigest()


@contextmanager
def _depth_checked(resource: Resource) -> Iterator[None]:
    """Nesting that exhausts the stack, which only a hostile server sends, is an `InputError`."""
    try:
        yield
    except RecursionError:
        place = str(resource.get("resourceType"))
        raise InputError([Finding("json-too-deep", place, expected="fewer levels of nesting")]) from None


def canonical(resource: Resource, keys: Keys) -> Resource:
    """The resource without what is ignored, numbers, instants and references each in one form."""
    return {name: _canonical(value, keys) for name, value in stated(resource).items()}


def stated(resource: Resource) -> Resource:
    """The resource without what is ignored; most are equal as they stand, which saves bringing them into one form."""
    left_out = _LEFT_OUT.get(str(resource.get("resourceType")), IGNORED["*"])
    return {name: value for name, value in resource.items() if name not in left_out}


def _canonical(value: Any, keys: Keys) -> Any:
    if isinstance(value, dict):
        target = _target(value, keys)
        return target if target is not None else {name: _canonical(item, keys) for name, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item, keys) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float | Decimal):
        return _number(value)
    return _moment(value)


def _spelled(value: Any) -> Any:
    """As `_canonical` without the keys of others, ready to be written down, in one pass."""
    if isinstance(value, str):
        return _moment(value)
    if isinstance(value, dict):
        target = _target(value, {})
        if target is not None:
            return {"reference": target.key or target.place}
        return {name: _spelled(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_spelled(item) for item in value]
    return value if isinstance(value, bool) or value is None else _number(value)


def _number(value: float | Decimal) -> Decimal:
    """A number in one spelling; one that is beyond reckoning as it stands."""
    try:
        return Decimal(value).normalize(EXACT)
    except ArithmeticError:
        return Decimal(value)


def _moment(text: str) -> str:
    """An instant in one spelling; any other text as it is."""
    return _instant(text) if text[10:11] == "T" and _INSTANT.fullmatch(text) else text


def _instant(text: str) -> str:
    """One spelling for a moment: servers move it to their own zone and drop empty fractions."""
    try:
        return dt.datetime.fromisoformat(text).astimezone(dt.UTC).isoformat()
    except (ValueError, OverflowError):
        return text


def _target(value: Resource, keys: Keys) -> _Target | None:
    """The target, if `value` is a Reference."""
    reference, identifier = value.get("reference"), value.get("identifier")
    if not (isinstance(reference, str) or isinstance(identifier, dict)) or not value.keys() <= _REFERENCE_ONLY:
        return None
    at = literal(reference) if isinstance(reference, str) else None
    place = f"{at.type}/{at.id}" if at else reference
    key = key_of(identifier) if isinstance(identifier, dict) else None
    return _Target(key or keys.get(place or ""), place)


def key_of(identifier: Mapping[str, Any]) -> str | None:
    """`system|value` of an Identifier, None where it has no value."""
    return f"{identifier.get('system', '')}|{identifier['value']}" if identifier.get("value") else None


def keys_of(resource: Resource) -> frozenset[str]:
    """The business keys of a resource: `identifier` is a list, or in R4's AdverseEvent a single one."""
    stated = resource.get("identifier")
    listed = stated if isinstance(stated, list) else [stated]
    return frozenset(key for item in listed if isinstance(item, dict) and (key := key_of(item)))


def _walk(path: str, theirs: Any, ours: Any) -> Iterator[Difference]:
    if isinstance(theirs, _Target) and isinstance(ours, _Target):
        if not theirs.same_as(ours):
            yield Difference(f"{path}.reference", theirs.key or theirs.place, ours.key or ours.place)
    elif isinstance(theirs, dict) and isinstance(ours, dict):
        for name in sorted({*theirs, *ours}):
            yield from _walk(f"{path}.{name}" if path else name, theirs.get(name), ours.get(name))
    elif isinstance(theirs, list) and isinstance(ours, list):
        for index in range(max(len(theirs), len(ours))):
            yield from _walk(f"{path}[{index}]", _item(theirs, index), _item(ours, index))
    elif type(theirs) is not type(ours) or theirs != ours:
        yield Difference(path, theirs, ours)


def _item(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else None


def _meta(theirs: Resource, ours: Resource) -> Iterator[Difference]:
    for name in _META:
        wanted = {_mark(item) for item in _listed(ours, name)}
        present = {_mark(item) for item in _listed(theirs, name)}
        if not wanted <= present:
            yield Difference(f"meta.{name}", sorted(present), sorted(wanted))


def _listed(resource: Resource, name: str) -> list[Any]:
    meta = resource.get("meta")
    values = meta.get(name) if isinstance(meta, dict) else None
    return values if isinstance(values, list) else []


def _mark(item: Any) -> str:
    return f"{item.get('system', '')}|{item.get('code', '')}" if isinstance(item, dict) else str(item)


def _plain(value: Any) -> Any:
    if isinstance(value, _Target):
        return {"reference": value.key or value.place}
    if isinstance(value, dict):
        return {name: _plain(value[name]) for name in sorted(value)}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _shown(value: Any) -> str:
    if value is None:
        return "(absent)"
    plain = _plain(value)
    return json.encode(plain).decode() if isinstance(plain, dict | list | Decimal) else repr(plain)
