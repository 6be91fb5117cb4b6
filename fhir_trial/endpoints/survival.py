"""Kaplan-Meier as R's `survival` has it: curve, pointwise limits, quantiles with limits, restricted mean and median follow-up.

Times are in the caller's unit. NaN is "not reached" or "not estimable"; there is no infinity. The rules are those of R survival 3.5
(`survfit.formula`, `survfit_confint`, `aeqSurv`, `quantile.survfit`), save that a quantile whose flat stretch runs to the end of the
curve is not reached, and that a quantile of a limit is the first time at which the limit is low enough, as in R's printed table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from fhir_trial.errors import Finding, InputError, UsageError

Numbers = npt.NDArray[np.float64]

TIE_TOLERANCE = 1e-8
"""Times nearer than this, relative to their mean, are one time (R: timefix)."""

FLAT_TOLERANCE = 1e-12
"""A curve this near to 1 - p is on the flat stretch of quantile p."""


class Reading(NamedTuple):
    """A figure read off a curve, with its limits; NaN where not reached."""

    estimate: float
    lower: float
    upper: float

    def __float__(self) -> float:
        """The estimate alone."""
        return self.estimate


@dataclass(frozen=True)
class KaplanMeier:
    """A survival curve: one entry of each array per distinct time, events and censorings alike, ascending.

    `at_risk` counts the subjects just before the time, `events` those at it; `n` subjects went in.
    """

    time: Numbers
    survival: Numbers
    lower: Numbers
    upper: Numbers
    at_risk: npt.NDArray[np.int64]
    events: npt.NDArray[np.int64]
    interval: str = "log-log"
    level: float = 0.95

    @property
    def n(self) -> int:
        """How many subjects went in."""
        return int(self.at_risk[0]) if self.time.size else 0

    @property
    def median(self) -> float:
        """The median survival time, NaN where not reached.

        >>> kaplan_meier([10, 20, 30, 40], [1, 1, 1, 1]).median
        25.0
        """
        return self.quantile(0.5).estimate

    def quantile(self, p: float, flat: str = "midpoint") -> Reading:
        """The time by which a share `p` had the event, with Brookmeyer-Crowley limits from the curve's own limits.

        `flat` says which point stands for a stretch on which the curve equals 1 - p: midpoint, left, or right.
        """
        if flat not in ("midpoint", "left", "right") or not 0 <= p <= 1:
            raise UsageError(f"quantile: p {p} lies in [0, 1] and flat {flat!r} is one of midpoint, left, right")
        if p == 0:
            start = 0.0 if self.n else float("nan")
            return Reading(start, start, start)
        # A limit's curve is crossed by the lower limit first: it bounds the time from below.
        return Reading(*(_crossing(self.time, curve, 1 - p, flat) for curve in (self.survival, self.lower, self.upper)))

    def at(self, t: float) -> Reading:
        """The share event-free at `t` with its limits; NaN after the last time, unless nobody is left.

        >>> kaplan_meier([1, 2, 3, 4], [1, 0, 1, 0]).at(2.5).estimate
        0.75
        """
        if self.n == 0 or (t > self.time[-1] * (1 + TIE_TOLERANCE) and self.survival[-1] > 0):
            return Reading(float("nan"), float("nan"), float("nan"))
        i = int(np.searchsorted(self.time, t * (1 + TIE_TOLERANCE), side="right")) - 1
        if i < 0:
            return Reading(1.0, 1.0, 1.0)
        return Reading(float(self.survival[i]), float(self.lower[i]), float(self.upper[i]))

    def number_at_risk(self, t: float) -> int:
        """How many are event-free and under observation just before `t`."""
        i = int(np.searchsorted(self.time, t * (1 - TIE_TOLERANCE), side="left"))
        return int(self.at_risk[i]) if i < self.time.size else 0

    def restricted_mean(self, until: float | None = None) -> tuple[float, float]:
        """The area under the curve up to `until` (default: the last time) and its standard error (R: `survmean`)."""
        if self.n == 0:
            return float("nan"), float("nan")
        end = float(self.time[-1]) if until is None else until
        kept = self.time <= end
        edges = np.concatenate(([0.0], self.time[kept], [end]))
        rectangles = np.diff(edges) * np.concatenate(([1.0], self.survival[kept]))
        left = (self.at_risk - self.events)[kept]
        hazard = np.divide(self.events[kept], self.at_risk[kept] * left, out=np.zeros(left.size), where=left > 0)
        later = np.cumsum(rectangles[1:][::-1])[::-1]
        return float(rectangles.sum()), float(np.sqrt(np.sum(later**2 * hazard)))


def kaplan_meier(time: npt.ArrayLike, event: npt.ArrayLike, interval: str = "log-log", level: float = 0.95) -> KaplanMeier:
    """The Kaplan-Meier curve of `time` with `event` (1 the event, 0 censored) and pointwise limits of Greenwood's variance.

    `interval` is log-log, log or plain. No subjects give an empty curve. Raises InputError for times or events that cannot be used.

    >>> curve = kaplan_meier([1, 2, 2, 3], [1, 1, 0, 0])
    >>> curve.time.tolist(), curve.survival.tolist(), curve.at_risk.tolist()
    ([1.0, 2.0, 3.0], [0.75, 0.5, 0.5], [4, 3, 1])
    """
    if interval not in INTERVALS or not 0 < level < 1:
        raise UsageError(f"interval {interval!r} is one of {', '.join(INTERVALS)} and level {level} lies between 0 and 1")
    times, events = checked(time, event)
    distinct, place = tied_times(times)
    left_at = np.bincount(place, minlength=distinct.size)
    died_at = np.bincount(place[events], minlength=distinct.size)
    at_risk = times.size - np.concatenate(([0], np.cumsum(left_at)))[:-1]
    survival = np.cumprod((at_risk - died_at) / at_risk) if times.size else np.zeros(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(np.cumsum(died_at / (at_risk.astype(float) * (at_risk - died_at))))
        z = float(special.ndtri(1 - (1 - level) / 2))
        lower, upper = INTERVALS[interval](survival, z * error)
    return KaplanMeier(distinct, survival, lower, upper, at_risk.astype(np.int64), died_at.astype(np.int64), interval, level)


def follow_up_median(time: npt.ArrayLike, event: npt.ArrayLike, interval: str = "log-log", level: float = 0.95) -> Reading:
    """Median follow-up by reverse Kaplan-Meier: being censored is what one waits for (Schemper and Smith 1996)."""
    times, events = checked(time, event)
    return kaplan_meier(times, ~events, interval, level).quantile(0.5)


def checked(time: npt.ArrayLike, event: npt.ArrayLike) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Times as floats and events as booleans; InputError names what cannot be used."""
    try:
        times, events = np.asarray(time, dtype=float).ravel(), np.asarray(event, dtype=float).ravel()
    except (TypeError, ValueError) as error:
        raise InputError([Finding("not-a-number", "survival times", expected="numbers, and events 0 or 1")]) from error
    findings = []
    if times.size != events.size:
        findings.append(
            Finding("unequal-lengths", "survival times", found=f"{times.size} and {events.size}", expected="as many events as times")
        )
    for code, field, bad, expected in (
        ("unusable-time", "time", ~(np.isfinite(times) & (times >= 0)), "finite numbers of 0 and more"),
        ("unusable-event", "event", ~np.isin(events, (0.0, 1.0)), "0 (censored) or 1 (event)"),
    ):
        findings.extend(Finding(code, "survival times", int(i) + 1, field, expected=expected) for i in np.flatnonzero(bad))
    if findings:
        raise InputError(findings)
    return times, events == 1


def tied_times(times: Numbers) -> tuple[Numbers, npt.NDArray[np.int64]]:
    """The distinct times, ascending, and for each time its place among them; times equal but for float noise are one."""
    distinct, place = np.unique(times, return_inverse=True)
    place = place.astype(np.int64)
    if distinct.size < 2:
        return distinct, place
    is_new = np.concatenate(([True], np.diff(distinct) > TIE_TOLERANCE * max(1.0, float(distinct.mean()))))
    return distinct[is_new], (np.cumsum(is_new) - 1)[place]


def _crossing(time: Numbers, curve: Numbers, goal: float, flat: str) -> float:
    """The first time at which `curve` is down to `goal`; on a flat stretch the point that `flat` names, NaN if it never ends.

    A curve that falls past the goal has a stretch of no length there.
    """
    down = np.flatnonzero(curve <= goal + FLAT_TOLERANCE)
    if not down.size:
        return float("nan")
    first = int(down[0])
    # Nobody is left at a survival of 0: the curve ends there, it is not a stretch that might still end.
    if flat == "left" or (goal == 0 and first == time.size - 1):
        return float(time[first])
    below = np.flatnonzero(curve[first:] < goal - FLAT_TOLERANCE)
    if not below.size:
        return float("nan")
    end = float(time[first + below[0]])
    return end if flat == "right" else (float(time[first]) + end) / 2


def _plain(survival: Numbers, error: Numbers) -> tuple[Numbers, Numbers]:
    half = survival * error
    return np.maximum(survival - half, 0), np.minimum(survival + half, 1)


def _log(survival: Numbers, error: Numbers) -> tuple[Numbers, Numbers]:
    positive = np.where(survival > 0, survival, np.nan)
    return positive * np.exp(-error), np.minimum(positive * np.exp(error), 1)


def _log_log(survival: Numbers, error: Numbers) -> tuple[Numbers, Numbers]:
    logarithm = np.log(survival)
    half = error / logarithm  # 0 / 0 before any event and inf / -inf where nobody is left: not estimable
    return np.exp(logarithm * np.exp(-half)), np.exp(logarithm * np.exp(half))


INTERVALS: dict[str, Callable[[Any, Any], tuple[Numbers, Numbers]]] = {"log-log": _log_log, "log": _log, "plain": _plain}
"""Pointwise limits by name: from the survival and z times the standard error of its logarithm."""
