"""Proportional hazards regression (Cox 1972) by Newton's method, ties by Efron or Breslow, stratified or not, as R's `coxph` has it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from fhir_trial.endpoints.survival import Numbers, checked, tied_times
from fhir_trial.errors import Finding, InputError, UsageError

TIES = ("efron", "breslow")
STEPS = 50
BEYOND_RECKONING = 500.0
"""A logarithm of a hazard, relative to the mean subject's, that nobody has, nor its standard error: the coefficients grow without end.

Where they do, the likelihood is flat in the end and a step of noise, or of none, ends the search. exp() reaches to 709.
"""
TOLERANCE = 1e-13
"""Newton's method ends when a step changes no coefficient by more than this, relative to its size."""


@dataclass(frozen=True)
class Cox:
    """A fitted model: one entry a covariate in `coefficients`, `errors`, `hazard_ratios` and `p` (Wald's test).

    `covariance` is the inverse information; `log_likelihood` of the null model and the fitted one; `score` the score test's chi-square.
    """

    coefficients: Numbers
    covariance: Numbers
    log_likelihood: tuple[float, float]
    score: float
    n: int
    events: int
    ties: str

    @property
    def errors(self) -> Numbers:
        """Standard errors of the coefficients."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def hazard_ratios(self) -> Numbers:
        """The hazard for one more of each covariate, over the hazard without it."""
        return np.exp(self.coefficients)

    def limits(self, level: float = 0.95) -> tuple[Numbers, Numbers]:
        """Lower and upper limits of the hazard ratios."""
        half = float(special.ndtri(1 - (1 - level) / 2)) * self.errors
        return np.exp(self.coefficients - half), np.exp(self.coefficients + half)

    @property
    def p(self) -> Numbers:
        """Two-sided p-values of the coefficients."""
        p: Numbers = special.chdtrc(1, (self.coefficients / self.errors) ** 2)
        return p


@dataclass(frozen=True)
class _Data:
    """Subjects sorted by stratum and falling time; `group` numbers the times of the strata, `first_of_stratum` their first subjects."""

    covariates: Numbers
    events: npt.NDArray[np.bool_]
    group: npt.NDArray[np.int64]
    first_of_stratum: npt.NDArray[np.int64]
    efron: bool


def cox(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    covariates: npt.ArrayLike,
    strata: npt.ArrayLike | None = None,
    ties: str = "efron",
) -> Cox:
    """Fit hazards proportional in `covariates` (a column each; factors as 0 and 1), with an own baseline hazard for each stratum.

    Raises InputError where the data do not determine the coefficients: no events, a constant or a separating covariate.

    >>> fit = cox([1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 0, 1], [1, 0, 1, 1, 0, 0])
    >>> round(float(fit.hazard_ratios[0]), 4)
    4.0329
    """
    if ties not in TIES:
        raise UsageError(f"ties {ties!r} is one of {', '.join(TIES)}")
    times, events = checked(time, event)
    columns = np.atleast_2d(np.asarray(covariates, dtype=float).T).T
    stratum = np.unique(np.asarray(strata), return_inverse=True)[1] if strata is not None else np.zeros(times.size, dtype=np.int64)
    if not columns.size or not np.isfinite(columns).all() or not len(columns) == stratum.size == times.size:
        raise InputError([Finding("unusable-covariates", "survival times", expected="finite numbers and a stratum for every subject")])
    data = _sorted(times, events, columns, stratum, ties == "efron")
    beta, null = np.zeros(columns.shape[1]), None
    for _ in range(STEPS):
        likelihood, gradient, information = _derivatives(data, beta)
        step = _solved(information, gradient)
        if null is None:
            null = likelihood, float(gradient @ step)
        beta = beta + step
        if np.abs(data.covariates @ beta).max() > BEYOND_RECKONING:
            break
        if np.abs(step).max() <= TOLERANCE * max(1.0, float(np.abs(beta).max())):
            likelihood, _, information = _derivatives(data, beta)
            covariance = _solved(information, np.eye(len(beta)))
            if not _is_determined(data, covariance):
                break
            return Cox(beta, covariance, (null[0], likelihood), null[1], times.size, int(events.sum()), ties)
    raise InputError([Finding("no-estimate", "survival times", expected="covariates that do not tell events apart perfectly")])


def _is_determined(data: _Data, covariance: Numbers) -> bool:
    """Whether the hazards' logarithms have standard errors within reason."""
    variances = np.einsum("ij,jk,ik->i", data.covariates, covariance, data.covariates)
    return bool((np.diag(covariance) > 0).all() and (variances < BEYOND_RECKONING**2).all())


def _sorted(times: Numbers, events: npt.NDArray[np.bool_], columns: Numbers, stratum: npt.NDArray[np.int64], efron: bool) -> _Data:
    _, place = tied_times(times)
    order = np.lexsort((-place, stratum))
    new_stratum = np.diff(stratum[order], prepend=-1) != 0
    new_time = new_stratum | (np.diff(place[order], prepend=-1) != 0)
    # centring changes no coefficient and keeps the exponentials small
    return _Data(columns[order] - columns.mean(axis=0), events[order], np.cumsum(new_time) - 1, np.flatnonzero(new_stratum), efron)


def _derivatives(data: _Data, beta: Numbers) -> tuple[float, Numbers, Numbers]:
    """Log likelihood, its gradient and the information at `beta`."""
    x, groups = data.covariates, int(data.group[-1]) + 1 if data.group.size else 0
    linear = x @ beta
    risk = np.exp(linear)
    moments = np.column_stack((risk, risk[:, None] * x, risk[:, None] * (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)))
    at_risk, dying = _at_risk(data, moments, groups), _summed(data.group, moments * data.events[:, None], groups)
    deaths = np.bincount(data.group[data.events], minlength=groups)
    # Efron: of d tied deaths the k-th finds the tied ones' risk reduced by k/d; Breslow never reduces it.
    of_death = np.repeat(np.arange(groups), deaths)
    rank = np.arange(len(of_death)) - np.repeat(np.cumsum(deaths) - deaths, deaths)
    share = rank / deaths[of_death] if data.efron else np.zeros(len(of_death))
    left = at_risk[of_death] - share[:, None] * dying[of_death]
    size = x.shape[1]
    mean = left[:, 1 : 1 + size] / left[:, :1]
    square = (left[:, 1 + size :] / left[:, :1]).reshape(-1, size, size)
    likelihood = float(linear[data.events].sum() - np.log(left[:, 0]).sum())
    information = np.asarray(square.sum(axis=0) - mean.T @ mean, dtype=np.float64)
    return likelihood, x[data.events].sum(axis=0) - mean.sum(axis=0), information


def _at_risk(data: _Data, moments: Numbers, groups: int) -> Numbers:
    """Sums over those at risk at each time: all of the stratum with that time or a later one, who stand before it."""
    total = np.cumsum(_summed(data.group, moments, groups), axis=0)
    first = data.group[data.first_of_stratum]
    before = np.vstack((np.zeros(moments.shape[1]), total))[first]
    sizes = np.diff(np.append(first, groups))
    return total - np.repeat(before, sizes, axis=0)


def _summed(group: npt.NDArray[np.int64], values: Numbers, groups: int) -> Numbers:
    starts = np.searchsorted(group, np.arange(groups))
    return np.add.reduceat(values, starts, axis=0) if groups else values


def _solved(information: Numbers, right: Numbers) -> Numbers:
    if np.linalg.matrix_rank(information) == len(information):
        return np.asarray(np.linalg.solve(information, right), dtype=np.float64)
    raise InputError([Finding("no-estimate", "survival times", expected="events, and covariates that vary among those at risk")])
