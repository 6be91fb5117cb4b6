"""The drawing of a Kaplan-Meier curve and of a forest plot; the one module that imports altair."""

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
        return _bundle(self.to_dict())


class WideChart(alt.HConcatChart):
    """The same of charts that stand beside each other."""

    def _repr_mimebundle_(self, *_include: Any, **_exclude: Any) -> dict[str, Any]:
        return _bundle(self.to_dict())


def _bundle(drawn: dict[str, Any]) -> dict[str, Any]:
    spec = {**drawn, "$schema": SCHEMA}
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


def draw_forest(points: pd.DataFrame, caption: tuple[str, list[str]]) -> WideChart:
    """A mark and a line a comparison over its hazard ratio, on a logarithmic axis; the figures in words beside it."""
    title, lines = caption
    known = points.dropna(subset=["hazard_ratio"])
    order, height = list(points["label"]), 22 * len(points)
    place = alt.Y(
        "label:N", sort=order, title=None, scale=alt.Scale(domain=order), axis=alt.Axis(labelLimit=320, domain=False, ticks=False)
    )
    ratio = alt.X("hazard_ratio:Q", title="Hazard ratio", scale=alt.Scale(type="log"))
    marks = _layer(known).mark_point(filled=True, shape="square", size=60, opacity=1, color=COLOUR).encode(x=ratio, y=place)
    spans = _layer(known).mark_rule(color=COLOUR).encode(x=alt.X("lower:Q", title="Hazard ratio"), x2="upper:Q", y=place)
    even = _layer(pd.DataFrame({"hazard_ratio": [1.0]})).mark_rule(strokeDash=[4, 3], color="#777777").encode(x=ratio)
    plot = alt.LayerChart(layer=[even, spans, marks]).properties(width=WIDTH // 2, height=height)
    beside = alt.Y("label:N", sort=order, scale=alt.Scale(domain=order), axis=None)
    words = _layer(points).mark_text(align="left", baseline="middle").encode(x=alt.value(0), y=beside, text="text:N")
    words = words.properties(width=130, height=height, view=alt.ViewBackground(stroke=None))
    head = alt.Title(title, subtitle=lines, anchor="start")
    return WideChart(hconcat=[plot, words], title=head, description=". ".join([f"Forest plot. {title}", *lines]), spacing=4)
