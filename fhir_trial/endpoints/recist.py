"""RECIST 1.1 from lesion measurements: the response at each visit, of each evaluator, with the sums behind it.

Source: Eisenhauer 2009 (Eur J Cancer 45:228) and its FAQ (Schwartz 2016); where they leave a choice, a convention names it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints import nontarget, target_response
from fhir_trial.endpoints.baseline_limits import refused
from fhir_trial.endpoints.columns import PER_MM, Bools, Ints
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.nontarget import NEW_LESION, UNEQUIVOCAL_NEW
from fhir_trial.endpoints.readings import NON_TARGET, TARGET, Readings, read
from fhir_trial.endpoints.response_codes import CR, NE, NED, NEITHER, NOTHING, PD, PR, RESPONSES
from fhir_trial.endpoints.target_response import KEPT, RELAPSED, TARGET_REASONS
from fhir_trial.endpoints.targets import measure
from fhir_trial.endpoints.visits import ON_STUDY, Visits, arrange
from fhir_trial.errors import Findings


@dataclass(frozen=True)
class Assessments:
    """The responses that lesions give, and what was noticed on the way.

    `frame`: a row an evaluator's visit after baseline, in order: subject, evaluator, evaluator_id, visit, visit_number, first_on, last_on,
    on, progression_on (PD only, back-dated where the conventions say so), target, non_target, new_lesion, overall, complete, sum_mm,
    partial_sum_mm, baseline_mm, nadir_mm (before the visit), change_pct, nadir_change_pct, measurable, accepted, reason, source_domain,
    source_sequence. `refused`: the subjects, evaluators and readers that `baseline_limits` refuses.
    """

    frame: pd.DataFrame
    refused: pd.DataFrame
    findings: Findings


def assess(tables: Mapping[str, pd.DataFrame], conventions: Conventions) -> Assessments:
    """Judge every visit of every reading in the tables `measurement`, `lesion`, `response` (markers, visits not done) and `subject`."""
    readings = read(dict(tables), conventions)
    if not len(readings.marks):
        return Assessments(_empty(), readings.who.iloc[:0], readings.findings)
    visits = arrange(readings, tables.get("subject", pd.DataFrame()), conventions)
    targets = measure(visits)
    refusals = refused(visits, targets, conventions)
    judged = _judge(visits, target_response.sums(visits, targets, conventions), conventions)
    judged = _refuse(judged, refusals[judged["reading"]])
    shown = judged[(judged["kind"] == ON_STUDY).to_numpy()]
    return Assessments(_output(readings, shown), readings.who[refusals], readings.findings)


def _judge(visits: Visits, sums: pd.DataFrame, conventions: Conventions) -> pd.DataFrame:
    """Per visit the codes of target, non-target and overall response, and of the reason."""
    reading = visits.table["reading"].to_numpy()
    has = _roles(visits.readings)
    measurable = has[TARGET][reading]
    other, new = nontarget.responses(visits, ~measurable, conventions), nontarget.new_lesions(visits)
    target, why = target_response.judge(sums, conventions)
    target = np.where((target == NOTHING) & measurable, NE, target)
    non_target = other["response"].to_numpy()
    disease = has[NON_TARGET][reading]
    unequivocal = new["new"].to_numpy() == UNEQUIVOCAL_NEW
    after_cr = col.earlier_any(overall(target, non_target, unequivocal, disease, conventions) == CR, reading)
    back = target_response.relapsed(sums, after_cr, conventions)
    target, why = np.where(back, PD, target), np.where(back & (target != PD), RELAPSED, why)
    sticky = target_response.kept(target, reading, visits.table["last_day"].to_numpy(), conventions)
    target, why = np.where(sticky, PR, target), np.where(sticky, KEPT, why)
    other_back = _non_target_back(other, after_cr, conventions) & (non_target != PD)
    non_target = np.where(other_back, PD, non_target)
    not_done = visits.table["not_done"].to_numpy()
    whole = overall(target, non_target, unequivocal, disease, conventions)
    whole = np.where(not_done & ~unequivocal, NE, whole)  # nothing was looked at, whatever a marker says
    reason = _reasons(not_done & ~unequivocal, unequivocal, (target, non_target, whole), why, other_back)
    return visits.table.assign(
        target=target,
        non_target=non_target,
        overall=whole,
        reason=reason,
        new=new["new"],
        day=_day(visits.table, whole, conventions),
        progressed=_progressed(visits.table, whole, new["since"].to_numpy(), conventions),
        measurable=measurable,
        sequence=_sequence(reason, sums["sequence"].to_numpy(), other, new),
        **{name: sums[name] for name in ("complete", "measured", "total", "baseline", "nadir", "expected")},
    )


def _roles(readings: Readings) -> dict[int, Bools]:
    """Which readings know of a target or a non-target lesion at all, with a baseline or without."""
    has = {}
    for role in (TARGET, NON_TARGET):
        known = np.zeros(len(readings.who), dtype=bool)
        known[readings.records.loc[(readings.records["role"] == role).to_numpy(), "reading"]] = True
        known[readings.marks.loc[(readings.marks["role"] == role).to_numpy(), "reading"]] = True
        has[role] = known
    return has


def overall(target: Ints, non_target: Ints, new_lesion: Bools, disease: Bools, conventions: Conventions) -> Ints:
    """The overall response: RECIST 1.1, tables 1 and 2; without any disease at baseline it is NED until a lesion is new.

    `disease` says of those without a target whether they have a lesion at all.
    """
    blocked = np.isin(non_target, (NEITHER, NE)) if conventions.nontarget_ne_blocks_cr else non_target == NEITHER
    return np.select(
        [new_lesion | (non_target == PD), (target == CR) & blocked, target != NOTHING, ~disease],
        [PD, PR, target, NED],
        np.where(non_target == NOTHING, NE, non_target),
    )


def _non_target_back(other: pd.DataFrame, after_cr: Bools, conventions: Conventions) -> Bools:
    """Non-target lesions seen again after a complete response: any disease then is progression (RECIST 1.1, table 3, note)."""
    back: Bools = other["present"].to_numpy() & (conventions.cr_relapse == "pd")
    back = back | (other["present_node"].to_numpy() & (conventions.nodal_relapse_after_cr == "ge10"))
    return back & after_cr


REASONS = (
    *TARGET_REASONS,
    "new lesion",
    "unequivocal progression of non-target lesions",
    "non-target lesion back after complete response",
    "non-target lesions not complete response",
    "non-target lesions not evaluated",
    "non-target lesions gone",
    "no disease at baseline",
    "assessment not done",
    "refused by baseline limits",
)
_NEW, _GREW, _BACK, _NOT_CR, _UNREAD, _GONE, _NO_DISEASE, _NOT_DONE, _REFUSED = range(len(TARGET_REASONS), len(REASONS))


def _reasons(not_done: Bools, new: Bools, responses: tuple[Ints, Ints, Ints], why: Ints, back: Bools) -> Ints:
    target, non_target, whole = responses
    return np.select(
        [
            not_done,
            new,
            target == PD,
            back,
            non_target == PD,
            (target == CR) & (whole == PR) & (non_target == NE),
            (target == CR) & (whole == PR),
            target != NOTHING,
            whole == NED,
            whole == CR,
            whole == NEITHER,
        ],
        [_NOT_DONE, _NEW, why, _BACK, _GREW, _UNREAD, _NOT_CR, why, _NO_DISEASE, _GONE, _NOT_CR],
        _UNREAD,
    )


_SCAN = {"earliest": "first_day", "latest": "last_day"}


def _day(table: pd.DataFrame, whole: Ints, conventions: Conventions) -> Ints:
    """Which of a visit's scan dates is its date."""
    progressed, other = (table[_SCAN[choice]].to_numpy() for choice in (conventions.pd_scan_date, conventions.censor_scan_date))
    return np.where(whole == PD, progressed, other)


def _progressed(table: pd.DataFrame, whole: Ints, since: Ints, conventions: Conventions) -> Ints:
    """The date of progression: that of its visit, or of the one where what is now certain was equivocal."""
    day: Ints = table[_SCAN[conventions.pd_scan_date]].to_numpy()
    return np.where(whole == PD, day[since] if conventions.backdate_equivocal else day, col.NO_DAY)


def _sequence(reason: Ints, target: Ints, other: pd.DataFrame, new: pd.DataFrame) -> Ints:
    """The record that decided: of the new lesion, of the non-target that grew, else the first of the targets or non-targets."""
    rest = np.where(target >= 0, target, other["sequence"].to_numpy())
    return np.select([reason == _NEW, reason == _GREW], [new["sequence"].to_numpy(), other["progressed_sequence"].to_numpy()], rest)


def _refuse(judged: pd.DataFrame, refusal: Bools) -> pd.DataFrame:
    if not refusal.any():
        return judged
    changed = {"target": NE, "non_target": NE, "overall": NE, "reason": _REFUSED}
    return judged.assign(**{name: np.where(refusal & (judged[name] != NOTHING), code, judged[name]) for name, code in changed.items()})


def _labels(codes: "pd.Series[Any]", words: tuple[str | None, ...]) -> Any:
    names = [word for word in words if word is not None]
    return col.labelled(np.where(codes.to_numpy() < len(names), codes.to_numpy(), -1), names)


def _output(readings: Readings, shown: pd.DataFrame) -> pd.DataFrame:
    who, n = shown["reading"].to_numpy(), len(shown)
    total, baseline, nadir = (shown[name].to_numpy() / PER_MM for name in ("total", "baseline", "nadir"))
    complete, targets = shown["complete"].to_numpy(), shown["expected"].to_numpy() > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        change, from_nadir = (np.where(complete & (ref > 0), 100 * (total - ref) / ref, np.nan) for ref in (baseline, nadir))
    columns = {name: col.labelled(*_coded(readings.who[name], who)) for name in ("subject", "evaluator", "evaluator_id")}
    return pd.DataFrame(
        {
            **columns,
            "visit": col.labelled(shown["visit_name"].to_numpy(), list(readings.visit_names)),
            "visit_number": shown["number"].to_numpy(),
            "first_on": col.to_dates(shown["first_day"].to_numpy()),
            "last_on": col.to_dates(shown["last_day"].to_numpy()),
            "on": col.to_dates(shown["day"].to_numpy()),
            "progression_on": col.to_dates(shown["progressed"].to_numpy()),
            "target": _labels(shown["target"], RESPONSES),
            "non_target": _labels(shown["non_target"], RESPONSES),
            "new_lesion": _labels(shown["new"], NEW_LESION),
            "overall": _labels(shown["overall"], RESPONSES),
            "complete": complete,
            "sum_mm": np.where(complete, total, np.nan),
            "partial_sum_mm": np.where(~complete & shown["measured"].to_numpy(), total, np.nan),
            "baseline_mm": np.where(targets, baseline, np.nan),
            "nadir_mm": np.where(targets, nadir, np.nan),
            "change_pct": change,
            "nadir_change_pct": from_nadir,
            "measurable": shown["measurable"].to_numpy(),
            "accepted": shown["accepted"].to_numpy(),
            "reason": _labels(shown["reason"], REASONS),
            "source_domain": col.labelled(np.where(shown["sequence"] >= 0, 0, -1), ["TR"]),
            "source_sequence": np.where(shown["sequence"] >= 0, shown["sequence"], np.nan),
        },
        index=pd.RangeIndex(n),
        copy=False,
    )


def _coded(values: "pd.Series[Any]", at: Ints) -> tuple[Ints, Sequence[Any]]:
    codes, names = pd.factorize(values)
    return codes[at].astype(np.int64), list(names)


def _empty() -> pd.DataFrame:
    """The output of nothing: its columns."""
    names = ["subject", "evaluator", "evaluator_id", "visit", "visit_number", "first_on", "last_on", "on", "progression_on", "target"]
    names += ["non_target", "new_lesion", "overall", "complete", "sum_mm", "partial_sum_mm", "baseline_mm", "nadir_mm", "change_pct"]
    return pd.DataFrame(columns=[*names, "nadir_change_pct", "measurable", "accepted", "reason", "source_domain", "source_sequence"])


__all__ = ["REASONS", "Assessments", "assess", "overall"]
