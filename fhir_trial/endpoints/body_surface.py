"""Body surface area at each dose: as recorded, or by Mosteller's or Du Bois' formula from height and weight."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import NO_DAY, Ints
from fhir_trial.endpoints.conventions import Conventions

Numbers = npt.NDArray[np.float64]


def mosteller(height_cm: Any, weight_kg: Any) -> Any:
    """Square metres by Mosteller (N Engl J Med 1987;317:1098).

    >>> round(mosteller(170, 70), 3)
    1.818
    """
    return (height_cm * weight_kg / 3600) ** 0.5


def dubois(height_cm: Any, weight_kg: Any) -> Any:
    """Square metres by Du Bois and Du Bois (Arch Intern Med 1916;17:863).

    >>> round(dubois(170, 70), 3)
    1.81
    """
    return 0.007184 * weight_kg**0.425 * height_cm**0.725


FORMULAS: dict[str, Callable[[Any, Any], Any]] = {"mosteller": mosteller, "dubois": dubois}
"""Formulas by the name that the convention `bsa` has for them."""

TO_STANDARD = {"m2": 1.0, "kg": 1.0, "g": 0.001, "[lb_av]": 0.45359237, "cm": 1.0, "m": 100.0, "[in_i]": 2.54}
"""What a unit (UCUM) is in m2, kg or cm."""


def at_doses(dose: pd.DataFrame, start: Ints, tables: Mapping[str, pd.DataFrame], conventions: Conventions) -> Numbers:
    """Square metres at each dose, NaN where not known: the value used for the dose, else the last one measured up to its day."""
    if conventions.bsa == "recorded":
        used = col.column(dose, "bsa_used").astype("float64").to_numpy()
        return np.where(np.isnan(used), _latest("bsa", dose, start, tables), used)
    height, weight = (_latest(test, dose, start, tables) for test in ("height", "weight"))
    area: Numbers = FORMULAS[conventions.bsa](height, weight)
    return area


def _latest(test: str, dose: pd.DataFrame, start: Ints, tables: Mapping[str, pd.DataFrame]) -> Numbers:
    """The last measurement of each dose's subject up to the dose, in m2, kg or cm; an undated one where there is no other."""
    measured = tables.get("body_measure")
    if measured is None or not len(measured):
        return np.full(len(dose), np.nan)
    rows = measured[(measured["test"] == test).to_numpy(dtype=bool)]
    on = col.days(rows["on"], "first")
    factor = rows["unit"].astype(object).map(TO_STANDARD).astype("float64").to_numpy()
    values = pd.DataFrame(
        {"subject": rows["subject"].astype(object), "on": np.where(on == NO_DAY, -1, on), "value": rows["value"].astype("float64") * factor}
    )
    asked = pd.DataFrame({"subject": dose["subject"].astype(object), "on": start, "row": np.arange(len(dose))}).sort_values("on")
    found = pd.merge_asof(asked, values.dropna().sort_values("on"), on="on", by="subject")
    return found.sort_values("row")["value"].to_numpy(dtype=float)
