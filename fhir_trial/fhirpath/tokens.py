"""Text to tokens, by the lexical rules of FHIRPath N1."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fhir_trial.fhirpath.errors import FhirPathError

_TOKEN = re.compile(
    r"""(?P<space>(?:\s+|//[^\n]*|/\*.*?\*/)+)
      | (?P<temporal>@T[0-9][0-9:.]*
          | @[0-9]{4}(?:-[0-9]{2}){0,2}
            (?:T(?:[0-9]{2}(?::[0-9]{2}){0,2}(?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?)
      | (?P<number>[0-9]+(?:\.[0-9]+)?)
      | (?P<string>'(?:[^'\\]|\\.)*')
      | (?P<constant>%(?:[A-Za-z_][A-Za-z0-9_-]*|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`))
      | (?P<variable>\$[a-z]+)
      | (?P<delimited>`(?:[^`\\]|\\.)*`)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign><=|>=|!=|!~|[-+*/&|<>=~.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text: its kind (`word`, `sign`, `string`..., `end`), its meaning and where it begins."""

    kind: str
    text: str
    position: int


def tokens(text: str) -> Iterator[Token]:
    """The tokens of an expression, the last of kind `end`; an unreadable character is a `FhirPathError`.

    >>> [t.text for t in tokens("name[0].given = 'A\\\\'b'")]
    ['name', '[', '0', ']', '.', 'given', '=', "A'b", '']
    """
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise FhirPathError(text, position, "unreadable-expression", f"unexpected {text[position]!r}")
        kind = str(match.lastgroup)
        if kind != "space":
            yield Token(_KINDS.get(kind, kind), _meaning(kind, match.group()), position)
        position = match.end()
    yield Token("end", "", len(text))


_KINDS = {"delimited": "name"}


def _meaning(kind: str, text: str) -> str:
    if kind in ("string", "delimited"):
        return _unescape(text[1:-1])
    if kind == "constant":
        return _unescape(text[2:-1]) if text[1] in "'`" else text[1:]
    return text


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: _character(match.group(1)), text)


def _character(escape: str) -> str:
    return chr(int(escape[1:], 16)) if len(escape) == 5 else _ESCAPES.get(escape, escape)
