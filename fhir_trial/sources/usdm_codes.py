"""CDISC's codes in USDM as the definition's words: what `usdm_codes.yaml` holds."""

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec


@cache
def _tables() -> dict[str, dict[str, str]]:
    """For each table the word of every code and name, in lower case."""
    document = msgspec.yaml.decode(files(__package__).joinpath("usdm_codes.yaml").read_bytes(), type=dict[str, dict[str, list[str]]])
    return {name: {key.lower(): word for word, keys in words.items() for key in keys} for name, words in document.items()}


def words(table: str) -> tuple[str, ...]:
    """The words of a table.

    >>> words("levels")
    ('primary', 'secondary', 'other')
    """
    return tuple(dict.fromkeys(_tables()[table].values()))


def word(code: Any, table: str) -> str | None:
    """The word for a Code of USDM, by its concept, else by its name; None for one that the table lacks, and for what is no Code.

    >>> word({"code": "C15602", "decode": "Phase 3"}, "phases"), word({"decode": "Phase III Trial"}, "phases"), word("III", "phases")
    ('PHASE3', 'PHASE3', None)
    """
    keys = (code.get("code"), code.get("decode")) if isinstance(code, dict) else ()
    return next((found for key in keys if isinstance(key, str) and (found := _tables()[table].get(key.strip().lower()))), None)
