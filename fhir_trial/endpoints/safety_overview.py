"""Treatment-emergent events at a glance, and listings of serious events and deaths, one row an event or a death."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints import safety
from fhir_trial.endpoints.columns import NO_DAY
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.fact_tables import on_days
from fhir_trial.endpoints.safety import TOTAL
from fhir_trial.endpoints.subjects import first_dose, study_day

OVERVIEW_COLUMNS = ("arm", "category", "n", "subjects", "percent", "events")
"""`n`: the safety population of the arm; `subjects` with any such event, `events` how many."""

SERIOUS_COLUMNS = (
    *("subject", "arm", "sequence", "term", "preferred_term", "organ_class", "grade", "start", "end", "day", "serious", "criteria"),
    *("related", "action", "outcome", "emergent"),
)
"""`day`: from the first dose, which is day 1; `serious` as reported, which `criteria` may contradict; `emergent`: began on treatment."""

DEATH_COLUMNS = ("subject", "arm", "safety", "death_on", "day", "days_after_last_dose", "on_treatment", "fatal_events", "disposition")
"""`on_treatment`: within the window of treatment-emergent events; `fatal_events`: the terms of events that the subject died of."""


def overview(tables: Mapping[str, pd.DataFrame], adsl: pd.DataFrame, conventions: Conventions) -> pd.DataFrame:
    """`OVERVIEW_COLUMNS` of each arm and all: any event, and those of each kind that a safety summary begins with."""
    treated = adsl[adsl["safety"].to_numpy(dtype=bool)]
    events = tables.get("adverse_event", pd.DataFrame(columns=["subject"]))
    facts = safety.facts(events[safety.emergent(events, adsl, conventions)], treated, conventions)
    kinds = _kinds(facts)
    rows = []
    for arm in [*sorted({str(arm) for arm in treated["arm"]}), TOTAL]:
        size = len(treated) if arm == TOTAL else int((treated["arm"] == arm).sum())
        own = np.ones(len(facts), dtype=bool) if arm == TOTAL else (facts["arm"] == arm).to_numpy(dtype=bool)
        for name, chosen in kinds.items():
            found = facts[own & chosen.to_numpy(dtype=bool)] if chosen is not None else None
            counts = (None, None, None) if found is None else _counts(found, size)
            rows.append((arm, name, size, *counts))
    return pd.DataFrame(rows, columns=list(OVERVIEW_COLUMNS))


def _kinds(facts: pd.DataFrame) -> dict[str, Any]:
    """The events of each kind; None for grades where the data have none."""
    severe = facts["grade"] >= 3 if facts["grade"].notna().any() or not len(facts) else None
    return {
        "any": pd.Series(data=True, index=facts.index),
        "related": facts["related"],
        "grade 3 or higher": severe,
        "related, grade 3 or higher": None if severe is None else severe & facts["related"],
        "serious": facts["serious"],
        "related and serious": facts["serious"] & facts["related"],
        "leading to discontinuation": facts["discontinued"],
        "fatal": facts["fatal"],
    }


def _counts(found: pd.DataFrame, size: int) -> tuple[int, float, int]:
    subjects = found["subject"].nunique()
    return subjects, 100 * subjects / size if size else float("nan"), len(found)


def serious_events(tables: Mapping[str, pd.DataFrame], adsl: pd.DataFrame, conventions: Conventions) -> pd.DataFrame:
    """`SERIOUS_COLUMNS` of every event that is said to be serious or meets a criterion, whoever had it and whenever it began.

    The safety tables count those that are said to be serious and are emergent.
    """
    events = tables.get("adverse_event")
    if events is None or not len(events):
        return pd.DataFrame(columns=list(SERIOUS_COLUMNS))
    emergent = safety.emergent(events, adsl, conventions)
    serious = (col.numbers(events, "serious") == 1) | np.array(
        [bool(_present(items)) for items in col.column(events, "criteria")], dtype=bool
    )
    rows = events[serious].reset_index(drop=True)
    listed = pd.DataFrame({name: _plain(rows, name) for name in SERIOUS_COLUMNS if name not in _MADE})
    listed["arm"] = _of_subject(rows, adsl, "arm")
    listed["day"] = study_day(col.days(col.column(rows, "start"), conventions.partial_date), first_dose(rows, adsl))
    listed["criteria"] = [", ".join(_present(items)) or None for items in col.column(rows, "criteria")]
    listed["emergent"] = emergent[serious]
    return listed.sort_values(["subject", "sequence"], ignore_index=True)[list(SERIOUS_COLUMNS)]


_MADE = ("arm", "day", "criteria", "emergent")


def deaths(tables: Mapping[str, pd.DataFrame], adsl: pd.DataFrame, conventions: Conventions) -> pd.DataFrame:
    """`DEATH_COLUMNS` of every enrolled subject with a date of death."""
    dead = adsl[adsl["died"].to_numpy(dtype=bool)].sort_values("subject", ignore_index=True)
    died, first, last = (on_days(dead[name], "mid") for name in ("death_on", "first_dose_on", "last_dose_on"))
    after = np.where((last != NO_DAY) & (first != NO_DAY), died - np.where(last == NO_DAY, 0, last), np.nan)
    window = (first != NO_DAY) & (died >= first) & ((last == NO_DAY) | (after <= conventions.te_window_days))
    listed = dead.assign(
        day=study_day(died, first),
        days_after_last_dose=after,
        on_treatment=window & dead["safety"].to_numpy(dtype=bool),
        fatal_events=_fatal_terms(tables.get("adverse_event"), dead["subject"]),
    )
    return listed[list(DEATH_COLUMNS)]


def _fatal_terms(events: pd.DataFrame | None, subjects: "pd.Series[Any]") -> Any:
    if events is None or not len(events):
        return np.full(len(subjects), None, dtype=object)
    outcome = col.column(events, "outcome").astype(object).fillna("").astype(str).str.upper().isin(safety.DEADLY)
    fatal = events[outcome.to_numpy(dtype=bool) | (col.numbers(events, "grade") == 5) | safety.died_of(events)]
    terms: dict[str, list[str]] = {}
    for subject, preferred, term in zip(fatal["subject"], col.column(fatal, "preferred_term"), col.column(fatal, "term"), strict=True):
        terms.setdefault(str(subject), []).append(str(term if pd.isna(preferred) else preferred))
    return np.array(["; ".join(sorted(terms[s])) if s in terms else None for s in subjects], dtype=object)


def _present(items: Any) -> list[str]:
    """The criteria of seriousness that an event meets."""
    return [str(item["criterion"]) for item in items if item["present"]] if isinstance(items, (list, tuple, np.ndarray)) else []


def _plain(rows: pd.DataFrame, name: str) -> Any:
    values = col.column(rows, name).astype(object)
    return values.where(values.notna(), None)


def _of_subject(rows: pd.DataFrame, adsl: pd.DataFrame, name: str) -> Any:
    at = pd.Index(adsl["subject"]).get_indexer(pd.Index(rows["subject"].astype(object)))
    return np.array([*adsl[name], None], dtype=object)[at]
