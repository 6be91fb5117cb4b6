"""TR as measurements (a lesion's diameters and state at a visit in one row) and reported sums of diameters."""

import re
from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.layouts import TR
from fhir_trial.sources.sdtm.lesions import Lesions, complete, key_of, merged_with
from fhir_trial.sources.sdtm.rows import LEFT_OUT, Reading, Record
from fhir_trial.sources.sdtm.tumour_rows import in_order, numbered, report_repeat, tumour_records
from fhir_trial.sources.sdtm.values import converted, parse_decimal

STATES = {
    "ABSENT": "absent",
    "PRESENT": "present",
    "TOO SMALL TO MEASURE": "too-small-to-measure",
    "UNEQUIVOCAL PROGRESSION": "unequivocal-progression",
    "NOT EVALUABLE": "not-evaluable",
    "EQUIVOCAL": "equivocal",
    "UNEQUIVOCAL": "unequivocal",
    "NE": "not-evaluable",
}
"""Results that are words (in TRSTRESC, else TRORRES) to a lesion's state; the first word of a state is the one written."""

MILLIMETRES = {"MM": Decimal(1), "CM": Decimal(10)}
"""Units of length and their exact factor."""

TESTS = {"LDIAM": "longest", "LPERP": "short_axis", "TUMSTATE": "state"}
"""Tests that are joined into one measurement, and what their columns are called."""

_STRONGEST = ("merged", *dict.fromkeys(STATES.values()), "not-done")
"""Where two rows of a visit state different things, the first of these stands."""

_KEY = ("subject", "lesion", "evaluator", "evaluator_id", "visit")


def measurements(
    raw: RawDomain, lesions: Lesions, starts: dict[str, str | None], reading: Reading
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of the tables measurement and sum_of_diameters; lesions that TR alone has are entered in `lesions`."""
    rows = [record for record in tumour_records(raw, TR, reading) if _read_result(record, raw, reading)]
    sums = [record | {"sum_mm": record["mm"]} for record in rows if record["test"] == "SUMDIAM" and _has_length(record, raw, reading)]
    numbered(sums, ("subject", "evaluator", "evaluator_id", "visit"), raw, TR, reading)
    whole = [each for record in rows if record["test"] == "TRALL" for each in _of_every_lesion(record, lesions)]
    single = _of_lesions([record for record in rows if record["test"] not in ("SUMDIAM", "TRALL")], raw, reading)
    of_lesions = single + whole
    joined = _join(of_lesions, raw, reading)
    kept = complete(lesions, joined, starts, raw, reading)
    for measurement in kept:
        measurement["role"] = measurement["role"] or lesions.rows[key_of(measurement)]["role"]
    return kept + _merged_without_record(lesions, kept), sums


def _of_every_lesion(record: Record, lesions: Lesions) -> list[Record]:
    """A visit that was not done at all (TRALL): not done for each lesion this reader knows, of the row's role where it names one."""
    return [
        record | {"test": "TUMSTATE", "lesion": key[3], "role": lesion["role"]}
        for key, lesion in lesions.rows.items()
        if key[:3] == key_of(record)[:3] and record["role"] in (None, lesion["role"])
    ]


def _of_lesions(rows: list[Record], raw: RawDomain, reading: Reading) -> list[Record]:
    """The rows that name a lesion; a finding for each other row, or one for a file in which no row does."""
    named = [record for record in rows if record["lesion"] is not None]
    if rows and not named:
        found, effect = f"none in {len(rows)} rows", "no measurement is read"
        reading.report("missing-value", raw, field="TRLNKID", found=found, expected="a lesion in each row", effect=effect)
        return []
    for record in rows:
        if record["lesion"] is None:
            reading.report("missing-value", raw, record["row"], "TRLNKID", expected="a lesion", effect=LEFT_OUT)
    return named


def _has_length(record: Record, raw: RawDomain, reading: Reading) -> bool:
    """Whether a sum has a value; one that was not done has none and is left out."""
    if record["mm"] is None:
        reading.report(
            "sum-without-value", raw, record["row"], "TRSTRESN", found=record["state"], expected="a sum in mm", severity="warning",
            effect=LEFT_OUT,
        )  # fmt: skip
    return record["mm"] is not None


def _read_result(record: Record, raw: RawDomain, reading: Reading) -> bool:
    """Give the row `mm`, `state` and `merged_with`; False, with a finding, where its result is neither a length nor a state."""
    record["test"] = record["test"].upper()
    words = record["character"] or record["result"]
    record["merged_with"] = merged_with(words) or merged_with(record["result"])
    named = STATES.get((words or "").upper()) or STATES.get((record["result"] or "").upper())
    not_done = record["not_done"] or (words or "").upper() == "NOT DONE"
    record["state"] = "merged" if record["merged_with"] else "not-done" if not_done else named
    record["mm"] = None
    if record["test"] in ("TUMSTATE", "TRALL"):
        return _has_state(record, raw, reading)
    number = record["number"] if record["state"] else record["number"] or record["character"] or record["result"]
    if number is None and record["state"] is not None:
        return True
    return _read_length(record, number, raw, reading)


def _has_state(record: Record, raw: RawDomain, reading: Reading) -> bool:
    if record["state"] is None:
        found, expected = record["character"] or record["result"], f"one of {', '.join(STATES)}, MERGED WITH a lesion"
        reading.report("unknown-code", raw, record["row"], "TRSTRESC", found=found, expected=expected, effect=LEFT_OUT)
    return record["state"] is not None


def _read_length(record: Record, number: str | None, raw: RawDomain, reading: Reading) -> bool:
    standard = record["number"] is not None or (record["character"] is not None and record["unit"] is not None)
    variable = "TRSTRESN" if record["number"] is not None else "TRSTRESC" if standard else "TRORRES"
    if not standard and record["state"] is None:
        number = record["result"] or number
    number, unit = _apart(number, record["unit"] or record["result_unit"] if standard else record["result_unit"])
    try:
        size = converted(parse_decimal(number or ""), MILLIMETRES.get((unit or "mm").upper(), Decimal(1)))
    except ValueError:
        expected = f"a diameter in mm, or one of {', '.join(STATES)}, MERGED WITH a lesion"
        reading.report("not-a-diameter", raw, record["row"], variable, found=number, expected=expected, effect=_unmeasured(record))
        return False
    unit = unit or ("mm" if record["number"] is not None else None)  # TRSTRESN is in mm by the study's standard
    if unit is None or unit.upper() not in MILLIMETRES:
        reading.report(
            "unknown-unit",
            raw,
            record["row"],
            "TRSTRESU" if standard else "TRORRESU",
            found=unit,
            expected="mm or cm",
            effect=_unmeasured(record),
        )
        return False
    if size < 0:
        reading.report("negative-diameter", raw, record["row"], variable, found=number, expected="0 or more", effect=_unmeasured(record))
        return False
    record["mm"] = size.copy_abs()
    return True


_WITH_UNIT = re.compile(r"(\S+?)\s*(mm|cm)", re.IGNORECASE)


def _apart(text: str | None, unit: str | None) -> tuple[str | None, str | None]:
    """A length and its unit, also where the text has both; not where a unit beside it is another.

    >>> _apart("12 mm", None), _apart("1.2cm", "CM"), _apart("12 mm", "cm")
    (('12', 'mm'), ('1.2', 'CM'), ('12 mm', 'cm'))
    """
    match = _WITH_UNIT.fullmatch(text or "")
    return (match[1], unit or match[2]) if match and (unit or match[2]).upper() == match[2].upper() else (text, unit)


def _unmeasured(record: Record) -> str:
    """What follows for the subject where a diameter cannot be read."""
    at = f" at {record['visit']}" if record["visit"] else ""
    return f"{LEFT_OUT}: lesion {record['lesion']} of subject {record['subject']} counts as not measured{at}"


def _join(rows: list[Record], raw: RawDomain, reading: Reading) -> list[dict[str, Any]]:
    """Rows of one lesion, visit and evaluator as one measurement; a test that is repeated makes a further one, with a finding."""
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in rows:
        groups[(*(record[name] for name in _KEY), record["visit_number"])].append(record)
    last: Counter[tuple[Any, ...]] = Counter()
    joined = []
    for key, members in groups.items():
        for slot in _slots(members):
            last[key[:-1]] += 1
            measurement = _measurement(slot, last[key[:-1]])
            joined.append(measurement)
            if measurement["ordinal"] > 1:
                report_repeat(in_order(slot)[0] | {"ordinal": measurement["ordinal"]}, raw, TR, reading)
    return joined


def _slots(members: list[Record]) -> list[list[Record]]:
    """The rows in groups without a repeated test, by sequence, and by date where that tells repeats apart."""
    if len({record["test"] for record in members}) == len(members):
        return [in_order(members)]
    slots: list[list[Record]] = []
    for record in in_order(members):
        for slot in slots:
            if slot[0]["on"] == record["on"] and record["test"] not in {other["test"] for other in slot}:
                slot.append(record)
                break
        else:
            slots.append([record])
    return slots


def _measurement(slot: list[Record], ordinal: int) -> dict[str, Any]:
    by_test = {TESTS[record["test"]]: record for record in slot}
    first = slot[0]
    state = _state(by_test)
    made = {name: first[name] for name in ("study", *_KEY, "visit_number", "on", "row")} | {"ordinal": ordinal, "state": state}
    for name in ("role", "method", "accepted"):
        made[name] = next((record[name] for record in slot if record[name] is not None), None)
    for test, record in by_test.items():
        made[f"{test}_sequence"] = record["sequence"]
        if test != "state":
            made[f"{test}_mm"] = record["mm"]
    made["merged_with"] = next((r["merged_with"] for r in slot if r["merged_with"]), None) if state == "merged" else None
    # The state's own row says why it is so, whatever the order of the rows: a diameter's row may have a reason of its own.
    told = [record["reason"] for record in sorted(slot, key=lambda record: TESTS[record["test"]] != "state") if record["reason"]]
    made["reason"] = told[0] if told and state in ("not-done", "not-evaluable") else None
    return made


def _state(by_test: dict[str, Record]) -> str | None:
    """The tumour state's own row; else what the diameters' rows say, save that one is not done where the other is measured."""
    if "state" in by_test and by_test["state"]["state"] is not None:
        return str(by_test["state"]["state"])
    stated = {record["state"] for record in by_test.values()} - {None}
    if any(record["mm"] is not None for record in by_test.values()):
        stated -= {"not-done", "not-evaluable"}
    return min(stated, key=_STRONGEST.index, default=None)


def _merged_without_record(lesions: Lesions, measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Merges that TU alone records, at their visit."""
    recorded = {tuple(record[name] for name in _KEY) for record in measured}
    made = []
    for merge in lesions.merges:
        key = tuple(merge[name] for name in _KEY)
        if merge["visit"] is not None and key not in recorded:
            recorded.add(key)
            names = ("study", *_KEY, "visit_number", "on", "merged_with", "method", "accepted", "row")
            role = lesions.rows[key_of(merge)]["role"]
            made.append({name: merge[name] for name in names} | {"ordinal": 1, "state": "merged", "role": role})
    return made
