"""What a forest plot draws, as a table: the hazard ratio of each subgroup with its interval; no subject in any."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from fhir_trial.domain.results import EndpointResult
from fhir_trial.endpoints.safety import TOTAL
from fhir_trial.endpoints.subgroups import ALL, Subgroup, table
from fhir_trial.errors import UsageError, require
from fhir_trial.notebook.marking import BANNER

if TYPE_CHECKING:
    import altair


def forest_points(found: Sequence[Subgroup]) -> pd.DataFrame:
    """One row a comparison, in the plot's order: label, n, hazard_ratio, lower, upper, text.

    Between arms, a row a subgroup and arm against the arm of reference; in a study of one arm, a row a level against its factor's first.
    """
    rows = table(found)
    by_arm = bool((rows["arm"] != TOTAL).any())
    compared = rows[(rows["arm"] != TOTAL) & (rows["arm"] != rows["reference"])] if by_arm else rows[rows["reference"].notna()]
    level = compared["level"].where(compared["factor"] == ALL, compared["factor"] + ": " + compared["level"])
    several = compared["arm"].nunique() > 1
    label = level + (", " + compared["arm"] if several else "")
    points = pd.DataFrame({"label": label, "n": compared["n"], "hazard_ratio": compared["hazard_ratio"]})
    points["lower"], points["upper"] = compared["hr_lower"], compared["hr_upper"]
    is_reference = (compared["level"] == compared["reference"]) & (not by_arm)
    points["text"] = [_text(r, reference) for r, reference in zip(points.to_dict("records"), is_reference, strict=True)]
    return points.reset_index(drop=True)


def _text(row: dict[object, float], is_reference: bool) -> str:
    if is_reference:
        return "reference"
    if pd.isna(row["hazard_ratio"]):
        return "not estimable"
    return f"{row['hazard_ratio']:.2f} ({row['lower']:.2f} to {row['upper']:.2f})"


def forest_caption(found: Sequence[Subgroup], result: EndpointResult) -> tuple[str, list[str]]:
    """The title and the lines below it: of what study, a mark of synthetic data, what is compared, the conventions in force."""
    mark = f"{BANNER}. " if result.synthetic else ""
    changed = ", ".join(f"{name} = {value}" for name, value in result.departures.items())
    methods = list(dict.fromkeys(subgroup.between.method for subgroup in found if subgroup.between))
    level = next((f"{100 * subgroup.between.level:.4g} %" for subgroup in found if subgroup.between), "")
    return f"{mark}{result.endpoint}, {result.study}: subgroups", [
        f"Hazard ratio and {level} interval: {'; '.join(methods)}",
        f"Conventions: {result.preset}{f', except {changed}' if changed else ''}",
    ]


def plot_forest(found: Sequence[Subgroup], result: EndpointResult) -> "altair.HConcatChart":
    """The hazard ratios of subgroups as a forest plot; `UsageError` where nothing is compared, `MissingExtra` without altair."""
    if not any(subgroup.between for subgroup in found):
        raise UsageError(f"{result.endpoint} has no hazard ratios here: compare a time to an event between arms or levels")
    require("altair", "notebook")
    from fhir_trial.notebook.drawing import draw_forest

    return draw_forest(forest_points(found), forest_caption(found, result))
