"""Rows that no table is made of (TS, RELREC, SV): kept with the study, or the subject they are of, and written as they stood."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from fhir_trial.sources.sdtm.datasets import Line
from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.headers import WHOLE
from fhir_trial.sources.sdtm.rows import Reading
from fhir_trial.sources.sdtm.values import is_text
from fhir_trial.sources.sdtm.variables import as_number, is_carried

Columns = list[dict[str, str | None]]
"""Source columns, each with the record it is of: `SV 3` is a subject's third row in SV."""

_KEYS = frozenset({"STUDYID", "DOMAIN", "USUBJID"})


def kept_rows(raw: Mapping[str, RawDomain], subjects: Collection[str], reading: Reading) -> dict[str | None, Columns]:
    """The rows of the data sets that are kept whole, by subject; those of no subject belong to the study.

    Rows of subjects that there are not, and cells that are no text, are findings.
    """
    kept: dict[str | None, Columns] = defaultdict(list)
    for name in (name for name in WHOLE if name in raw):
        number: Counter[str | None] = Counter()
        columns = {v: raw[name].column(v) for v in raw[name].variables if v not in _KEYS and is_carried(name, v)}
        unread: dict[str, list[int]] = {}
        strangers: list[int] = []
        for index, subject in enumerate(raw[name].column("USUBJID")):
            if subject is not None and subject not in subjects:
                strangers.append(index)
                continue
            texts = {variable: cells[index] for variable, cells in columns.items() if cells[index] is not None}
            told = {variable: as_number(name, variable, text) for variable, text in texts.items() if is_text(text or "")}
            for variable in texts.keys() - told.keys():
                unread.setdefault(variable, []).append(raw[name].rows[index])
            number[subject] += bool(told)
            record = f"{name.upper()} {number[subject]}"
            kept[subject].extend({"record": record, "name": variable, "value": text} for variable, text in told.items())
        reading.report_cells(raw[name], dict(sorted(unread.items())))
        _report_strangers(raw[name], strangers, reading)
    return kept


def _report_strangers(raw: RawDomain, strangers: list[int], reading: Reading) -> None:
    if strangers:
        subjects = Counter(raw.column("USUBJID")[index] for index in strangers)
        found = f"{len(strangers)} rows of {len(subjects)} subjects, such as {next(iter(subjects))}"
        expected, row = "a subject that DM has", raw.rows[strangers[0]]
        reading.report(
            "not-carried-rows", raw, row, "USUBJID", found=found, expected=expected, severity="warning", effect="not carried"
        )  # fmt: skip


def is_whole_row(record: str) -> bool:
    """Whether a record's name is that of a row that is kept whole.

    >>> is_whole_row("SV 3"), is_whole_row("SUPPDM RACEOTH")
    (True, False)
    """
    name, _, number = record.partition(" ")
    return number.isdigit() and name.lower() in WHOLE


def whole_lines(columns: Iterable[Mapping[str, Any]] | None, keys: Line) -> Iterator[tuple[str, Line]]:
    """The data set and line of each row that is kept, in their order; `keys` are the study and its subject."""
    lines: dict[str, Line] = {}
    for column in columns or ():
        name = (column["record"] or "").partition(" ")[0]
        if is_whole_row(column["record"] or ""):
            domain = {} if name == "RELREC" else {"DOMAIN": name}
            lines.setdefault(column["record"], keys | domain)[column["name"]] = column["value"] or ""
    for record, line in lines.items():
        yield record.partition(" ")[0].lower(), line
