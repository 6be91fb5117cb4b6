"""What a Kaplan-Meier plot draws, as tables in months: the curve, its interval, the censored and the numbers at risk; no subject in any."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fhir_trial.domain.results import EndpointResult, Estimate
from fhir_trial.errors import UsageError, require
from fhir_trial.notebook.marking import BANNER

if TYPE_CHECKING:
    import altair

DAYS_A_MONTH = 30.4375
STEPS_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120)
"""The distances between numbers at risk that readers of such plots are used to."""
MOST_STEPS = 8


def curve_points(result: EndpointResult) -> pd.DataFrame:
    """The steps of the curve from 1 at the start: month, survival; none where nobody was observed."""
    curve = _curve(result)
    if not len(curve):
        return pd.DataFrame({"month": [], "survival": []})
    start = pd.DataFrame({"time": [0.0], "survival": [1.0]})
    points = pd.concat([start, curve[["time", "survival"]]], ignore_index=True)
    return pd.DataFrame({"month": points["time"] / DAYS_A_MONTH, "survival": points["survival"]})


def band_points(result: EndpointResult) -> pd.DataFrame:
    """The edges of the interval, two rows a step (where it begins and ends): month, lower, upper.

    Limits hold from their own time to the next. Before the first event and where the curve is 0 there are none, and no rows.
    """
    curve = _curve(result)
    begin, end = curve.iloc[:-1], curve.iloc[1:]
    edges = pd.DataFrame(
        {
            "month": np.column_stack([begin["time"], end["time"]]).ravel() / DAYS_A_MONTH,
            "lower": np.repeat(begin["lower"].to_numpy(), 2),
            "upper": np.repeat(begin["upper"].to_numpy(), 2),
        }
    )
    return edges.dropna(ignore_index=True)


def censored_points(result: EndpointResult) -> pd.DataFrame:
    """Where observation of anyone ended without the event: month, survival."""
    curve = _curve(result)
    stay = np.append(curve["at_risk"].to_numpy(), 0)[1:]
    censored = curve[(curve["at_risk"] - curve["events"] - stay).to_numpy() > 0]
    return pd.DataFrame({"month": censored["time"] / DAYS_A_MONTH, "survival": censored["survival"]}).reset_index(drop=True)


def at_risk(result: EndpointResult) -> pd.DataFrame:
    """How many are at risk at even steps of the time axis: month, at_risk."""
    curve = _curve(result)
    time, number = curve["time"].to_numpy(), curve["at_risk"].to_numpy()
    last = float(time[-1]) / DAYS_A_MONTH if len(time) else 0.0
    step = next((step for step in STEPS_MONTHS if last / step <= MOST_STEPS), STEPS_MONTHS[-1])
    months = np.arange(0, int(last // step) + 1) * step
    # At a time between two steps of the curve as many are at risk as just before the next one.
    places = np.searchsorted(time, months * DAYS_A_MONTH, side="left")
    return pd.DataFrame({"month": months, "at_risk": np.append(number, 0)[places].astype(int)})


def caption(result: EndpointResult) -> tuple[str, list[str]]:
    """The title and the lines below it: of what study, a mark of synthetic data, the figures, the conventions in force."""
    mark = f"{BANNER}. " if result.synthetic else ""
    arm = f", {result.arm}" if result.arm else ""
    changed = ", ".join(f"{name} = {value}" for name, value in result.departures.items())
    median = result.estimate("median")
    level = f"{100 * (median.level or 0.95):.4g} %"
    return f"{mark}{result.endpoint}, {result.study}{arm}", [
        f"n = {result.n}, events = {result.count}; {_median(median, level)}",
        f"Conventions: {result.preset}{f', except {changed}' if changed else ''}",
        f"Band: pointwise {level} interval; ticks: censored",
    ]


def plot_curve(result: EndpointResult) -> "altair.VConcatChart":
    """The Kaplan-Meier curve of a result with its interval and numbers at risk; `MissingExtra` where altair is not installed."""
    _curve(result)
    require("altair", "notebook")
    from fhir_trial.notebook.drawing import draw

    return draw(result)


def _curve(result: EndpointResult) -> pd.DataFrame:
    if result.curve is None:
        raise UsageError(f"{result.endpoint} has no curve: it is a {result.kind} endpoint")
    return result.curve


def _median(median: Estimate, level: str) -> str:
    figures = median.words()
    unit = f" {median.unit}" if median.unit and median.value is not None else ""
    return f"median {figures[0]}{unit} ({level} CI {figures[1]} to {figures[2]})"
