"""Executes the first notebook in a demonstration's folder; as a script it writes the notebook again with what comes out.

    python tests/notebook_run.py

With vl-convert-python installed the plots get a picture beside their drawing, for readers that run nothing.
"""

import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import nbformat

from fhir_trial.trial.demo import NOTEBOOK, Demo, demo

PATH = Path(__file__).resolve().parents[1] / "notebooks" / NOTEBOOK


def execute(path: Path) -> Any:
    """The notebook at `path`, executed where it stands and free of all that differs from run to run."""
    os.environ["JUPYTER_PLATFORM_DIRS"] = "1"
    with warnings.catch_warnings():
        # Jupyter's own, on import and about how its kernel is reached.
        warnings.simplefilter("ignore")
        from nbclient import NotebookClient

        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=300, record_timing=False, resources={"metadata": {"path": str(path.parent)}}).execute()
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", []):
            # A great-tables table describes itself by its parts with their addresses in memory.
            if output.get("data", {}).get("text/plain", "").startswith("GT("):
                output["data"]["text/plain"] = "GT(...)"
    return notebook


def in_demo(folder: Path) -> tuple[Demo, Any]:
    """A fresh demonstration in `folder`, and its notebook executed there."""
    done = demo(folder)
    return done, execute(done.paths["notebook"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        nbformat.write(in_demo(Path(place))[1], PATH)
