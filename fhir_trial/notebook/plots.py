"""Kaplan-Meier plots: the curve with its interval, and the numbers at risk below; a plot carries only the columns it draws."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fhir_trial.domain.results import EndpointResult
from fhir_trial.errors import UsageError, require

if TYPE_CHECKING:
    import altair

DAYS_A_MONTH = 30.4375
_TICKS = 7


def curve_points(result: EndpointResult) -> pd.DataFrame:
    """The steps of the curve in months, from time 0: month, survival, lower, upper."""
    if result.curve is None:
        raise UsageError(f"{result.endpoint} has no curve: it is a {result.kind} endpoint")
    curve = result.curve[["time", "survival", "lower", "upper"]].astype(float)
    start = pd.DataFrame({"time": [0.0], "survival": [1.0], "lower": [1.0], "upper": [1.0]})
    points = pd.concat([start, curve], ignore_index=True)
    return points.assign(month=points["time"] / DAYS_A_MONTH)[["month", "survival", "lower", "upper"]]


def at_risk(result: EndpointResult) -> pd.DataFrame:
    """How many are at risk at even steps of the time axis: month, at_risk."""
    if result.curve is None:
        raise UsageError(f"{result.endpoint} has no curve: it is a {result.kind} endpoint")
    time, number = (result.curve[name].to_numpy() for name in ("time", "at_risk"))
    last = float(time.max()) / DAYS_A_MONTH if len(time) else 0.0
    step = max(1, int(np.ceil(last / _TICKS)))
    months = np.arange(0, last + 1e-9, step)
    # At a time between two steps of the curve as many are at risk as just before the next one.
    places = np.searchsorted(time, months * DAYS_A_MONTH, side="left")
    return pd.DataFrame({"month": months, "at_risk": np.append(number, 0)[places].astype(int)})


def plot_curve(result: EndpointResult) -> "altair.VConcatChart":
    """The Kaplan-Meier curve of a result with its interval and numbers at risk."""
    alt: Any = require("altair", "notebook")
    points, risk = curve_points(result), at_risk(result)
    scale = alt.Scale(domain=[0, float(points["month"].max())], nice=False)
    month = alt.X("month:Q", title="Months", scale=scale)
    band = alt.Chart(points).mark_area(interpolate="step-after", opacity=0.2).encode(x=month, y=alt.Y("lower:Q"), y2="upper:Q")
    line = (
        alt.Chart(points)
        .mark_line(interpolate="step-after")
        .encode(x=month, y=alt.Y("survival:Q", title=result.label, scale=alt.Scale(domain=[0, 1])))
    )
    numbers = (
        alt.Chart(risk)
        .mark_text(baseline="middle")
        .encode(x=alt.X("month:Q", title="Number at risk", axis=None, scale=scale), text="at_risk:Q")
    )
    warning = "SYNTHETIC DATA, about no real person: " if result.synthetic else ""
    title = alt.Title(
        f"{warning}{result.endpoint}, {result.study}", subtitle=f"n = {result.n}, events = {result.count}; conventions: {result.preset}"
    )
    chart: altair.VConcatChart = alt.vconcat(
        (band + line).properties(width=520, height=260, title=title),
        numbers.properties(width=520, height=20, title=alt.Title("Number at risk", anchor="start", fontSize=11)),
    ).resolve_scale(x="shared")
    return chart
