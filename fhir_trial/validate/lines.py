"""On which line of a JSON document a value stands: looked up only for findings, so that reading stays fast."""

import re
from collections.abc import Sequence

# Strings, punctuation, and runs of anything else: numbers and words.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')


def line_of(data: bytes, path: Sequence[str | int]) -> int:
    """How many lines lie before the value at `path` in a valid JSON document; of what encloses it, where it is not there.

    >>> line_of(b'{"a": 1,\\n "b": [1,\\n 2]}', ("b", 1))
    2
    >>> line_of(b'{"a": 1,\\n "b": [1,\\n 2]}', ("b", "missing"))
    1
    """
    return data.count(b"\n", 0, _start(data, [step if isinstance(step, int) else step.encode() for step in path]))


def _start(data: bytes, wanted: list[int | bytes]) -> int:
    """Where the value at `wanted` begins, or the innermost value on the way to it."""
    found = 0
    here: list[int | bytes] = []
    expects_key = False
    for token in _TOKEN.finditer(data):
        text = token[0]
        if text == b",":
            last = here[-1]
            expects_key = isinstance(last, bytes)
            here[-1] = last if isinstance(last, bytes) else last + 1
        elif text in (b"}", b"]"):
            here.pop()
            expects_key = False
        elif expects_key:
            here[-1] = text[1:-1]
            expects_key = False
        elif text != b":":
            found = token.start() if here == wanted[: len(here)] else found
            if text in (b"{", b"["):
                here.append(b"" if text == b"{" else 0)
                expects_key = text == b"{"
    return found
