"""Conventions side by side, subgroups and locks as a notebook shows them: masked, marked, with the conventions in force."""

from pathlib import Path

import pandas as pd
import pytest

from fhir_trial.errors import UsageError
from fhir_trial.notebook.comparing import ShownComparison
from fhir_trial.notebook.forest import forest_caption, forest_points
from fhir_trial.notebook.marking import BANNER
from fhir_trial.notebook.session import ShownResults, Trial
from fhir_trial.trial.lock import read_lock

pytestmark = pytest.mark.thorough

CONVENTIONS = [
    "protocol: protocol, except data_cutoff=2023-07-31",
    "ema: ema, except death_window_days=63, data_cutoff=2023-07-31, add_one=True",
]


@pytest.fixture(scope="module")
def compared(read_trial: Trial, tmp_path_factory: pytest.TempPathFactory) -> ShownComparison:
    path = tmp_path_factory.mktemp("conventions") / "longer.yaml"
    path.write_text("preset: ema\nadd_one: true\ndeath_window_days: 63\n", "utf-8")
    return read_trial.compare("PFS", ["protocol", path])


@pytest.fixture(scope="module")
def shown(read_trial: Trial, tmp_path_factory: pytest.TempPathFactory) -> ShownResults:
    """The endpoints under a file of conventions and a setting."""
    path = tmp_path_factory.mktemp("conventions") / "mine.yaml"
    path.write_text("preset: protocol\nlevel: 0.9\n", "utf-8")
    return read_trial.endpoints(path, confirm_days="21")


def test_a_comparison_names_masked_subjects_and_the_conventions_behind_each_change(
    compared: ShownComparison, identifiers: list[str]
) -> None:
    changes = compared.changes()
    assert set(changes["subject"]) <= {f"subject {number}" for number in range(1, 7)}
    assert changes["because"].str.contains("add_one").all()
    assert repr(compared).splitlines()[:2] == CONVENTIONS
    assert "PFS: 6 changed outcomes" in repr(compared)
    everything = repr(compared) + compared._repr_html_() + changes.to_csv() + repr(changes)
    assert BANNER in everything
    assert not [name for name in identifiers if name in everything]


def test_figures_stand_side_by_side(compared: ShownComparison) -> None:
    figures = compared.figures()
    assert list(figures["conventions"]) == ["protocol", "ema"] * (len(figures) // 2)
    median = figures[figures["estimate"] == "median"].set_index("conventions")["value"]
    assert median["ema"] == median["protocol"] + 1
    assert repr(figures).startswith(BANNER)


def test_results_print_their_preset_and_each_departure(shown: ShownResults) -> None:
    told = "Conventions: protocol, except confirm_days=21, data_cutoff=2023-07-31, level=0.9"
    assert repr(shown).splitlines()[-1] == told
    assert f"<p>{told}</p>" in shown._repr_html_()


def test_subgroups_and_their_forest(shown: ShownResults) -> None:
    table = shown.subgroups("sex", "age:60", endpoints=["PFS", "ORR"])
    assert repr(table).startswith(BANNER)
    sizes = table[table["endpoint"] == "PFS"].groupby("factor")["n"].sum()
    assert set(sizes) == {6}
    found = shown._subgroups(["sex"], ["PFS"], ())
    points = forest_points(found)
    assert list(points["label"]) == ["sex: F", "sex: M"]
    assert points["text"].iloc[0] == "reference"
    title, lines = forest_caption(found, shown.results["PFS"])
    assert title.startswith(BANNER)
    assert lines[0].endswith("against F")
    pytest.importorskip("altair")
    chart = shown.forest("sex").to_dict()
    assert {panel["height"] for panel in chart["hconcat"]} == {44}
    assert BANNER in chart["description"]
    with pytest.raises(UsageError, match="no hazard ratios"):
        shown.forest("sex", endpoint="ORR")


def test_a_row_without_a_ratio_says_why(shown: ShownResults) -> None:
    rows = forest_points(shown._subgroups(["sex"], ["PFS"], ()))
    assert set(rows.loc[rows["hazard_ratio"].isna(), "text"]) <= {"reference", "not estimable"}
    assert pd.api.types.is_float_dtype(rows["hazard_ratio"])


def test_a_notebook_locks_what_it_shows(read_trial: Trial, shown: ShownResults, tmp_path: Path) -> None:
    made = read_trial.lock(tmp_path / "locked", shown)
    assert made.head["departures"] == {"confirm_days": 21, "data_cutoff": "2023-07-31", "level": 0.9}
    assert read_lock(tmp_path / "locked").digest == made.digest
