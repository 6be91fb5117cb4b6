import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_trial.endpoints.cox import cox
from fhir_trial.endpoints.logrank import log_rank
from fhir_trial.endpoints.survival import Reading, follow_up_median, kaplan_meier
from fhir_trial.errors import InputError, UsageError

# Freireich et al., Blood 1963;21:699: weeks of remission of acute leukaemia under 6-mercaptopurine and placebo (+ censored).
MERCAPTOPURINE = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"
PLACEBO = "1 1 2 2 3 4 4 5 5 8 8 8 8 11 11 12 12 15 17 22 23"


def weeks(text: str) -> tuple[list[float], list[int]]:
    return [float(w.rstrip("+")) for w in text.split()], [int(not w.endswith("+")) for w in text.split()]


def same(found: Reading | tuple[float, ...], expected: tuple[float, ...]) -> bool:
    return bool(np.allclose(found, expected, rtol=0, atol=5e-5, equal_nan=True))


def test_published_remission_curve_of_freireich() -> None:
    curve = kaplan_meier(*weeks(MERCAPTOPURINE))
    assert curve.n == 21
    steps = [(6, 0.8571), (7, 0.8067), (10, 0.7529), (13, 0.6902), (16, 0.6275), (22, 0.5378), (23, 0.4482)]
    assert [(int(t), round(float(s), 4)) for t, s, d in zip(curve.time, curve.survival, curve.events, strict=True) if d] == steps
    assert curve.median == 23
    assert kaplan_meier(*weeks(PLACEBO)).median == 8
    assert curve.number_at_risk(10) == 15
    # R survival 3.5 (survfit, conf.type log-log, log, plain)
    assert same(kaplan_meier(*weeks(PLACEBO)).quantile(0.5), (8, 4, 11))
    assert same(kaplan_meier(*weeks(PLACEBO), interval="log").quantile(0.5), (8, 4, 12))
    assert same(curve.quantile(0.5), (23, 13, math.nan))


NAN = math.nan
QUANTILES = [
    ("midpoint of a flat stretch", [10, 20, 30, 40], [1, 1, 1, 1], "log-log", (25, 10, NAN)),
    ("the same under log", [10, 20, 30, 40], [1, 1, 1, 1], "log", (25, 10, NAN)),
    ("a flat stretch to the end is not reached", [10, 20, 30, 40], [1, 1, 0, 0], "log-log", (NAN, 10, NAN)),
    ("all censored", [1, 2, 3], [0, 0, 0], "log-log", (NAN, NAN, NAN)),
    ("one subject, an event", [5], [1], "log-log", (5, NAN, NAN)),
    ("one subject, censored", [5], [0], "plain", (NAN, NAN, NAN)),
    ("zero times", [0, 0, 1, 2], [1, 0, 1, 0], "log-log", (1, 0, NAN)),
    ("nobody", [], [], "log-log", (NAN, NAN, NAN)),
    ("times equal but for float noise", [0.1 + 0.2, 0.3, 1, 2], [1, 1, 1, 1], "log", (0.65, 0.3, NAN)),
]


@pytest.mark.parametrize(("title", "time", "event", "interval", "expected"), QUANTILES, ids=[q[0] for q in QUANTILES])
def test_median_as_r_has_it(title: str, time: list[float], event: list[int], interval: str, expected: tuple[float, ...]) -> None:
    assert same(kaplan_meier(time, event, interval).quantile(0.5), expected), title


def test_times_are_tied_within_float_noise_only() -> None:
    assert kaplan_meier([100, 100 * (1 + 5e-9)], [1, 1]).time.tolist() == [100]
    assert kaplan_meier([100, 100 * (1 + 5e-8)], [1, 1]).time.size == 2


@pytest.mark.parametrize(("flat", "expected"), [("midpoint", 25), ("left", 20), ("right", 30)])
def test_the_point_of_a_flat_stretch_is_a_choice(flat: str, expected: float) -> None:
    assert kaplan_meier([10, 20, 30, 40], [1, 1, 1, 1]).quantile(0.5, flat).estimate == expected


LIMITS = [
    ("log-log", [0.127946918, 0.057847083, 0.008947824, NAN], [0.9605486, 0.8448613, 0.6653253, NAN]),
    ("log", [0.42593227, 0.18765893, 0.04579076, NAN], [1, 1, 1, NAN]),
    ("plain", [0.3256553, 0.0100090, 0.0, NAN], [1, 0.9899910, 0.6743447, NAN]),
]


@pytest.mark.parametrize(("interval", "lower", "upper"), LIMITS)
def test_limits_as_r_has_them(interval: str, lower: list[float], upper: list[float]) -> None:
    curve = kaplan_meier([10, 20, 30, 40], [1, 1, 1, 1], interval)
    np.testing.assert_allclose(curve.lower, lower, atol=1e-7)
    np.testing.assert_allclose(curve.upper, upper, atol=1e-7)


def test_the_log_log_band_before_any_event_is_not_estimable_and_log_is_one() -> None:
    assert math.isnan(kaplan_meier([1, 2], [0, 1]).lower[0])
    assert kaplan_meier([1, 2], [0, 1], "log").lower[0] == 1


def test_a_curve_is_read_at_a_time_and_not_beyond_its_end() -> None:
    curve = kaplan_meier([1, 2, 3], [0, 1, 0])
    assert curve.at(0.5) == (1, 1, 1)
    assert curve.at(2.5).estimate == 0.5
    assert float(curve.at(2)) == 0.5
    assert math.isnan(curve.at(3.5).estimate)
    assert kaplan_meier([1, 2], [1, 1]).at(9).estimate == 0
    assert [curve.number_at_risk(t) for t in (0, 1, 1.5, 3, 4)] == [3, 3, 2, 1, 0]


def test_restricted_mean_and_follow_up() -> None:
    curve = kaplan_meier(*weeks(PLACEBO))
    assert curve.restricted_mean()[0] == pytest.approx(np.mean(weeks(PLACEBO)[0]))
    mean, error = kaplan_meier(*weeks(MERCAPTOPURINE)).restricted_mean()
    assert (round(mean, 2), round(error, 2)) == (23.29, 2.83)  # R: print(survfit(...), rmean = "individual")
    times, events = weeks(MERCAPTOPURINE)
    assert follow_up_median(times, events) == kaplan_meier(times, [1 - e for e in events]).quantile(0.5)


@pytest.mark.parametrize(
    ("time", "event", "codes"),
    [
        ([1, -1], [1, 1], {"unusable-time": 1}),
        ([1, NAN, math.inf], [1, 1, 1], {"unusable-time": 2}),
        ([1, 2], [1, 2], {"unusable-event": 1}),
        (["a"], [1], {"not-a-number": 1}),
    ],
)
def test_unusable_times_are_named(time: list[float], event: list[int], codes: dict[str, int]) -> None:
    with pytest.raises(InputError) as caught:
        kaplan_meier(time, event)
    assert {f.code: len(caught.value.findings) for f in caught.value.findings} == codes


def test_an_unknown_interval_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="log-log, log, plain"):
        kaplan_meier([1], [1], "loglog")


def textbook(time: list[int], event: list[bool]) -> dict[int, float]:
    """Kaplan and Meier 1958, one time after the other."""
    share, curve = 1.0, {}
    for t in sorted(set(time)):
        at_risk = sum(u >= t for u in time)
        died = sum(u == t and e for u, e in zip(time, event, strict=True))
        share *= 1 - died / at_risk
        curve[t] = share
    return curve


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=60))
def test_the_curve_is_the_textbooks(rows: list[tuple[int, bool]]) -> None:
    time, event = [r[0] for r in rows], [r[1] for r in rows]
    for interval in ("log-log", "log", "plain"):
        curve = kaplan_meier(time, event, interval)
        assert dict(zip(curve.time.tolist(), curve.survival.tolist(), strict=True)) == pytest.approx(textbook(time, event))
        known = ~np.isnan(curve.lower)
        assert ((curve.lower[known] >= 0) & (curve.upper[known] <= 1)).all()
        assert ((curve.lower <= curve.survival + 1e-12) & (curve.survival - 1e-12 <= curve.upper))[known].all()


def remission() -> tuple[list[float], list[int], list[int]]:
    """Both arms of Freireich's trial: weeks, relapse, placebo."""
    treated, untreated = weeks(MERCAPTOPURINE), weeks(PLACEBO)
    return treated[0] + untreated[0], treated[1] + untreated[1], [0] * 21 + [1] * 21


def test_published_log_rank_of_freireich() -> None:
    test = log_rank(*remission())
    assert (round(test.statistic, 2), test.degrees, test.observed.tolist()) == (16.79, 1, [9, 21])
    assert [round(float(e), 2) for e in test.expected] == [19.25, 10.75]
    assert test.p == pytest.approx(4.17e-5, rel=1e-3)


@pytest.mark.parametrize(("ties", "coefficient", "error"), [("efron", 1.5721, 0.4124), ("breslow", 1.5092, 0.4096)])
def test_published_hazard_ratio_of_freireich(ties: str, coefficient: float, error: float) -> None:
    fit = cox(*remission(), ties=ties)
    assert (round(float(fit.coefficients[0]), 4), round(float(fit.errors[0]), 4)) == (coefficient, error)
    assert fit.limits()[0] < fit.hazard_ratios < fit.limits()[1]
    assert (fit.n, fit.events) == (42, 30)
    assert fit.p[0] < 0.001


def test_nothing_to_compare() -> None:
    assert (log_rank([1, 2], [1, 0], ["a", "a"]).degrees, log_rank([1, 2], [1, 0], ["a", "a"]).statistic) == (0, 0)
    with pytest.raises(UsageError, match="as many groups"):
        log_rank([1, 2], [1, 0], ["a"])


@pytest.mark.parametrize(
    ("time", "event", "covariate"),
    [
        ([1, 2, 3], [0, 0, 0], [1, 2, 3]),
        ([1, 2, 3], [1, 1, 1], [1, 1, 1]),
        ([1, 2, 3, 4], [1, 1, 1, 1], [1, 1, 0, 0]),
        ([1, 2], [1, 1], [NAN, 1]),
    ],
    ids=["no events", "constant", "separating", "missing"],
)
def test_a_model_that_the_data_do_not_determine_is_refused(time: list[float], event: list[int], covariate: list[float]) -> None:
    with pytest.raises(InputError):
        cox(time, event, covariate)
    with pytest.raises(UsageError, match="efron, breslow"):
        cox(time, event, covariate, ties="exact")
