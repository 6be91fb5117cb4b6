"""Checks of the baseline targets: how many there are and how large (RECIST 1.1, 3.1.1 and 4.2)."""

import numpy as np
import pandas as pd

from fhir_trial.endpoints.columns import PER_MM, Bools
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.targets import Targets
from fhir_trial.endpoints.visits import Visits
from fhir_trial.errors import Finding, Severity

MOST_TARGETS, MOST_AN_ORGAN, LEAST_MM, LEAST_NODE_MM = 5, 2, 10, 15


def refused(visits: Visits, targets: Targets, conventions: Conventions) -> Bools:
    """Findings for what the limits do not allow; the readings that are refused for it, where the conventions say so."""
    refuse = conventions.baseline_limits == "refuse"
    severity: Severity = "error" if refuse else "warning"
    effect = "the subject is refused" if refuse else "the lesions are judged as recorded"
    out = np.zeros(len(visits.readings.who), dtype=bool)
    for code, rows in _broken(visits, targets.baseline).items():
        visits.readings.report(rows, Finding(code, "", field="baseline", severity=severity, effect=effect))
        out[rows["reading"]] = refuse
    return out


def _broken(visits: Visits, baseline: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """By finding: the targets that are too small, and the readings with too many of them."""
    nodal = baseline["nodal"].to_numpy(dtype=bool)
    size = baseline["size"].to_numpy()
    small = _described(visits, baseline[~nodal & (size < LEAST_MM * PER_MM)], f"a longest diameter of {LEAST_MM} mm or more")
    node = _described(visits, baseline[nodal & (size < LEAST_NODE_MM * PER_MM)], f"a short axis of {LEAST_NODE_MM} mm or more")
    organ = visits.readings.marks["organ"].to_numpy()[baseline["mark"]]
    count = baseline.groupby("reading").size().rename("n").reset_index()
    an_organ = baseline.assign(organ=organ).groupby(["reading", "organ"]).size().rename("n").reset_index()
    return {
        "target-below-limit": small,
        "node-below-limit": node,
        "too-many-targets": _counted(count[count["n"] > MOST_TARGETS], "targets", MOST_TARGETS),
        "too-many-targets-in-an-organ": _counted(an_organ[an_organ["n"] > MOST_AN_ORGAN], "targets in one organ", MOST_AN_ORGAN),
    }


def _described(visits: Visits, small: pd.DataFrame, expected: str) -> pd.DataFrame:
    names = visits.table["visit_name"].to_numpy()[small["at"]]
    return small.assign(visit_name=names, found=[f"{size / PER_MM:g} mm" for size in small["size"]], expected=expected)


def _counted(many: pd.DataFrame, what: str, most: int) -> pd.DataFrame:
    return many[["reading"]].assign(found=[f"{n} {what}" for n in many["n"]], expected=f"at most {most}")
