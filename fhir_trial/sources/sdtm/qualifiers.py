"""Supplemental qualifiers as they stood: each is kept with the row it is of, as far as neither a field nor the file's header says it."""

from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.headers import ABOUT_QUALIFIERS, Header
from fhir_trial.sources.sdtm.layouts import LAYOUTS
from fhir_trial.sources.sdtm.lines import Written
from fhir_trial.sources.sdtm.rows import Reading
from fhir_trial.sources.sdtm.values import is_text
from fhir_trial.sources.sdtm.variables import WITHHELD

Parents = dict[tuple[str, str | None], Written]
"""The lines of a domain by subject and sequence number; DM's have no number."""

_SAID = ("QVAL", *ABOUT_QUALIFIERS.values())


def plain_number(text: str | None) -> str | None:
    """`1.0` as `1`: statistical software writes whole numbers so."""
    return text[:-2] if text is not None and text.endswith(".0") else text


def carry_qualifiers(raw: RawDomain, lines: list[Written], parents: Parents, header: Header, reading: Reading) -> None:
    """Keep what the rows of SUPP-- say beside the lines that are made of fields; rows without a parent of theirs are counted."""
    made = {(line.line["USUBJID"], line.line["IDVARVAL"] or None, line.line["QNAM"]): line for line in lines}
    seen: set[tuple[str | None, str | None, str]] = set()
    left: dict[str, int] = {}
    unread: dict[str, list[int]] = {}
    texts = {name: raw.column(name) for name in _SAID}
    for index, (subject, number, name) in enumerate(_keys(raw)):
        parent = parents.get((subject or "", number))
        if parent is None or (subject, number, name) in seen or not name or not is_text(name) or " " in name or name in WITHHELD:
            left[name] = left.get(name, 0) + 1
            continue
        seen.add((subject, number, name))
        line = made.pop((subject or "", number, name), None) or parent.qualifier(name, header)
        differing = {key: cells[index] for key, cells in texts.items() if cells[index] != line.line.get(key)}
        for key, text in differing.items():
            if text is None or is_text(text):
                line.columns.append({"record": line.record, "name": key, "value": text})
            else:
                unread.setdefault(key, []).append(raw.rows[index])
    for line in made.values():  # what a field says and the source has no row for
        line.columns.append({"record": line.record, "name": "QVAL", "value": None})
    reading.report_cells(raw, unread)
    _report(raw, left, reading)


def _keys(raw: RawDomain) -> list[tuple[str | None, str | None, str]]:
    """Subject, sequence number and name of each row; a number that is of another variable is none."""
    number = "" if raw.name == "suppdm" else f"{raw.name[4:].upper()}SEQ"
    named = zip(raw.column("IDVAR"), raw.column("IDVARVAL"), strict=True)
    by = [text if (variable or "").upper() == number else "?" for variable, text in named]
    names = [(text or "").upper() for text in raw.column("QNAM")]
    return list(zip(raw.column("USUBJID"), map(plain_number, by), names, strict=True))


def _report(raw: RawDomain, left: dict[str, int], reading: Reading) -> None:
    """Say which qualifiers are not kept; those that the tables have fields for are findings of their own."""
    known = {name for column in LAYOUTS[raw.name[4:]].columns if column.supplement for name in (column.variable, *column.also)}
    others = {name: count for name, count in left.items() if name not in known}
    if others:
        found = ", ".join(f"{count} rows of {name or '(blank)'}" for name, count in others.items())
        expected = f"a name, and a row of {raw.name[4:].upper()} that is carried"
        reading.report("not-carried-rows", raw, field="QNAM", found=found, expected=expected, severity="information", effect="not carried")
