"""Endpoints under several conventions as a notebook shows them: figures side by side, and changed outcomes of masked subjects."""

from collections.abc import Iterator

import pandas as pd

from fhir_trial.domain.results import EndpointResult, Estimate
from fhir_trial.endpoints.comparison import Comparison
from fhir_trial.notebook.marking import BANNER, marked
from fhir_trial.notebook.masking import Mask


class ShownComparison:
    """Endpoints under several conventions: `figures` side by side, `changes` of subjects' outcomes with what changed them."""

    def __init__(self, comparison: Comparison, mask: Mask) -> None:
        """Show `comparison` with subjects masked."""
        self.comparison = comparison
        self._mask = mask

    def figures(self) -> pd.DataFrame:
        """One row an endpoint, estimate and set of conventions: n, counted, value, lower, upper."""
        rows = [
            {"endpoint": r.endpoint, "estimate": e.name, "at": e.at, "conventions": name, "n": r.n, "counted": r.count, "value": e.value,
             "lower": e.lower, "upper": e.upper}
            for name, r, e in self._estimates()
        ]  # fmt: skip
        return marked(pd.DataFrame(rows).astype({"value": float, "lower": float, "upper": float}), self.comparison.synthetic)

    def _estimates(self) -> Iterator[tuple[str, EndpointResult, Estimate]]:
        """Each estimate of an endpoint under all the conventions, then the next."""
        for endpoint in self.comparison.endpoints:
            for number in range(len(self.comparison.results[0][endpoint].estimates)):
                for name, results in zip(self.comparison.names(), self.comparison.results, strict=True):
                    yield name, results[endpoint], results[endpoint].estimates[number]

    def changes(self) -> pd.DataFrame:
        """One row an outcome that changes: the subject, under which conventions, before, after, and the parameters behind it."""
        names = self.comparison.names()
        columns = ["subject", "endpoint", "conventions", "before", "after", "because"]
        rows = [
            (c.subject, c.endpoint, names[c.conventions], c.before.describe(), c.after.describe(), c.why()) for c in self.comparison.changes
        ]
        return marked(self._mask.masked(pd.DataFrame(rows, columns=columns)), self.comparison.synthetic)

    def __repr__(self) -> str:
        """The conventions compared, and how many outcomes change of each endpoint; no subject."""
        described = "\n".join(
            f"{name}: {c.describe()}" for name, c in zip(self.comparison.names(), self.comparison.conventions, strict=True)
        )
        counts = {name: sum(change.endpoint == name for change in self.comparison.changes) for name in self.comparison.endpoints}
        told = "; ".join(f"{name}: {count} changed outcomes" for name, count in counts.items())
        return f"{described}\n{told}{f' [{BANNER}]' if self.comparison.synthetic else ''}"

    def _repr_html_(self) -> str:
        rows = [[r.endpoint, r.label_of(e), name, r.n, r.count, *e.words()] for name, r, e in self._estimates()]
        columns = ["endpoint", "estimate", "conventions", "n", "counted", "value", "lower", "upper"]
        figures: str = marked(pd.DataFrame(rows, columns=columns), self.comparison.synthetic).to_html(index=False)
        changes: str = pd.DataFrame(self.changes()).to_html(index=False)
        return f"{f'<p><b>{BANNER}</b></p>' if self.comparison.synthetic else ''}{figures}{changes}"
