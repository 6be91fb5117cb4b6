"""What a value that a search parameter finds is worth in the index: one function a parameter type, by the shape of the JSON."""

import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from fhir_trial.fhir.references import literal
from fhir_trial.store.moments import EARLIEST, LATEST, span

IndexRow = tuple[Any, ...]
"""The columns between `param` and `change` of an index table."""


def folded(text: str) -> str:
    """`text` as string search compares it: without case and accents.

    >>> folded("Müller")
    'muller'
    """
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


def tokens(value: Any) -> Iterator[IndexRow]:
    """(code, system) of a code, boolean, Coding, CodeableConcept, Identifier or ContactPoint; no system is ''.

    >>> list(tokens({"coding": [{"system": "http://loinc.org", "code": "718-7"}]}))
    [('718-7', 'http://loinc.org')]
    """
    if isinstance(value, bool):
        yield ("true" if value else "false", "")
    elif isinstance(value, str):
        yield (value, "")
    elif isinstance(value, dict):
        if isinstance(value.get("coding"), list):
            for coding in value["coding"]:
                yield from tokens(coding)
        # An Identifier or ContactPoint has a value, a Coding a code; the use of a ContactPoint is no system.
        elif isinstance(code := value.get("code", value.get("value")), str):
            is_contact = value.get("system") in ("phone", "fax", "email", "pager", "url", "sms", "other")
            yield (code, "" if is_contact else str(value.get("system", "")))


def strings(value: Any) -> Iterator[IndexRow]:
    """(folded, exact) of a string, or of every text in a HumanName, Address or CodeableConcept."""
    if isinstance(value, str):
        yield (folded(value), value)
    elif isinstance(value, dict):
        for name, part in value.items():
            if name not in ("use", "period", "extension", "id", "type", "coding"):
                yield from strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)


def uris(value: Any) -> Iterator[IndexRow]:
    """The uri itself."""
    if isinstance(value, str):
        yield (value,)


def dates(value: Any) -> Iterator[IndexRow]:
    """(low, high) microseconds of a date, dateTime or instant, of a Period, or around all events of a Timing.

    >>> [high - low for low, high in dates("2023-05-04")]
    [86399999999]
    """
    if isinstance(value, str):
        found = span(value)
        if found:
            yield found
    elif isinstance(value, dict):
        if "event" in value or "repeat" in value:
            repeat = value.get("repeat")
            spans = [s for event in value.get("event", ()) for s in dates(event)]
            spans += list(dates(repeat.get("boundsPeriod"))) if isinstance(repeat, dict) else []
            if spans:
                yield (min(s[0] for s in spans), max(s[1] for s in spans))
        elif "start" in value or "end" in value:
            start, end = (span(str(value.get(name, ""))) for name in ("start", "end"))
            yield (start[0] if start else EARLIEST, end[1] if end else LATEST)


def quantities(value: Any) -> Iterator[IndexRow]:
    """(value, code, system, unit) of a number, a Quantity or Money, or of the ends of a Range."""
    if isinstance(value, bool):
        return
    if isinstance(value, int | Decimal):
        yield (float(value), "", "", "")
    elif isinstance(value, dict):
        for end in ("low", "high"):
            yield from quantities(value.get(end))
        number = value.get("value")
        if isinstance(number, int | Decimal) and not isinstance(number, bool):
            yield (float(number), *(str(value.get(name, "")) for name in ("code", "system", "unit")))


def references(value: Any) -> Iterator[IndexRow]:
    """(id, type) of a reference to a resource; for any other url, the url and ''."""
    text = value.get("reference") if isinstance(value, dict) else value
    if isinstance(text, str):
        place = literal(text)
        yield (place.id, place.type) if place and place.base is None else (text, "")


def identifiers(value: Any) -> Iterator[IndexRow]:
    """(value, system) of the identifier that a reference carries beside its url."""
    if isinstance(value, dict):
        yield from tokens(value.get("identifier"))


TABLES = {
    "token": ("token", tokens),
    "string": ("string", strings),
    "uri": ("uri", uris),
    "date": ("date", dates),
    "quantity": ("quantity", quantities),
    "number": ("quantity", quantities),
    "reference": ("reference", references),
}
"""The index table and the reader of values by search parameter type; other types (composite, special) are not indexed."""
