"""LB as laboratory results: a number, a limit that the laboratory gave instead of one, or words."""

import re
from collections import Counter
from decimal import Decimal
from typing import Any

from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.layouts import LB
from fhir_trial.sources.sdtm.rows import LEFT_OUT, Reading, Record, records, unique
from fhir_trial.sources.sdtm.values import format_decimal, parse_rounded

_KEY = ("subject", "sequence")
_LIMIT = re.compile(r"(<=|>=|<|>)\s*(\S+)")

_NOTICED = {
    "standard-result-missing": ("LBSTRESC", "the result as the laboratory reported it counts, in its own unit"),
    "unit-without-number": ("LBSTRESU", "the standard unit of a result in words is not carried"),
}
"""What is counted once a file instead of said of every row."""


def laboratory_results(raw: RawDomain, reading: Reading) -> list[dict[str, Any]]:
    """Rows of the laboratory table from LB; a result that is said to be not done has none."""
    kept, noticed = [], Counter[str]()
    raw = _with_tests(raw)
    for record in unique(records(raw, LB, reading), _KEY, raw, LB, reading):
        if _has_result(record, raw, reading):
            _read_result(record, raw, reading, noticed)
            kept.append(record | {"study": reading.study})
    for code, count in noticed.items():
        field, effect = _NOTICED[code]
        reading.report(code, raw, field=field, found=f"{count} rows", severity="information", effect=effect)
    return kept


def _with_tests(raw: RawDomain) -> RawDomain:
    """The rows without those that hold a date alone: they show that a subject was seen, and are read as that."""
    cells = zip(raw.column("LBSEQ"), raw.column("LBTESTCD"), raw.column("LBDTC"), strict=True)
    results = [index for index, (number, test, on) in enumerate(cells) if number is not None or test is not None or on is None]
    return raw if len(results) == len(raw) else raw.at(results, ("USUBJID", *LB.variables))


def standard_result(record: Record) -> Record:
    """LBSTRESC and LBSTRESN of a row of the table."""
    number = None if record["value"] is None else format_decimal(record["value"])
    if record["comparator"] is not None and number is not None:
        return {"character": record["comparator"] + number, "value": None}
    return {"character": number if number is not None else record["text"]}


def _has_result(record: Record, raw: RawDomain, reading: Reading) -> bool:
    """Whether the row is a result, or one that was not done; a finding where it is neither or both."""
    given = [record[name] for name in ("value", "character", "reported") if record[name] is not None]
    done = [found for found in given if str(found).upper() != "NOT DONE"]
    if record["not_done"] and done:
        expected = "no result"
        reading.report("not-done-with-result", raw, record["row"], "LBSTAT", found=str(done[0]), expected=expected, effect=LEFT_OUT)
        return False
    if not given and not record["not_done"]:
        reading.report("missing-value", raw, record["row"], "LBORRES", expected="a result or NOT DONE", effect=LEFT_OUT)
        return False
    if not done:
        record |= {"not_done": True, "value": None, "character": None, "reported": None}
    return True


def _read_result(record: Record, raw: RawDomain, reading: Reading, noticed: Counter[str]) -> None:
    """Give the row its value with a comparator, or its text."""
    record |= {"comparator": None, "text": None}
    if record["value"] is None and record["character"] is None and record["reported"] is not None:
        noticed["standard-result-missing"] += 1
        ends = {name: _number(record[f"reported_{name}"]) for name in ("low", "high")}
        record |= {"character": record["reported"], "unit": record["reported_unit"], **ends}
    comparator, number = _limit(record["character"])
    if record["value"] is None:
        record |= {"value": number, "comparator": comparator, "text": record["character"] if number is None else None}
    elif record["character"] is not None and number != record["value"]:
        expected = f"{format_decimal(record['value'])}, as LBSTRESN"
        effect = "LBSTRESN counts, and the row's own text is not carried"
        reading.report(
            "results-disagree", raw, record["row"], "LBSTRESC", found=record["character"], expected=expected, severity="warning",
            effect=effect,
        )  # fmt: skip
    else:
        record["comparator"] = comparator
    if record["value"] is None and record["unit"] is not None:
        noticed["unit-without-number"] += record["text"] is not None
        record["unit"] = None


def _limit(text: str | None) -> tuple[str | None, Decimal | None]:
    """The comparator and number of a text such as `<0.2`; no number where it is none."""
    match = _LIMIT.fullmatch(text or "")
    comparator, digits = (match[1], match[2]) if match else (None, text)
    number = _number(digits)
    return (comparator if number is not None else None), number


def _number(text: str | None) -> Decimal | None:
    try:
        return parse_rounded(text or "")
    except ValueError:
        return None
