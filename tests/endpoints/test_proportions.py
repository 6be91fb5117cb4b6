"""Intervals of proportions agree with scipy to 1e-12, and are exact at the ends."""

import pytest
from scipy import stats

from fhir_trial.endpoints.proportions import METHODS, proportion

GRID = [
    (x, n, level)
    for n in (1, 2, 3, 5, 10, 28, 73, 254, 1000)
    for x in sorted({0, 1, n // 4, n // 2, n - 1, n})
    for level in (0.8, 0.9, 0.95, 0.99)
]


@pytest.mark.parametrize(("method", "name"), [("clopper-pearson", "exact"), ("wilson", "wilson")])
def test_limits_agree_with_scipy(method: str, name: str) -> None:
    for x, n, level in GRID:
        ours = proportion(x, n, method, level)
        theirs = stats.binomtest(x, n).proportion_ci(level, method=name)
        assert ours.lower == pytest.approx(theirs.low, abs=1e-12, rel=1e-12), (x, n, level)
        assert ours.upper == pytest.approx(theirs.high, abs=1e-12, rel=1e-12), (x, n, level)


def test_jeffreys_limits_are_equal_tails_of_the_posterior() -> None:
    for x, n, level in GRID:
        ours = proportion(x, n, "jeffreys", level)
        low, high = stats.beta(x + 0.5, n - x + 0.5).interval(level)
        assert ours.lower == pytest.approx(low, abs=1e-12, rel=1e-12), (x, n, level)
        assert ours.upper == pytest.approx(high, abs=1e-12, rel=1e-12), (x, n, level)


# statsmodels 0.15.0: statsmodels.stats.proportion.proportion_confint(x, n, 1 - level, method), methods beta, wilson, jeffreys
STATSMODELS = [
    ("clopper-pearson", 0, 28, 0.95, 0.0, 0.12343611850026381),
    ("clopper-pearson", 1, 28, 0.95, 0.0009037987556580585, 0.18347759754462362),
    ("clopper-pearson", 7, 28, 0.95, 0.10690799182922664, 0.4487154515286084),
    ("clopper-pearson", 28, 28, 0.95, 0.8765638814997362, 1.0),
    ("clopper-pearson", 0, 1, 0.9, 0.0, 0.95),
    ("clopper-pearson", 3, 73, 0.99, 0.004681879998722884, 0.1423774226960807),
    ("clopper-pearson", 250, 1000, 0.95, 0.2234304062646804, 0.27805000622375553),
    ("wilson", 0, 28, 0.95, 1.3877787807814457e-17, 0.12064330476584563),
    ("wilson", 1, 28, 0.95, 0.0063325198490377516, 0.1771219774335332),
    ("wilson", 7, 28, 0.95, 0.12676494919293316, 0.4335567031899896),
    ("wilson", 28, 28, 0.95, 0.8793566952341543, 0.9999999999999998),
    ("wilson", 0, 1, 0.9, 0.0, 0.730134051215946),
    ("wilson", 3, 73, 0.99, 0.010445381557157823, 0.1482149186416772),
    ("wilson", 250, 1000, 0.95, 0.2241530989836914, 0.27776028025908617),
    ("jeffreys", 0, 28, 0.95, 1.7380922536885174e-05, 0.08507120003233523),
    ("jeffreys", 1, 28, 0.95, 0.0038809272881954984, 0.15504541199610372),
    ("jeffreys", 7, 28, 0.95, 0.1194116695429155, 0.4292869655484316),
    ("jeffreys", 28, 28, 0.95, 0.9149287999676647, 0.9999826190774631),
    ("jeffreys", 0, 1, 0.9, 0.0015429193026729434, 0.7714801861936713),
    ("jeffreys", 3, 73, 0.99, 0.006870752368996323, 0.13181474755759376),
    ("jeffreys", 250, 1000, 0.95, 0.22391109474754964, 0.27753363123662067),
]


@pytest.mark.parametrize(("method", "x", "n", "level", "lower", "upper"), STATSMODELS)
def test_limits_agree_with_statsmodels(method: str, x: int, n: int, level: float, lower: float, upper: float) -> None:
    ours = proportion(x, n, method, level)
    assert (ours.lower, ours.upper) == (pytest.approx(lower, abs=1e-12, rel=0), pytest.approx(upper, abs=1e-12, rel=0))


@pytest.mark.parametrize("method", ["clopper-pearson", "wilson"])
def test_the_ends(method: str) -> None:
    assert proportion(0, 5, method).lower == 0
    assert {proportion(n, n, method).upper for n in range(1, 60)} == {1}
    assert {proportion(0, n, method).lower for n in range(1, 60)} == {0}


@pytest.mark.parametrize("method", METHODS)
def test_nobody_is_no_proportion(method: str) -> None:
    assert 0 < proportion(0, 5, method).upper < 1
    nobody = proportion(0, 0, method)
    assert (nobody.estimate, nobody.lower, nobody.upper) == (None, None, None)


@pytest.mark.parametrize(("x", "n"), [(-1, 5), (6, 5), (1, 0)])
def test_what_is_no_proportion_is_refused(x: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"{x} of {n} is no proportion"):
        proportion(x, n)


def test_seven_responders_of_28() -> None:
    assert proportion(7, 28).lower == pytest.approx(0.1069, abs=5e-5)
    assert proportion(7, 28).upper == pytest.approx(0.4487, abs=5e-5)
    assert proportion(7, 28, "wilson").lower == pytest.approx(0.1268, abs=5e-5)
    assert proportion(7, 28, "wilson").upper == pytest.approx(0.4336, abs=5e-5)
