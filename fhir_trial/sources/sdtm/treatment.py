"""EX, CM and AE as doses, therapies and adverse events."""

import re
from typing import Any

from fhir_trial.domain.study import Drug, StudyDefinition
from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.layouts import AE, CM, CRITERIA, EX
from fhir_trial.sources.sdtm.rows import LEFT_OUT, Reading, Record, records, unique

_KEY = ("subject", "sequence")
_CYCLE = re.compile(r"C(?:YCLE)?\s*0*([1-9]\d{0,3})(?!\d).*", re.IGNORECASE)


def doses(raw: RawDomain, reading: Reading) -> list[dict[str, Any]]:
    """Rows of the dose table."""
    return [_dose(record, reading) for record in unique(records(raw, EX, reading), _KEY, raw, EX, reading)]


def _dose(record: Record, reading: Reading) -> dict[str, Any]:
    not_done = record.pop("not_done") or record.pop("occurred", None) is False
    stopped = record.pop("stopped")
    record["status"] = "not-done" if not_done else "stopped" if stopped else "completed"
    record["cycle"] = record["cycle"] if record["cycle"] is not None else cycle_of(record["visit"])
    return record | {"study": reading.study}


def cycle_of(visit: str | None) -> int | None:
    """The cycle that a visit's name states.

    >>> cycle_of("CYCLE 3"), cycle_of("C2D1"), cycle_of("WEEK 4"), cycle_of("CT")
    (3, 2, None, None)
    """
    match = _CYCLE.fullmatch(visit or "")
    return int(match[1]) if match else None


def unlisted_drugs(raw: RawDomain, rows: list[dict[str, Any]], study: StudyDefinition, reading: Reading) -> list[Drug]:
    """The drugs that the doses name and the study definition lacks, each a finding."""
    known = {drug.medication for drug in study.drugs}
    first: dict[str, int] = {}
    for record in rows:
        if record["medication"] not in known:
            first.setdefault(record["medication"], record["row"])
    for medication, row in first.items():
        expected = f"a drug of the study: {', '.join(sorted(known))}"
        reading.report(
            "unlisted-drug", raw, row, "EXTRT", found=medication, expected=expected, severity="warning", effect="added to the medications"
        )
    return [Drug(medication=medication, name=medication) for medication in first]


def therapies(raw: RawDomain, reading: Reading) -> list[dict[str, Any]]:
    """Rows of the therapy table."""
    return [record | {"study": reading.study} for record in unique(records(raw, CM, reading), _KEY, raw, CM, reading)]


def adverse_events(raw: RawDomain, study: StudyDefinition, reading: Reading) -> list[dict[str, Any]]:
    """Rows of the adverse event table; a study with its own causality terms allows those and no other."""
    terms = study.codes.get("related")
    kept = []
    rows = unique(records(raw, AE, reading), _KEY, raw, AE, reading)
    if study.sources.unique_aespid:
        _check_sponsor_ids(rows, raw, reading)
    for record in rows:
        if terms is not None and record["related"] is not None and record["related"].upper() not in terms:
            expected = f"one of {', '.join(terms)} (the study's own terms)"
            reading.report("unknown-code", raw, record["row"], "AEREL", found=record["related"], expected=expected, effect=LEFT_OUT)
            continue
        flags = [(criterion, record.pop(criterion)) for criterion in CRITERIA.values()]
        record["criteria"] = [{"criterion": name, "present": flag} for name, flag in flags if flag is not None]
        kept.append(record | {"study": reading.study})
    _report_contradicted(kept, raw, reading)
    return kept


def _report_contradicted(events: list[Record], raw: RawDomain, reading: Reading) -> None:
    """Events that are called serious or not against their own criteria: counted once, and kept as both are."""
    of_one_kind = [e for e in events if e["criteria"] and e["serious"] is not None]
    rows = [e["row"] for e in of_one_kind if e["serious"] != any(c["present"] for c in e["criteria"])]
    if rows:
        reading.report(
            "seriousness-contradicted", raw, rows[0], "AESER", found=f"{len(rows)} rows",
            expected="Y if and only if a criterion (AESDTH, AESHOSP...) is Y", severity="warning", effect="AESER is counted, both are kept",
        )  # fmt: skip


def _check_sponsor_ids(rows: list[Record], raw: RawDomain, reading: Reading) -> None:
    """The study declares AESPID unique for a subject: each repeat is a finding, and the row is kept by its AESEQ."""
    seen: set[tuple[str, str]] = set()
    for record in rows:
        key = (record["subject"], record["sponsor_id"])
        if record["sponsor_id"] is not None and key in seen:
            expected = "an AESPID once a subject, as the study declares"
            reading.report(
                "duplicate-key", raw, record["row"], "AESPID", found=record["sponsor_id"], expected=expected, severity="warning",
                effect="kept by its AESEQ",
            )  # fmt: skip
        seen.add(key)
