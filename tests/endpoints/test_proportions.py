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


def test_jeffreys_limits_are_equal_tails_of_the_posterior_but_at_the_ends() -> None:
    for x, n, level in GRID:
        ours = proportion(x, n, "jeffreys", level)
        low, high = stats.beta(x + 0.5, n - x + 0.5).interval(level)
        assert ours.lower == pytest.approx(0 if x == 0 else low, abs=1e-12), (x, n, level)
        assert ours.upper == pytest.approx(1 if x == n else high, abs=1e-12), (x, n, level)


@pytest.mark.parametrize("method", METHODS)
def test_the_ends(method: str) -> None:
    assert proportion(0, 5, method).lower == 0
    assert proportion(5, 5, method).upper == 1
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
