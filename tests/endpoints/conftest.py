"""Small tables of lesions and responses, written the way the worked examples write them."""

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

Tables = dict[str, pd.DataFrame]
ENROLLED = dt.date(2023, 1, 2)
WHO = {"subject": "S1", "evaluator": "INVESTIGATOR", "evaluator_id": None}
STATES = {
    "PD": "unequivocal-progression",
    "PRESENT": "present",
    "ABSENT": "absent",
    "NE": "not-evaluable",
    "TSTM": "too-small-to-measure",
    "NOT DONE": "not-done",
}
RESPONSE = ["subject", "evaluator", "evaluator_id", "test", "visit", "visit_number", "on", "value", "not_done"]


def day(number: int) -> str:
    """A date, in days from enrolment."""
    return str(ENROLLED + dt.timedelta(number))


def _size(lesion: Mapping[str, Any], value: Any, at: Mapping[str, Any], role: str) -> list[dict[str, Any]]:
    """Records of one lesion: millimetres, a state, or a list of fragments."""
    if value is None:
        return []
    if isinstance(value, list):
        parts = [{**lesion, "id": f"{lesion['id']}.{number}"} for number, _ in enumerate(value, 1)]
        return [record for part, each in zip(parts, value, strict=True) for record in _size(part, each, at, role)]
    base = {**WHO, **at, "lesion": lesion["id"], "role": role}
    if isinstance(value, str) and value.startswith("MERGED WITH "):
        return [{**base, "state": "merged", "merged_with": value.removeprefix("MERGED WITH ")}]
    if isinstance(value, str):
        return [{**base, "state": STATES[value]}]
    return [{**base, "short_axis_mm" if lesion["nodal"] else "longest_mm": Decimal(str(value))}]


MEASURED = {"longest_mm": "longest_sequence", "short_axis_mm": "short_axis_sequence", "state": "state_sequence"}


def _numbered(records: list[dict[str, Any]]) -> pd.DataFrame:
    """The records with their numbers, each beside what it says."""
    numbered = [r | {MEASURED[name]: n for name in MEASURED if name in r} for n, r in enumerate(records, 1)]
    return pd.DataFrame(numbered).assign(record=range(1, len(records) + 1))


def build_tables(case: Mapping[str, Any]) -> Tables:
    """The domain tables of a worked example."""
    lesions = [(x, "target") for x in case["baseline"].get("target", [])] + [
        (x, "non-target") for x in case["baseline"].get("nontarget", [])
    ]
    first = {"visit": "SCREENING", "visit_number": 1, "on": day(case.get("baseline_day", -7))}
    records = [r for x, role in lesions for r in _size(x, x.get("mm", "PRESENT"), first, role)]
    told: list[dict[str, Any]] = [{**WHO, "test": "marker", "value": case["marker"], **first}] if "marker" in case else []
    for number, visit in enumerate(case["visits"], 2):
        at = {"visit": visit.get("name", f"VISIT {number}"), "visit_number": number, "on": day(visit["day"])}
        if visit.get("not_done"):
            told.append({**WHO, **at, "test": "overall", "not_done": True})
        if "marker" in visit:
            told.append({**WHO, **at, "test": "marker", "value": visit["marker"]})
        for x, role in lesions:
            where = visit.get("target" if role == "target" else "nontarget", {})
            records += _size(x, where.get(x["id"]), at, role)
        if visit.get("new_lesion", "NONE") != "NONE":
            records.append({**WHO, **at, "lesion": visit.get("new_id", "NEW1"), "role": "new", "state": visit["new_lesion"].lower()})
    known = [
        {**WHO, "lesion": x["id"], "role": role, "organ": x.get("organ"), "nodal": x["nodal"], "on": first["on"]} for x, role in lesions
    ]
    return {
        "measurement": _numbered(records),
        "lesion": pd.DataFrame(known).assign(on=first["on"]),
        "response": pd.DataFrame(told, columns=RESPONSE),
        "subject": pd.DataFrame([{"study": "STUDY", "subject": "S1", "state": "enrolled", "enrolled_on": day(0)}]),
    }


@pytest.fixture(scope="session")
def tables_of() -> Callable[[Mapping[str, Any]], Tables]:
    """How a worked example becomes domain tables."""
    return build_tables


@pytest.fixture(scope="session")
def on_day() -> Callable[[int], str]:
    """A date, in days from enrolment."""
    return day
