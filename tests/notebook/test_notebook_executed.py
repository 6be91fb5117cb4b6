"""The first notebook in a fresh demonstration: its figures are the command's, and the outputs that are kept with it are current."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
from notebook_run import PATH, execute


def texts(notebook: Any) -> dict[str, str]:
    """The plain text of each cell's outputs, by cell."""
    return {
        cell["id"]: "\n".join(output.get("data", {}).get("text/plain") or output.get("text", "") for output in cell["outputs"])
        for cell in notebook.cells
        if cell["cell_type"] == "code"
    }


def kept() -> Any:
    return nbformat.read(PATH, as_version=4)


def test_the_kept_notebook_is_valid_executed_and_clean() -> None:
    notebook = kept()
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert all(cell["outputs"] for cell in code)
    assert not [output for cell in code for output in cell["outputs"] if output["output_type"] in ("error", "stream")]
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert not any(cell["metadata"] for cell in notebook.cells)
    assert "SYNTHETIC DATA" in notebook.cells[0]["source"]


def test_the_kept_notebook_names_no_machine_and_shows_a_mark_on_every_table_and_picture() -> None:
    notebook = kept()
    whole = json.dumps(notebook)
    assert not [place for place in (str(PATH.parents[1]), str(Path.home()), tempfile.gettempdir(), "0x7f") if place in whole]
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            rich = [str(text) for kind, text in output["data"].items() if kind != "text/plain"]
            assert all("SYNTHETIC DATA" in text for text in rich), cell["id"]


def test_the_kept_plot_carries_the_columns_it_draws() -> None:
    plots = [
        data
        for cell in kept().cells
        for output in cell.get("outputs", [])
        for kind, data in output["data"].items()
        if kind.startswith("application/vnd.vegalite")
    ]
    assert len(plots) == 1
    columns = {name for rows in plots[0]["datasets"].values() for row in rows for name in row}
    assert columns == {"month", "survival", "lower", "upper", "at_risk"}


@pytest.mark.notebook
def test_the_notebook_in_a_fresh_demonstration_gives_the_figures_of_the_command_and_those_kept(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from fhir_trial.cli.main import main; main()", "demo", "--out", str(tmp_path), "--json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    path = Path(report["paths"]["notebook"])
    assert path == tmp_path / PATH.name
    notebook = execute(path)
    again = "the notebook's outputs are out of date: python tests/notebook_run.py"
    assert texts(notebook) == texts(kept()), again
    endpoints = report["endpoints"]
    plot = next(text for text in texts(notebook).values() if text.startswith("Kaplan-Meier"))
    median = next(e for e in endpoints["PFS"]["estimates"] if e["name"] == "median")
    figures = f"median {median['value']:.4g} days (95 % CI {median['lower']:.4g} to {median['upper']:.4g})"
    assert f"n = {endpoints['PFS']['n']}, events = {endpoints['PFS']['count']}; {figures}" in plot
    html = next(
        o["data"]["text/html"] for c in notebook.cells for o in c.get("outputs", []) if "gt_table" in o["data"].get("text/html", "")
    )
    shown = [
        f"{e[side]:.4g}" for r in endpoints.values() for e in r["estimates"] for side in ("value", "lower", "upper") if e[side] is not None
    ]
    assert not [figure for figure in shown if f">{figure}</td>" not in html]
    subjects = {
        line.split(",")[2].strip('"') for line in (tmp_path / report["study"] / "sdtm" / "dm.csv").read_text("utf-8").splitlines()[1:]
    }
    assert len(subjects) == 28
    assert not [subject for subject in subjects if subject in json.dumps(notebook) + json.dumps(kept())]
