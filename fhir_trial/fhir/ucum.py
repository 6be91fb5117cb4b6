"""Whether a text is a unit of UCUM (ucum.org, case-sensitive codes): its grammar, and the atoms written without brackets.

Atoms in brackets (`[in_i]`, `[IU]`) are not listed here: any well-formed one is taken.
"""

import re
from functools import lru_cache


def _one_of(words: str) -> str:
    """A pattern for any of the words, longer ones first."""
    return "|".join(sorted(map(re.escape, words.split()), key=len, reverse=True))


_PREFIX = _one_of("Y Z E P T G M k h da d c m u n p f a z y Ki Mi Gi Ti")
_METRIC = _one_of(
    "m s g rad K C cd mol sr Hz N Pa J W A V F Ohm S Wb Cel T H lm lx Bq Gy Sv l L ar st t u eV pc bar B Np gf kat U eq osm bit By Bd"
    " Ky Gal dyn erg P Bi St Mx G Oe Gb sb Lmb ph Ci R RAD REM cal cal_IT cal_th cal_m tex b mho"
)
_OTHER = _one_of("10* 10^ gon deg ' '' min h d a_t a_j a_g a wk mo_s mo_j mo_g mo AU Ao atm % bit_s g% circ sph att")
_BRACKET = r"[A-Za-z%0-9_]*\[[!-Z\\^-z|~]+\]"
_SIMPLE = rf"(?:{_OTHER}|(?:{_PREFIX})?(?:{_METRIC})|{_BRACKET}(?:_[A-Za-z]+)?)"
# Annotations say nothing of the unit; UCUM has no spaces in them, but HL7's own value sets do.
_ANNOTATION = r"\{[ -z|~]*\}"
_COMPONENT = rf"(?:{_SIMPLE}(?:[+-]?\d+)?(?:{_ANNOTATION})?|{_ANNOTATION}|[1-9]\d*(?:{_ANNOTATION})?)"
_TERM = re.compile(rf"/?{_COMPONENT}(?:[./]{_COMPONENT})*")
_GROUP = re.compile(r"\(([^()]*)\)(?:[+-]?\d+)?")


@lru_cache(maxsize=1024)
def is_unit(text: str) -> bool:
    """Whether `text` is a UCUM unit.

    >>> [unit for unit in ("mg/m2", "10*9/L", "ug/(kg.h)", "{score}", "mcg", "mg/m²", "years", "mm Hg") if is_unit(unit)]
    ['mg/m2', '10*9/L', 'ug/(kg.h)', '{score}']
    """
    while group := _GROUP.search(text):
        if not _TERM.fullmatch(group[1]):
            return False
        text = text[: group.start()] + "1" + text[group.end() :]
    return _TERM.fullmatch(text) is not None
