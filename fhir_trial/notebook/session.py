"""What a notebook holds: a trial whose tables show masked subjects, and results that plot themselves."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from fhir_trial.domain.results import EndpointResult
from fhir_trial.domain.tables import to_frame
from fhir_trial.endpoints.analyse import Results
from fhir_trial.endpoints.comparison import compare
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.factors import Factor
from fhir_trial.endpoints.subgroups import Subgroup, subgroups
from fhir_trial.endpoints.subgroups import table as subgroup_table
from fhir_trial.errors import UsageError, require
from fhir_trial.fhir.versions import DEFAULT
from fhir_trial.notebook.comparing import ShownComparison
from fhir_trial.notebook.forest import plot_forest
from fhir_trial.notebook.marking import BANNER, marked
from fhir_trial.notebook.masking import Mask
from fhir_trial.notebook.plots import plot_curve
from fhir_trial.notebook.reports import ShownReport, ShownReports
from fhir_trial.sources.conventions_file import Named, chosen_conventions
from fhir_trial.sync.push import Report
from fhir_trial.trial.derived import write_endpoints
from fhir_trial.trial.lock import Lock, lock
from fhir_trial.trial.opened import OpenTrial, open_trial
from fhir_trial.trial.opening import open_resource
from fhir_trial.trial.tables import trial_table

if TYPE_CHECKING:
    import altair
    import great_tables

SOURCE_COLUMNS = "_source_columns"
"""The end of the names of tables of what a source's row said as it stood there."""
ORDER = ("subject", "start", "on", "visit_number", "lesion", "evaluator", "evaluator_id", "sequence")
"""What the rows of a table are ordered by, as far as it has such columns: a server gives them in no order."""


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
        return _shown_frame(self.result.subjects, self._mask, self.result.synthetic)

    def __repr__(self) -> str:
        """The endpoint and its figures."""
        figures = "; ".join(f"{self.result.label_of(e)} {e.shown()}" for e in self.result.estimates)
        mark = f" [{BANNER}]" if self.result.synthetic else ""
        arm = f", {self.result.arm}" if self.result.arm else ""
        return f"{self.result.endpoint}{arm}: n = {self.result.n}, {self.result.count} counted; {figures}{mark}"


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

    @property
    def conventions(self) -> Conventions:
        """The conventions in force."""
        return self.results.conventions

    def summary(self) -> pd.DataFrame:
        """One row an estimate: endpoint, estimate, n, counted, value, lower, upper; in a study of several arms each arm's too."""
        return marked(endpoint_table(self.results), self.results.synthetic)

    @property
    def reports(self) -> ShownReports:
        """Participant flow, baseline, safety, exposure, listings and laboratory tables, by name."""
        return ShownReports(self.results, self._mask)

    def disposition(self) -> ShownReport:
        """Participant flow by arm."""
        return self.reports["disposition"]

    def baseline(self) -> ShownReport:
        """Baseline characteristics by arm ("Table 1")."""
        return self.reports["baseline"]

    def safety(self) -> pd.DataFrame:
        """Treatment-emergent events by arm, organ class and term."""
        return marked(self.results.safety, self.results.synthetic)

    def table(self) -> "great_tables.GT":
        """The summary as a table for print, its conventions and a mark of synthetic data below."""
        great: Any = require("great_tables", "notebook")
        figures = ["value", "lower", "upper"]
        # A name of its own for each table would make every run of a notebook differ from the last.
        table: great_tables.GT = great.GT(endpoint_table(self.results, in_words=True), id=f"endpoints-{self.results.study}")
        return (
            table.tab_header(title=f"Endpoints of {self.results.study}", subtitle=BANNER if self.results.synthetic else None)
            .tab_spanner(label=f"{100 * float(self.results.conventions.level):.4g} % interval", columns=["lower", "upper"])
            .cols_align("right", columns=figures)
            .tab_source_note(f"Conventions: {self.results.conventions.describe()}")
        )

    def subgroups(self, *by: str, endpoints: Sequence[str] = ("PFS",), strata: Sequence[str] = ()) -> pd.DataFrame:
        """Endpoints in each level of columns such as sex or age:65, by arm, with hazard ratios; comparisons are stratified by `strata`."""
        return marked(subgroup_table(self._subgroups(by, endpoints, strata)), self.results.synthetic)

    def forest(self, *by: str, endpoint: str = "PFS", strata: Sequence[str] = ()) -> "altair.HConcatChart":
        """The hazard ratios of an endpoint in subgroups as a forest plot; `UsageError` where there is nothing to compare."""
        return plot_forest(self._subgroups(by, [endpoint], strata), self.results[endpoint])

    def _subgroups(self, by: Sequence[str], endpoints: Sequence[str], strata: Sequence[str]) -> tuple[Subgroup, ...]:
        factors, stratified = ([Factor.parse(text) for text in texts] for texts in (by, strata))
        return subgroups(self.results.derivation, endpoints, factors, stratified)

    def __repr__(self) -> str:
        """The figures of every endpoint, one a line, and the conventions that they rest on."""
        return "\n".join([*(repr(self[name]) for name in self), f"Conventions: {self.conventions.describe()}"])

    def _repr_html_(self) -> str:
        html: str = marked(endpoint_table(self.results, in_words=True), self.results.synthetic).to_html(index=False)
        told = f"{html}<p>Conventions: {escape(self.conventions.describe())}</p>"
        return f"<p><b>{BANNER}</b></p>{told}" if self.results.synthetic else told


def endpoint_table(results: Results, in_words: bool = False) -> pd.DataFrame:
    """One row an estimate of each endpoint: endpoint, estimate, n, counted, value, lower, upper, unit; an empty figure is not known.

    In a study of several arms `arm` comes second, "all" being everyone. `in_words` gives figures as text, which says why one is missing.
    """
    rows = [
        [r.endpoint, r.arm or "all", r.label_of(e), r.n, r.count, *(e.words() if in_words else (e.value, e.lower, e.upper)), e.unit or ""]
        for r in results.of_everyone_and_arms()
        for e in r.estimates
    ]
    columns = ["endpoint", "arm", "estimate", "n", "counted", "value", "lower", "upper", "unit"]
    table = pd.DataFrame(rows, columns=columns) if results.by_arm else pd.DataFrame(rows, columns=columns).drop(columns="arm")
    return table if in_words else table.astype({"value": float, "lower": float, "upper": float})


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
        return Mask(self._opened.data.table("subject")["subject"].to_pylist(), shown=bool(self._unmasked))

    def table(self, name: str, lineage: bool = False) -> pd.DataFrame:
        """The table of an entity (`therapy`) or of a repeat (`subject_dispositions`), with study days, cycles and labels.

        Study days count from the first dose, day 1. With `lineage` each row says which `resource` it was read from, in which `version`;
        `resource` opens it. A `UsageError` lists all.
        What stood in a source's own columns may name its subject: it is shown only where subjects are.
        """
        data = self._opened.data
        if name.endswith(SOURCE_COLUMNS) and not self._unmasked:
            raise UsageError(f'{name} may name its subjects: open the study with unmasked="the reason to see it"')
        return _shown_frame(_plain_numbers(to_frame(trial_table(data, name, lineage))), self._mask(), data.synthetic)

    def subjects(self, lineage: bool = False) -> pd.DataFrame:
        """The subjects with their sex, dates, arms and states; their milestones are `table("subject_dispositions")`."""
        return self.table("subject", lineage)

    def doses(self, lineage: bool = False) -> pd.DataFrame:
        """The doses given."""
        return self.table("dose", lineage)

    def lesions(self, lineage: bool = False) -> pd.DataFrame:
        """The measurements of lesions: one row a lesion, visit and evaluator, with the lesion's organ."""
        return self.table("measurement", lineage)

    def responses(self, lineage: bool = False) -> pd.DataFrame:
        """The responses as reported."""
        return self.table("response", lineage)

    def adverse_events(self, lineage: bool = False) -> pd.DataFrame:
        """The adverse events; their seriousness criteria are `table("adverse_event_criteria")`."""
        return self.table("adverse_event", lineage)

    def therapies(self, lineage: bool = False) -> pd.DataFrame:
        """Treatments outside the study: prior, concomitant, subsequent."""
        return self.table("therapy", lineage)

    def performance_status(self, lineage: bool = False) -> pd.DataFrame:
        """ECOG performance status."""
        return self.table("performance_status", lineage)

    def laboratory(self, lineage: bool = False) -> pd.DataFrame:
        """The laboratory results."""
        return self.table("laboratory", lineage)

    def vital_signs(self, lineage: bool = False) -> pd.DataFrame:
        """The vital signs."""
        return self.table("vital_sign", lineage)

    def resource(self, row: "Mapping[str, Any] | pd.Series[Any] | str") -> dict[str, Any]:
        """The resource that a row of a table with lineage was read from, in that version; also of a place (`Type/id`).

        A resource names its subject: `UsageError` unless the study was opened with `unmasked`.
        """
        if not self._unmasked:
            raise UsageError('a resource names its subject: open the study with unmasked="the reason to see it"')
        return open_resource(self._opened, row if isinstance(row, str) else dict(row))

    def endpoints(self, conventions: Named = "protocol", **settings: object) -> ShownResults:
        """The endpoints under a preset of conventions, a file or an object of them, and any settings that depart from it."""
        chosen = chosen_conventions(self._opened.study, conventions, settings)
        self._results = self._opened.analyse(chosen)
        return ShownResults(self._results, self._mask())

    def compare(self, endpoints: str | Sequence[str], conventions: Sequence[Named], **settings: object) -> ShownComparison:
        """An endpoint, or several, under each of the conventions (presets or files): figures, and the subjects whose outcome changes."""
        names = [endpoints] if isinstance(endpoints, str) else endpoints
        chosen = [chosen_conventions(self._opened.study, each, settings) for each in conventions]
        return ShownComparison(compare(self._opened.data, names, chosen), self._mask())

    def lock(self, folder: str | Path, results: ShownResults | None = None) -> Lock:
        """Write `results` (else those calculated last, else the protocol's) to `folder` and freeze them there as `fhir-trial lock` does."""
        write_endpoints(Path(folder), self._chosen(results), self._opened.data, self._opened.source())
        return lock(Path(folder))

    def _chosen(self, results: ShownResults | None) -> Results:
        chosen = results.results if results is not None else self._results
        return chosen if chosen is not None else self.endpoints().results

    def publish(self, results: ShownResults | None = None) -> Report:
        """Write `results` (else those calculated last, else the protocol's) to the server as FHIR; a second time writes nothing."""
        return self._opened.publish(self._chosen(results))

    def __repr__(self) -> str:
        """The study and how many rows of each kind are at hand; never a row."""
        if not self._opened.is_read:
            return f"Trial({self._opened.study.id}; nothing read yet)"
        data = self._opened.data
        counts = ", ".join(f"{name}: {table.num_rows}" for name, table in data.tables.items())
        return f"Trial({data.study.id}; {counts}){f' [{BANNER}]' if data.synthetic else ''}"


def _shown_frame(frame: pd.DataFrame, mask: Mask, synthetic: bool) -> pd.DataFrame:
    """The table in order, its subjects masked, synthetic data marked."""
    by = [name for name in ORDER if name in frame]
    return marked(mask.masked(frame.sort_values(by, ignore_index=True)), synthetic)


def _plain_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with decimals as floats: for display and sums; the exact ones stay in the data."""
    decimals = [name for name, kind in frame.dtypes.items() if pa.types.is_decimal(getattr(kind, "pyarrow_dtype", pa.null()))]
    return frame.astype(dict.fromkeys(decimals, pd.ArrowDtype(pa.float64())))


def open_study(
    study: str, server: str | None = None, folder: str | Path | None = None, fhir: str = DEFAULT, unmasked: str | None = None
) -> Trial:
    """Open a study by id or file, from a server (a name of the configuration, or a URL) or a folder.

    Subjects are masked in every table; `unmasked="the reason"` shows them. Raises `UsageError` for a study or source that is not known,
    `ConfigurationError` for a server that is not configured.
    """
    return Trial(open_trial(study, server, folder, fhir), unmasked)
