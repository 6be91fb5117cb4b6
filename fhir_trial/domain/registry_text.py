"""Text as ClinicalTrials.gov hands it out."""

import re

_MARK_UP = re.compile(r"(^\s*\*)|[\\^<>\[\]&~*]", re.MULTILINE)
"""Signs that the registry writes with a backslash; a star that begins a line is a list."""
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")


def plain(text: str | None) -> str | None:
    """Text of the registry without the backslashes before signs that its mark-up would read.

    >>> plain(r"platelets \\>= 100 x 10\\^9/L")
    'platelets >= 100 x 10^9/L'
    """
    return None if text is None else _ESCAPED.sub(r"\1", text)


def marked(text: str) -> str:
    """Text as the registry writes it, which `plain` reads.

    >>> marked("* AUC >= 5 [mg*h/L]"), plain(marked("* AUC >= 5 [mg*h/L]"))
    ('* AUC \\\\>= 5 \\\\[mg\\\\*h/L\\\\]', '* AUC >= 5 [mg*h/L]')
    """
    return _MARK_UP.sub(lambda match: match[1] or f"\\{match[0]}", text)
