"""The trial's tables as SDTM: the domains and columns that are read, by the same layouts."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from fhir_trial.domain.study import StudyDefinition
from fhir_trial.domain.tables import TrialData
from fhir_trial.sources.sdtm.contacts import STATED
from fhir_trial.sources.sdtm.datasets import Line, Table, write_datasets
from fhir_trial.sources.sdtm.laboratory import standard_result
from fhir_trial.sources.sdtm.layouts import AE, CM, CONTACTS, CRITERIA, DM, DS, EX, LB, QS, RESPONSE_TESTS, RS, TR, TU, VS, Layout
from fhir_trial.sources.sdtm.lesions import ROLES
from fhir_trial.sources.sdtm.measurements import STATES
from fhir_trial.sources.sdtm.summary import CUTOFF, SYNTHETIC
from fhir_trial.sources.sdtm.treatment import cycle_of
from fhir_trial.sources.sdtm.values import format_decimal

Fields = dict[str, Any]
"""A row as domain fields."""

_SUPPLEMENT = ("STUDYID", "RDOMAIN", "USUBJID", "IDVAR", "IDVARVAL", "QNAM", "QLABEL", "QVAL")
_STATE_TERMS = {state: term for term, state in reversed(STATES.items())}
_TEST_NAMES = {
    "BSA": "Body Surface Area",
    "WEIGHT": "Weight",
    "HEIGHT": "Height",
    "ECOG101": "ECOG1-Performance Status",
    "LDIAM": "Longest Diameter",
    "LPERP": "Longest Perpendicular",
    "TUMSTATE": "Tumor State",
    "SUMDIAM": "Sum of Diameter",
    "TUMIDENT": "Tumor Identification",
    "TUSPLIT": "Tumor Split",
    "TUMERGE": "Tumor Merged",
    "OVRLRESP": "Overall Response",
    "TRGRESP": "Target Response",
    "NTRGRESP": "Non-target Response",
    "NEWLPROG": "New Lesion Progression",
    "TMRESP": "Tumor Marker Response",
}


def write_sdtm(data: TrialData, folder: Path, form: str = "csv") -> list[Path]:
    """Write each domain that `data` has as a file in `folder`, and return the paths; a file is replaced as a whole.

    `form` is csv, parquet, xpt, dataset-json or dataset-ndjson. What was read is written: `read_sdtm` of the folder gives the same tables.
    """
    files = _Files(data.study)
    _summary(data, files)
    for record in _rows(data, "subject"):
        _subject(record, data.study, files)
    patients = {record["subject"]: record for record in _rows(data, "patient")}
    for line in files.lines["dm"]:
        files.complete(line, DM, _patient(patients.get(line["USUBJID"], {})))
    _treatment(data, files)
    _measures(data, files)
    _tumours(data, files)
    _contacts(data, files)
    return write_datasets(files.tables(data), folder, data.study.id, form)


class _Files:
    """The lines of each domain's file as they come together."""

    def __init__(self, study: StudyDefinition) -> None:
        self._study = study
        self.lines: dict[str, list[Line]] = defaultdict(list)

    def add(self, layout: Layout, fields: Fields, **more: str) -> None:
        """Add a row; its supplemental qualifiers go to SUPP--, and a further variable stands as `more` says."""
        line = {"STUDYID": self._study.id, "DOMAIN": layout.domain.upper(), "USUBJID": fields["subject"]} | more
        self.lines[layout.domain].append(line)
        self.complete(line, layout, fields)

    def complete(self, line: Line, layout: Layout, fields: Fields) -> None:
        """Put the fields that the layout knows into a line."""
        for column in layout.columns:
            value = fields.get(column.field)
            if value is None:
                continue
            text = column.kind.format(value)
            if column.supplement is None:
                line[column.variable] = text
            else:
                self._supplement(line, layout, (column.variable, column.supplement, text))

    def _supplement(self, line: Line, layout: Layout, qualifier: tuple[str, str, str]) -> None:
        key = f"{layout.domain.upper()}SEQ"
        values = (self._study.id, layout.domain.upper(), line["USUBJID"], key, line[key], *qualifier)
        self.lines[f"supp{layout.domain}"].append(dict(zip(_SUPPLEMENT, values, strict=True)))

    def tables(self, data: TrialData) -> dict[str, Table]:
        """Each file's header and lines; a domain whose table is there and empty is a header alone."""
        for domain, (layout, entities) in _DOMAINS.items():
            if any(entity in data.tables for entity in entities):
                needed = [column.variable for column in layout.columns if column.required] + [group[0] for group in layout.needs]
                self.lines[domain].append(dict.fromkeys(("STUDYID", "DOMAIN", "USUBJID", *needed), ""))
        whole = {}
        for domain, lines in self.lines.items():
            header = list(dict.fromkeys(name for line in lines for name in line))
            whole[domain] = (header, [line for line in lines if any(line.values())])
        return whole


_DOMAINS: dict[str, tuple[Layout, tuple[str, ...]]] = {
    "dm": (DM, ("subject",)),
    "ds": (DS, ("subject",)),
    "ex": (EX, ("dose",)),
    "cm": (CM, ("therapy",)),
    "ae": (AE, ("adverse_event",)),
    "vs": (VS, ("body_measure",)),
    "qs": (QS, ("performance_status",)),
    "lb": (LB, ("laboratory",)),
    "tu": (TU, ("lesion",)),
    "tr": (TR, ("measurement", "sum_of_diameters")),
    "rs": (RS, ("response",)),
}
"""Domains and the entities whose tables they hold."""


def _rows(data: TrialData, entity: str) -> Iterator[Fields]:
    table: pa.Table = data.table(entity)
    for batch in table.to_batches():
        yield from batch.to_pylist()


def _summary(data: TrialData, files: _Files) -> None:
    told = {SYNTHETIC: ("Synthetic Data", "Y" if data.synthetic else None), CUTOFF: ("Data Cutoff Date", data.data_cutoff)}
    for code, (name, value) in told.items():
        if value is not None:
            line = {"STUDYID": data.study.id, "DOMAIN": "TS", "TSSEQ": "1", "TSPARMCD": code, "TSPARM": name, "TSVAL": value}
            files.lines["ts"].append(line)


def _subject(record: Fields, study: StudyDefinition, files: _Files) -> None:
    fields = record | _arms(record, study)
    fields["reference_start"] = record["enrolled_on"] if record["enrolled_source"] == "RFSTDTC" else None
    fields["last_alive"] = next((c["on"] for c in record["contacts"] or () if c["source"] == STATED), None)
    files.add(DM, fields)
    for event in record["dispositions"] or ():
        files.add(DS, event | {"subject": record["subject"]})


def _arms(record: Fields, study: StudyDefinition) -> Fields:
    codes = {arm.name: arm.code or arm.name for arm in study.arms}
    fields: Fields = {}
    for name in ("arm_planned", "arm_actual"):
        arm = record[name]
        if arm is None and record["state"] == "screen-failure":
            fields |= {name: "Screen Failure", f"{name}_code": "SCRNFAIL"}
        elif arm is not None:
            fields |= {name: arm, f"{name}_code": codes.get(arm, arm)}
    return fields


def _patient(record: Fields) -> Fields:
    dead = True if record.get("dead") or record.get("death_date") else None
    return record | {"dead": dead}


def _treatment(data: TrialData, files: _Files) -> None:
    for record in _rows(data, "dose"):
        fields = record | {"not_done": True if record["status"] == "not-done" else None}
        fields["stopped"] = True if record["status"] == "stopped" else None
        fields["cycle"] = None if record["cycle"] == cycle_of(record["visit"]) else record["cycle"]
        files.add(EX, fields)
    for record in _rows(data, "adverse_event"):
        flags = {c["criterion"]: c["present"] for c in record["criteria"] or () if c["criterion"] in CRITERIA.values()}
        files.add(AE, record | flags)
    for record in _rows(data, "therapy"):
        files.add(CM, record)


def _measures(data: TrialData, files: _Files) -> None:
    for record in _rows(data, "body_measure"):
        value, test = format_decimal(record["value"]), VS.column("test").kind.format(record["test"])
        result = {"result": value, "result_unit": record["unit"], "value": value}
        files.add(VS, record | result, VSTEST=_TEST_NAMES[test])
    for record in _rows(data, "performance_status"):
        score = str(record["score"])
        files.add(QS, record | {"test": "ECOG101"}, QSTEST=_TEST_NAMES["ECOG101"], QSORRES=score, QSSTRESC=score)
    for record in _rows(data, "laboratory"):
        files.add(LB, record | standard_result(record))


def _tumours(data: TrialData, files: _Files) -> None:
    for record in _rows(data, "lesion"):
        _lesion(record, files)
    for record in _rows(data, "measurement"):
        _measurement(record, files)
    for record in _rows(data, "sum_of_diameters"):
        _length(record, ("SUMDIAM", record["sum_mm"], record["sequence"]), files)
    codes = {value: code for code, value in RESPONSE_TESTS.items()}
    for record in _rows(data, "response"):
        code = codes[record["test"]]
        original = {"RSORRES": record["value"]} if record["value"] is not None else {}
        files.add(RS, record, RSTEST=_TEST_NAMES[code], **original)


_RELATIONS = {"split": ("TUSPLIT", "SPLIT FROM"), "merged": ("TUMERGE", "MERGED WITH")}


def _lesion(record: Fields, files: _Files) -> None:
    """A lesion's identification, and without a visit its split from or merge with another."""
    term = _identification(record)
    files.add(TU, record | {"test": "TUMIDENT", "result": term}, TUTEST=_TEST_NAMES["TUMIDENT"], TUORRES=term)
    if record["relation"] in _RELATIONS:
        test, words = _RELATIONS[record["relation"]]
        names = ("subject", "evaluator", "evaluator_id", "lesion")
        related = {name: record[name] for name in names} | {"test": test, "result": f"{words} {record['origin']}"}
        files.add(TU, related, TUTEST=_TEST_NAMES[test], TUORRES=related["result"])


def _identification(record: Fields) -> str:
    """The term for a lesion's role, and for whether it is a node where its place does not say so."""
    by_place = None if record["organ"] is None else "LYMPH NODE" in record["organ"].upper()
    nodal = None if record["nodal"] == by_place else record["nodal"]
    terms = {meaning: term for term, meaning in ROLES.items()}
    return terms.get((record["role"], nodal), terms[record["role"], None])


def _measurement(record: Fields, files: _Files) -> None:
    """A row for each diameter that was recorded, and one for the state where no diameter's row without a length can say it."""
    diameters = [
        (test, record[f"{name}_mm"], record[f"{name}_sequence"])
        for test, name in (("LDIAM", "longest"), ("LPERP", "short_axis"))
        if record[f"{name}_mm"] is not None or record[f"{name}_sequence"] is not None
    ]
    measured = any(size is not None for _, size, _ in diameters)
    blank = any(size is None for _, size, _ in diameters)
    unread = record["state"] in ("not-done", "not-evaluable")
    state_apart = record["state_sequence"] is not None or (record["state"] is not None and (not blank or (unread and measured)))
    for test, size, sequence in diameters:
        if size is not None:
            _length(record, (test, size, sequence), files)
        else:
            _state(record, (test, "not-done" if state_apart or record["state"] is None else record["state"], sequence), files)
    if state_apart or not diameters:
        _state(record, ("TUMSTATE", record["state"], record["state_sequence"]), files)


def _length(record: Fields, result: tuple[str, Any, int | None], files: _Files) -> None:
    test, size, sequence = result
    text = format_decimal(size)
    fields = record | {"test": test, "sequence": sequence, "reason": None, "result": text, "result_unit": "mm"}
    fields |= {"character": text, "number": text, "unit": "mm"}
    files.add(TR, fields, TRTEST=_TEST_NAMES[test])


def _state(record: Fields, result: tuple[str, str | None, int | None], files: _Files) -> None:
    test, state, sequence = result
    fields = record | {"test": test, "sequence": sequence}
    if state == "not-done" or state is None:
        fields |= {"not_done": True}
    else:
        term = f"MERGED WITH {record['merged_with']}" if state == "merged" else _STATE_TERMS[state]
        fields |= {"result": term, "character": term}
    files.add(TR, fields, TRTEST=_TEST_NAMES[test])


def _contacts(data: TrialData, files: _Files) -> None:
    """The dates on which a subject was seen alive and that no other row of the domain has."""
    written: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for domain, variables in CONTACTS.items():
        written[domain] = {(line["USUBJID"], line[name][:10]) for line in files.lines.get(domain, ()) for name in variables if name in line}
    for record in _rows(data, "subject"):
        for contact in record["contacts"] or ():
            domain = contact["source"].lower()
            if domain in CONTACTS and (record["subject"], contact["on"]) not in written[domain]:
                line = {
                    "STUDYID": data.study.id,
                    "DOMAIN": domain.upper(),
                    "USUBJID": record["subject"],
                    CONTACTS[domain][0]: contact["on"],
                }
                files.lines[domain].append(line)
