"""SQL-on-FHIR ViewDefinitions run over resources into Arrow tables."""

from fhir_trial.frames.definition import ViewError, read_view
from fhir_trial.frames.run import RunOptions, ViewRunner, run_view
from fhir_trial.frames.view import View
from fhir_trial.frames.views import shipped_view, shipped_views
from fhir_trial.frames.writing import write_view

__all__ = ["RunOptions", "View", "ViewError", "ViewRunner", "read_view", "run_view", "shipped_view", "shipped_views", "write_view"]
