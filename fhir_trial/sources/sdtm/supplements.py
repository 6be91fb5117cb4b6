"""Supplemental qualifiers (SUPP--) as columns of the rows they belong to, and as the rest of texts that were too long for their row."""

import re

from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.layouts import Layout
from fhir_trial.sources.sdtm.long_text import CUT_INSIDE, SHORTEST_FIRST
from fhir_trial.sources.sdtm.rows import Reading
from fhir_trial.sources.sdtm.values import format_decimal, parse_decimal

_NEEDED = ("USUBJID", "QNAM", "QVAL")


def attach(raw: RawDomain, supplement: RawDomain, layout: Layout, reading: Reading) -> RawDomain | None:
    """Give `raw` a column for each qualifier that the layout knows, and its long texts their rest; a row without its parent is a finding.

    What is left of the file: the rows that are qualifiers; None where it has none, or cannot be read.
    """
    if missing := [name for name in _NEEDED if not supplement.has(name)]:
        reading.report("missing-column", supplement, field=missing[0], expected=f"the column {missing[0]}", effect="the file is not read")
        return None
    wanted = {name for column in layout.columns if column.supplement for name in (column.variable, *column.also)}
    parents = _parents(raw)
    qualifiers: list[int] = []
    rests: dict[tuple[str, int], dict[int, str]] = {}
    for index, name in enumerate((text or "").upper() for text in supplement.column("QNAM")):
        value = supplement.column("QVAL")[index]
        if value is not None and (rest := _continued(raw, name, parents.get(_key(supplement, index, raw)))) is not None:
            variable, parent, number = rest
            glue = "" if (supplement.column("QLABEL")[index] or "").startswith(CUT_INSIDE) else " "
            rests.setdefault((variable, parent), {})[number] = glue + value
            continue
        qualifiers.append(index)
        if value is not None and name in wanted:
            _attach_one(raw, supplement, index, (name, value), (parents, reading))
    for (variable, parent), pieces in rests.items():
        raw.cells[variable][parent] = "".join((raw.cells[variable][parent] or "", *(pieces[number] for number in sorted(pieces))))
    return None if len(supplement) and not qualifiers else supplement.at(qualifiers, supplement.variables)


Key = tuple[str | None, str | None, str | None]
Parents = dict[Key, int]

_CONTINUED = re.compile(r"([A-Z][A-Z0-9]*?)([1-9])")


def _continued(raw: RawDomain, name: str, parent: int | None) -> tuple[str, int, int] | None:
    """The variable, row and number of the piece of a long text that a qualifier goes on with; None for any other qualifier."""
    match = _CONTINUED.fullmatch(name)
    if match is None or parent is None:
        return None
    for variable in raw.variables:
        text = raw.column(variable)[parent] if variable[:7] == match[1] else None
        if text is not None and len(text.encode("utf-8")) >= SHORTEST_FIRST:
            return variable, parent, int(match[2])
    return None


def _key(supplement: RawDomain, index: int, raw: RawDomain) -> Key:
    """The row that a qualifier is of; DM's need no key variable, since a subject has one row there."""
    variable = (supplement.column("IDVAR")[index] or "").upper() or (f"{raw.name.upper()}SEQ" if raw.name == "dm" else None)
    return supplement.column("USUBJID")[index], variable, _number(supplement.column("IDVARVAL")[index])


def _parents(raw: RawDomain) -> Parents:
    """Where each row stands by subject, key variable and its value; a subject's first row also stands for no key at all."""
    sequence = f"{raw.name.upper()}SEQ"
    parents: Parents = {}
    subjects = raw.column("USUBJID")
    for index, (subject, number) in enumerate(zip(subjects, raw.column(sequence), strict=True)):
        parents.setdefault((subject, sequence, _number(number)), index)
    return parents


def _number(text: str | None) -> str | None:
    """`1` and `1.0` are one key."""
    try:
        return None if text is None else format_decimal(parse_decimal(text))
    except ValueError:
        return text


def _attach_one(raw: RawDomain, supplement: RawDomain, index: int, entry: tuple[str, str], where: tuple[Parents, Reading]) -> None:
    parents, reading = where
    name, value = entry
    key = _key(supplement, index, raw)
    row = supplement.rows[index]
    if key not in parents:
        expected = f"{raw.name.upper()}SEQ of a row of {raw.place}"
        reading.report(
            "supplement-without-parent", supplement, row, "IDVARVAL", found=key[2], expected=expected, effect="the row is left out"
        )
        return
    if name not in raw.cells:
        raw.cells[name] = list(raw.column(name))
    held = raw.cells[name][parents[key]]
    if held is not None and held != value:
        expected = "one value for a row and name; the first is kept"
        reading.report("duplicate-key", supplement, row, "QNAM", found=name, expected=expected, effect="the row is left out")
        return
    raw.cells[name][parents[key]] = value
