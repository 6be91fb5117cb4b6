"""Which text may stay: by field, as `fields.yaml` says, and by what the text itself gives away."""

import re
from functools import cache
from pathlib import Path

import msgspec
import yaml

_TELLING = re.compile(
    r"\d{4}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{2,4}|\d{1,2}[ -]?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[ -]?\d{2,4}"
    r"|\d{6,}|[^\s@]+@[^\s@]+|https?://",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[<>]?=?\s*-?\d+(?:\.\d+)?")
LONGEST = 200


class TextRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of the text fields of one kind of row; a field that stands nowhere is withheld."""

    keep: frozenset[str] = frozenset()
    pseudonym: frozenset[str] = frozenset()
    instead: dict[str, str] = {}


@cache
def text_rules() -> dict[str, TextRules]:
    """The rules by entity class."""
    loaded = yaml.safe_load(Path(__file__).with_name("fields.yaml").read_text(encoding="utf-8"))
    return msgspec.convert(loaded, dict[str, TextRules])


def is_telling(text: str, subject: str) -> bool:
    """Whether a coded text may hold a date, an address or a number that names a person, or is too long for a code.

    >>> [is_telling(text, "S-001") for text in ("WEEK 6", "UNSCHEDULED 2023-02-04", "seen 4.2.23", "call 5551234567", "a@b.org", "S-001")]
    [False, True, True, True, True, True]
    >>> is_telling("250000", "S-001")
    False
    """
    if len(text) > LONGEST or (len(subject) > 2 and subject.casefold() in text.casefold()):
        return True
    return _TELLING.search(text) is not None and not _NUMBER.fullmatch(text)
