"""Factors: what is known of subjects at baseline, as levels that subgroups and strata are made of."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import pandas as pd

from fhir_trial.endpoints.analysis import Analysis
from fhir_trial.endpoints.baseline_table import MISSING, characteristics
from fhir_trial.errors import Findings, UsageError

BASELINE = {
    "age": "Age (years)",
    "weight": "Weight (kg)",
    "height": "Height (cm)",
    "bsa": "Body surface area (m2)",
    "bmi": "Body mass index (kg/m2)",
    "agegr": "Age group",
    "ecog": "ECOG performance status",
}
"""Short names of baseline characteristics, as `baseline_table` has them."""

COLUMNS = {
    "sex": "sex",
    "race": "race",
    "ethnic": "ethnicity",
    "country": "country",
    "siteid": "site",
    "arm": "arm",
    "saffl": "safety",
    "efffl": "efficacy",
}
"""Names by which columns of `adsl` may be asked for besides their own, in small letters: those of adsl.csv."""

MOST_LEVELS = 50
"""A column with more values than this is no factor."""


@dataclass(frozen=True)
class Factor:
    """A factor by name, as it was asked for; a number is cut at `cuts`, each of which begins a level."""

    name: str
    cuts: tuple[Decimal, ...] = ()

    @staticmethod
    def parse(text: str) -> "Factor":
        """A name, for a number with the places where it is cut.

        >>> Factor.parse("AGE:50,65")
        Factor(name='AGE', cuts=(Decimal('50'), Decimal('65')))
        """
        name, _, places = text.partition(":")
        try:
            cuts = tuple(sorted({Decimal(place.strip()) for place in places.split(",") if place.strip()}))
        except InvalidOperation:
            raise UsageError(f"{text} is cut at numbers: write it as {name}:65 or {name}:50,65") from None
        if not name.strip() or not all(cut.is_finite() for cut in cuts):
            raise UsageError(f"a factor is a column, such as sex, or a number with where to cut it, such as age:65; found {text!r}")
        return Factor(name.strip(), cuts)

    def __str__(self) -> str:
        """The factor as it is asked for."""
        return f"{self.name}:{','.join(map(str, self.cuts))}" if self.cuts else self.name

    def levels(self) -> list[str]:
        """The levels that the cuts make, lowest first.

        >>> Factor.parse("age:50,65").levels()
        ['<50', '50 to <65', '>=65']
        """
        between = [f"{low} to <{high}" for low, high in zip(self.cuts, self.cuts[1:], strict=False)]
        return [f"<{self.cuts[0]}", *between, f">={self.cuts[-1]}"] if self.cuts else []

    def level(self, value: Any) -> str:
        """The level of a subject's value; `MISSING` where there is none."""
        if pd.isna(value):
            return MISSING
        if not self.cuts:
            return {True: "Y", False: "N"}[value] if isinstance(value, bool) else str(value)
        return self.levels()[sum(Decimal(str(value)) >= cut for cut in self.cuts)]


def levels(analysis: Analysis, factor: Factor) -> tuple[dict[str, str], list[str]]:
    """The level of each enrolled subject, and the levels that there are, in order.

    `UsageError` names a column that is not known, a number that is not cut, and words that cannot be.
    """
    values = _values(analysis, factor)
    numeric = all(
        isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in values.values() if not pd.isna(value)
    )
    if numeric and not factor.cuts and len(values):
        raise UsageError(f"{factor.name} is a number: say where it is cut, such as {factor.name}:65")
    if factor.cuts and not numeric:
        raise UsageError(f"{factor.name} is no number and cannot be cut at {', '.join(map(str, factor.cuts))}")
    of_subject = {subject: factor.level(value) for subject, value in values.items()}
    found = set(of_subject.values())
    if len(found) > MOST_LEVELS:
        raise UsageError(f"{factor.name} has {len(found)} values: it makes no subgroups")
    known = [level for level in factor.levels() if level in found] or sorted(found - {MISSING})
    return of_subject, [*known, *([MISSING] if MISSING in found else [])]


def _values(analysis: Analysis, factor: Factor) -> Mapping[str, Any]:
    enrolled = analysis.adsl[analysis.adsl["intention_to_treat"].to_numpy(dtype=bool)].reset_index(drop=True)
    subjects, name = [str(s) for s in enrolled["subject"]], factor.name.lower()
    if name in BASELINE:
        known = characteristics(analysis.tables, enrolled, Findings())
        return dict(zip(subjects, known[BASELINE[name]], strict=True))
    column = COLUMNS.get(name, name)
    if column not in enrolled or pd.api.types.is_datetime64_any_dtype(enrolled[column].dtype):
        names = [*BASELINE, *COLUMNS, *(str(c) for c in enrolled if not pd.api.types.is_datetime64_any_dtype(enrolled[c].dtype))]
        near = difflib.get_close_matches(name, names, n=1)
        raise UsageError(
            f"no column is named {factor.name}: " + (f"did you mean {near[0]}?" if near else f"there are {', '.join(dict.fromkeys(names))}")
        )
    return dict(zip(subjects, enrolled[column].astype(object), strict=True))
