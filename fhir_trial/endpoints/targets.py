"""One size a target lesion and visit: fragments added, merged lesions counted once, and the baseline each is compared with."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhir_trial.endpoints.columns import NO_DAY, Bools, rows_where
from fhir_trial.endpoints.lineage import JOINED, find
from fhir_trial.endpoints.readings import MERGED, TARGET, Readings
from fhir_trial.endpoints.visits import BASELINE, ON_STUDY, Visits
from fhir_trial.errors import Finding


@dataclass(frozen=True)
class Targets:
    """`baseline`: a row a target with its baseline (reading, mark, at, size, nodal); `cells`: a row a target and visit on study."""

    baseline: pd.DataFrame
    cells: pd.DataFrame


def measure(visits: Visits) -> Targets:
    """Sizes of the baseline targets at each visit at which they were recorded (mark, at, size, evaluated, gone, nodal, sequence)."""
    readings, records = visits.readings, visits.records
    role = records["role"].where(records["role"] >= 0, readings.marks["role"].to_numpy()[records["mark"]])
    told = records[["reading", "mark", "at", "size", "evaluated", "gone", "nodal", "state", "into", "sequence"]]
    cells = rows_where(told, (role == TARGET).to_numpy())
    cells = _merge(visits, _join_fragments(readings, cells))
    kind = visits.table["kind"].to_numpy()[cells["at"]]
    candidates = cells[(kind == BASELINE) & cells["evaluated"].to_numpy()].sort_values("at", kind="stable")
    baseline = candidates.drop_duplicates("mark", keep="last")
    is_target = np.zeros(len(readings.marks), dtype=bool)
    is_target[baseline["mark"]] = True
    on_study = cells[kind == ON_STUDY]
    counted = is_target[on_study["mark"]]
    _report_uncounted(visits, on_study[~counted], is_target)
    _report_twice(visits, candidates, baseline)
    return Targets(baseline, on_study[counted])


def _join_fragments(readings: Readings, cells: pd.DataFrame) -> pd.DataFrame:
    """A split lesion is the sum of its fragments, evaluated where all those seen before are."""
    parent = readings.marks["parent"].to_numpy()
    fragment = parent[cells["mark"]] != cells["mark"].to_numpy()
    if not fragment.any():
        return cells
    parts = cells[fragment].assign(root=parent[cells.loc[fragment, "mark"]])
    parts = pd.concat([parts, _unrecorded(parts)], ignore_index=True)
    how = {"reading": "first", "size": "sum", "evaluated": "all", "gone": "all", "nodal": "any", "sequence": "min"}
    whole = parts.groupby(["root", "at"])[list(how)].agg(how).reset_index(names=["mark", "at"]).assign(state=-1, into=-1)
    # where the fragments are measured, a record of the whole lesion would count it twice
    joined: pd.DataFrame = pd.concat([whole, cells[~fragment]], ignore_index=True).drop_duplicates(["mark", "at"])
    return joined


def _unrecorded(parts: pd.DataFrame) -> pd.DataFrame:
    """Fragments seen before and not recorded where others of their lesion are: not evaluated."""
    since = parts.groupby(["root", "mark"])["at"].min().rename("since").reset_index()
    expected = parts[["reading", "root", "at"]].drop_duplicates().merge(since, on="root")
    expected = expected[expected["at"] >= expected["since"]]
    missing = expected.merge(parts[["mark", "at"]], on=["mark", "at"], how="left", indicator=True)
    missing = missing[missing["_merge"] == "left_only"]
    # the record that a lesion rests on is one of those there are
    unknown = missing.assign(size=0, evaluated=False, gone=False, nodal=False, state=-1, into=-1, sequence=NO_DAY)
    return unknown[list(parts)]


def _merge(visits: Visits, cells: pd.DataFrame) -> pd.DataFrame:
    """Lesions that have coalesced count as evaluated, with nothing of their own, where the lesion they merged into is evaluated."""
    told = visits.readings.marks["relation"].to_numpy() == JOINED
    merged = cells[(cells["state"] == MERGED).to_numpy() | told[cells["mark"]]]
    if merged.empty:
        return cells
    cells = pd.concat([cells, _still_merged(visits, cells, merged)], ignore_index=True)
    return _settle(visits, cells)


def _still_merged(visits: Visits, cells: pd.DataFrame, merged: pd.DataFrame) -> pd.DataFrame:
    """Records for the visits after a merger at which the lesion has none of its own, until it is measured apart again."""
    marks = visits.readings.marks
    told = cells[(cells["state"] == MERGED).to_numpy() | cells["evaluated"].to_numpy()]
    told = told[told["mark"].isin(merged["mark"])].sort_values(["mark", "at"])
    told = told.assign(until=told.groupby("mark")["at"].shift(-1))
    first = told[told["state"] == MERGED]
    rest = merged[~merged["mark"].isin(first["mark"])].sort_values("at").groupby("mark", as_index=False).last()
    rest = rest.assign(into=marks["origin"].to_numpy()[rest["mark"]], until=np.nan)
    start = pd.concat([first, rest.dropna(subset="into")], ignore_index=True)
    table = visits.table.loc[visits.table["kind"] == ON_STUDY, ["reading"]].reset_index(names="visit")
    due = start.merge(table, on="reading").query("visit > at and not visit >= until")
    due = due.assign(at=due["visit"], state=MERGED, size=0, evaluated=False, gone=False, sequence=-1, into=due["into"].astype(np.int64))
    own = cells.set_index(["mark", "at"]).index
    due = due[~due.set_index(["mark", "at"]).index.isin(own)]
    kept: pd.DataFrame = due[list(cells)]
    return kept


def _settle(visits: Visits, cells: pd.DataFrame) -> pd.DataFrame:
    """Follow each merged lesion to the one that is measured; one that leads nowhere stays not evaluated."""
    readings, cells = visits.readings, cells.reset_index(drop=True)
    row_of = pd.Series(cells.index, index=pd.MultiIndex.from_frame(cells[["mark", "at"]]))
    merged = cells.index[cells["state"] == MERGED].to_numpy()
    at, here = cells["at"].to_numpy()[merged], merged.copy()
    parent = readings.marks["parent"].to_numpy()
    for _ in range(4):  # a merged lesion may itself have merged
        follow = (here >= 0) & (cells["state"].to_numpy()[here] == MERGED)
        into = find(readings.marks, cells["reading"].to_numpy()[here], cells["into"].to_numpy()[here])
        key = pd.MultiIndex.from_arrays([np.where(into >= 0, parent[into], -1), at])
        here = np.where(follow, row_of.reindex(key).fillna(-1).to_numpy().astype(np.int64), here)
    found = (here >= 0) & (cells["state"].to_numpy()[here] != MERGED)
    lost = _named(visits, cells.loc[merged[~found]].drop_duplicates("mark"))
    expected, effect = "a target measured at the visit", "the lesion counts as not evaluated"
    readings.report(lost, Finding("merged-with-unmeasured", "", field="merged_with", expected=expected, effect=effect))
    settled = found & cells["evaluated"].to_numpy()[here]
    cells.loc[merged, ["evaluated", "gone"]] = np.column_stack([settled, settled])
    return cells


def _named(visits: Visits, cells: pd.DataFrame) -> pd.DataFrame:
    return cells.assign(visit_name=visits.table["visit_name"].to_numpy()[cells["at"]])


def _report_uncounted(visits: Visits, uncounted: pd.DataFrame, is_target: Bools) -> None:
    """Findings for targets without a baseline: identified as such, or only ever measured as such."""
    marks = visits.readings.marks
    identified = (marks["role"] == TARGET).to_numpy() & (marks["parent"].to_numpy() == np.arange(len(marks)))
    seen = _named(visits, uncounted.drop_duplicates("mark"))
    unseen = marks[identified & ~is_target & ~np.isin(np.arange(len(marks)), seen["mark"])].reset_index(names="mark")[["mark", "reading"]]
    expected, effect = "a measurement at baseline", "the lesion is left out of the sums"
    stated = identified & (marks["stated"] == 1).to_numpy()
    if unseen["reading"].nunique() > 1 and stated.any() and np.isin(np.flatnonzero(stated), unseen["mark"]).all():
        # one cause, an absent TR or other names of lesions in it, is one finding
        found, effect = f"{len(unseen)} target lesions that TU identifies, none measured", "they are left out of the sums"
        visits.readings.findings.add(
            Finding("lesion-without-baseline", "measurement", None, "lesion", found, "their measurements in TR", effect=effect)
        )
        unseen = unseen.iloc[:0]
    for rows in (seen[identified[seen["mark"]]], unseen):
        visits.readings.report(rows, Finding("lesion-without-baseline", "", expected=expected, effect=effect))
    never = seen[~identified[seen["mark"]]]
    visits.readings.report(never, Finding("not-a-baseline-target", "", expected=expected, effect=effect))


def _report_twice(visits: Visits, candidates: pd.DataFrame, baseline: pd.DataFrame) -> None:
    """Findings for readings with a lesion measured more than once before treatment, and for later visits dated before the baseline."""
    number = visits.table["number"].to_numpy()
    earlier = candidates[candidates["mark"].duplicated(keep="last").to_numpy()]
    chosen = baseline.set_index("mark")["at"].reindex(earlier["mark"]).to_numpy()
    misdated = number[earlier["at"]] > number[chosen]
    effect = "an assessment before the baseline is no response assessment"
    before = _named(visits, earlier[misdated].drop_duplicates("at"))
    visits.readings.report(before, Finding("assessment-before-baseline", "", field="on", severity="warning", effect=effect))
    again = earlier.loc[~misdated, "mark"]
    twice = _named(visits, baseline[baseline["mark"].isin(again)].drop_duplicates("reading"))
    effect = "the last measurement on or before the start of treatment is the baseline"
    visits.readings.report(twice, Finding("two-baselines", "", severity="warning", effect=effect))
