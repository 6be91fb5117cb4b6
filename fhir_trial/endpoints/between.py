"""Survival compared between groups of subjects: the log-rank test, and hazard ratios against a group of reference, stratified or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhir_trial.endpoints.cox import cox
from fhir_trial.endpoints.estimates import known
from fhir_trial.endpoints.logrank import log_rank
from fhir_trial.endpoints.survival import tied_times

Numbers = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

COMPARATORS = ("PLACEBO_COMPARATOR", "SHAM_COMPARATOR", "NO_INTERVENTION", "ACTIVE_COMPARATOR")
"""Types of arm that others are compared with, as the registry names them."""


@dataclass(frozen=True)
class HazardRatio:
    """The hazard in `group` over that in the group of reference, of these two groups alone (Cox, Efron's ties).

    `p` is Wald's, `log_rank_p` that of the test between the two; None where it cannot be estimated: a group without events
    while the other is at risk.
    """

    group: str
    value: float | None
    lower: float | None = None
    upper: float | None = None
    p: float | None = None
    log_rank_p: float | None = None


@dataclass(frozen=True)
class Between:
    """How survival differs between groups: the log-rank test of all of them, and each one's hazard ratio against `reference`.

    `strata` names the columns that both are stratified by. Where fewer than two groups could have had an event, there are 0 degrees of
    freedom and no p.
    """

    reference: str
    chi_square: float | None
    degrees: int
    p: float | None
    ratios: tuple[HazardRatio, ...]
    level: float
    strata: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """How the hazard ratios were estimated, in words."""
        by = f", stratified by {', '.join(self.strata)}" if self.strata else ""
        return f"Cox, Efron ties, against {self.reference}{by}"


def between(rows: pd.DataFrame, groups: Sequence[str], level: float, strata: tuple[str, ...] = ()) -> Between:
    """Compare the groups in column `group` of derived `rows` (days, censored, a column a stratification); `groups[0]` is the reference.

    Who lacks a stratification's value is in a stratum of their own.

    >>> rows = pd.DataFrame({"days": [1, 2, 3, 4], "censored": [0, 0, 0, 0], "group": ["a", "b", "a", "b"]})
    >>> found = between(rows, ["a", "b"], 0.95)
    >>> found.degrees, round(found.p, 4), round(found.ratios[0].value, 4)
    (1, 0.4328, 0.3904)
    """
    kept = rows[rows["group"].isin(groups).to_numpy(dtype=bool)]
    chi_square, degrees, p = _tested(kept, strata)
    pairs = [(other, kept[kept["group"].isin([groups[0], other]).to_numpy(dtype=bool)]) for other in groups[1:]]
    ratios = tuple(_ratio(other, pair, level, strata) for other, pair in pairs)
    return Between(groups[0], chi_square, degrees, p, ratios, level, strata)


def _times(rows: pd.DataFrame, strata: tuple[str, ...]) -> tuple[Numbers, Bools, Any]:
    """Time, event and stratum of each row."""
    keys = [rows[name].astype(object).where(rows[name].notna(), "").astype(str) for name in strata]
    stratum = rows.groupby(keys, sort=True).ngroup().to_numpy() if keys else None
    return rows["days"].to_numpy(dtype=float), (rows["censored"] == 0).to_numpy(dtype=bool), stratum


def _tested(rows: pd.DataFrame, strata: tuple[str, ...]) -> tuple[float | None, int, float | None]:
    """Chi-square, degrees of freedom and p of the log-rank test; nothing where there is nothing to compare."""
    time, event, stratum = _times(rows, strata)
    test = log_rank(time, event, rows["group"].to_numpy(dtype=object).astype(str), stratum)
    return (known(test.statistic), test.degrees, known(test.p)) if test.degrees else (None, 0, None)


def _ratio(group: str, pair: pd.DataFrame, level: float, strata: tuple[str, ...]) -> HazardRatio:
    time, event, stratum = _times(pair, strata)
    member, p = (pair["group"] == group).to_numpy(dtype=bool), _tested(pair, strata)[2]
    if not _is_estimable(time, event, member, stratum):
        return HazardRatio(group, None, log_rank_p=p)
    fit = cox(time, event, member.astype(float), stratum)
    (lower,), (upper,) = fit.limits(level)
    return HazardRatio(group, float(fit.hazard_ratios[0]), float(lower), float(upper), float(fit.p[0]), p)


def _is_estimable(time: Numbers, event: Bools, member: Bools, stratum: Any) -> bool:
    """Whether the ratio of two hazards is finite and not 0: each group has an event while someone of the other is still at risk."""
    _, place = tied_times(time)
    within = np.zeros(len(time), dtype=int) if stratum is None else stratum
    rows = pd.DataFrame({"stratum": within, "place": -place, "ours": member, "theirs": ~member})
    rows["our_events"], rows["their_events"] = rows["ours"] & event, rows["theirs"] & event
    at_times = rows.groupby(["stratum", "place"], sort=True).sum()
    at_risk = at_times[["ours", "theirs"]].groupby("stratum").cumsum()
    both = ((at_risk["ours"] > 0) & (at_risk["theirs"] > 0)).to_numpy()
    return bool((at_times["our_events"][both] > 0).any() and (at_times["their_events"][both] > 0).any())
