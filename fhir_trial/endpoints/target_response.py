"""The response of the target lesions at each visit: sums against baseline and nadir, in whole units of length."""

import numpy as np
import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import NO_DAY, PER_MM, Bools, Ints
from fhir_trial.endpoints.confirmation import confirming
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.nontarget import first_sequence
from fhir_trial.endpoints.response_codes import CR, NE, NOTHING, PD, PR, SD
from fhir_trial.endpoints.targets import Targets
from fhir_trial.endpoints.visits import Visits

LEAST_INCREASE = 5 * PER_MM
"""RECIST 1.1, 4.3.1: progression needs an increase of at least 5 mm besides 20 %."""


def sums(visits: Visits, targets: Targets, conventions: Conventions) -> pd.DataFrame:
    """Per visit of the table, on-study visits only being meant: the sums and what they say before any relapse is thought of.

    `total` of the targets evaluated, `complete`, `measured` (any target evaluated), `baseline`, `nadir` (before the visit), `all_gone`
    `tumour_seen` and `node_seen` (a target there that was not normal), `sequence`, and `has_targets`.
    """
    size, readings = len(visits.table), visits.readings
    reading = visits.table["reading"].to_numpy()
    evaluated = col.rows_where(targets.cells, targets.cells["evaluated"].to_numpy())
    at, there = evaluated["at"].to_numpy(), col.rows_where(evaluated, ~evaluated["gone"].to_numpy())
    nodal = there["nodal"].to_numpy(dtype=bool)
    expected = np.bincount(targets.baseline["reading"], minlength=len(readings.who))[reading]
    baseline = col.sums(targets.baseline["size"].to_numpy(), targets.baseline["reading"].to_numpy(), len(readings.who))[reading]
    found, total = np.bincount(at, minlength=size), col.sums(evaluated["size"].to_numpy(), at, size)
    complete = (found == expected) & (expected > 0)
    return pd.DataFrame(
        {
            "total": total,
            "complete": complete,
            "measured": found > 0,
            "expected": expected,
            "baseline": baseline,
            "nadir": _nadir(total, complete, baseline, reading, conventions),
            "all_gone": np.bincount(there["at"], minlength=size) == 0,
            "tumour_seen": np.bincount(there.loc[~nodal, "at"], minlength=size) > 0,
            "node_seen": np.bincount(there.loc[nodal, "at"], minlength=size) > 0,
            "sequence": first_sequence(targets.cells, size),
        },
        copy=False,
    )


def _nadir(total: Ints, complete: Bools, baseline: Ints, reading: Ints, conventions: Conventions) -> Ints:
    """The smallest sum before each visit; without the baseline it is the baseline only until there is another."""
    nadir = col.earlier_minimum(np.where(complete, total, NO_DAY), reading)
    return np.minimum(nadir, baseline) if conventions.nadir_includes_baseline else np.where(nadir == NO_DAY, baseline, nadir)


def judge(sums: pd.DataFrame, conventions: Conventions) -> tuple[Ints, Ints]:
    """The target response of each visit by the sums alone, and the reason's code (a place in `TARGET_REASONS`)."""
    total, baseline, nadir = (sums[name].to_numpy() for name in ("total", "baseline", "nadir"))
    complete, all_gone = sums["complete"].to_numpy(), sums["all_gone"].to_numpy()
    increase = total - nadir
    rose = (increase >= LEAST_INCREASE) & (5 * increase >= nadir)
    if conventions.normal_nodes_never_pd:
        rose &= ~all_gone
    fell = 10 * (baseline - total) >= 3 * baseline
    partly = rose & conventions.partial_sum_pd
    cases = [rose & complete, partly, complete & all_gone, complete & fell, complete, sums["expected"].to_numpy() > 0]
    return np.select(cases, [PD, PD, CR, PR, SD, NE], NOTHING), np.select(cases, range(6), len(TARGET_REASONS) - 1)


TARGET_REASONS = (
    "sum 20 % and 5 mm above nadir",
    "measured targets alone 20 % and 5 mm above nadir",
    "target lesions gone",
    "sum 30 % below baseline",
    "neither response nor progression",
    "target lesion not evaluated",
    "target lesion back after complete response",
    "response kept until progression",
    "no target lesion",
)
RELAPSED, KEPT = 6, 7


def relapsed(sums: pd.DataFrame, after_cr: Bools, conventions: Conventions) -> Bools:
    """At which visits a target is back after a complete response, and that alone is progression."""
    back = np.zeros(len(sums), dtype=bool)
    if conventions.cr_relapse == "pd":
        back |= sums["tumour_seen"].to_numpy()
    if conventions.nodal_relapse_after_cr == "ge10":
        back |= sums["node_seen"].to_numpy()
    return back & after_cr & (sums["complete"].to_numpy() | conventions.partial_sum_pd)


def kept(response: Ints, reading: Ints, day: Ints, conventions: Conventions) -> Bools:
    """At which visits stable disease stays a response: after the first one, or once it is confirmed, until progression."""
    if conventions.pr_sticky == "none":
        return np.zeros(len(response), dtype=bool)
    responded = np.isin(response, (CR, PR))
    if conventions.pr_sticky == "after_confirmed":
        by = confirming(response, reading, day, conventions)
        responded = np.isin(np.arange(len(response)), by[by >= 0])
    until: Bools = (response == SD) & col.earlier_any(responded, reading) & ~col.earlier_any(response == PD, reading)
    return until
