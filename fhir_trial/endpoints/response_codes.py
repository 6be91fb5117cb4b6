"""Responses as small numbers, for arrays; their words are those of the response table."""

PD, CR, PR, SD, NE, NEITHER, NED, NOTHING = range(8)
RESPONSES: tuple[str | None, ...] = ("PD", "CR", "PR", "SD", "NE", "NON-CR/NON-PD", "NED", None)
"""The word of each code; the last is no response at all."""
CODES: dict[str, int] = {word: code for code, word in enumerate(RESPONSES) if word is not None}
"""The code of each word."""
