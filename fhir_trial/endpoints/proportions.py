"""Proportions with their intervals: Clopper-Pearson, Wilson and Jeffreys."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import special


@dataclass(frozen=True)
class Proportion:
    """`x` of `n` with the estimate and its limits, all between 0 and 1; None where there is nobody."""

    x: int
    n: int
    estimate: float | None
    lower: float | None
    upper: float | None
    level: float
    method: str


def proportion(x: int, n: int, method: str = "clopper-pearson", level: float = 0.95) -> Proportion:
    """How many of how many, with two-sided limits by `method` (a key of `METHODS`).

    >>> p = proportion(7, 28)
    >>> p.estimate, round(p.lower, 4), round(p.upper, 4)
    (0.25, 0.1069, 0.4487)
    """
    if not 0 <= x <= n:
        raise ValueError(f"{x} of {n} is no proportion")
    if n == 0:
        return Proportion(x, n, None, None, None, level, method)
    lower, upper = METHODS[method](x, n, level)
    return Proportion(x, n, x / n, lower, upper, level, method)


def _clopper_pearson(x: int, n: int, level: float) -> tuple[float, float]:
    """Clopper & Pearson 1934: the exact limits, by quantiles of the beta distribution."""
    tail = (1 - level) / 2
    lower = float(special.betaincinv(x, n - x + 1, tail)) if x else 0.0
    upper = float(special.betainccinv(x + 1, n - x, tail)) if x < n else 1.0
    return lower, upper


def _wilson(x: int, n: int, level: float) -> tuple[float, float]:
    """Wilson 1927: the limits that a score test does not reject."""
    z = float(-special.ndtri((1 - level) / 2))
    centre = (x + z * z / 2) / (n + z * z)
    half = z * math.sqrt(x * (n - x) / n + z * z / 4) / (n + z * z)
    # at the ends a limit is 0 or 1 exactly, which rounding misses
    return (centre - half if x else 0.0), (centre + half if x < n else 1.0)


def _jeffreys(x: int, n: int, level: float) -> tuple[float, float]:
    """Brown, Cai & DasGupta 2001: equal tails of Jeffreys' posterior, as statsmodels has them (SAS puts 0 and 1 at the ends)."""
    tail = (1 - level) / 2
    return float(special.betaincinv(x + 0.5, n - x + 0.5, tail)), float(special.betainccinv(x + 0.5, n - x + 0.5, tail))


METHODS: dict[str, Callable[[int, int, float], tuple[float, float]]] = {
    "clopper-pearson": _clopper_pearson,
    "wilson": _wilson,
    "jeffreys": _jeffreys,
}
"""How limits are found, by the name that the convention `proportion_interval` has for it."""
