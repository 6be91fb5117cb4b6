"""The rows of the tables as lines of SDTM: the domains and columns that are read, by the same layouts."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from fhir_trial.domain.study import StudyDefinition
from fhir_trial.errors import Finding, Findings
from fhir_trial.sources.sdtm.contacts import STATED
from fhir_trial.sources.sdtm.datasets import Line
from fhir_trial.sources.sdtm.headers import Header, Headers
from fhir_trial.sources.sdtm.laboratory import standard_result
from fhir_trial.sources.sdtm.layouts import AE, CM, CRITERIA, DM, DS, EX, LB, QS, RESPONSE_TESTS, RS, TR, TU, VITALS, VS, Column, Layout
from fhir_trial.sources.sdtm.lesions import ROLES
from fhir_trial.sources.sdtm.measurements import STATES
from fhir_trial.sources.sdtm.treatment import cycle_of
from fhir_trial.sources.sdtm.values import format_decimal

Fields = dict[str, Any]
"""A row as domain fields."""

Rows = Mapping[str, Iterable[Fields]]
"""Entity to its rows."""


class Written(NamedTuple):
    """One line of a domain, the source columns of its row, and which of the row's lines it is."""

    domain: str
    line: Line
    columns: list[dict[str, str | None]]
    record: str | None = None

    def qualifier(self, name: str, header: Header, said: Mapping[str, str] = MappingProxyType({})) -> "Written":
        """The line of SUPP-- for a qualifier of this line: what its fields have `said`, and what `header` says of all its rows."""
        domain, dm = self.domain.upper(), self.domain == "dm"
        keys = {"STUDYID": self.line["STUDYID"], "RDOMAIN": domain, "USUBJID": self.line["USUBJID"]}
        keys |= {"IDVAR": "" if dm else f"{domain}SEQ", "IDVARVAL": "" if dm else self.line.get(f"{domain}SEQ", ""), "QNAM": name}
        record = " ".join(part for part in (self.record, f"SUPP{domain}", name) if part)
        return Written(f"supp{self.domain}", {**keys, **said, **header.qualifiers.get(name, {})}, self.columns, record)

    def kept_qualifiers(self) -> list[str]:
        """The qualifiers of this line whose value its source columns keep."""
        start = " ".join(part for part in (self.record, f"SUPP{self.domain.upper()}") if part) + " "
        kept = (str(c["record"]).removeprefix(start) for c in self.columns if c["name"] == "QVAL" and str(c["record"]).startswith(start))
        return [name for name in kept if " " not in name]


TOO_SMALL = "too-small-to-measure"
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


def written(rows: Rows, study: StudyDefinition, headers: Headers, findings: Findings) -> list[Written]:
    """The lines of every row, by the fields alone: source columns are not laid over them yet.

    A value that SDTM's code list has no term for is a finding, and not written.
    """
    lines = Lines(study, headers, findings)
    patients = {record["subject"]: record for record in rows.get("patient", ())}
    for record in rows.get("subject", ()):
        _subject(record, patients.get(record["subject"], {}), lines)
    _treatment(rows, lines)
    _measures(rows, lines)
    _tumours(rows, lines)
    return lines.written


class Lines:
    """The lines as they come together."""

    def __init__(self, study: StudyDefinition, headers: Headers, findings: Findings) -> None:
        """None yet; they are for files such as `headers` says."""
        self.study = study
        self.headers = headers
        self.findings = findings
        self.written: list[Written] = []
        self._places: dict[int, list[tuple[Column, str, bool]]] = {}

    def _placed(self, layout: Layout) -> list[tuple[Column, str, bool]]:
        """Each column with its variable and whether it is supplemental: found once, since there are many rows."""
        if id(layout) not in self._places:
            self._places[id(layout)] = [(column, *self.headers.place(layout.domain, column)) for column in layout.columns]
        return self._places[id(layout)]

    def add(self, layout: Layout, fields: Fields, record: str | None = None, **more: str) -> None:
        """Add a row; its supplemental qualifiers go to SUPP--, and a further variable stands as `more` says."""
        line = {"STUDYID": self.study.id, "DOMAIN": layout.domain.upper(), "USUBJID": fields["subject"]} | more
        columns = fields.get("source_columns")
        one = Written(layout.domain, line, [] if columns is None else columns, record)
        self.written.append(one)
        apart: dict[str, Line] = {}
        for column, variable, supplemental in self._placed(layout):
            value = fields.get(column.field)
            if value is None:
                continue
            try:
                text = column.kind.format(value)
            except KeyError:
                self._no_term(layout, column, value, line)
                continue
            if supplemental:
                apart[variable] = {"QLABEL": column.supplement or "", "QVAL": text}
            else:
                line[variable] = text
        self._supplement(one, apart)

    def _no_term(self, layout: Layout, column: Column, value: Any, line: Line) -> None:
        key = f"{layout.domain.upper()}SEQ"
        place = f"{layout.domain}: subject {line['USUBJID']}{f', {key} {line[key]}' if key in line else ''}"
        found = Finding("no-term", place, field=column.variable, found=str(value), expected=column.kind.expected, effect="not written")
        self.findings.add(found)

    def _supplement(self, one: Written, apart: Mapping[str, Line]) -> None:
        """The qualifiers of a line: those of its fields, and those that its source columns alone have."""
        header = self.headers.get(f"supp{one.domain}", Header())
        for name in dict.fromkeys((*apart, *one.kept_qualifiers())):
            self.written.append(one.qualifier(name, header, apart.get(name, {})))


def _subject(record: Fields, patient: Fields, lines: Lines) -> None:
    fields = patient | record | _arms(record, lines.study)
    fields["dead"] = True if patient.get("dead") or patient.get("death_date") else None
    fields["reference_start"] = record["enrolled_on"] if record["enrolled_source"] == "RFSTDTC" else None
    fields["last_alive"] = next((c["on"] for c in record["contacts"] or () if c["source"] == STATED), None)
    lines.add(DM, fields)
    for event in record["dispositions"] or ():
        of_subject = {"subject": record["subject"], "source_columns": record.get("source_columns")}
        lines.add(DS, event | of_subject, f"DS {event['sequence']}")


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


def _treatment(rows: Rows, lines: Lines) -> None:
    for record in rows.get("dose", ()):
        fields = record | {"not_done": True if record["status"] == "not-done" else None}
        fields["stopped"] = True if record["status"] == "stopped" else None
        # Where the source states no cycle, the visit's name says it.
        stated = lines.headers.has("ex", EX.column("cycle")) or record["cycle"] != cycle_of(record["visit"])
        fields["cycle"] = record["cycle"] if stated else None
        lines.add(EX, fields)
    for record in rows.get("adverse_event", ()):
        flags = {c["criterion"]: c["present"] for c in record["criteria"] or () if c["criterion"] in CRITERIA.values()}
        lines.add(AE, record | flags)
    for record in rows.get("therapy", ()):
        lines.add(CM, record)


def _measures(rows: Rows, lines: Lines) -> None:
    for record in rows.get("body_measure", ()):
        value, test = format_decimal(record["value"]), VS.column("test").kind.format(record["test"])
        result = {"result": value, "result_unit": record["unit"], "value": value}
        lines.add(VS, record | result, VSTEST=_TEST_NAMES[test], VSSTRESC=value)
    for record in rows.get("vital_sign", ()):
        number = None if record["value"] is None else format_decimal(record["value"])
        lines.add(VITALS, record | {"result": number, "character": number, "result_unit": record["unit"]})
    for record in rows.get("performance_status", ()):
        score = str(record["score"])
        lines.add(QS, record | {"test": "ECOG101"}, QSTEST=_TEST_NAMES["ECOG101"], QSORRES=score, QSSTRESC=score)
    for record in rows.get("laboratory", ()):
        lines.add(LB, record | standard_result(record))


def _tumours(rows: Rows, lines: Lines) -> None:
    for record in rows.get("lesion", ()):
        _lesion(record, lines)
    for record in rows.get("measurement", ()):
        _measurement(record, lines)
    for record in rows.get("sum_of_diameters", ()):
        _length(record, ("SUMDIAM", record["sum_mm"], record["sequence"]), lines)
    codes = {value: code for code, value in RESPONSE_TESTS.items()}
    for record in rows.get("response", ()):
        original = {"RSORRES": record["value"]} if record["value"] is not None else {}
        name = {"RSTEST": _TEST_NAMES[codes[record["test"]]]} if record["test"] in codes else {}
        lines.add(RS, record, **name, **original)


_RELATIONS = {"split": ("TUSPLIT", "SPLIT FROM"), "merged": ("TUMERGE", "MERGED WITH")}


def _lesion(record: Fields, lines: Lines) -> None:
    """A lesion's identification, and without a visit its split from or merge with another."""
    term = _identification(record)
    lines.add(TU, record | {"test": "TUMIDENT", "result": term}, "TUMIDENT", TUTEST=_TEST_NAMES["TUMIDENT"], TUORRES=term)
    if record["relation"] in _RELATIONS:
        test, words = _RELATIONS[record["relation"]]
        names = ("subject", "evaluator", "evaluator_id", "lesion", "source_columns")
        result = f"{words} {record['origin']}"
        related = {name: record.get(name) for name in names} | {"test": test, "result": result}
        lines.add(TU, related, test, TUTEST=_TEST_NAMES[test], TUORRES=result)


def _identification(record: Fields) -> str:
    """The term for a lesion's role, and for whether it is a node where its place does not say so."""
    by_place = None if record["organ"] is None else "LYMPH NODE" in record["organ"].upper()
    nodal = None if record["nodal"] == by_place else record["nodal"]
    terms = {meaning: term for term, meaning in ROLES.items()}
    return terms.get((record["role"], nodal), terms[record["role"], None])


def _measurement(record: Fields, lines: Lines) -> None:
    """A row for each diameter that was recorded, and one for the state where no diameter's row can say it."""
    diameters = [
        (test, record[f"{name}_mm"], record[f"{name}_sequence"])
        for test, name in (("LDIAM", "longest"), ("LPERP", "short_axis"))
        if record[f"{name}_mm"] is not None or record[f"{name}_sequence"] is not None
    ]
    measured = [test for test, size, _ in diameters if size is not None]
    blank = len(measured) < len(diameters)
    unread = record["state"] in ("not-done", "not-evaluable")
    in_words = measured[:1] if _is_in_words(record, diameters) else []
    state_apart = not in_words and (
        record["state_sequence"] is not None or (record["state"] is not None and (not blank or (unread and bool(measured))))
    )
    for test, size, sequence in diameters:
        if size is not None:
            _length(record, (test, size, sequence), lines, _term(record, record["state"]) if test in in_words else None)
        else:
            said = in_words or state_apart or record["state"] is None
            _state(record, (test, "not-done" if said else record["state"], sequence), lines)
    if state_apart or not diameters:
        _state(record, ("TUMSTATE", record["state"], record["state_sequence"]), lines)


def _is_in_words(record: Fields, diameters: list[tuple[str, Any, int | None]]) -> bool:
    """Whether a length's row says the state: too small, as SDTM has it; and where a row of its own, without a number, might join another.

    The rows of a lesion that is recorded twice at a visit are told apart by number.
    """
    if record["state_sequence"] is not None or all(size is None for _, size, _ in diameters):
        return False
    if record["state"] == TOO_SMALL:
        return len(diameters) == 1
    return record["ordinal"] > 1 and record["state"] not in (None, "not-done", "not-evaluable")


def _term(record: Fields, state: str) -> str:
    return f"MERGED WITH {record['merged_with']}" if state == "merged" else _STATE_TERMS[state]


def _length(record: Fields, result: tuple[str, Any, int | None], lines: Lines, term: str | None = None) -> None:
    """A row with a length; with a `term`, the words that stand as its result beside the number."""
    test, size, sequence = result
    text = format_decimal(size)
    fields = record | {"test": test, "sequence": sequence, "reason": None, "result": term or text, "result_unit": None if term else "mm"}
    fields |= {"character": term or text, "number": text, "unit": "mm"}
    lines.add(TR, fields, test, TRTEST=_TEST_NAMES[test])


def _state(record: Fields, result: tuple[str, str | None, int | None], lines: Lines) -> None:
    test, state, sequence = result
    fields = record | {"test": test, "sequence": sequence}
    if state == "not-done" or state is None:
        fields |= {"not_done": True}
    else:
        fields |= dict.fromkeys(("result", "character"), _term(record, state))
    lines.add(TR, fields, test, TRTEST=_TEST_NAMES[test])
