"""Rows that no table is made of (TS, RELREC, SV): kept with the study, or the subject they are of, and written as they stood."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fhir_trial.sources.sdtm.datasets import Line
from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.headers import WHOLE
from fhir_trial.sources.sdtm.values import is_text
from fhir_trial.sources.sdtm.variables import as_number, is_carried

Columns = list[dict[str, str | None]]
"""Source columns, each with the record it is of: `SV 3` is a subject's third row in SV."""

_KEYS = frozenset({"STUDYID", "DOMAIN", "USUBJID"})


def kept_rows(raw: Mapping[str, RawDomain]) -> dict[str | None, Columns]:
    """The rows of the data sets that are kept whole, by subject; those of no subject belong to the study."""
    kept: dict[str | None, Columns] = defaultdict(list)
    for name in (name for name in WHOLE if name in raw):
        number: Counter[str | None] = Counter()
        columns = {v: raw[name].column(v) for v in raw[name].variables if v not in _KEYS and is_carried(name, v)}
        for index, subject in enumerate(raw[name].column("USUBJID")):
            texts = {variable: cells[index] for variable, cells in columns.items()}
            told = {variable: as_number(name, variable, text) for variable, text in texts.items() if text is not None and is_text(text)}
            number[subject] += bool(told)
            record = f"{name.upper()} {number[subject]}"
            kept[subject].extend({"record": record, "name": variable, "value": text} for variable, text in told.items())
    return kept


def whole_lines(columns: Iterable[Mapping[str, Any]] | None, keys: Line) -> Iterator[tuple[str, Line]]:
    """The data set and line of each row that is kept, in their order; `keys` are the study and its subject."""
    lines: dict[str, Line] = {}
    for column in columns or ():
        name, _, number = (column["record"] or "").partition(" ")
        if number.isdigit() and name.lower() in WHOLE:
            domain = {} if name == "RELREC" else {"DOMAIN": name}
            lines.setdefault(column["record"], keys | domain)[column["name"]] = column["value"] or ""
    for record, line in lines.items():
        yield record.partition(" ")[0].lower(), line
