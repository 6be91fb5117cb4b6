"""Functions on one text (each is the FHIRPath function it is entered as)."""

import base64
import binascii
import re
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import quote, unquote

from fhir_trial.fhirpath.errors import Unanswerable
from fhir_trial.fhirpath.functions import answer, function
from fhir_trial.fhirpath.nodes import Items, bare_items
from fhir_trial.fhirpath.operators import single


def _text(items: Items) -> str | None:
    value = single(items)
    if value is None or isinstance(value, str):
        return value
    raise Unanswerable("a text expected")


def _position(items: Items) -> int | None:
    value = single(items)
    if value is None or isinstance(value, int):
        return value
    raise Unanswerable("an integer expected")


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        raise Unanswerable("not a regular expression") from None


@function("startsWith", "boolean", (1, 1))
def _starts_with(items: Items, start: Items) -> Items:
    text, other = _text(items), _text(start)
    return [text.startswith(other)] if text is not None and other is not None else []


@function("endsWith", "boolean", (1, 1))
def _ends_with(items: Items, end: Items) -> Items:
    text, other = _text(items), _text(end)
    return [text.endswith(other)] if text is not None and other is not None else []


@function("contains", "boolean", (1, 1))
def _contains(items: Items, part: Items) -> Items:
    text, other = _text(items), _text(part)
    return [other in text] if text is not None and other is not None else []


@function("matches", "boolean", (1, 2))
def _matches(items: Items, pattern: Items, *_: Items) -> Items:
    text, expression = _text(items), _text(pattern)
    return [_pattern(expression).search(text) is not None] if text is not None and expression is not None else []


@function("matchesFull", "boolean", (1, 2))
def _matches_full(items: Items, pattern: Items, *_: Items) -> Items:
    text, expression = _text(items), _text(pattern)
    return [_pattern(expression).fullmatch(text) is not None] if text is not None and expression is not None else []


@function("replaceMatches", "string", (2, 3))
def _replace_matches(items: Items, pattern: Items, replacement: Items, *_: Items) -> Items:
    text, expression, new = _text(items), _text(pattern), _text(replacement)
    if text is None or expression is None or new is None:
        return []
    return [_pattern(expression).sub(re.sub(r"\$(\d+)", r"\\g<\1>", new), text)]


@function("replace", "string", (2, 2))
def _replace(items: Items, pattern: Items, replacement: Items) -> Items:
    text, old, new = _text(items), _text(pattern), _text(replacement)
    return [text.replace(old, new)] if text is not None and old is not None and new is not None else []


@function("indexOf", "integer", (1, 1))
def _index_of(items: Items, part: Items) -> Items:
    text, other = _text(items), _text(part)
    return [text.find(other)] if text is not None and other is not None else []


@function("substring", "string", (1, 2))
def _substring(items: Items, start: Items, length: Items | None = None) -> Items:
    text, first = _text(items), _position(start)
    if text is None or first is None or not 0 <= first < len(text):
        return []
    size = None if length is None else _position(length)
    return [text[first:] if size is None else text[first : first + max(0, size)]]


@function("length", "integer")
def _length(items: Items) -> Items:
    text = _text(items)
    return answer(None if text is None else len(text))


@function("upper", "string")
def _upper(items: Items) -> Items:
    text = _text(items)
    return answer(None if text is None else text.upper())


@function("lower", "string")
def _lower(items: Items) -> Items:
    text = _text(items)
    return answer(None if text is None else text.lower())


@function("trim", "string")
def _trim(items: Items) -> Items:
    text = _text(items)
    return answer(None if text is None else text.strip())


@function("toChars", "string", many=True)
def _to_chars(items: Items) -> Items:
    return list(_text(items) or "")


@function("split", "string", (1, 1), many=True)
def _split(items: Items, separator: Items) -> Items:
    text, mark = _text(items), _text(separator)
    if text is None or mark is None:
        return []
    return text.split(mark) if mark else list(text)


@function("join", "string", (0, 1))
def _join(items: Items, separator: Items | None = None) -> Items:
    # SQL on FHIR's suite has it that nothing joined is an empty text, not an absent one.
    texts = bare_items(items)
    if not all(isinstance(text, str) for text in texts):
        raise Unanswerable("texts expected")
    return [((_text(separator) if separator else None) or "").join(texts)]


_ENCODERS: dict[str, Callable[[str], str]] = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "urlbase64": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "url": lambda text: quote(text, safe=""),
}
_DECODERS: dict[str, Callable[[str], str]] = {
    "base64": lambda text: base64.b64decode(text, validate=True).decode(),
    "urlbase64": lambda text: base64.urlsafe_b64decode(text).decode(),
    "hex": lambda text: bytes.fromhex(text).decode(),
    "url": unquote,
}


@function("encode", "string", (1, 1))
def _encode(items: Items, form: Items) -> Items:
    text, encoder = _text(items), _ENCODERS.get(_text(form) or "")
    return [encoder(text)] if text is not None and encoder is not None else []


@function("decode", "string", (1, 1))
def _decode(items: Items, form: Items) -> Items:
    text, decoder = _text(items), _DECODERS.get(_text(form) or "")
    if text is None or decoder is None:
        return []
    try:
        return [decoder(text)]
    except (binascii.Error, ValueError):
        return []
