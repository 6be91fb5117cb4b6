"""What a notebook holds: a trial whose tables show masked subjects, and results that plot themselves."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from fhir_trial.domain.results import EndpointResult, Estimate
from fhir_trial.endpoints.analyse import Results
from fhir_trial.endpoints.conventions import for_study
from fhir_trial.errors import require
from fhir_trial.fhir.versions import DEFAULT
from fhir_trial.notebook.masking import Mask
from fhir_trial.notebook.plots import plot_curve
from fhir_trial.sync.push import Report
from fhir_trial.trial.opened import OpenTrial, open_trial

if TYPE_CHECKING:
    import altair
    import great_tables

BANNER = "SYNTHETIC DATA: about no real person"


class ShownResult:
    """One endpoint's result, shown as a line of figures and, with `plot`, as a curve."""

    def __init__(self, result: EndpointResult, mask: Mask) -> None:
        """Show `result` with subjects masked."""
        self.result = result
        self._mask = mask

    def plot(self) -> "altair.VConcatChart":
        """The Kaplan-Meier curve with its interval and numbers at risk; `UsageError` for an endpoint without a curve."""
        return plot_curve(self.result)

    def subjects(self) -> pd.DataFrame:
        """Each subject's value, its reason and the record it rests on."""
        return self._mask.masked(self.result.subjects)

    def __repr__(self) -> str:
        """The endpoint and its figures."""
        figures = "; ".join(f"{e.name}{_at(e)} {_shown(e)}" for e in self.result.estimates)
        mark = f" [{BANNER}]" if self.result.synthetic else ""
        return f"{self.result.endpoint}: n = {self.result.n}, {self.result.count} counted; {figures}{mark}"


def _at(estimate: Estimate) -> str:
    return f" at {estimate.at} {estimate.at_unit}" if estimate.at is not None else ""


def _number(value: float | None) -> str:
    return "not reached" if value is None else f"{value:.4g}"


def _shown(estimate: Estimate) -> str:
    return f"{_number(estimate.value)} ({_number(estimate.lower)} to {_number(estimate.upper)})"


class ShownResults(Mapping[str, ShownResult]):
    """All endpoints of an analysis, by name."""

    def __init__(self, results: Results, mask: Mask) -> None:
        """Show `results` with subjects masked."""
        self.results = results
        self._mask = mask

    def __getitem__(self, name: str) -> ShownResult:
        """The result of that endpoint in all subjects."""
        return ShownResult(self.results[name], self._mask)

    def __iter__(self) -> Iterator[str]:
        """The endpoints' names."""
        return iter(self.results)

    def __len__(self) -> int:
        """How many endpoints there are."""
        return len(self.results)

    def summary(self) -> pd.DataFrame:
        """One row an estimate: endpoint, estimate, n, counted, value, lower, upper."""
        return endpoint_table(self.results)

    def safety(self) -> pd.DataFrame:
        """Treatment-emergent events by arm, organ class and term."""
        return self.results.safety

    def table(self) -> "great_tables.GT":
        """The summary as a table for print, its conventions and a mark of synthetic data below."""
        great: Any = require("great_tables", "notebook")
        notes = [f"Conventions: {self.results.conventions.describe()}", *([BANNER] if self.results.synthetic else [])]
        table: great_tables.GT = great.GT(self.summary()).tab_header(title=f"Endpoints of {self.results.study}")
        for note in notes:
            table = table.tab_source_note(note)
        return table.fmt_number(columns=["value", "lower", "upper"], n_sigfig=4)

    def _repr_html_(self) -> str:
        html: str = self.summary().to_html(index=False, na_rep="not reached")
        return html + (f"<p><b>{BANNER}</b></p>" if self.results.synthetic else "")


def endpoint_table(results: Results) -> pd.DataFrame:
    """One row an estimate of each endpoint: endpoint, estimate, n, counted, value, lower, upper, unit; empty is not reached."""
    rows = [
        {"endpoint": r.endpoint, "estimate": f"{e.name}{_at(e)}", "n": r.n, "counted": r.count, "value": e.value, "lower": e.lower,
         "upper": e.upper, "unit": e.unit or ""}
        for r in results.values()
        for e in r.estimates
    ]  # fmt: skip
    columns = ["endpoint", "estimate", "n", "counted", "value", "lower", "upper", "unit"]
    return pd.DataFrame(rows, columns=columns).astype({"value": float, "lower": float, "upper": float})


class Trial:
    """A study opened in a notebook; subjects are masked unless `unmasked` names the reason to see them."""

    def __init__(self, opened: OpenTrial, unmasked: str | None = None) -> None:
        """Show what `opened` reads."""
        self._opened = opened
        self._unmasked = unmasked
        self._results: Results | None = None

    def pull(self) -> "Trial":
        """Read the study's data; give back the trial, which shows what it holds."""
        self._opened.pull()
        return self

    def _mask(self) -> Mask:
        return Mask(self._opened.data.table("subject")["subject"].to_pylist())

    def _frame(self, entity: str) -> pd.DataFrame:
        frame = self._opened.data.frame(entity)
        return frame if self._unmasked else self._mask().masked(frame)

    def subjects(self) -> pd.DataFrame:
        """The subjects with their dates, arms and states, repeats left out."""
        return self._frame("subject").drop(columns=["dispositions", "contacts"])

    def doses(self) -> pd.DataFrame:
        """The doses given."""
        return self._frame("dose")

    def lesions(self) -> pd.DataFrame:
        """The measurements of lesions: one row a lesion, visit and evaluator."""
        return self._frame("measurement")

    def responses(self) -> pd.DataFrame:
        """The responses as reported."""
        return self._frame("response")

    def adverse_events(self) -> pd.DataFrame:
        """The adverse events, their seriousness criteria left out."""
        return self._frame("adverse_event").drop(columns=["criteria"])

    def endpoints(self, conventions: str = "protocol", **settings: object) -> ShownResults:
        """The endpoints under a preset of conventions and any settings that depart from it."""
        chosen = for_study(self._opened.study, conventions, settings)
        self._results = self._opened.analyse(chosen)
        return ShownResults(self._results, self._mask())

    def publish(self) -> Report:
        """Write the results calculated last (else those of the protocol) to the server as FHIR."""
        if self._results is None:
            self.endpoints()
        assert self._results is not None  # endpoints() has just set them
        return self._opened.publish(self._results)

    def __repr__(self) -> str:
        """The study and how many rows of each kind are at hand; never a row."""
        if not self._opened.is_read:
            return f"Trial({self._opened.study.id}; nothing read yet)"
        data = self._opened.data
        return f"{data!r}{' [' + BANNER + ']' if data.synthetic else ''}"


def open_study(
    study: str, server: str | None = None, folder: str | Path | None = None, fhir: str = DEFAULT, unmasked: str | None = None
) -> Trial:
    """Open a study by id or file, from a server (a name of the configuration, or a URL) or a folder.

    Subjects are masked in every table; `unmasked="the reason"` shows them. Raises `UsageError` for a study or source that is not known,
    `ConfigurationError` for a server that is not configured.
    """
    return Trial(open_trial(study, server, folder, fhir), unmasked)
