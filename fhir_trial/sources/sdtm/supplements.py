"""Supplemental qualifiers (SUPP--) as columns of the rows they belong to."""

from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.layouts import Layout
from fhir_trial.sources.sdtm.rows import Reading
from fhir_trial.sources.sdtm.values import format_decimal, parse_decimal

_NEEDED = ("USUBJID", "QNAM", "QVAL")


def attach(raw: RawDomain, supplement: RawDomain, layout: Layout, reading: Reading) -> None:
    """Give `raw` a column for each qualifier that the layout knows; the others are counted, a row without its parent is a finding."""
    if missing := [name for name in _NEEDED if not supplement.has(name)]:
        reading.report("missing-column", supplement, field=missing[0], expected=f"the column {missing[0]}", effect="the file is not read")
        return
    wanted = {name for column in layout.columns if column.supplement for name in (column.variable, *column.also)}
    parents = _parents(raw)
    others: dict[str, int] = {}
    for index, name in enumerate((text or "").upper() for text in supplement.column("QNAM")):
        value = supplement.column("QVAL")[index]
        if name not in wanted:
            others[name] = others.get(name, 0) + 1
        elif value is not None:
            _attach_one(raw, supplement, index, (name, value), (parents, reading))
    if others:
        found = ", ".join(f"{count} rows of {name or '(blank)'}" for name, count in others.items())
        reading.report(
            "not-carried-rows", supplement, field="QNAM", found=found, severity="information", effect="not part of the trial's tables"
        )


Parents = dict[tuple[str | None, str | None, str | None], int]


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
    variable = (supplement.column("IDVAR")[index] or "").upper() or None
    key = (supplement.column("USUBJID")[index], variable, _number(supplement.column("IDVARVAL")[index]))
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
