"""Responses at visits, of every evaluator, as reported or derived; and the ones that the analysis is of."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import NO_DAY, Bools, Ints
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.recist import Assessments
from fhir_trial.endpoints.response_checks import place_of
from fhir_trial.endpoints.response_codes import CODES, CR, NE, NED, NEITHER, PD, PR, RESPONSES, SD
from fhir_trial.errors import Finding, Findings

WHO = ["subject", "evaluator", "evaluator_id"]

SEVERITY = {PD: 0, NEITHER: 1, SD: 2, PR: 3, CR: 4, NED: 5, NE: 6}
"""Of several records on one day the first of these counts: not evaluable last, since anything says more."""


def at_visits(
    tables: Mapping[str, pd.DataFrame], assessments: Assessments, test: str, conventions: Conventions, findings: Findings
) -> pd.DataFrame:
    """One row a visit and reader: `test` (overall, target) as reported where the evaluator has any, else derived (`response_source`).

    Columns: subject, evaluator, evaluator_id, visit, visit_number, day, progression_day (PD, where derived), value (a code), accepted,
    reason, source_domain, source_sequence.
    """
    reported = _reported(tables, test, conventions, findings)
    derived = _derived(assessments, test)
    if conventions.response_source == "derived":
        rows = derived
    elif conventions.response_source == "reported":
        rows = reported
    else:
        rows = _either(reported, derived)
    if conventions.backdate_equivocal:
        rows = _backdated(rows, derived)
    return _without_refused(rows, assessments.refused)


def _either(reported: pd.DataFrame, derived: pd.DataFrame) -> pd.DataFrame:
    """Of each subject what the evaluator reported, if a response ever was (visits not done alone are none), else what lesions give."""
    shared = [col.shared_codes([reported, derived], name)[0] for name in ("subject", "evaluator")]
    key = col.combined([np.concatenate(codes) for codes in shared])
    of_reported, of_derived = key[: len(reported)], key[len(reported) :]
    reporting = np.zeros(len(key) + 1, dtype=bool)
    reporting[of_reported[reported["stated"].to_numpy(dtype=bool)]] = True
    parts = [reported[reporting[of_reported]], derived[~reporting[of_derived]]]
    return col.stacked(parts if len(parts[0]) else parts[1:])


def _reported(tables: Mapping[str, pd.DataFrame], test: str, conventions: Conventions, findings: Findings) -> pd.DataFrame:
    table = tables.get("response", pd.DataFrame(columns=["test", *WHO]))
    rows = table[(col.column(table, "test") == test).to_numpy(dtype=bool)].reset_index(drop=True)
    not_done = col.numbers(rows, "not_done") == 1.0
    words = col.column(rows, "value").astype(object).where(lambda v: v.notna(), None)
    value = col.words(rows, "value", CODES)
    value = np.where((value < 0) & not_done & words.isna().to_numpy(), NE, value)
    frame = pd.DataFrame({name: col.categories(col.column(rows, name)) for name in (*WHO, "visit")}).assign(
        visit_number=col.numbers(rows, "visit_number"),
        day=col.days(col.column(rows, "on"), conventions.partial_date),
        progression_day=NO_DAY,
        value=value,
        accepted=col.numbers(rows, "accepted") == 1.0,
        reason=np.where(not_done, "assessment not done", "as reported"),
        source_domain="RS",
        stated=words.notna(),
        source_sequence=col.numbers(rows, "sequence"),
    )
    undated = (frame["day"] == NO_DAY).to_numpy()
    _report(frame[value < 0].assign(found=words[value < 0]), "unknown-response", ", ".join(CODES), findings)
    _report(frame[undated & (value >= 0)], "response-without-date", "a date", findings)
    return frame[~undated & (value >= 0)].reset_index(drop=True)


def _report(rows: pd.DataFrame, code: str, expected: str, findings: Findings) -> None:
    for row in rows.to_dict("records") if len(rows) else ():
        findings.add(Finding(code, place_of(row), None, "value", row.get("found"), expected, effect="the response does not count"))


def _derived(assessments: Assessments, test: str) -> pd.DataFrame:
    frame = assessments.frame
    shown = col.rows_where(frame, frame[test].notna().to_numpy())
    return shown[[*WHO, "visit", "visit_number", "accepted", "reason", "source_domain", "source_sequence"]].assign(
        day=_days(shown["on"]), progression_day=_days(shown["progression_on"]), value=_codes(shown[test])
    )


def _days(dates: "pd.Series[Any]") -> Ints:
    days = dates.to_numpy(dtype="datetime64[D]")
    return np.where(np.isnat(days), NO_DAY, days.astype(np.int64))


def _codes(words: "pd.Series[Any]") -> Ints:
    codes, names = pd.factorize(words)
    return np.array([CODES[str(name)] for name in names] or [NE], dtype=np.int64)[codes]


def _backdated(rows: pd.DataFrame, derived: pd.DataFrame) -> pd.DataFrame:
    """Progression as reported takes the date of its visit's equivocal lesion, where the lesion records have one."""
    earlier = derived[(derived["progression_day"] < derived["day"]).to_numpy()][[*WHO, "visit", "progression_day"]].astype(
        {n: object for n in [*WHO, "visit"]}
    )
    joined = rows.astype({n: object for n in [*WHO, "visit"]}).merge(earlier, on=[*WHO, "visit"], how="left", suffixes=("", "_seen"))
    seen = joined["progression_day_seen"].fillna(-1).to_numpy().astype(np.int64)
    moved = joined["progression_day_seen"].notna().to_numpy() & (joined["value"] == PD).to_numpy()
    return rows.assign(progression_day=np.where(moved, seen, rows["progression_day"].to_numpy()))


def _without_refused(rows: pd.DataFrame, refused: pd.DataFrame) -> pd.DataFrame:
    """A subject whose baseline is refused is not evaluable, whoever read it."""
    out = rows["subject"].isin(refused["subject"]).to_numpy()
    if not out.any():
        return rows
    reason = rows["reason"].astype(object).where(~out, "refused by baseline limits")
    return rows.assign(value=np.where(out, NE, rows["value"]), reason=reason)


def chosen(rows: pd.DataFrame, conventions: Conventions, findings: Findings) -> Bools:
    """Which rows are those of convention `evaluator`: an evaluator's (of several readers the accepted one's), or one reader's by name."""
    name = conventions.evaluator
    evaluator = _named(rows["evaluator"], name)
    mine = evaluator | _named(rows["evaluator_id"], name)
    if len(rows) and not mine.any():
        known = ", ".join(sorted(str(who) for who in pd.unique(pd.concat([rows["evaluator"], rows["evaluator_id"]]).dropna())))
        effect = "no response counts: every subject is without an assessment"
        findings.add(Finding("no-such-evaluator", "response", field="evaluator", found=name, expected=f"one of {known}", effect=effect))
    if rows.loc[evaluator, "evaluator_id"].nunique(dropna=False) < 2:
        return mine
    accepted: Bools = mine & rows["accepted"].to_numpy(dtype=bool)
    subject = col.coded(rows["subject"])[0]
    settled = np.isin(subject, subject[accepted])
    _report_readers(rows[mine & ~settled], name, findings)
    return np.where(settled, accepted, mine)


def _named(readers: "pd.Series[Any]", name: str) -> Bools:
    """Which rows are of the reader of that name, in whatever case it is written."""
    codes, names = col.coded(readers)
    same: Bools = np.array([str(word).upper() == name.upper() for word in names] + [False], dtype=bool)
    return same[codes]


def _report_readers(rows: pd.DataFrame, name: str, findings: Findings) -> None:
    """Findings for subjects that several readers read, none of them the accepted one."""
    readers = rows["evaluator_id"].astype(object).fillna("").groupby(rows["subject"].astype(object), sort=False).nunique()
    effect, expected = "of several records on a day the worst response counts", "one accepted reader"
    for subject in readers.index[readers > 1]:
        place = f"response: subject {subject}"
        findings.add(Finding("several-readers", place, None, "accepted", name, expected, severity="warning", effect=effect))


def worst_of_day(value: Ints, day: Ints, who: Ints) -> Ints:
    """The rows that count, sorted by subject and day: of several on one day the worst response."""
    rank = np.array([SEVERITY[code] for code in range(len(RESPONSES) - 1)])[value]
    later = (np.diff(who) > 0) | ((np.diff(who) == 0) & (np.diff(day) > 0))
    order = np.arange(len(who)) if later.all() else np.lexsort((rank, day, who))
    repeated = np.zeros(len(order), dtype=bool)
    repeated[1:] = (np.diff(who[order]) == 0) & (np.diff(day[order]) == 0)
    return order[~repeated]
