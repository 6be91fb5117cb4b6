"""Log-rank and Cox against the textbook's sums, one subject after the other, and the edges of a curve's figures."""

import math
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

from fhir_trial.endpoints.cox import cox
from fhir_trial.endpoints.logrank import log_rank
from fhir_trial.endpoints.survival import FLAT_TOLERANCE, TIE_TOLERANCE, KaplanMeier, kaplan_meier
from fhir_trial.errors import InputError, UsageError

Numbers = npt.NDArray[np.float64]
SEEDS = range(12)
NAN = math.nan


def generated(seed: int) -> tuple[list[int], list[int], list[str], list[str], Numbers]:
    """Times with ties, events, three groups, strata of which one is a single subject, and two covariates."""
    rng = np.random.default_rng(seed)
    n = 40
    strata = ["a" if x else "b" for x in rng.random(n) < 0.5]
    strata[int(rng.integers(n))] = "alone"
    covariates = np.column_stack((rng.normal(size=n), rng.integers(0, 2, n)))
    return rng.integers(1, 15, n).tolist(), rng.integers(0, 2, n).tolist(), rng.choice(list("xyz"), n).tolist(), strata, covariates


def event_times(time: list[int], event: list[int], within: list[int]) -> list[tuple[list[int], list[int]]]:
    """For each time of death who is at risk and who dies, among some subjects."""
    times = sorted({time[i] for i in within if event[i]})
    return [([i for i in within if time[i] >= t], [i for i in within if time[i] == t and event[i]]) for t in times]


def strata_of(strata: list[str] | None, n: int) -> list[list[int]]:
    names = ["all"] * n if strata is None else strata
    return [[i for i in range(n) if names[i] == name] for name in sorted(set(names))]


def plain_log_rank(
    time: list[int], event: list[int], group: list[str], strata: list[str] | None
) -> tuple[float, dict[str, float], dict[str, float]]:
    """Mantel 1966: observed less expected of all groups but one, over their hypergeometric covariance."""
    names = sorted(set(group))
    observed, expected = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    covariance = {pair: 0.0 for pair in product(names, names)}
    for within in strata_of(strata, len(time)):
        for at_risk, dying in event_times(time, event, within):
            n, d = len(at_risk), len(dying)
            share = {name: sum(group[i] == name for i in at_risk) / n for name in names}
            for a in names:
                observed[a] += sum(group[i] == a for i in dying)
                expected[a] += d * share[a]
                for b in names:
                    if n > 1:
                        covariance[a, b] += d * (n - d) / (n - 1) * share[a] * ((a == b) - share[b])
    rest = names[1:]
    difference = np.array([observed[a] - expected[a] for a in rest])
    matrix = np.array([[covariance[a, b] for b in rest] for a in rest])
    return float(difference @ np.linalg.solve(matrix, difference)), observed, expected


@pytest.mark.parametrize("stratified", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_log_rank_of_three_groups_is_the_textbooks(seed: int, stratified: bool) -> None:
    time, event, group, strata, _ = generated(seed)
    statistic, observed, expected = plain_log_rank(time, event, group, strata if stratified else None)
    found = log_rank(time, event, group, strata if stratified else None)
    assert (found.groups, found.degrees) == (("x", "y", "z"), 2)
    assert found.statistic == pytest.approx(statistic, rel=1e-10)
    assert found.observed.tolist() == pytest.approx([observed[g] for g in found.groups])
    assert found.expected.tolist() == pytest.approx([expected[g] for g in found.groups])
    assert found.p == pytest.approx(math.exp(-statistic / 2), rel=1e-10)  # chi-square on two degrees


def test_a_group_seen_before_any_event_only_takes_no_degree_of_freedom() -> None:
    two = log_rank([2, 3, 4, 5], [1, 1, 1, 0], ["a", "b", "a", "b"])
    three = log_rank([1, 2, 3, 4, 5], [0, 1, 1, 1, 0], ["c", "a", "b", "a", "b"])
    assert (three.statistic, three.degrees, three.p) == (pytest.approx(two.statistic), 1, pytest.approx(two.p))
    nothing = log_rank([1, 2], [0, 1], ["a", "b"])
    assert (nothing.statistic, nothing.degrees, nothing.p) == (0, 0, 1)


def likelihood(beta: Numbers, seed: int, ties: str, stratified: bool) -> float:
    """The partial likelihood's logarithm (Cox 1972), tied deaths by Efron 1977 or Breslow 1974."""
    time, event, _, strata, x = generated(seed)
    risk, total = np.exp(x @ beta), 0.0
    for within in strata_of(strata if stratified else None, len(time)):
        for at_risk, dying in event_times(time, event, within):
            for k, i in enumerate(dying):
                less = k / len(dying) * sum(risk[j] for j in dying) if ties == "efron" else 0.0
                total += math.log(risk[i]) - math.log(sum(risk[j] for j in at_risk) - less)
    return total


def slopes(beta: Numbers, *case: object, step: float = 1e-4) -> tuple[Numbers, Numbers]:
    """Gradient and curvature of the likelihood by differences."""

    def at(*moves: int) -> float:
        return likelihood(beta + step * np.array(moves), *case)  # type: ignore[arg-type]

    gradient = np.array([at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)]) / (2 * step)
    mixed = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    own = [at(*move) - 2 * at(0, 0) + at(*(-m for m in move)) for move in ((1, 0), (0, 1))]
    return gradient, np.array([[own[0], mixed], [mixed, own[1]]]) / step**2


@pytest.mark.parametrize("stratified", [False, True])
@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("seed", SEEDS)
def test_cox_is_where_the_textbooks_likelihood_is_greatest(seed: int, ties: str, stratified: bool) -> None:
    time, event, _, strata, x = generated(seed)
    fit = cox(time, event, x, strata if stratified else None, ties)
    gradient, curvature = slopes(fit.coefficients, seed, ties, stratified)
    assert np.abs(gradient).max() < 1e-6
    np.testing.assert_allclose(np.linalg.inv(-curvature), fit.covariance, rtol=1e-4, atol=1e-6)
    expected = likelihood(np.zeros(2), seed, ties, stratified), likelihood(fit.coefficients, seed, ties, stratified)
    assert fit.log_likelihood == pytest.approx(expected, rel=1e-10)
    gradient, curvature = slopes(np.zeros(2), seed, ties, stratified)
    assert fit.score == pytest.approx(gradient @ np.linalg.solve(-curvature, gradient), rel=1e-4)


def test_strata_that_share_a_time_are_apart() -> None:
    """The last of one stratum and the first of the next die at one time, and are not at risk together."""
    late, early = [6, 7, 8, 8, 9, 10], [4, 5, 6, 3, 2, 1]
    event, x, strata = [1] * 12, [0, 1, 0, 1, 1, 0] * 2, [0] * 6 + [1] * 6
    alone, shared = cox([t + 10 for t in late] + early, event, x, strata), cox(late + early, event, x, strata)
    assert shared.coefficients == pytest.approx(alone.coefficients)
    assert shared.log_likelihood == pytest.approx(alone.log_likelihood)


def test_a_coefficient_that_is_nought_by_symmetry_ends_no_search() -> None:
    time, event, x = [1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 0, 1], [1, 0, 1, 1, 0, 0]
    fit = cox(time + time, event + event, [*([a, 1] for a in x), *([a, -1] for a in x)], ties="breslow")
    alone = cox(time + time, event + event, x + x, ties="breslow")
    assert fit.coefficients.tolist() == [pytest.approx(alone.coefficients[0], rel=1e-12), 0]


def test_limits_and_p_of_a_coefficient_are_normal() -> None:
    fit = cox([1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 0, 1], [1, 0, 1, 1, 0, 0])
    beta, error = float(fit.coefficients[0]), float(fit.errors[0])
    lower, upper = fit.limits(0.9)
    assert (math.log(lower[0]), math.log(upper[0])) == pytest.approx((beta - 1.6448536269514722 * error, beta + 1.6448536269514722 * error))
    assert fit.p[0] == pytest.approx(math.erfc(abs(beta) / error / math.sqrt(2)))


@pytest.mark.parametrize(
    ("covariates", "strata"),
    [([0, 1, 0], ["a", "b"]), (np.empty((3, 0)), None), ([0, 1], None), ([0, 1, math.inf], None)],
    ids=["a stratum too few", "no covariate", "a subject too few", "not finite"],
)
def test_covariates_that_cannot_be_used_are_refused(covariates: object, strata: list[str] | None) -> None:
    with pytest.raises(InputError) as caught:
        cox([1, 2, 3], [1, 1, 1], covariates, strata)  # type: ignore[arg-type]
    assert [f.code for f in caught.value.findings] == ["unusable-covariates"]
    with pytest.raises(InputError):
        cox([], [], [])


def telling(seed: int) -> tuple[Numbers, Numbers, Numbers]:
    """Times, events, and covariates of which one tells who dies first, on any scale, with and without others beside it."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 40))
    time, noise, order = np.sort(rng.exponential(10.0 ** rng.integers(-2, 4), n)), rng.normal(size=n), np.arange(float(n))
    early = (order < n // 2) * 1.0
    columns = [
        -time,
        np.column_stack((-order * 10.0 ** rng.integers(-3, 4), noise)),
        early,
        np.column_stack((early, noise, rng.integers(0, 2, n))),
    ]
    event = np.where(early == 1, 1, rng.integers(0, 2, n)) if seed % 4 >= 2 and seed % 3 == 0 else np.ones(n)
    return time, event, columns[seed % 4]


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("seed", [*range(60), 465, 747, 1448])
def test_covariates_that_tell_events_apart_have_no_estimate(seed: int, ties: str) -> None:
    """The likelihood has no greatest value: it grows with the coefficient, until steps are of noise or of none."""
    time, event, columns = telling(seed)
    with pytest.raises(InputError) as caught:
        cox(time, event, columns, ties=ties)
    assert [f.code for f in caught.value.findings] == ["no-estimate"]


def curve(time: list[float], survival: list[float]) -> KaplanMeier:
    """A curve as given, its limits on itself."""
    counts, values = np.arange(len(time), 0, -1), np.array(survival)
    return KaplanMeier(np.array(time), values, values, values, counts, np.ones(len(time), dtype=np.int64))


def test_a_curve_is_flat_within_its_tolerance() -> None:
    goal = 0.5
    assert curve([1, 2, 3], [goal + FLAT_TOLERANCE, 0.4, 0.2]).quantile(0.5).estimate == 1.5
    assert curve([1, 2, 3], [goal + 1.05e-12, 0.4, 0.2]).quantile(0.5).estimate == 2
    assert curve([1, 2, 3], [goal - FLAT_TOLERANCE, goal - FLAT_TOLERANCE, 0.2]).quantile(0.5).estimate == 2
    assert curve([1, 2, 3], [goal, goal - 1.05e-12, 0.2]).quantile(0.5).estimate == 1.5


def test_the_tolerance_of_ties_is_of_the_mean_and_at_least_of_one() -> None:
    assert kaplan_meier([100, 100 * (1 + 1.05 * TIE_TOLERANCE)], [1, 1]).time.size == 2
    assert kaplan_meier([0, 1e-8], [1, 1]).time.tolist() == [0]
    assert kaplan_meier([0, 1.5e-8], [1, 1]).time.size == 2


def test_the_ends_of_quantiles() -> None:
    everybody = kaplan_meier([1, 2, 3], [1, 1, 1])
    assert everybody.quantile(0) == (0, 0, 0)
    assert everybody.quantile(1).estimate == 3
    assert all(map(math.isnan, kaplan_meier([], []).quantile(0)))
    assert kaplan_meier(range(1, 21), [1] * 20).median == 10.5
    # down to a half with its last event, and nobody left to fall further: not reached
    assert math.isnan(kaplan_meier([1, 2, 2], [0, 1, 0]).median)
    # a limit that comes down to nought before the end has a stretch that never ends
    limit = kaplan_meier([10, 20, 30, 40], [1, 1, 1, 1], "plain")
    assert limit.lower[2] == 0
    assert math.isnan(limit.quantile(1).lower)


@pytest.mark.parametrize(("p", "flat"), [(-0.1, "left"), (1.1, "left"), (0.5, "middle")])
def test_a_quantile_that_there_is_not_is_a_usage_error(p: float, flat: str) -> None:
    with pytest.raises(UsageError, match="midpoint, left, right"):
        kaplan_meier([1, 2], [1, 1]).quantile(p, flat)


@pytest.mark.parametrize("level", [-0.5, 0, 1, 1.5])
def test_a_level_that_there_is_not_is_a_usage_error(level: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        kaplan_meier([1], [1], level=level)


def test_what_is_no_number_is_named() -> None:
    with pytest.raises(InputError) as caught:
        kaplan_meier([{}], [1])  # type: ignore[list-item]
    assert [f.code for f in caught.value.findings] == ["not-a-number"]


def test_a_curve_is_read_within_float_noise_of_its_times() -> None:
    falling = kaplan_meier([1, 2, 4], [1, 1, 0])
    assert falling.at(1.5).estimate == pytest.approx(2 / 3)
    assert falling.at(4 * (1 + TIE_TOLERANCE)).estimate == pytest.approx(1 / 3)
    assert all(map(math.isnan, kaplan_meier([], []).at(1)))


def test_the_restricted_mean_is_the_area_of_rectangles() -> None:
    falling = kaplan_meier([2, 3, 5], [1, 1, 0])
    mean, error = falling.restricted_mean(4)
    assert mean == pytest.approx(2 + 2 / 3 + 1 / 3)
    # Klein and Moeschberger 2003, 4.5: the areas after each event, squared, by Greenwood's terms
    assert error == pytest.approx(math.sqrt(1.0**2 / (3 * 2) + (1 / 3) ** 2 / (2 * 1)))
    assert all(map(math.isnan, kaplan_meier([], []).restricted_mean()))
    assert len(kaplan_meier([], []).restricted_mean()) == 2
