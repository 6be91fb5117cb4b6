"""Lesion records as numbers: who read which lesion at which visit, how large it was, or in which state.

A *reading* is one evaluator's (and reader's) view of one subject; a *mark* is one lesion in one reading. Everything that RECIST judges is
judged within a reading.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.domain.entities import ENTITIES
from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import PER_MM, Bools, Ints, Strings
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.lineage import RELATIONS, parents
from fhir_trial.errors import Finding, Findings, InputError

TARGET, NON_TARGET, NEW = range(3)
ROLES = {"target": TARGET, "non-target": NON_TARGET, "new": NEW}

ABSENT, PRESENT, TOO_SMALL, PROGRESSED, NOT_EVALUABLE, NOT_DONE, MERGED, EQUIVOCAL, UNEQUIVOCAL = range(9)
STATES = {
    "absent": ABSENT,
    "present": PRESENT,
    "too-small-to-measure": TOO_SMALL,
    "unequivocal-progression": PROGRESSED,
    "not-evaluable": NOT_EVALUABLE,
    "not-done": NOT_DONE,
    "merged": MERGED,
    "equivocal": EQUIVOCAL,
    "unequivocal": UNEQUIVOCAL,
}
"""A lesion's states by the words of the measurement table; -1 is none."""

NORMAL_NODE = 10 * PER_MM
"""RECIST 1.1, 4.3.1: a node with a short axis below 10 mm is normal."""
LARGEST = 1000 * PER_MM
"""A diameter above one metre is no measurement."""


@dataclass(frozen=True)
class Readings:
    """The records of all readings, with the names behind their codes.

    `who`: a row a reading (subject, evaluator, evaluator_id). `marks`: a row a lesion of a reading (reading, name, nodal, organ, role,
    origin, relation, parent, day). `records`: a row a lesion and visit (reading, mark, visit_name, day, number, role, state, size,
    evaluated, gone, into, sequence, accepted). `notes`: responses as reported (reading, visit_name, day, number, test, value, not_done,
    sequence, accepted).
    """

    who: pd.DataFrame
    marks: pd.DataFrame
    records: pd.DataFrame
    notes: pd.DataFrame
    lesion_names: Strings
    visit_names: Strings
    findings: Findings

    def report(self, rows: pd.DataFrame, finding: Finding) -> None:
        """One finding like `finding` for each of `rows` (reading; mark, visit_name, sequence, found and expected where they have them)."""
        for row in rows.to_dict("records") if len(rows) else ():
            told = {name: row[name] for name in ("found", "expected") if name in row}
            self.findings.add(dataclasses.replace(finding, place=self._place(row), **told))

    def _place(self, row: dict[Any, Any]) -> str:
        """Where a finding stands, in words: table, subject, evaluator, lesion, visit, sequence."""
        who = self.who.iloc[row["reading"]].to_dict()
        subject, evaluator, reader = who["subject"], who["evaluator"], who["evaluator_id"]
        parts = [f"measurement: subject {subject}", f"{evaluator} {reader}" if reader else str(evaluator)]
        if "mark" in row:
            name = self.marks["name"].to_numpy()[row["mark"]]
            parts.append(f"lesion {self.lesion_names[name]}")
        if row.get("visit_name", -1) >= 0:
            parts.append(f"visit {self.visit_names[row['visit_name']]}")
        if row.get("sequence", -1) >= 0:
            parts.append(f"sequence {row['sequence']}")
        return ", ".join(parts)


def read(tables: dict[str, pd.DataFrame], conventions: Conventions) -> Readings:
    """The tables `measurement`, `lesion` and `response` (each may be absent or lack optional columns) as `Readings`."""
    _require_columns(tables)
    frames = [
        tables.get(name, pd.DataFrame(columns=list(ENTITIES[name].__struct_fields__))) for name in ("measurement", "lesion", "response")
    ]
    subject, subjects = col.shared_codes(frames, "subject")
    evaluator, evaluators = col.shared_codes(frames, "evaluator")
    reader, readers = col.shared_codes(frames, "evaluator_id")
    name, names = col.shared_codes(frames[:2], "lesion")
    visit, visits = col.shared_codes(frames, "visit")
    reading = _split(col.combined([np.concatenate(c) for c in (subject, evaluator, reader)]), frames)
    who = _who(
        np.concatenate(reading), [(np.concatenate(c), v) for c, v in ((subject, subjects), (evaluator, evaluators), (reader, readers))]
    )
    mark = _split(col.combined([np.concatenate(reading[:2]), np.concatenate(name)]), frames[:2])
    days = [col.days(col.column(f, "on"), conventions.partial_date) for f in frames]
    base = [
        pd.DataFrame({"reading": r, "visit_name": v, "day": d, "number": col.numbers(f, "visit_number")}, copy=False)
        for r, v, d, f in zip(reading, visit, days, frames, strict=True)
    ]
    findings = Findings()
    marks = _marks(frames[1], base[1]["day"].to_numpy(), mark, (np.concatenate(name), np.concatenate(reading[:2])), names)
    by_axis = _short_axis_only(frames[0], mark[0], marks)
    marks = marks.assign(nodal=np.where(by_axis, 1.0, marks["nodal"]))
    records = _records(frames[0], base[0].assign(mark=mark[0]), marks, names, conventions)
    records = col.stacked([records, _new_without_record(frames[1], base[1].assign(mark=mark[1]), records)])
    readings = Readings(who, marks, records, _notes(frames[2], base[2]), names, visits, findings)
    effect, expected = "it is judged as a node, by its short axis", "where the lesion is"
    told = marks[by_axis].reset_index(names="mark")[["reading", "mark"]]
    readings.report(told, Finding("taken-as-node", "", field="organ", expected=expected, severity="information", effect=effect))
    _report_diameters(readings)
    return readings


NEEDED = {"measurement": ("subject", "lesion"), "lesion": ("subject", "lesion"), "response": ("subject", "test")}
"""Columns without which a row of the table says nothing."""


def _require_columns(tables: dict[str, pd.DataFrame]) -> None:
    """Raise `InputError` that names the columns a table lacks; a table without rows needs none."""
    given = [(name, tables[name]) for name in NEEDED if name in tables and len(tables[name])]
    missing = [
        Finding("missing-column", name, field=column, expected=f"the column {column}")
        for name, table in given
        for column in NEEDED[name]
        if column not in table
    ]
    if missing:
        raise InputError(missing)


def _places(names: Strings, values: "pd.Series[Any]") -> Ints:
    """Where each value stands in `names`, -1 where it does not."""
    return col.places(values, pd.Index(names, dtype=object))


def _split(codes: Ints, frames: list[pd.DataFrame]) -> list[Ints]:
    return np.split(codes, np.cumsum([len(f) for f in frames])[:-1])


def _who(reading: Ints, parts: list[tuple[Ints, Strings]]) -> pd.DataFrame:
    first, named = col.first_places(reading), {}
    for label, (codes, values) in zip(("subject", "evaluator", "evaluator_id"), parts, strict=True):
        named[label] = pd.Series([*values, None], dtype=object).to_numpy()[codes[first]]
    return pd.DataFrame(named, dtype=object)


def _marks(lesions: pd.DataFrame, day: Ints, mark: list[Ints], known: tuple[Ints, Ints], names: Strings) -> pd.DataFrame:
    """One row a mark: what the lesion table says first of it, and the lesion it is a fragment of or merged into.

    `stated` is 1 for a lesion that has a record of its own (TU), not one that measurements alone tell of.
    """
    first = col.first_places(np.concatenate(mark))
    marks = pd.DataFrame({"name": known[0][first], "reading": known[1][first]})
    organ, organs = pd.factorize(col.column(lesions, "organ"))
    node = np.array(["NODE" in str(o).upper() for o in organs] + [False], dtype=bool)[organ]
    origin, told = _places(names, col.column(lesions, "origin")), col.numbers(lesions, "nodal")
    facts = pd.DataFrame(
        {
            "nodal": np.where(np.isnan(told), np.where(organ >= 0, node, np.nan), told),
            "organ": np.where(organ >= 0, organ, np.nan),
            "role": pd.Series(col.words(lesions, "role", ROLES)).where(lambda v: v >= 0),
            "origin": np.where(origin >= 0, origin, np.nan),
            "relation": pd.Series(col.words(lesions, "relation", RELATIONS)).where(lambda v: v >= 0),
            "day": day,
            "stated": np.where(col.whole_numbers(lesions, "sequence") >= 0, 1.0, np.nan),
        }
    )
    marks = marks.join(facts.groupby(mark[1]).first())
    parent = parents(marks, names)
    return marks.assign(parent=parent, nodal=marks["nodal"].fillna(pd.Series(marks["nodal"].to_numpy()[parent])))


def _short_axis_only(frame: pd.DataFrame, mark: Ints, marks: pd.DataFrame) -> Bools:
    """Lesions of which nobody says where they are and only a short axis was ever recorded: nodes, for no other is measured so."""
    has = {}
    for name in ("longest_mm", "short_axis_mm"):
        has[name] = np.zeros(len(marks), dtype=bool)
        has[name][mark[col.column(frame, name).notna().to_numpy(dtype=bool)]] = True
    only: Bools = marks["nodal"].isna().to_numpy() & has["short_axis_mm"] & ~has["longest_mm"]
    return only


def _records(frame: pd.DataFrame, base: pd.DataFrame, marks: pd.DataFrame, names: Strings, conventions: Conventions) -> pd.DataFrame:
    """The measurement table, a diameter chosen for each record: short axis of a node, else the longest."""
    nodal = (marks["nodal"].to_numpy() == 1.0)[base["mark"].to_numpy()]
    longest, has_longest = col.lengths(col.column(frame, "longest_mm"))
    short, has_short = col.lengths(col.column(frame, "short_axis_mm"))
    given = np.where(nodal, has_short, has_longest)
    size = np.where(nodal, short, longest)
    state = col.words(frame, "state", STATES)
    possible = given & (size >= 0) & (size <= LARGEST)
    sized, evaluated = _judge(state, size, possible, conventions)
    sequence = np.where(nodal, col.whole_numbers(frame, "short_axis_sequence"), col.whole_numbers(frame, "longest_sequence"))
    return base.assign(
        role=col.words(frame, "role", ROLES),
        state=state,
        size=sized,
        evaluated=evaluated,
        gone=evaluated & ((sized == 0) | (nodal & (sized < NORMAL_NODE))),
        nodal=nodal,
        given=size,
        impossible=given & ~possible,
        disagrees=possible & (((state == ABSENT) & (size > 0)) | (np.isin(state, (PRESENT, TOO_SMALL)) & (size == 0))),
        other_diameter=~given & np.where(nodal, has_longest, has_short) & (state < 0),
        into=_places(names, col.column(frame, "merged_with")),
        sequence=np.where(sequence >= 0, sequence, col.whole_numbers(frame, "state_sequence")),
        accepted=col.numbers(frame, "accepted"),
    )


def _judge(state: Ints, size: Ints, possible: Bools, conventions: Conventions) -> tuple[Ints, Bools]:
    """Size and whether it counts: a number beside "too small" is the default that it stands for, save a zero."""
    small = int(conventions.tstm_mm * PER_MM)
    too_small = (state == TOO_SMALL) & ~(possible & (size == 0))
    unread = np.isin(state, (NOT_EVALUABLE, NOT_DONE, MERGED))
    evaluated = too_small | (possible & ~unread) | (state == ABSENT)
    return np.where(evaluated, np.where(too_small, small, np.where(possible, size, 0)), 0), evaluated


def _new_without_record(lesions: pd.DataFrame, base: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """New lesions that were identified and never measured: seen, unequivocally, at the visit of their identification."""
    new = (col.words(lesions, "role", ROLES) == NEW) & ~base["mark"].isin(records.loc[records["role"] == NEW, "mark"]).to_numpy()
    added = base.assign(
        role=NEW,
        state=UNEQUIVOCAL,
        size=0,
        evaluated=False,
        gone=False,
        nodal=False,
        given=0,
        impossible=False,
        disagrees=False,
        other_diameter=False,
        into=-1,
        sequence=col.whole_numbers(lesions, "sequence"),
        accepted=col.numbers(lesions, "accepted"),
    )
    return added[np.asarray(new, dtype=bool)]


TESTS = {"overall": 0, "target": 1, "non-target": 2, "new-lesion": 3, "marker": 4}


def _notes(responses: pd.DataFrame, base: pd.DataFrame) -> pd.DataFrame:
    return base.assign(
        test=col.words(responses, "test", TESTS),
        value=col.column(responses, "value").astype(object).to_numpy(),
        not_done=col.numbers(responses, "not_done") == 1.0,
        sequence=col.whole_numbers(responses, "sequence"),
        accepted=col.numbers(responses, "accepted"),
    )


def _report_diameters(readings: Readings) -> None:
    """Findings for diameters that cannot be, and for those of the wrong axis."""
    records = readings.records
    bad = records[records["impossible"].to_numpy(dtype=bool)]
    bad = bad.assign(found=[f"{size / PER_MM:g} mm" for size in bad["given"]])
    for of_targets, effect in ((True, "the lesion counts as not evaluated"), (False, "the diameter does not count")):
        rows = bad[((bad["role"] == TARGET) == of_targets).to_numpy()]
        readings.report(rows, Finding("impossible-diameter", "", expected="a diameter from 0 to 1000 mm", effect=effect))
    contrary = records[records["disagrees"].to_numpy(dtype=bool)]
    contrary = contrary.assign(found=[f"{size / PER_MM:g} mm" for size in contrary["given"]])
    expected = "a state and a diameter that say the same"
    finding = Finding("state-and-diameter-disagree", "", expected=expected, severity="warning", effect="the diameter counts")
    readings.report(contrary, finding)
    other = records[records["other_diameter"].to_numpy(dtype=bool) & (records["role"] == TARGET).to_numpy()]
    expected = "the short axis of a node, the longest diameter of another lesion"
    effect = "the lesion counts as not evaluated"
    readings.report(other, Finding("other-diameter", "", expected=expected, effect=effect))
