"""VS, QS and measures in DM as body measures and performance status."""

from collections import Counter
from decimal import Decimal
from typing import Any

from fhir_trial.fhir.units import convert
from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.layouts import BODY_TESTS, DM, QS, VITALS, VS
from fhir_trial.sources.sdtm.rows import LEFT_OUT, Reading, Record, records, unique
from fhir_trial.sources.sdtm.values import converted, parse_amount, parse_rounded

_KEY = ("subject", "sequence")

UNITS: dict[str, dict[str, tuple[Decimal, str]]] = {
    "bsa": {"M2": (Decimal(1), "m2"), "M^2": (Decimal(1), "m2")},
    "weight": {"KG": (Decimal(1), "kg"), "G": (Decimal("0.001"), "kg"), "LB": (Decimal("0.45359237"), "kg")},
    "height": {"CM": (Decimal(1), "cm"), "M": (Decimal(100), "cm"), "IN": (Decimal("2.54"), "cm")},
}
"""For each measure the units it may come in, the exact factor to the one it is kept in, and that unit in UCUM."""

DM_UNITS = {"bsa": "m2", "weight": "kg", "height": "cm"}
"""The units of measures in DM, which has no variable for them."""


def body_measures(raw: RawDomain, reading: Reading) -> list[dict[str, Any]]:
    """Rows of the body measure table from VS."""
    kept = []
    raw = raw.at(
        [i for i, test in enumerate(raw.column("VSTESTCD")) if (test or "").upper() in {"", *BODY_TESTS}], ("USUBJID", *VS.variables)
    )
    for record in unique(records(raw, VS, reading), _KEY, raw, VS, reading):
        if not record["not_done"] and (value := _value(record, raw, reading)) is not None:
            kept.append(record | {"study": reading.study, "value": value[0], "unit": value[1]})
    return kept


def vital_signs(raw: RawDomain, body: list[dict[str, Any]], reading: Reading) -> list[dict[str, Any]]:
    """Rows of the vital sign table from VS: the tests that are no body measure, as numbers or not done."""
    of_body = {"", *BODY_TESTS}
    others = [index for index, test in enumerate(raw.column("VSTESTCD")) if (test or "").upper() not in of_body]
    part = raw.at(others, ("USUBJID", *VITALS.variables))
    kept = []
    of_body_rows = [{name: row[name] for name in (*_KEY, "row")} for row in body]
    rows = [*of_body_rows, *records(part, VITALS, reading)] if others else []
    for record in unique(rows, _KEY, part, VITALS, reading)[len(of_body_rows) :]:
        if record["value"] is None and not record["not_done"]:
            try:
                record |= {"value": parse_rounded(record["result"] or ""), "unit": record["result_unit"]}
            except ValueError:
                expected = "a number, or NOT DONE"
                found = record["result"]
                reading.report("not-a-number", raw, record["row"], "VSORRES", found=found, expected=expected, effect=LEFT_OUT)
                continue
        kept.append(record | {"study": reading.study, "unit": record["unit"] if record["value"] is not None else None})
    return kept


def _value(record: Record, raw: RawDomain, reading: Reading) -> tuple[Decimal, str] | None:
    """The standard result, else the original one, in the measure's unit; None with a finding where there is none."""
    standard = record["value"] is not None
    text, unit = (record["value"], record["unit"] or record["result_unit"]) if standard else (record["result"], record["result_unit"])
    variable = "VSSTRESN" if standard else "VSORRES"
    units = UNITS[record["test"]]
    factor, ucum = units.get((unit or "").upper(), (Decimal(1), ""))
    try:
        value = converted(parse_amount(text or ""), factor)
        if not ucum and unit is not None and (other := convert(value, unit, DM_UNITS[record["test"]])) is not None:
            return converted(other, Decimal(1)), DM_UNITS[record["test"]]
    except ValueError:
        expected = "a number that is not negative"
        reading.report("not-an-amount", raw, record["row"], variable, found=text, expected=expected, effect=LEFT_OUT)
        return None
    if (unit or "").upper() not in units:
        variable = "VSSTRESU" if standard else "VSORRESU"
        reading.report(
            "unknown-unit", raw, record["row"], variable, found=unit, expected=f"one of {', '.join(units).lower()}", effect=LEFT_OUT
        )
        return None
    return value, ucum


def last_numbers(raw: RawDomain | None) -> Counter[str]:
    """Each subject's greatest VSSEQ, of rows that are left out too."""
    last: Counter[str] = Counter()
    for subject, text in zip(raw.column("USUBJID"), raw.column("VSSEQ"), strict=True) if raw is not None else ():
        if subject is not None and (number := (text or "").removesuffix(".0")).isascii() and number.isdigit() and len(number) < 10:
            last[subject] = max(last[subject], int(number))
    return last


def measures_of_dm(
    raw: RawDomain, rows: list[Record], known: list[dict[str, Any]], taken: Counter[str], reading: Reading
) -> list[dict[str, Any]]:
    """Body measures from DM, of the tests that VS has not; numbered after those that a subject's VS has `taken`."""
    last = Counter(taken)
    made: list[dict[str, Any]] = []
    for test in (test for test in DM_UNITS if test not in {record["test"] for record in known}):
        variable = DM.column(test).variable
        for record in rows:
            if record[test] is not None:
                last[record["subject"]] += 1
                made.append(_of_dm(record, test, last[record["subject"]], reading))
        if any(record[test] is not None for record in rows):
            reading.report(
                "unit-not-recorded", raw, field=variable, expected="VS with a unit", severity="information",
                effect=f"taken as {DM_UNITS[test]}",
            )  # fmt: skip
    return made


def _of_dm(record: Record, test: str, sequence: int, reading: Reading) -> dict[str, Any]:
    value, unit = record[test], DM_UNITS[test]
    return {"study": reading.study, "subject": record["subject"], "sequence": sequence, "test": test, "value": value, "unit": unit}


def performance(raw: RawDomain, reading: Reading) -> list[dict[str, Any]]:
    """Rows of the performance status table from QS."""
    kept = []
    for record in unique(records(raw, QS, reading), _KEY, raw, QS, reading):
        if record["score"] is not None:
            kept.append(record | {"study": reading.study})
        elif not record["not_done"]:
            reading.report("missing-value", raw, record["row"], "QSSTRESN", expected="a score from 0 to 5", effect=LEFT_OUT)
    return kept
