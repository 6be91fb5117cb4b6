"""The log-rank test of survival between groups, stratified or not, as R's `survdiff` has it (rho = 0)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from fhir_trial.endpoints.survival import Numbers, checked, tied_times
from fhir_trial.errors import UsageError


@dataclass(frozen=True)
class LogRank:
    """The test's chi-square on `degrees` of freedom, with observed and expected events a group, in the order of `groups`.

    Where fewer than two groups could have had an event there is nothing to compare: 0 on 0 degrees, p = 1.
    """

    statistic: float
    degrees: int
    p: float
    groups: tuple[object, ...]
    observed: Numbers
    expected: Numbers


def log_rank(time: npt.ArrayLike, event: npt.ArrayLike, group: npt.ArrayLike, strata: npt.ArrayLike | None = None) -> LogRank:
    """Whether survival differs between the groups, comparisons made within each stratum.

    >>> test = log_rank([1, 2, 3, 4], [1, 1, 1, 1], ["a", "a", "b", "b"])
    >>> round(test.statistic, 4), test.degrees, test.observed.tolist()
    (2.8824, 1, [2.0, 2.0])
    """
    times, events = checked(time, event)
    names, of_group = np.unique(np.asarray(group), return_inverse=True)
    of_stratum = np.unique(np.asarray(strata), return_inverse=True)[1] if strata is not None else np.zeros(times.size, dtype=int)
    if not times.size == of_group.size == of_stratum.size:
        raise UsageError(f"{times.size} times need as many groups ({of_group.size}) and strata ({of_stratum.size})")
    distinct, place = tied_times(times)
    k = names.size
    observed, expected, covariance = np.zeros(k), np.zeros(k), np.zeros((k, k))
    for stratum in np.unique(of_stratum):
        rows = of_stratum == stratum
        counts = np.zeros((2, distinct.size, k))
        np.add.at(counts, (events[rows].astype(int), place[rows], of_group[rows]), 1)
        parts = _stratum(counts[1], counts.sum(axis=0))
        observed, expected, covariance = observed + parts[0], expected + parts[1], covariance + parts[2]
    # A group that nobody could have had an event in tells nothing and takes no degree of freedom.
    informative = expected > 0
    degrees = int(informative.sum()) - 1
    if degrees < 1:
        return LogRank(0.0, 0, 1.0, tuple(names.tolist()), observed, expected)
    statistic = _quadratic((observed - expected)[informative][1:], covariance[np.ix_(informative, informative)][1:, 1:])
    return LogRank(statistic, degrees, float(special.chdtrc(degrees, statistic)), tuple(names.tolist()), observed, expected)


def _stratum(died: Numbers, left: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Observed and expected events a group and their covariance, from the counts by time and group."""
    at_risk = left[::-1].cumsum(axis=0)[::-1]
    deaths, everyone = died.sum(axis=1), at_risk.sum(axis=1)
    kept = deaths > 0
    died, at_risk, deaths, everyone = died[kept], at_risk[kept], deaths[kept], everyone[kept]
    share = at_risk / everyone[:, None]
    weight = np.divide(deaths * (everyone - deaths), everyone - 1, out=np.zeros(deaths.size), where=everyone > 1)
    covariance = np.diag((weight[:, None] * share).sum(axis=0)) - np.einsum("t,ti,tj->ij", weight, share, share)
    return died.sum(axis=0), (share * deaths[:, None]).sum(axis=0), covariance


def _quadratic(difference: Numbers, covariance: Numbers) -> float:
    try:
        return float(difference @ np.linalg.solve(covariance, difference))
    except np.linalg.LinAlgError:
        return float("nan")
