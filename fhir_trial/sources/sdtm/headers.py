"""What the files of a source are like, so that the same are written: their variables in order, and what each supplemental qualifier is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_trial.sources.sdtm.datasets import Line
from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.layouts import LAYOUTS, Column
from fhir_trial.sources.sdtm.values import is_text
from fhir_trial.sources.sdtm.variables import WITHHELD, is_carried

ABOUT_QUALIFIERS = {"label": "QLABEL", "origin": "QORIG", "evaluator": "QEVAL"}
"""What the rows of one qualifier have in common, and the variable of SUPP-- that says it."""

WHOLE = ("ts", "relrec", "sv")
"""Data sets that no table is made of: their rows are kept whole."""


@dataclass(frozen=True)
class Header:
    """One file: its variables that are carried, those that its rows would be written with and it has not, and its qualifiers."""

    variables: tuple[str, ...] = ()
    """None where the source has no such file, though rows would be written to one."""
    without: frozenset[str] = frozenset()
    qualifiers: Mapping[str, Line] = field(default_factory=dict)
    """By QNAM, the values of QLABEL, QORIG and QEVAL of its first row."""


class Headers(dict[str, Header]):
    """The files of a source by data set; empty where the data came from no SDTM."""

    def place(self, domain: str, column: Column) -> tuple[str, bool]:
        """The variable that a column's field is written as, and whether it stands in SUPP--: where the source has it."""
        names = (column.variable, *column.also)
        main, apart = (self.get(name, Header()) for name in (domain, f"supp{domain}"))
        found = next((name for name in names if name in main.variables), None)
        if found is not None or column.supplement is None:
            return found or column.variable, False
        return next((name for name in names if name in apart.qualifiers), column.variable), True

    def has(self, domain: str, column: Column) -> bool:
        """Whether the source has a place for a column's field; so it is where there is no source."""
        name, apart = self.place(domain, column)
        of = self.get(f"supp{domain}", Header()).qualifiers if apart else self.get(domain, Header()).variables
        return not self or name in of

    def fitted(self, name: str, line: Line) -> Line:
        """The line without the variables that the source's file has not, and without any where it has no such file."""
        header = self.get(name)
        if header is None:
            return line
        return {variable: text for variable, text in line.items() if variable not in header.without} if header.variables else {}

    def order(self, name: str, lines: Iterable[Line]) -> list[str]:
        """The variables of a file: those of the source, and after them what else the lines say."""
        known = self.get(name, Header()).variables
        more = (variable for line in lines for variable, text in line.items() if text or not known)
        return list(dict.fromkeys((*known, *more)))


def always_written(name: str) -> set[str]:
    """What every line of a file says, beside what its row is about."""
    return {"STUDYID"} if name == "relrec" or name.startswith("supp") else {"STUDYID", "DOMAIN"}


def headers_of_files(raw: Mapping[str, RawDomain]) -> Headers:
    """What the files that are read look like; to be asked before anything is added to them."""
    return Headers({name: _header(one) for name, one in raw.items() if name in WHOLE or name.removeprefix("supp") in LAYOUTS})


def _header(raw: RawDomain) -> Header:
    layout = LAYOUTS.get(raw.name)
    known = layout.variables if layout is not None else frozenset[str]()
    variables = tuple(name for name in raw.variables if name not in WITHHELD and (name in known or is_carried(raw.name, name)))
    return Header(variables, qualifiers=_qualifiers(raw) if raw.name.startswith("supp") else {})


def _qualifiers(raw: RawDomain) -> dict[str, Line]:
    found: dict[str, Line] = {}
    about = list(zip(*(raw.column(name) for name in ABOUT_QUALIFIERS.values()), strict=True))
    for name, texts in zip(raw.column("QNAM"), about, strict=True):
        if name is not None and is_text(name) and name.upper() not in found:
            said = zip(ABOUT_QUALIFIERS.values(), texts, strict=True)
            found[name.upper()] = {variable: text for variable, text in said if text is not None and is_text(text)}
    return found


def as_fields(headers: Headers) -> dict[str, list[dict[str, Any]]]:
    """The headers as fields of the study: its data sets and their qualifiers."""
    return {
        "datasets": [
            {"name": name, "variables": " ".join(header.variables) or None, "without": " ".join(sorted(header.without)) or None}
            for name, header in sorted(headers.items())
        ],
        "qualifiers": [
            {"dataset": name, "name": qualifier} | {key: said.get(variable) for key, variable in ABOUT_QUALIFIERS.items()}
            for name, header in sorted(headers.items())
            for qualifier, said in header.qualifiers.items()
        ],
    }


def headers_of_study(study: Mapping[str, Any]) -> Headers:
    """The headers that a study's fields say."""
    qualifiers: dict[str, dict[str, Line]] = {}
    for row in study["qualifiers"] or ():
        said = {variable: row[key] for key, variable in ABOUT_QUALIFIERS.items() if row[key] is not None}
        qualifiers.setdefault(row["dataset"], {})[row["name"]] = said
    return Headers(
        {
            row["name"]: Header(
                tuple((row["variables"] or "").split()), frozenset((row["without"] or "").split()), qualifiers.get(row["name"], {})
            )
            for row in study["datasets"] or ()
        }
    )
