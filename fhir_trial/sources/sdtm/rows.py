"""The engine of the layouts: a raw domain's rows as records of domain fields, each bad row named and left out."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from fhir_trial.domain.dates import is_local_time
from fhir_trial.errors import Finding, Findings
from fhir_trial.sources.sdtm.files import Cells, RawDomain
from fhir_trial.sources.sdtm.headers import WHOLE
from fhir_trial.sources.sdtm.layouts import UNCARRIED_BY_NATURE, Column, Layout
from fhir_trial.sources.sdtm.times import with_zone
from fhir_trial.sources.sdtm.values import DATE, TEXT, expectation
from fhir_trial.sources.sdtm.variables import is_carried

Record = dict[str, Any]
"""A row as domain fields (None where blank), `subject` among them, and `row`, its number in the file."""

LEFT_OUT = "the row is left out"


class _Bad(NamedTuple):
    """Text that a kind cannot read."""


_BAD = _Bad()


@dataclass
class Reading:
    """What one reading of a source shares: the study's id, its zone, the subjects that DM names, and the findings."""

    study: str
    zone: ZoneInfo | None = None
    subjects: Collection[str] | None = None
    findings: Findings = field(default_factory=Findings)

    def report(self, code: str, raw: RawDomain, row: int | None = None, field: str | None = None, **more: Any) -> None:
        """Collect one finding about a file."""
        self.findings.add(Finding(code, raw.place, row=row, field=field, **more))

    def report_cells(self, raw: RawDomain, unread: Mapping[str, list[int]]) -> None:
        """Warn of each variable with cells that are no text, by the numbers of their rows: nothing can carry them."""
        for name, rows in unread.items():
            effect = f"the cell is not carried; {len(rows)} rows"
            self.report("invalid-text", raw, rows[0], name, expected=TEXT.expected, severity="warning", effect=effect)


def records(raw: RawDomain, layout: Layout, reading: Reading) -> list[Record]:
    """The good rows of a domain; every error of every other row is a finding."""
    if not _usable(raw, layout, reading):
        return []
    if layout.only is not None:
        raw = _about(raw, layout, reading)
    bad: set[int] = set()
    subjects = _subjects(raw, reading, bad)
    columns = {column.field: _values(raw, column, reading, bad) for column in layout.columns if _stands_in(raw, column)}
    good = [index for index in range(len(raw)) if index not in bad]
    absent = {column.field: None for column in layout.columns if column.field not in columns}
    names = list(columns)
    by_row = zip(*columns.values(), strict=True) if columns else iter([()] * len(raw))
    whole = [absent | dict(zip(names, values, strict=True)) for values in by_row]
    return [whole[index] | {"subject": subjects[index], "row": raw.rows[index]} for index in good]


def report_uncarried(raw: RawDomain, layout: Layout | None, reading: Reading) -> None:
    """One information of the file's variables that are not carried, or of a whole file that is not."""
    known = layout.variables if layout is not None else frozenset()
    left = [name for name in raw.variables if name not in known | UNCARRIED_BY_NATURE and f"{name}CD" not in known]
    in_part = layout is not None or raw.name in WHOLE
    if in_part:
        left = [name for name in left if not is_carried(raw.name, name)]
    if left and len(raw):
        what = "variables" if in_part else "domain"
        found = f"{len(raw)} rows of {', '.join(left)}"
        reading.report(f"not-carried-{what}", raw, found=found, severity="information", effect="not part of the trial's tables")


def _about(raw: RawDomain, layout: Layout, reading: Reading) -> RawDomain:
    """The rows whose test has a place in the domain; the others are counted by test."""
    variable, terms = layout.only or ("", frozenset[str]())
    tests = [None if test is None else test.upper() for test in raw.column(variable)]
    others = Counter(test or "(blank)" for test in tests if test not in terms)
    if others:
        found = ", ".join(f"{count} rows of {test}" for test, count in others.most_common())
        effect = "not part of the trial's tables"
        expected = f"one of {', '.join(sorted(terms))}"
        reading.report("not-carried-rows", raw, field=variable, found=found, expected=expected, severity="information", effect=effect)
    return raw.at([index for index, test in enumerate(tests) if test in terms], ("USUBJID", *sorted(layout.variables)))


def _stands_in(raw: RawDomain, column: Column) -> bool:
    return raw.has(column.variable, *column.also)


def _usable(raw: RawDomain, layout: Layout, reading: Reading) -> bool:
    groups = [("USUBJID",), *((column.variable, *column.also) for column in layout.columns if column.required), *layout.needs]
    missing = [group for group in groups if not raw.has(*group)]
    for group in missing:
        expected = f"the column {' or '.join(group)}"
        reading.report("missing-column", raw, field=group[0], expected=expected, effect="the file is not read")
    for column in layout.columns if len(raw) else ():
        if column.without is not None and not _stands_in(raw, column):
            expected = f"the column {column.variable}"
            reading.report("missing-column", raw, field=column.variable, expected=expected, severity="warning", effect=column.without)
    return not missing


def _subjects(raw: RawDomain, reading: Reading, bad: set[int]) -> Cells:
    subjects = raw.column("USUBJID")
    unknown: dict[str, list[int]] = {}
    for index, subject in enumerate(subjects):
        if subject is None:
            bad.add(index)
            reading.report("missing-value", raw, raw.rows[index], "USUBJID", expected="a subject", effect=LEFT_OUT)
        elif reading.subjects is not None and subject not in reading.subjects:
            bad.add(index)
            unknown.setdefault(subject, []).append(raw.rows[index])
    for subject, rows in unknown.items():
        effect = f"the subject's {len(rows)} rows are left out"
        reading.report("unknown-subject", raw, rows[0], "USUBJID", found=subject, expected="a subject that DM has", effect=effect)
    return subjects


def _values(raw: RawDomain, column: Column, reading: Reading, bad: set[int]) -> list[Any]:
    texts = _first_known(raw, column)
    memo: dict[str, Any] = {text: _value(text, column, reading) for text in set(texts) if text is not None}
    values = [None if text is None else memo[text] for text in texts]
    if column.required and None in values:
        _report_missing(raw, column, values, reading, bad)
    if _BAD in memo.values():
        _report_unreadable(raw, column, values, texts, reading, bad)
        values = [None if value is _BAD else value for value in values]
    if column.kind is DATE:
        _report_times(raw, column, texts, memo, reading)
    return values


def _first_known(raw: RawDomain, column: Column) -> Cells:
    """The variable's text, and where it is blank that of the variables that stand in for it."""
    texts = raw.column(column.variable)
    for name in column.also:
        if raw.has(name):
            texts = [text if text is not None else other for text, other in zip(texts, raw.column(name), strict=True)]
    return texts


def _value(text: str, column: Column, reading: Reading) -> Any:
    try:
        TEXT.parse(text)
        value = column.kind.parse(text)
    except ValueError:
        return _BAD
    return with_zone(value, reading.zone) if column.kind is DATE else value


def _report_missing(raw: RawDomain, column: Column, values: list[Any], reading: Reading, bad: set[int]) -> None:
    for index, value in enumerate(values):
        if value is None and index not in bad:
            bad.add(index)
            reading.report("missing-value", raw, raw.rows[index], column.variable, expected="a value", effect=LEFT_OUT)


def _report_unreadable(raw: RawDomain, column: Column, values: list[Any], texts: Cells, reading: Reading, bad: set[int]) -> None:
    kind = column.kind
    severity, effect = ("warning", "kept as text") if column.keeps_row else ("error", LEFT_OUT)
    for index, value in enumerate(values):
        if value is _BAD:
            if not column.keeps_row:
                bad.add(index)
            text = texts[index] or ""
            expected = expectation(kind, text)
            reading.report(
                kind.finding, raw, raw.rows[index], column.variable, found=text, expected=expected, severity=severity, effect=effect
            )


def _report_times(raw: RawDomain, column: Column, texts: Cells, memo: dict[str, Any], reading: Reading) -> None:
    """Clock times without a zone, and dates with a part unknown in the middle: counted once a column."""
    local = {text for text, value in memo.items() if value is not _BAD and is_local_time(value)}
    cut = {text for text, value in memo.items() if value is not _BAD and not str(value).startswith(text)}
    for code, chosen, expected in (
        ("local-time", local, "a zone, or the study's time zone"),
        ("unknown-date-part", cut, "a date whose known parts come first"),
    ):
        if chosen:
            rows = [number for number, text in zip(raw.rows, texts, strict=True) if text in chosen]
            effect = "kept without a zone" if code == "local-time" else "kept as far as it is known"
            found = f"{len(rows)} rows, such as {min(chosen)}"
            reading.report(code, raw, rows[0], column.variable, found=found, expected=expected, severity="warning", effect=effect)


def unique(rows: Iterable[Record], fields: tuple[str, ...], raw: RawDomain, layout: Layout, reading: Reading) -> list[Record]:
    """The first row of each key; every later one is a finding and left out."""
    first: dict[tuple[Any, ...], Record] = {}
    for record in rows:
        key = tuple(record[name] for name in fields)
        if (other := first.setdefault(key, record)) is not record:
            name = layout.column(fields[-1]).variable if len(fields) > 1 else "USUBJID"
            expected = f"a key that row {other['row']} has not"
            reading.report("duplicate-key", raw, record["row"], name, found=str(key[-1]), expected=expected, effect=LEFT_OUT)
    return list(first.values())
