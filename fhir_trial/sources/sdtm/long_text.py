"""Text of more than 200 bytes in pieces, as SAS transport needs it: cut between words, and inside one where there is no blank to cut at."""

import re

LIMIT = 200
"""Bytes of a character variable in SAS transport, version 5."""

SHORTEST_FIRST = 100
"""A first piece has at least as many bytes: SUPPDM's RACE1 beside RACE "MULTIPLE" is no continuation."""

CUT_INSIDE = "Continued in a word"
"""What begins the label (QLABEL) of a piece that goes on without a blank."""

_BLANK = re.compile(r"(?<=\S) (?=\S)")
"""Where text may be cut and joined by a blank again."""


def split(text: str) -> list[tuple[str, str]] | None:
    """Pieces of at most 200 bytes, each with what stood between it and the one before: a blank or nothing.

    None for a text whose blanks allow no cut that could be made good again.

    >>> [(len(piece), glue) for piece, glue in split("word " * 60 + "end")]
    [(199, ''), (103, ' ')]
    """
    pieces, glue = [], ""
    while len(text.encode("utf-8")) > LIMIT:
        blank, inside = _last_blank(text), _last_inside(text)
        if (at := blank or inside) is None:
            return None
        pieces.append((text[:at], glue))
        glue = " " if blank else ""
        text = text[at + len(glue) :]
    return [*pieces, (text, glue)]


def _last_blank(text: str) -> int | None:
    """The last single blank whose piece has 100 to 200 bytes."""
    fits = [match.start() for match in _BLANK.finditer(text[: LIMIT + 2]) if _bytes(text[: match.start()]) <= LIMIT]
    return fits[-1] if fits and _bytes(text[: fits[-1]]) >= SHORTEST_FIRST else None


def _last_inside(text: str) -> int | None:
    """The last place between two letters whose piece has 100 to 200 bytes."""
    fits = len(text.encode("utf-8")[:LIMIT].decode("utf-8", "ignore"))
    places = (at for at in range(fits, 0, -1) if not text[at - 1].isspace() and not text[at].isspace())
    at = next(places, None)
    return at if at is not None and _bytes(text[:at]) >= SHORTEST_FIRST else None


def _bytes(text: str) -> int:
    return len(text.encode("utf-8"))
