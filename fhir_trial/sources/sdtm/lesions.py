"""TU as lesions, and what TR says of lesions that TU lacks."""

import re
from dataclasses import dataclass, field
from typing import Any

from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.layouts import TU
from fhir_trial.sources.sdtm.rows import LEFT_OUT, Reading, Record
from fhir_trial.sources.sdtm.tumour_rows import tumour_records

Key = tuple[str, str, str | None, str]
"""Subject, evaluator, evaluator's id, lesion: an evaluator has lesions of its own."""

ROLES: dict[str, tuple[str, bool | None]] = {
    "TARGET": ("target", None),
    "NON-TARGET": ("non-target", None),
    "NEW": ("new", None),
    "TARGET NODAL": ("target", True),
    "TARGET EXTRA NODAL": ("target", False),
}
"""How TU identifies a lesion (CDISC code list TUIDRS): its role, and whether it is a node where that says so."""

_MERGED = re.compile(r"(?:MERGED|COALESCED)\s+(?:WITH|INTO)\s+(\S.*)", re.IGNORECASE)
_SPLIT = re.compile(r"SPLIT\s+FROM\s+(\S.*)", re.IGNORECASE)


def merged_with(text: str | None) -> str | None:
    """The lesion that one has merged with.

    >>> merged_with("MERGED WITH T02"), merged_with("coalesced with T03"), merged_with("PRESENT")
    ('T02', 'T03', None)
    """
    match = _MERGED.fullmatch(text or "")
    return match[1] if match else None


@dataclass
class Lesions:
    """The lesions of a study as they are found out, and the merges that TU records."""

    rows: dict[Key, dict[str, Any]] = field(default_factory=dict)
    merges: list[Record] = field(default_factory=list)

    def add(self, key: Key, record: Record, role: str, **more: Any) -> None:
        """Enter a lesion; `more` holds nodal, relation, origin."""
        names = ("study", "organ", "method", "accepted", "visit", "visit_number", "on", "sequence")
        subject, evaluator, evaluator_id, lesion = key
        entry = {"subject": subject, "evaluator": evaluator, "evaluator_id": evaluator_id, "lesion": lesion, "role": role}
        organ = record.get("organ")
        entry |= {name: record.get(name) for name in names} | {"nodal": None if organ is None else "LYMPH NODE" in organ.upper()}
        self.rows[key] = entry | {name: value for name, value in more.items() if value is not None}


def key_of(record: Record) -> Key:
    """Whose lesion a row is about."""
    return record["subject"], record["evaluator"], record["evaluator_id"], record["lesion"]


def identified(raw: RawDomain, reading: Reading) -> Lesions:
    """The lesions that TU identifies, its splits and its merges."""
    lesions = Lesions()
    rows = tumour_records(raw, TU, reading)
    for record in rows:
        record["test"] = record["test"].upper()
    for record in rows:
        if record["test"] == "TUMIDENT":
            _identify(record, lesions, raw, reading)
    for record in sorted(
        (r for r in rows if r["test"] == "TUSPLIT"), key=lambda r: r["lesion"].count(".")
    ):  # a parent before its fragments
        _split(record, lesions, raw, reading)
    for record in rows:
        if record["test"] == "TUMERGE":
            _merge(record, lesions, raw, reading)
    return lesions


def _identify(record: Record, lesions: Lesions, raw: RawDomain, reading: Reading) -> None:
    role, nodal = ROLES.get((record["result"] or "").upper(), (None, None))
    if role is None:
        expected = f"one of {', '.join(ROLES)}"
        reading.report("unknown-code", raw, record["row"], "TUSTRESC", found=record["result"], expected=expected, effect=LEFT_OUT)
    elif (key := key_of(record)) in lesions.rows:
        expected = "one identification of a lesion by an evaluator"
        reading.report("duplicate-key", raw, record["row"], "TULNKID", found=record["lesion"], expected=expected, effect=LEFT_OUT)
    else:
        lesions.add(key, record, role, nodal=nodal)


def parent_name(lesion: str) -> str | None:
    """The lesion that a fragment's name says it is of.

    >>> parent_name("T01.2"), parent_name("T01")
    ('T01', None)
    """
    return lesion.rpartition(".")[0] or None


def _split(record: Record, lesions: Lesions, raw: RawDomain, reading: Reading) -> None:
    """A fragment: a lesion of its own, of the role of the lesion it is of."""
    key = key_of(record)
    stated = _SPLIT.fullmatch(record["result"] or "")
    origin = stated[1] if stated else parent_name(record["lesion"])
    parent = lesions.rows.get((*key[:3], origin)) if origin is not None else None
    role, nodal = ROLES.get((record["result"] or "").upper(), (None, None))
    role = role or next((row["role"] for row in (lesions.rows.get(key), parent) if row is not None), None)
    if origin is None or origin == record["lesion"] or role is None:
        expected = "a fragment named after its lesion (T01.1 of T01), or SPLIT FROM T01"
        reading.report("split-without-origin", raw, record["row"], "TULNKID", found=record["lesion"], expected=expected, effect=LEFT_OUT)
        return
    if nodal is None and record["organ"] is None and parent is not None and role == "target":
        nodal = parent["nodal"]
    if key in lesions.rows:
        entry = lesions.rows[key]
        nodal = nodal if entry["role"] == "target" else None
        lesions.rows[key] = entry | {"relation": "split", "origin": origin, "nodal": nodal if entry["nodal"] is None else entry["nodal"]}
    else:
        lesions.add(key, record, role, relation="split", origin=origin, nodal=nodal)


def _merge(record: Record, lesions: Lesions, raw: RawDomain, reading: Reading) -> None:
    """A lesion that is part of another from this visit on."""
    key = key_of(record)
    named = merged_with(record["result"]) or record["result"]
    if key not in lesions.rows or named is None or (*key[:3], named) not in lesions.rows or named == record["lesion"]:
        expected = "an identified lesion and MERGED WITH another"
        reading.report("merge-without-lesion", raw, record["row"], "TUSTRESC", found=record["result"], expected=expected, effect=LEFT_OUT)
        return
    lesions.rows[key] |= {"relation": "merged", "origin": named}
    lesions.merges.append(record | {"merged_with": named})


def complete(
    lesions: Lesions, measured: list[dict[str, Any]], starts: dict[str, str | None], raw: RawDomain, reading: Reading
) -> list[dict[str, Any]]:
    """The measurements whose lesion is known; a lesion that TR alone has is entered, one without a baseline left out with its rows.

    `starts`: each subject's start of treatment. A baseline is a record on or before it, else one at the reading's first visit.
    """
    unknown: dict[Key, list[dict[str, Any]]] = {}
    for record in measured:
        if (key := key_of(record)) not in lesions.rows:
            unknown.setdefault(key, []).append(record)
    first_visits = _first_visits(measured) if unknown else {}
    refused: set[Key] = set()
    had_tu = bool(lesions.rows)
    strangers = bool(unknown) and not any(key_of(record) in lesions.rows for record in measured)
    firsts = {key: min(rows, key=_when) for key, rows in unknown.items()}
    for key, first in firsts.items():
        has_baseline = _is_baseline(first, starts.get(key[0]), first_visits[key[:3]])
        if not _enter(lesions, key, first, has_baseline):
            refused.add(key)
    if strangers:
        _report_strangers(firsts, refused, had_tu, raw, reading)
    else:
        for key, first in firsts.items():
            _report_unknown(lesions, key, first, raw, reading)
    return [record for record in measured if key_of(record) not in refused]


def _enter(lesions: Lesions, key: Key, first: dict[str, Any], has_baseline: bool) -> bool:
    """Enter a lesion that TU lacks: a new one, a fragment of a known one, or one with a baseline."""
    origin = parent_name(key[3])
    record = first | {"sequence": None, "organ": None}
    parent = lesions.rows.get((*key[:3], origin)) if origin is not None else None
    if parent is not None and (first["role"] != "new" or parent["role"] == "new"):
        role = first["role"] or parent["role"]
        lesions.add(key, record, role, relation="split", origin=origin, nodal=parent["nodal"] if role == "target" else None)
        return True
    if first["role"] == "new" or (has_baseline and first["role"] is not None):
        lesions.add(key, record, first["role"])
        return True
    return False


def _report_strangers(firsts: dict[Key, dict[str, Any]], refused: set[Key], had_tu: bool, raw: RawDomain, reading: Reading) -> None:
    """One finding of each kind for a file none of whose lesions TU has: that is one cause, an absent TU or other names of lesions."""
    by_kind: dict[tuple[str, str, str], list[Key]] = {}
    for key, first in firsts.items():
        kind = _refusal(first) if key in refused else ("lesion-not-identified", "TRLNKID", "their identification in TU")
        by_kind.setdefault(kind, []).append(key)
    for (code, variable, expected), keys in by_kind.items():
        left_out = keys[0] in refused
        found = f"{len(keys)} lesions of {len({key[0] for key in keys})} subjects, and none of the file is in TU"
        effect = (
            "their measurements are left out of every sum and response"
            if left_out
            else "entered as TR has them; which of them are nodes is not known, so their longest diameters count"
        )
        severity = "error" if left_out else "warning" if had_tu else "information"
        reading.report(code, raw, field=variable, found=found, expected=expected, severity=severity, effect=effect)


def _refusal(first: dict[str, Any]) -> tuple[str, str, str]:
    """Why a lesion was not entered: code, variable, what was expected."""
    if first["role"] is None:
        return "missing-value", "TRGRPID", "TARGET, NON-TARGET or NEW, here or in TU"
    return "lesion-without-baseline", "TRLNKID", "a lesion identified in TU or measured at baseline"


def _report_unknown(lesions: Lesions, key: Key, first: dict[str, Any], raw: RawDomain, reading: Reading) -> None:
    if key not in lesions.rows:
        code, variable, expected = _refusal(first)
        effect = f"its measurements are left out of every sum and response of subject {key[0]}"
        reading.report(code, raw, first["row"], variable, found=key[3], expected=expected, effect=effect)
    else:
        severity = "warning" if lesions.rows[key]["role"] != "new" else "information"
        effect = "entered as TR has it"
        reading.report(
            "lesion-not-identified", raw, first["row"], "TRLNKID", found=key[3], expected="its identification in TU", severity=severity,
            effect=effect,
        )  # fmt: skip


def _when(record: dict[str, Any]) -> tuple[bool, str, float, int]:
    number = record["visit_number"]
    return record["on"] is None, record["on"] or "", float(number) if number is not None else float("inf"), record["row"]


def _first_visits(measured: list[dict[str, Any]]) -> dict[tuple[str, str, str | None], str | None]:
    """The earliest visit of each reading (subject and evaluator)."""
    first: dict[tuple[str, str, str | None], dict[str, Any]] = {}
    for record in measured:
        key = key_of(record)[:3]
        if key not in first or _when(record) < _when(first[key]):
            first[key] = record
    return {key: record["visit"] for key, record in first.items()}


def _is_baseline(record: dict[str, Any], start: str | None, first_visit: str | None) -> bool:
    if record["visit"] == first_visit:
        return True
    return start is not None and record["on"] is not None and record["on"][:10] <= start[:10]
