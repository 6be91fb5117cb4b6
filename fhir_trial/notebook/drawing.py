"""The drawing of a Kaplan-Meier curve; the one module that imports altair."""

import importlib.util
from typing import Any, cast

import altair as alt
import pandas as pd

from fhir_trial.domain.results import EndpointResult
from fhir_trial.notebook.plots import at_risk, band_points, caption, censored_points, curve_points

WIDTH, HEIGHT = 560, 280
COLOUR = "#2f5d8a"
MIME_TYPE = "application/vnd.vegalite.v5+json"
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"


class Chart(alt.VConcatChart):
    """A chart that JupyterLab draws with what it brings along; altair's own way fetches scripts from a public server each time."""

    def _repr_mimebundle_(self, *_include: Any, **_exclude: Any) -> dict[str, Any]:
        spec = {**self.to_dict(), "$schema": SCHEMA}
        bundle = {MIME_TYPE: spec, "text/plain": str(spec["description"])}
        if importlib.util.find_spec("vl_convert"):
            # A picture for readers that run nothing: a printout, a code review.
            bundle["image/svg+xml"] = importlib.import_module("vl_convert").vegalite_to_svg(spec)
        return bundle


def draw(result: EndpointResult) -> Chart:
    """The curve with its interval and marks of censoring above, the numbers at risk below on the same months."""
    risk, points = at_risk(result), curve_points(result)
    last = float(points["month"].max()) if len(points) else 1.0
    title, lines = caption(result)
    scale = alt.Scale(domain=[0, last], nice=False)
    numbers = (
        _layer(risk)
        .mark_text(baseline="middle")
        .encode(x=alt.X("month:Q", axis=None, scale=scale), text="at_risk:Q")
        .properties(
            width=WIDTH, height=16, title=alt.Title("Number at risk", anchor="start", fontSize=11), view=alt.ViewBackground(stroke=None)
        )
    )
    above = _curves(result, points, scale, [int(month) for month in risk["month"]]).properties(
        width=WIDTH, height=HEIGHT, title=alt.Title(title, subtitle=lines, anchor="start")
    )
    return Chart(vconcat=[above, numbers], description=". ".join([f"Kaplan-Meier curve. {title}", *lines]), spacing=8)


def _curves(result: EndpointResult, points: pd.DataFrame, scale: alt.Scale, months: list[int]) -> alt.LayerChart:
    axis = alt.Axis(values=months, format="d", labelFlush=False, grid=False)
    month = alt.X("month:Q", title="Months", scale=scale, axis=axis)
    height = alt.Y("survival:Q", title=result.label, scale=alt.Scale(domain=[0, 1]))
    band = _layer(band_points(result)).mark_area(opacity=0.2, color=COLOUR).encode(x=month, y=alt.Y("lower:Q"), y2="upper:Q")
    line = _layer(points).mark_line(interpolate="step-after", color=COLOUR).encode(x=month, y=height)
    censored = _layer(censored_points(result)).mark_tick(orient="vertical", size=9, thickness=1.5, color=COLOUR).encode(x=month, y=height)
    return alt.LayerChart(layer=[band, line, censored])


def _layer(frame: pd.DataFrame) -> alt.Chart:
    """A chart of the table's own rows, inline: altair refuses DataFrames of more than 5000 rows."""
    return alt.Chart(alt.InlineData(values=cast("list[dict[str, Any]]", frame.to_dict(orient="records"))))
