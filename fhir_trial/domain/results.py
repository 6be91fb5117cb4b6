"""Results of endpoints as values: the figures, the conventions they rest on, and the row behind every subject."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import pandas as pd

from fhir_trial.errors import NoSuchName


@dataclass(frozen=True)
class Estimate:
    """One figure with its interval; None is "not reached" or "not estimable" (`words` says which), never infinity.

    `name`: median, rate, proportion, follow_up_median, log_rank_p, hazard_ratio. `at` and `at_unit` give a rate's time, `at_risk` how many
    remained. A figure without a `level` has no limits.
    """

    name: str
    value: float | None
    lower: float | None = None
    upper: float | None = None
    level: float | None = None
    method: str | None = None
    unit: str | None = None
    at: Decimal | None = None
    at_unit: str | None = None
    at_risk: int | None = None

    def words(self) -> tuple[str, str, str]:
        """The value and its limits as a reader sees them; limits that such a figure does not have are empty.

        >>> Estimate("median", 82.5, 41, None, 0.95).words(), Estimate("log_rank_p", 0.04321).words()
        (('82.5', '41', 'not reached'), ('0.04321', '', ''))
        >>> Estimate("follow_up_median", None, 250, None, 0.95).words()
        ('not estimable', '250', 'not estimable')
        """
        value = _word(self.value, self.name == "median")
        if self.level is None:
            return value, "", ""
        # a time that the curve of follow-up does not come to is none that subjects could still reach
        reached = self.name == "median" or (self.name == "follow_up_median" and self.value is not None)
        return value, _word(self.lower, reached), _word(self.upper, reached)

    def shown(self) -> str:
        """The value, with its limits where such a figure has them, in one phrase.

        >>> Estimate("median", 82.5, 41, None, 0.95).shown(), Estimate("log_rank_p", 0.04321).shown()
        ('82.5 (41 to not reached)', '0.04321')
        """
        value, lower, upper = self.words()
        return f"{value} ({lower} to {upper})" if lower else value


def _word(figure: float | None, can_be_reached: bool) -> str:
    if figure is None:
        return "not reached" if can_be_reached else "not estimable"
    return f"{figure:.4g}"


SHARE_WITH_EVENT = "subjects with an event"
"""What the proportion of an endpoint of kind safety is called."""


@dataclass(frozen=True)
class EndpointResult:
    """What one endpoint gave in one group of subjects (`arm` None: all of them).

    `n` subjects, of whom `count` had the event or responded; `subjects` is a table of one row a subject with the value, its reason and its
    source record; `curve` (time-to-event only) has time, survival, lower, upper, at_risk, events.
    """

    study: str
    endpoint: str
    label: str
    kind: str
    population: str
    n: int
    count: int
    estimates: tuple[Estimate, ...]
    subjects: pd.DataFrame = field(repr=False)
    arm: str | None = None
    preset: str = "protocol"
    departures: Mapping[str, object] = field(default_factory=dict)
    curve: pd.DataFrame | None = field(default=None, repr=False)
    synthetic: bool = False

    def estimate(self, name: str) -> Estimate:
        """The first estimate of that name; `NoSuchName`, a KeyError, if there is none."""
        for estimate in self.estimates:
            if estimate.name == name:
                return estimate
        raise NoSuchName(f"estimate of {self.endpoint} named", name, dict.fromkeys(estimate.name for estimate in self.estimates))

    def label_of(self, estimate: Estimate) -> str:
        """What one of the estimates is called in tables: its name, with the time of a rate."""
        name = SHARE_WITH_EVENT if self.kind == "safety" and estimate.name == "proportion" else estimate.name
        return f"{name} at {estimate.at} {estimate.at_unit}" if estimate.at is not None else name
