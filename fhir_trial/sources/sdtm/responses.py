"""RS as responses."""

from typing import Any

from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.layouts import RS
from fhir_trial.sources.sdtm.rows import LEFT_OUT, Reading, Record
from fhir_trial.sources.sdtm.tumour_rows import numbered, tumour_records

RESPONSES = ("CR", "PR", "SD", "PD", "NE", "NON-CR/NON-PD", "NON-PD", "NED")
"""What an overall, target or non-target response may be."""

SPELLINGS = {
    "COMPLETE RESPONSE": "CR",
    "PARTIAL RESPONSE": "PR",
    "STABLE DISEASE": "SD",
    "PROGRESSIVE DISEASE": "PD",
    "NOT EVALUABLE": "NE",
    "NOT ALL EVALUATED": "NE",
    "NON CR/NON PD": "NON-CR/NON-PD",
    "NOT-NORMAL": "NOT NORMAL",
}
"""Other spellings of a response or marker, CDISC's own words in full among them."""

VALUES = {"overall": RESPONSES, "target": RESPONSES, "non-target": RESPONSES, "marker": ("NORMAL", "NOT NORMAL")}
"""The values of each test; those of a new lesion's are taken as reported."""

_KEY = ("subject", "test", "evaluator", "evaluator_id", "visit")


def responses(raw: RawDomain, reading: Reading) -> list[dict[str, Any]]:
    """Rows of the response table; assessments by other criteria than RECIST are counted and left."""
    rows = [record for record in tumour_records(raw, RS, reading) if record["test"] == "marker" or _by_recist(record["category"])]
    others = len(raw) and sum(1 for category in raw.column("RSCAT") if not _by_recist(category))
    if others:
        reading.report(
            "not-carried-rows", raw, field="RSCAT", found=f"{others} rows", expected="RECIST", severity="information",
            effect="not part of the trial's tables",
        )  # fmt: skip
    return numbered([record for record in rows if _read_value(record, raw, reading)], _KEY, raw, RS, reading)


def _by_recist(category: str | None) -> bool:
    return category is None or category.upper().startswith("RECIST")


def _read_value(record: Record, raw: RawDomain, reading: Reading) -> bool:
    """Give the row its value; False, with a finding, where it has none that its test knows."""
    value = record["value"] and SPELLINGS.get(record["value"].upper(), record["value"].upper())
    record["not_done"] = record["not_done"] or value == "NOT DONE" or None
    if record["not_done"] and value in (None, "NE", "NOT DONE"):
        record["value"] = None
        return True
    known = VALUES.get(record["test"])
    if value is None or (known is not None and value not in known):
        code, expected = (
            ("missing-value", "a response or NOT DONE") if value is None else ("unknown-code", f"one of {', '.join(known or ())}")
        )
        reading.report(code, raw, record["row"], "RSSTRESC", found=record["value"], expected=expected, effect=LEFT_OUT)
        return False
    if record["not_done"]:
        reading.report("not-done-with-result", raw, record["row"], "RSSTAT", found=value, expected="no result", effect=LEFT_OUT)
        return False
    record["value"] = value if record["test"] != "new-lesion" else record["value"]
    return True
