"""The reports of an analysis as a reader expects them: arms side by side, counts with percentages, means with deviations."""

import importlib.util
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from fhir_trial.endpoints.analyse import Results
from fhir_trial.endpoints.safety import ANY, TOTAL
from fhir_trial.errors import NoSuchName, require
from fhir_trial.notebook.marking import BANNER, marked
from fhir_trial.notebook.masking import Mask

if TYPE_CHECKING:
    import great_tables

TITLES = {
    "disposition": "Participant flow",
    "baseline": "Baseline characteristics",
    "overview": "Treatment-emergent adverse events at a glance",
    "safety": "Treatment-emergent adverse events",
    "exposure": "Exposure",
    "serious_events": "Serious adverse events",
    "deaths": "Deaths",
    "laboratory_grades": "Laboratory results by worst candidate grade on treatment",
    "laboratory_shifts": "Laboratory results: shifts from baseline to the worst on treatment",
    "laboratory_changes": "Laboratory results and their change from baseline",
}

LABELS = {
    "disposition": ("stage", "category"),
    "baseline": ("characteristic", "category"),
    "overview": ("category",),
    "safety": ("organ_class", "preferred_term"),
    "exposure": ("medication", "figure"),
    "laboratory_grades": ("name", "term"),
}
"""Reports that stand with an arm a column, and what names their rows; the others stand as they are."""

NOTES = {
    "laboratory_grades": "Subjects by worst grade, 0/1/2/3/4. Grades of CTCAE by numbers alone: candidates for review, not adverse events.",
    "laboratory_shifts": "Grades of CTCAE by numbers alone: candidates for review, not adverse events.",
    "safety": "Subjects with the event at least once (percent of those treated).",
}


class ShownReport:
    """One report: a masked table with `frame`, arms side by side with `wide`, ready for print with `table`."""

    def __init__(self, name: str, results: Results, mask: Mask) -> None:
        """Show the report `name` with subjects masked."""
        self.name = name
        self._results = results
        self._mask = mask

    def frame(self) -> pd.DataFrame:
        """The report as it is, subjects masked and synthetic data marked."""
        return marked(self._mask.masked(_of(self._results, self.name)), self._results.synthetic)

    def wide(self) -> pd.DataFrame:
        """A row a label and a column an arm; a listing as it is."""
        labels = LABELS.get(self.name)
        return marked(side_by_side(_of(self._results, self.name), labels), self._results.synthetic) if labels else self.frame()

    def table(self) -> "great_tables.GT":
        """The report for print, its conventions and a mark of synthetic data with it; `MissingExtra` without great_tables."""
        great: Any = require("great_tables", "notebook")
        labels = LABELS.get(self.name)
        shown = pd.DataFrame(self.wide())
        # A name of its own for each table would make every run of a notebook differ from the last.
        identity = f"{self.name.replace('_', '-')}-{self._results.study}"
        group = labels[0] if labels is not None and len(labels) > 1 else None
        rows = {} if group is None else {"rowname_col": labels[1] if labels else None, "groupname_col": group}
        table: great_tables.GT = great.GT(shown, id=identity, **rows)
        title = f"{TITLES.get(self.name, self.name)}, {self._results.study}"
        table = table.tab_header(title=title, subtitle=BANNER if self._results.synthetic else None).sub_missing(missing_text="")
        for note in (NOTES.get(self.name), f"Conventions: {self._results.conventions.describe()}"):
            table = table.tab_source_note(note) if note else table
        return table

    def __repr__(self) -> str:
        """The report's name and how many rows it has; `frame` shows them."""
        mark = f" [{BANNER}]" if self._results.synthetic else ""
        return f"{TITLES.get(self.name, self.name)}: {len(_of(self._results, self.name))} rows{mark}"

    def _repr_html_(self) -> str:
        if importlib.util.find_spec("great_tables"):
            html: str = self.table().as_raw_html()
            return html
        return str(self.wide().to_html(index=False))


class ShownReports(Mapping[str, ShownReport]):
    """Every report of an analysis, by name."""

    def __init__(self, results: Results, mask: Mask) -> None:
        """Show the reports of `results` with subjects masked."""
        self._results = results
        self._mask = mask

    def __getitem__(self, name: str) -> ShownReport:
        """The report of that name; `NoSuchName`, a KeyError, names those there are."""
        if name not in set(self):
            raise NoSuchName("report", name, self)
        return ShownReport(name, self._results, self._mask)

    def __iter__(self) -> Iterator[str]:
        """The reports' names."""
        return iter([*self._results.reports, "safety"])

    def __len__(self) -> int:
        """How many reports there are."""
        return len(self._results.reports) + 1

    def __repr__(self) -> str:
        """Each report with how many rows it has."""
        return "\n".join(f"{name}: {self[name]!r}" for name in self)


def _of(results: Results, name: str) -> pd.DataFrame:
    return results.safety if name == "safety" else results.reports[name]


def side_by_side(report: pd.DataFrame, labels: tuple[str, ...]) -> pd.DataFrame:
    """A row a label in the report's order, a column an arm with all of them last; each cell in words."""
    arms = [*dict.fromkeys(arm for arm in report["arm"] if arm != TOTAL), TOTAL]
    keys = [tuple(row) for row in report[list(labels)].itertuples(index=False)]
    cells = {(arm, key): _cell(row) for arm, key, row in zip(report["arm"], keys, report.to_dict(orient="records"), strict=True)}
    whole = [key for arm, key in zip(report["arm"], keys, strict=True) if arm == TOTAL]
    order = list(dict.fromkeys([*whole, *keys]))
    named = {label: [_word(key[place]) for key in order] for place, label in enumerate(labels)}
    return pd.DataFrame(named | {arm: [cells.get((arm, key), "") for key in order] for arm in arms})


def _word(label: object) -> str:
    return "any" if label == ANY else str(label)


def _cell(row: Mapping[Any, Any]) -> str:
    """A count with its percentage, or a mean with its deviation, median and range; nothing where nothing is known.

    >>> _cell({"subjects": 53, "percent": 61.6279}), _cell({"mean": 75.209, "sd": 8.59, "median": 76, "minimum": 52, "maximum": 89})
    ('53 (61.6 %)', '75.21 (8.59); 76 [52, 89]')
    """
    subjects, mean = row.get("subjects"), row.get("mean")
    if subjects is not None and not pd.isna(subjects):
        percent = row.get("percent")
        return f"{int(subjects)}" + ("" if percent is None or pd.isna(percent) else f" ({percent:.1f} %)")
    if mean is not None and not pd.isna(mean):
        spread = "" if pd.isna(row["sd"]) else f" ({row['sd']:.2f})"
        return f"{mean:.2f}{spread}; {row['median']:.4g} [{row['minimum']:.4g}, {row['maximum']:.4g}]"
    if "grade3plus" in row and not pd.isna(row["grade3plus"]):
        return "/".join(str(int(row[f"grade{g}"])) for g in range(5)) + f" of {int(row['n'])}"
    return ""
