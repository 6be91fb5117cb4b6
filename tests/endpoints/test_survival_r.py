"""Against R's survival itself, where R is installed; the figures without R are those of test_survival.py."""

import shutil
import subprocess
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from fhir_trial.endpoints.cox import cox
from fhir_trial.endpoints.logrank import log_rank
from fhir_trial.endpoints.survival import kaplan_meier

pytestmark = [pytest.mark.r, pytest.mark.skipif(shutil.which("Rscript") is None, reason="R with its package survival is not installed")]

MONTH = 30.4375
PUBLISHED = {
    "lung": (228, 165, (310, 284, 361), (310, 285, 363), (0.837, 0.708, 0.409)),
    "veteran": (137, 128, (80, 52, 100), (80, 52, 105), (0.346, 0.222, 0.090)),
    "ovarian": (26, 12, (638, 431, np.nan), (638, 464, np.nan), (0.923, 0.885, 0.731)),
}


class InR(NamedTuple):
    data: pd.DataFrame
    curves: pd.DataFrame
    tests: pd.DataFrame
    fits: pd.DataFrame


def generated(sets: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(20_260)
    frames = []
    for k in range(sets):
        n = int(rng.integers(1, 40))
        time = rng.exponential(100, n).round(int(rng.integers(0, 3))) if k % 3 else rng.integers(0, 12, n).astype(float)
        # equal but for float noise: the same tenths, added up in two ways
        time = np.where(rng.random(n) < 0.5, time * 0.1 * 3, time * 0.3) if k % 7 == 0 else time
        event = (rng.random(n) < rng.choice([0, 0.3, 0.6, 1])).astype(int)
        groups = {"group": rng.integers(0, 3, n), "stratum": rng.integers(0, 2, n), "covariate": rng.normal(size=n).round(3)}
        groups["other"] = rng.integers(0, 2, n)
        frames.append(pd.DataFrame({"set": k, "time": time, "event": event, **groups}))
    return pd.concat(frames)


@pytest.fixture(scope="module")
def in_r(tmp_path_factory: pytest.TempPathFactory) -> InR:
    folder = tmp_path_factory.mktemp("r")
    data = generated()
    data.to_csv(folder / "in.csv", index=False)
    script = Path(__file__).with_name("survival_in_r.R")
    names = [str(folder / name) for name in ("in.csv", "curves.csv", "tests.csv", "fits.csv")]
    subprocess.run(["Rscript", str(script), *names], check=True, capture_output=True)
    return InR(data, *(pd.read_csv(name) for name in names[1:]))


def test_curves_and_limits_are_rs(in_r: InR) -> None:
    data, curves = in_r.data, in_r.curves
    for (k, interval), expected in curves.groupby(["set", "interval"]):
        rows = data[data["set"] == k]
        curve = kaplan_meier(rows["time"], rows["event"], str(interval))
        for name in ("time", "survival", "lower", "upper", "at_risk", "events"):
            np.testing.assert_allclose(getattr(curve, name), expected[name], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(curve.restricted_mean(), expected[["mean", "mean_se"]].iloc[0], rtol=1e-10, atol=1e-10)


def test_quantiles_are_rs_but_for_a_flat_stretch_that_never_ends(in_r: InR) -> None:
    data, curves, compared = in_r.data, in_r.curves, 0
    for (k, interval), expected in curves.groupby(["set", "interval"]):
        rows = data[data["set"] == k]
        curve = kaplan_meier(rows["time"], rows["event"], str(interval))
        for p, name in ((0.25, "q25"), (0.5, "q50"), (0.75, "q75")):
            # R gives the middle of what was seen of the stretch; here it is not reached
            if abs(curve.survival[-1] - (1 - p)) > 1e-8:
                np.testing.assert_allclose(curve.quantile(p).estimate, expected[name].iloc[0], rtol=1e-12)
            # R's quantile() sorts a limit that rises again; elsewhere its limits are the first crossing of a limit's curve
            for limit, letter in ((curve.lower, "l"), (curve.upper, "u")):
                goal, known = 1 - p, limit[~np.isnan(limit)]
                if (np.diff(known) <= 0).all() and not (np.abs(known[-1:] - goal) < 1e-8).any():
                    place, compared = 1 if letter == "l" else 2, compared + 1
                    np.testing.assert_allclose(curve.quantile(p)[place], expected[f"{letter}{name[1:]}"].iloc[0], rtol=1e-12)
        # the limits of R's printed table: its quantile() sorts a limit that rises again, and may then skip the first crossing
        limits = expected[["median_lower", "median_upper"]].iloc[0]
        np.testing.assert_allclose(curve.quantile(0.5)[1:], limits, rtol=1e-12)
    assert compared > 3000


def test_log_rank_is_rs(in_r: InR) -> None:
    data, tests = in_r.data, in_r.tests
    assert tests["set"].nunique() > 100
    for k, of_groups in tests.groupby("set"):
        rows, expected = data[data["set"] == k], of_groups.iloc[0]
        plain = log_rank(rows["time"], rows["event"], rows["group"])
        stratified = log_rank(rows["time"], rows["event"], rows["group"], rows["stratum"])
        np.testing.assert_allclose(plain.statistic, expected.chisq, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(plain.observed, of_groups["observed"], rtol=0)
        np.testing.assert_allclose(plain.expected, of_groups["expected"], rtol=1e-10)
        np.testing.assert_allclose(stratified.statistic, expected.chisq_strata, rtol=1e-8, atol=1e-8)


def test_cox_is_rs(in_r: InR) -> None:
    assert len(in_r.fits) > 200
    assert in_r.fits["second"].notna().sum() > 300
    for expected in in_r.fits.itertuples():
        rows = in_r.data[in_r.data["set"] == expected.set]
        single = np.isnan(expected.second)
        covariates = rows[["covariate"] if single else ["covariate", "other"]]
        fit = cox(rows["time"], rows["event"], covariates, rows["stratum"] if expected.stratified else None, expected.ties)
        if not single:
            second = fit.coefficients[1], fit.errors[1]
            np.testing.assert_allclose(second, (expected.second, expected.second_error), rtol=1e-8, atol=1e-8)
        found = (fit.coefficients[0], fit.errors[0], *fit.log_likelihood, fit.score)
        np.testing.assert_allclose(
            found, (expected.coefficient, expected.error, expected.null, expected.fitted, expected.score), rtol=1e-8, atol=1e-8
        )


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures_of_rs_own_data(name: str) -> None:
    time, event = {"lung": ("time", "status == 2"), "veteran": ("time", "status"), "ovarian": ("futime", "fustat")}[name]
    code = f"library(survival); write.csv(with({name}, data.frame(time = {time}, event = 1 * ({event}))))"
    done = subprocess.run(["Rscript", "-e", code], check=True, capture_output=True, text=True)
    rows = pd.read_csv(StringIO(done.stdout))
    n, events, loglog, log, rates = PUBLISHED[name]
    curve = kaplan_meier(rows["time"], rows["event"])
    assert (curve.n, int(curve.events.sum())) == (n, events)
    np.testing.assert_allclose(curve.quantile(0.5), loglog)
    np.testing.assert_allclose(kaplan_meier(rows["time"], rows["event"], "log").quantile(0.5), log)
    np.testing.assert_allclose([curve.at(m * MONTH).estimate for m in (4, 6, 12)], rates, atol=5.1e-4)
