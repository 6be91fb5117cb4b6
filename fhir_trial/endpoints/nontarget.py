"""Non-target lesions, tumour markers and new lesions of each visit."""

import numpy as np
import pandas as pd

from fhir_trial.endpoints.columns import NO_DAY, Bools, Ints
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.readings import (
    EQUIVOCAL,
    MERGED,
    NEW,
    NON_TARGET,
    PRESENT,
    PROGRESSED,
    TESTS,
    TOO_SMALL,
    UNEQUIVOCAL,
)
from fhir_trial.endpoints.response_codes import CR, NE, NEITHER, NOTHING, PD
from fhir_trial.endpoints.visits import BASELINE, ON_STUDY, Visits
from fhir_trial.errors import Finding

NONE_NEW, EQUIVOCAL_NEW, UNEQUIVOCAL_NEW = range(3)
NEW_LESION = ("NONE", "EQUIVOCAL", "UNEQUIVOCAL")

GONE, UNREAD, SEEN, GREW = range(4)
"""What a non-target lesion can be at a visit; of several records the last of these counts."""


def lesions(visits: Visits) -> tuple[pd.DataFrame, Ints]:
    """Baseline non-target lesions: what each was at each visit (mark, at, was, nodal, sequence), and their number in each reading."""
    records, marks, table = visits.records, visits.readings.marks, visits.table
    found = records[(records["role"] == NON_TARGET).to_numpy()]
    kind = table["kind"].to_numpy()[found["at"]]
    member = np.zeros(len(marks), dtype=bool)
    member[found.loc[kind == BASELINE, "mark"]] = True
    baseline_day = np.full(len(visits.readings.who), -NO_DAY)
    at_baseline = table[(table["kind"] == BASELINE).to_numpy()]
    np.maximum.at(baseline_day, at_baseline["reading"].to_numpy(), at_baseline["first_day"].to_numpy())
    day = marks["day"].fillna(NO_DAY).to_numpy()
    identified = (marks["role"] == NON_TARGET).to_numpy()
    member |= identified & ((day == NO_DAY) | (day <= baseline_day[marks["reading"]]))
    later = found[(kind == ON_STUDY) & ~member[found["mark"]]].drop_duplicates("mark")
    effect = "the non-target lesion is not judged"
    visits.readings.report(later, Finding("lesion-without-baseline", "", expected="the lesion at baseline", effect=effect))
    cells = found[(kind == ON_STUDY) & member[found["mark"]]]
    count = np.bincount(marks.loc[member, "reading"], minlength=len(visits.readings.who))
    return cells.assign(was=_was(cells)), count


def _was(cells: pd.DataFrame) -> Ints:
    """A diameter counts before the state beside it; without one, the state does (RECIST 1.1, 4.3.3: a node below 10 mm is normal)."""
    state, evaluated, gone = cells["state"].to_numpy(), cells["evaluated"].to_numpy(), cells["gone"].to_numpy()
    seen = np.where(evaluated, ~gone, np.isin(state, (PRESENT, MERGED, EQUIVOCAL, UNEQUIVOCAL)))
    return np.select([state == PROGRESSED, seen, evaluated], [GREW, SEEN, GONE], UNREAD)


def markers_raised(visits: Visits) -> Bools:
    """At which visits the last known tumour marker was not normal; one is not measured at every scan, and is raised until shown normal.

    A marker of a visit counts at it though the sample was taken days after the scan.
    """
    notes, table = visits.readings.notes, visits.table
    known = notes[(notes["test"] == TESTS["marker"]).to_numpy() & notes["value"].isin(["NORMAL", "NOT NORMAL"]).to_numpy()]
    if known.empty:
        return np.zeros(len(table), dtype=bool)
    known = _at_visits(visits, known)
    # of several markers on one day, one that is not normal counts
    raised = known.assign(raised=known["value"] == "NOT NORMAL").groupby(["reading", "day"])["raised"].max().reset_index()
    at = table[["reading", "last_day"]].reset_index(names="visit").sort_values("last_day")
    last = pd.merge_asof(at, raised.sort_values(by="day"), left_on="last_day", right_on="day", by="reading")
    at_visit = np.zeros(len(table), dtype=bool)
    at_visit[last["visit"]] = last["raised"].eq(True).to_numpy(dtype=bool)
    return at_visit


def _at_visits(visits: Visits, known: pd.DataFrame) -> pd.DataFrame:
    """The markers with the day of their visit's last scan, where one visit has that name; one without any day is a finding."""
    names = ["reading", "visit_name"]
    table = visits.table[((visits.table["visit_name"] >= 0) & (visits.table["last_day"] != NO_DAY)).to_numpy()]
    scans = table[[*names, "last_day"]].drop_duplicates(names, keep=False)
    of_visit = known[names].merge(scans, on=names, how="left")["last_day"].fillna(NEVER).to_numpy().astype(np.int64)
    day = np.where(of_visit == NEVER, known["day"].to_numpy(), of_visit)
    effect = "the marker does not count"
    visits.readings.report(known[day == NO_DAY], Finding("marker-without-date", "", field="on", effect=effect))
    dated: pd.DataFrame = known.assign(day=day).loc[day != NO_DAY]
    return dated


NEVER = -1_000_000
"""No day: long before any."""


def responses(visits: Visits, non_measurable: Bools, conventions: Conventions) -> pd.DataFrame:
    """Per visit of the table: non-target `response` (None where there is nothing to judge), `relapsed`, `progressed_sequence`, `raised`.

    `present` says that a lesion is there to be seen, `present_node` that a node is: after a complete response that is a relapse.
    """
    cells, count = lesions(visits)
    size = len(visits.table)
    tally = {was: np.bincount(cells.loc[cells["was"] == was, "at"], minlength=size) for was in (GONE, SEEN, GREW)}
    total = count[visits.table["reading"]]
    raised = markers_raised(visits) if conventions.markers_required_for_cr else np.zeros(size, dtype=bool)
    partly = tally[GONE] + tally[SEEN] < total
    response = np.select(
        [
            tally[GREW] > 0,
            (total > 0) & (tally[GONE] == total) & ~raised,
            (total > 0) & (tally[GONE] == total),
            partly & non_measurable & (conventions.nontarget_partly_evaluated == "NE"),
            tally[SEEN] > 0,
            total > 0,
            raised,
        ],
        [PD, CR, NEITHER, NE, NEITHER, NE, NEITHER],
        NOTHING,
    )
    seen = cells[cells["was"] == SEEN]
    nodal = seen["nodal"].to_numpy(dtype=bool)
    return pd.DataFrame(
        {
            "response": response,
            "present": np.bincount(seen.loc[~nodal, "at"], minlength=size) > 0,
            "present_node": np.bincount(seen.loc[nodal, "at"], minlength=size) > 0,
            "raised": raised,
            "sequence": first_sequence(cells, size),
            "progressed_sequence": first_sequence(cells[cells["was"] == GREW], size),
        },
        copy=False,
    )


def first_sequence(cells: pd.DataFrame, size: int) -> Ints:
    """The smallest record number of each visit, -1 where there is none."""
    first = np.full(size, NO_DAY)
    known = cells[(cells["sequence"] >= 0).to_numpy()]
    np.minimum.at(first, known["at"].to_numpy(), known["sequence"].to_numpy())
    return np.where(first == NO_DAY, -1, first)


def new_lesions(visits: Visits) -> pd.DataFrame:
    """Per visit of the table: `new` (none, equivocal, unequivocal), `sequence`, and `since`, when what is now certain was equivocal."""
    records, notes, table = visits.records, visits.notes, visits.table
    found = records[(records["role"] == NEW).to_numpy()]
    sure = np.isin(found["state"], (UNEQUIVOCAL, PRESENT, PROGRESSED, TOO_SMALL)) | ((found["state"] < 0) & (found["size"] > 0))
    told = notes[(notes["test"] == TESTS["new-lesion"]).to_numpy()]
    said = told["value"].astype(str).str.upper()
    cells = pd.concat(
        [
            found[["mark", "at", "sequence"]].assign(
                new=np.select([sure, found["state"] == EQUIVOCAL], [UNEQUIVOCAL_NEW, EQUIVOCAL_NEW], NONE_NEW)
            ),
            # reported without a lesion: one and the same of its reading
            told[["at", "sequence"]].assign(
                mark=-1 - told["reading"],
                new=np.select([said.isin(_SURE), said == "EQUIVOCAL"], [UNEQUIVOCAL_NEW, EQUIVOCAL_NEW], NONE_NEW),
            ),
        ]
    )
    cells = cells[(cells["new"] > NONE_NEW).to_numpy()]
    kind = table["kind"].to_numpy()[cells["at"]]
    early = cells[kind == BASELINE].assign(reading=lambda c: table["reading"].to_numpy()[c["at"]])
    effect = "the lesion was there before treatment and is no progression"
    shown = early[(early["mark"] >= 0).to_numpy()].assign(visit_name=lambda c: table["visit_name"].to_numpy()[c["at"]])
    visits.readings.report(shown, Finding("new-lesion-before-treatment", "", severity="warning", effect=effect))
    cells = cells[kind == ON_STUDY]
    new = np.zeros(len(table), dtype=np.int64)
    np.maximum.at(new, cells["at"].to_numpy(), cells["new"].to_numpy())
    unequivocal = cells[cells["new"] == UNEQUIVOCAL_NEW]
    return pd.DataFrame({"new": new, "sequence": first_sequence(unequivocal, len(table)), "since": _since(cells, unequivocal, len(table))})


_SURE = ("UNEQUIVOCAL", "Y", "YES", "PRESENT", "PD", "NEW")


def _since(cells: pd.DataFrame, unequivocal: pd.DataFrame, size: int) -> Ints:
    """The first visit at which a lesion that is now unequivocal was equivocal, else the visit itself."""
    since = np.arange(size)
    first = cells[cells["new"] == EQUIVOCAL_NEW].groupby("mark")["at"].min()
    earlier = unequivocal["mark"].map(first)
    known = earlier.notna().to_numpy()
    np.minimum.at(since, unequivocal.loc[known, "at"].to_numpy(), earlier[known].to_numpy().astype(np.int64))
    return since
