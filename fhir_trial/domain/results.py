"""Results of endpoints as values: the figures, the conventions they rest on, and the row behind every subject."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import pandas as pd


@dataclass(frozen=True)
class Estimate:
    """One figure with its interval; None is "not reached" or "not estimable", never infinity.

    `name`: median, rate, proportion, follow_up_median. `at` and `at_unit` give a rate's time, `at_risk` how many remained.
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
        """The first estimate of that name; StopIteration never: KeyError if there is none."""
        for estimate in self.estimates:
            if estimate.name == name:
                return estimate
        raise KeyError(name)
