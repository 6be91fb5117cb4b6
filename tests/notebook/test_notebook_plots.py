import importlib
import importlib.machinery
import json
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fhir_trial.domain.results import EndpointResult, Estimate
from fhir_trial.endpoints.survival import kaplan_meier
from fhir_trial.errors import MissingExtra, UsageError
from fhir_trial.notebook.plots import DAYS_A_MONTH, at_risk, band_points, caption, censored_points, curve_points, plot_curve

COLUMNS = ("time", "survival", "lower", "upper", "at_risk", "events")


def result_of(times: list[float], events: list[int], **changes: Any) -> EndpointResult:
    """A result with the curve of these times, in months."""
    curve = kaplan_meier([time * DAYS_A_MONTH for time in times], events)
    drawn = pd.DataFrame({column: getattr(curve, column) for column in COLUMNS})
    subjects = pd.DataFrame({"subject": [f"IDENTIFIER-{number}" for number in range(len(times))]})
    figures = (Estimate("median", 60.875, 30.4375, None, 0.95, "log-log", "days"),)
    settings: dict[str, Any] = {"curve": drawn, "synthetic": True} | changes
    return EndpointResult(
        "STUDY", "PFS", "Progression-free survival", "time-to-event", "enrolled", len(times), sum(events), figures, subjects, **settings
    )


# Five subjects: censored at the start and at 2 months; events at 1, 2 and 3 months.
FIVE = result_of([0, 1, 2, 2, 3], [0, 1, 1, 0, 1])


def test_the_curve_starts_at_1_and_steps_down_at_each_event() -> None:
    points = curve_points(FIVE)
    assert list(points.columns) == ["month", "survival"]
    assert points["month"].tolist() == pytest.approx([0, 0, 1, 2, 3])
    assert points["survival"].tolist() == pytest.approx([1, 1, 3 / 4, 1 / 2, 0])


def test_the_band_holds_from_each_event_to_the_next_time_and_has_no_gap_and_no_missing_limit() -> None:
    band = band_points(FIVE)
    assert band["month"].tolist() == pytest.approx([1, 2, 2, 3])
    assert not band.isna().any(axis=None)
    assert band["lower"].iloc[0] == band["lower"].iloc[1] < 3 / 4 < band["upper"].iloc[0]
    # The last step before the curve reaches 0 has limits, and they are drawn to its end.
    assert band["lower"].iloc[2] == band["lower"].iloc[3] < 1 / 2 < band["upper"].iloc[3]


def test_a_curve_without_events_has_no_band_and_one_mark_a_time() -> None:
    nobody = result_of([1, 2], [0, 0])
    assert len(band_points(nobody)) == 0
    assert censored_points(nobody)["survival"].tolist() == [1, 1]


def test_marks_stand_where_observation_ended_without_the_event() -> None:
    marks = censored_points(FIVE)
    assert marks["month"].tolist() == pytest.approx([0, 2])
    assert marks["survival"].tolist() == pytest.approx([1, 1 / 2])


def test_numbers_at_risk_count_those_not_yet_gone_just_before_each_month() -> None:
    table = at_risk(FIVE)
    assert table["month"].tolist() == [0, 1, 2, 3]
    assert table["at_risk"].tolist() == [5, 4, 3, 1]


@pytest.mark.parametrize(
    ("last", "months"),
    [(0.5, [0]), (8, list(range(9))), (8.5, [0, 2, 4, 6, 8]), (17.2, [0, 3, 6, 9, 12, 15]), (40, [0, 6, 12, 18, 24, 30, 36])],
)
def test_numbers_at_risk_stand_at_steps_that_readers_know(last: float, months: list[int]) -> None:
    assert at_risk(result_of([last], [1]))["month"].tolist() == months


def test_numbers_at_risk_agree_with_the_times_themselves() -> None:
    draw = np.random.default_rng(5)
    times, events = draw.exponential(9, 60).round(1).tolist(), draw.integers(0, 2, 60).tolist()
    table = at_risk(result_of(times, events))
    assert table["at_risk"].tolist() == [sum(time >= month for time in times) for month in table["month"]]


def test_an_endpoint_that_nobody_is_in_is_an_empty_plot() -> None:
    empty = result_of([], [])
    assert len(curve_points(empty)) == len(band_points(empty)) == len(censored_points(empty)) == 0
    assert at_risk(empty)["at_risk"].tolist() == [0]
    assert "n = 0" in json.dumps(plot_curve(empty).to_dict())


def test_an_endpoint_without_a_curve_says_so() -> None:
    with pytest.raises(UsageError, match="ORR has no curve: it is a proportion endpoint"):
        plot_curve(EndpointResult("STUDY", "ORR", "Response", "proportion", "enrolled", 3, 1, (), pd.DataFrame()))


def test_the_caption_marks_synthetic_data_and_names_figures_and_every_departure() -> None:
    title, lines = caption(result_of([1, 2], [1, 0], departures={"death_window_days": 84}, arm="A"))
    assert title == "SYNTHETIC DATA: about no real person. PFS, STUDY, A"
    assert lines[0] == "n = 2, events = 1; median 60.88 days (95 % CI 30.44 to not reached)"
    assert lines[1] == "Conventions: protocol, except death_window_days = 84"
    assert caption(result_of([1], [1], synthetic=False))[0] == "PFS, STUDY"


def test_the_plot_carries_the_columns_it_draws_and_no_subject() -> None:
    spec = plot_curve(FIVE).to_dict()
    carried = [set(row) for rows in spec["datasets"].values() for row in rows]
    drawn = [{"month", "lower", "upper"}, {"month", "survival"}, {"month", "at_risk"}]
    assert all(columns in drawn for columns in carried)
    assert all(columns in carried for columns in drawn)
    assert "IDENTIFIER" not in json.dumps(spec)
    assert "NaN" not in json.dumps(spec)


def test_curve_and_numbers_share_their_months() -> None:
    curve, numbers = plot_curve(FIVE).to_dict()["vconcat"]
    scales = [layer["encoding"]["x"]["scale"] for layer in [*curve["layer"], numbers]]
    assert all(scale == {"domain": [0, pytest.approx(3)], "nice": False} for scale in scales)
    assert curve["width"] == numbers["width"]
    assert curve["layer"][1]["encoding"]["x"]["axis"]["values"] == at_risk(FIVE)["month"].tolist()


def test_what_is_shown_asks_no_other_server() -> None:
    bundle = plot_curve(FIVE)._repr_mimebundle_()
    assert "text/html" not in bundle
    assert bundle["application/vnd.vegalite.v5+json"]["vconcat"]
    assert bundle["text/plain"].startswith("Kaplan-Meier curve. SYNTHETIC DATA")


def test_without_altair_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.import_module

    def without_altair(name: str, package: str | None = None) -> ModuleType:
        if name == "altair":
            raise ModuleNotFoundError(name)
        return found(name, package)

    monkeypatch.setattr(importlib, "import_module", without_altair)
    with pytest.raises(MissingExtra, match=r'altair is not installed: pip install "fhir_trial\[notebook\]"'):
        plot_curve(FIVE)


def test_with_a_converter_at_hand_a_picture_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    converter = ModuleType("vl_convert")
    converter.__spec__ = importlib.machinery.ModuleSpec("vl_convert", None)
    converter.vegalite_to_svg = lambda spec: f"<svg>{spec['description']}</svg>"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vl_convert", converter)
    assert plot_curve(FIVE)._repr_mimebundle_()["image/svg+xml"].startswith("<svg>Kaplan-Meier curve. SYNTHETIC DATA")
