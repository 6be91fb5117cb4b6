"""Participant flow: how many were screened, enrolled and treated, and how treatment and study ended, by arm."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.dispositions import endings_by_subject
from fhir_trial.endpoints.safety import TOTAL

COLUMNS = ("arm", "stage", "category", "n", "subjects", "percent")
"""`category`: "" for the stage as a whole, else the reason; `percent` of `n`, those who could come to the stage."""

SCREEN_FAILURE = "screen-failure"
SCOPES = ("treatment", "study")


def table(tables: Mapping[str, pd.DataFrame], adsl: pd.DataFrame, conventions: Conventions) -> pd.DataFrame:
    """`COLUMNS` for each arm and all subjects: screened, screen failure, enrolled, treated; treatment and study completed, discontinued
    (and for each reason) and ongoing; died.

    A death ends the study of whom no event did. Treatment's end is left out where the data tell the end of the study only. What happened
    after the data cutoff is not seen.
    """
    subjects = adsl.assign(**{scope: _endings(tables["subject"], adsl, scope, conventions) for scope in SCOPES})
    arms = [*sorted({str(arm) for arm in adsl["arm"][adsl["intention_to_treat"].to_numpy(dtype=bool)]}), TOTAL]
    rows = [(arm, *row) for arm in arms for row in _flow(subjects if arm == TOTAL else subjects[subjects["arm"] == arm], arm == TOTAL)]
    found = pd.DataFrame(rows, columns=["arm", "stage", "category", "n", "subjects"])
    whole = _every_reason(found, arms)
    return whole.assign(percent=100 * whole["subjects"] / whole["n"].where(whole["n"] > 0))[list(COLUMNS)]


def _endings(subject: pd.DataFrame, adsl: pd.DataFrame, scope: str, conventions: Conventions) -> Any:
    """The name of the event that ended the treatment or the study of each subject of `adsl`; None for none."""
    return endings_by_subject(subject, adsl, scope, conventions)["event"].str.upper().to_numpy(dtype=object)


def _flow(subjects: pd.DataFrame, everyone: bool) -> list[tuple[str, str, int, int]]:
    """Stage, reason, those who could come to it and those who did."""
    enrolled = subjects[subjects["intention_to_treat"].to_numpy(dtype=bool)]
    treated = enrolled[enrolled["safety"].to_numpy(dtype=bool)]
    rows: list[tuple[str, str, int, int]] = []
    if everyone:
        failed = int((subjects["state"] == SCREEN_FAILURE).sum())
        rows = [("screened", "", len(subjects), len(subjects)), ("screen failure", "", len(subjects), failed)]
    rows += [("enrolled", "", len(enrolled), len(enrolled)), ("treated", "", len(enrolled), len(treated))]
    if treated["treatment"].notna().any():
        rows += _ended("treatment", treated)
    return [*rows, *_ended("study", enrolled), ("died", "", len(enrolled), int(enrolled["died"].sum()))]


def _ended(scope: str, subjects: pd.DataFrame) -> list[tuple[str, str, int, int]]:
    ends, size = subjects[scope], len(subjects)
    reasons = ends[ends.notna() & (ends != "COMPLETED")].value_counts().sort_index()
    return [
        (f"{scope} completed", "", size, int((ends == "COMPLETED").sum())),
        (f"{scope} discontinued", "", size, int(reasons.sum())),
        *((f"{scope} discontinued", str(reason), size, int(count)) for reason, count in reasons.items()),
        (f"{scope} ongoing", "", size, int(ends.isna().sum())),
    ]


def _every_reason(found: pd.DataFrame, arms: list[str]) -> pd.DataFrame:
    """The rows of every arm in the order of all subjects' rows, with those that nobody of the arm is in; they know every stage."""
    order = found[found["arm"] == TOTAL][["stage", "category"]]
    own = {(a, s, c): (n, k) for a, s, c, n, k in found.itertuples(index=False)}
    sizes = {(a, s): n for a, s, _, n, _ in found.itertuples(index=False)}
    rows = [
        (arm, stage, category, *own.get((arm, stage, category), (sizes.get((arm, stage), 0), 0)))
        for arm in arms
        for stage, category in order.itertuples(index=False)
        if arm == TOTAL or stage not in ("screened", "screen failure")
    ]
    return pd.DataFrame(rows, columns=["arm", "stage", "category", "n", "subjects"])
