"""Subgroups: endpoints within the levels of baseline factors, by arm, with hazard ratios and log-rank tests, stratified or not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fhir_trial.domain.results import EndpointResult
from fhir_trial.endpoints.analysis import SAFETY, Analysis
from fhir_trial.endpoints.between import Between, HazardRatio
from fhir_trial.endpoints.factors import Factor, levels
from fhir_trial.endpoints.safety import TOTAL
from fhir_trial.errors import UsageError

ALL = "All subjects"
"""The factor that stands for no factor: the whole study, the first row of a forest plot."""

COLUMNS = (
    *("endpoint", "factor", "level", "arm", "n", "count", "estimate", "value", "lower", "upper"),
    *("reference", "hazard_ratio", "hr_lower", "hr_upper", "hr_p", "log_rank_p", "strata"),
)
"""Columns of `table`: `estimate` says whether `value` is a median in days or a proportion."""


@dataclass(frozen=True)
class Subgroup:
    """An endpoint in one level of a factor: in all arms, in each, and (times to events) how its arms compare.

    In a study of one arm `between` compares the factor's levels instead, and is the same for each of them.
    """

    endpoint: str
    factor: str
    level: str
    overall: EndpointResult
    by_arm: Mapping[str, EndpointResult]
    between: Between | None

    def rows(self) -> Iterator[dict[str, Any]]:
        """The subgroup as rows with `COLUMNS`."""
        ratios = {ratio.group: ratio for ratio in self.between.ratios} if self.between else {}
        yield self._row(TOTAL, self.overall, ratios.get(self.level), self.between.p if self.between else None)
        for arm, result in self.by_arm.items():
            ratio = ratios.get(arm)
            yield self._row(arm, result, ratio, ratio.log_rank_p if ratio else None)

    def _row(self, arm: str, result: EndpointResult, ratio: HazardRatio | None, p: float | None) -> dict[str, Any]:
        figure = result.estimates[0]
        of_ratio = (ratio.value, ratio.lower, ratio.upper, ratio.p) if ratio else (None, None, None, None)
        compared = (self.between.reference, *of_ratio, p, ", ".join(self.between.strata)) if self.between else (None,) * 7
        key = (self.endpoint, self.factor, self.level, arm, result.n, result.count)
        return dict(zip(COLUMNS, (*key, figure.name, figure.value, figure.lower, figure.upper, *compared), strict=True))


def subgroups(
    analysis: Analysis, endpoints: Sequence[str], factors: Sequence[Factor], strata: Sequence[Factor] = ()
) -> tuple[Subgroup, ...]:
    """Each endpoint in all subjects and in each level of each factor; comparisons are made within the levels of `strata`.

    `UsageError` for an endpoint that the analysis lacks, or a factor that cannot be (`factors.levels`).
    """
    known = [name for name in analysis.names() if name != SAFETY]
    if unknown := [name for name in endpoints if name not in known]:
        raise UsageError(f"there are no subgroups of {', '.join(unknown)}: there are {', '.join(known) or 'none'}")
    by_stratum = {str(stratum): levels(analysis, stratum)[0] for stratum in strata}
    everyone = dict.fromkeys(analysis.members("enrolled"), ALL)
    grouped = [(ALL, everyone, [ALL]), *((str(factor), *levels(analysis, factor)) for factor in factors)]
    within = _Within(analysis, by_stratum)
    return tuple(found for name in endpoints for factor in grouped for found in within.levels(name, *factor))


def table(found: Sequence[Subgroup]) -> pd.DataFrame:
    """The subgroups as a table with `COLUMNS`, a row for all arms and one for each."""
    frame = pd.DataFrame([row for subgroup in found for row in subgroup.rows()], columns=list(COLUMNS))
    numbers = [c for c in COLUMNS if c in ("value", "lower", "upper", "log_rank_p") or c.startswith(("hazard", "hr_"))]
    return frame.astype(dict.fromkeys(numbers, float))


@dataclass(frozen=True)
class _Within:
    """Subgroups of an analysis, their comparisons stratified."""

    analysis: Analysis
    strata: Mapping[str, Mapping[str, object]]

    def levels(self, endpoint: str, factor: str, of_subject: Mapping[str, str], order: Sequence[str]) -> Iterator[Subgroup]:
        """An endpoint in each level of a factor."""
        timed, arms = endpoint in self.analysis.derived, self.analysis.arms()
        across = self.analysis.between(endpoint, of_subject, order, self.strata) if timed and not arms and len(order) > 1 else None
        for level in order:
            among = frozenset(subject for subject, found in of_subject.items() if found == level)
            between = self._arms(endpoint, arms, among) if timed and arms else across
            by_arm = {arm: self.analysis.result(endpoint, arm, among) for arm in arms}
            yield Subgroup(endpoint, factor, level, self.analysis.result(endpoint, None, among), by_arm, between)

    def _arms(self, endpoint: str, arms: Sequence[str], among: frozenset[str]) -> Between:
        adsl = self.analysis.adsl
        arm_of = {str(s): str(arm) for s, arm in zip(adsl["subject"], adsl["arm"], strict=True) if s in among}
        return self.analysis.between(endpoint, arm_of, arms, self.strata)
