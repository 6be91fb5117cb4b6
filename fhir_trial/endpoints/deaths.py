"""The date of death: which record gives it, what a date without a day stands for, and which records disagree."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhir_trial.domain.dates import first_day, is_full_date, last_day, parse_when
from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import NO_DAY
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.fact_tables import dated, locate
from fhir_trial.errors import Finding, Findings

SOURCES = {"dm": ("DM",), "dm+ds": ("DM", "DS"), "dm+ds+ae": ("DM", "DS", "AE")}
"""Where the date of death is taken from, by convention `death_date_source`: the first that has it."""


class Death(NamedTuple):
    """One record of a death."""

    subject: int
    when: str
    domain: str
    variable: str
    sequence: float


@dataclass(frozen=True)
class DeathRecords:
    """Where deaths stand: the patient, disposition and adverse event tables, and the dates on which subjects were known alive."""

    tables: Mapping[str, pd.DataFrame]
    dispositions: pd.DataFrame
    alive: pd.DataFrame
    place: "pd.Index[Any]"

    def all(self) -> list[Death]:
        """Every dated record of a death."""
        return [*self._patients(), *self._dispositions(), *self._events()]

    def _patients(self) -> list[Death]:
        patient = self.tables.get("patient")
        if patient is None or "death_date" not in patient:
            return []
        rows = patient[patient["death_date"].notna().to_numpy(dtype=bool)]
        return [
            Death(s, str(w), "DM", "DTHDTC", np.nan)
            for s, w in zip(locate(rows, self.place).tolist(), rows["death_date"], strict=True)
            if s >= 0
        ]

    def _dispositions(self) -> list[Death]:
        rows = self.dispositions[(self.dispositions["event"] == "DEATH") & self.dispositions["text"].notna()]
        found = zip(rows["subject"].tolist(), rows["text"].tolist(), rows["sequence"].tolist(), strict=True)
        return [Death(s, w, "DS", "DSSTDTC", q) for s, w, q in found]

    def _events(self) -> list[Death]:
        events = self.tables.get("adverse_event")
        if events is None or not len(events):
            return []
        fatal = col.column(events, "outcome").astype(object).fillna("").str.upper().isin(("FATAL", "DEATH")).to_numpy(dtype=bool)
        rows = events[fatal | _has_death(events)]
        day = col.column(rows, "end").where(col.column(rows, "end").notna(), col.column(rows, "start"))
        found = zip(locate(rows, self.place).tolist(), day, rows["sequence"], strict=True)
        return [Death(int(s), str(w), "AE", "AEENDTC", float(q)) for s, w, q in found if s >= 0 and pd.notna(w)]


def _has_death(events: pd.DataFrame) -> npt.NDArray[np.bool_]:
    criteria = col.column(events, "criteria")
    found = [
        isinstance(items, (list, tuple, np.ndarray)) and any(i["criterion"] == "death" and i["present"] for i in items)
        for items in criteria
    ]
    return np.array(found, dtype=bool)


def deaths(records: DeathRecords, conventions: Conventions, findings: Findings) -> pd.DataFrame:
    """One fact a dead subject, from the first source that has a date; what disagrees or is missing is a finding."""
    allowed = SOURCES[conventions.death_date_source]
    chosen: dict[int, Death] = {}
    every = [death for death in records.all() if parse_when(death.when)]
    for death in sorted((d for d in every if d.domain in allowed), key=lambda d: (allowed.index(d.domain), d.when)):
        if not agrees(chosen.setdefault(death.subject, death).when, death.when):
            _find(findings, "death-dates-disagree", records, death, f"the date of {chosen[death.subject].domain} counts")
    for death in {d.subject: d for d in every if d.subject not in chosen}.values():
        _find(findings, "death-in-another-source", records, death, "the subject does not count as dead")
    _report_undated(records, set(chosen), findings)
    last_alive = _last_alive(records)
    days = [_imputed(d.when, last_alive.get(d.subject), conventions.partial_date) for d in chosen.values()]
    return dated(
        np.array(list(chosen), dtype=np.int64),
        np.array(days, dtype=np.int64),
        [d.domain for d in chosen.values()],
        [d.variable for d in chosen.values()],
        np.array([d.sequence for d in chosen.values()], dtype=float),
    )


def _find(findings: Findings, code: str, records: DeathRecords, death: Death, effect: str) -> None:
    place = f"{death.domain.lower()}: subject {records.place[death.subject]}"
    findings.add(
        Finding(code, place, field=death.variable, found=death.when, expected="one date of death", severity="warning", effect=effect)
    )


def _report_undated(records: DeathRecords, dated_subjects: set[int], findings: Findings) -> None:
    """Findings for subjects said to be dead of whom no record has a date."""
    patient = records.tables.get("patient", pd.DataFrame())
    said = patient[col.column(patient, "dead").astype(object).fillna(False).to_numpy(dtype=bool)] if len(patient) else patient
    dead = {int(s) for s in locate(said, records.place)} if len(said) else set()
    dead |= set(records.dispositions.loc[(records.dispositions["event"] == "DEATH") & records.dispositions["text"].isna(), "subject"])
    for subject in sorted(dead - dated_subjects - {-1}):
        effect = "the death is no event: the subject is censored"
        findings.add(
            Finding(
                "death-without-date", f"dm: subject {records.place[subject]}", expected="a date of death", severity="warning", effect=effect
            )
        )


def agrees(a: str, b: str) -> bool:
    """Whether two dates, either of which may lack its day, can be the same day.

    >>> agrees("2023-05", "2023-05-20"), agrees("2023-05-19", "2023-05-20")
    (True, False)
    """
    return first_day(a) <= last_day(b) and first_day(b) <= last_day(a)


def _last_alive(records: DeathRecords) -> dict[int, int]:
    """The last day, recorded to the day, on which each subject was seen alive: a disposition may be the death itself."""
    exact = records.alive[records.alive["exact"].to_numpy(dtype=bool) & (records.alive["domain"] != "DS").to_numpy()]
    latest = exact.groupby("subject")["on"].max()
    return dict(zip(latest.index.tolist(), latest.tolist(), strict=True))


def _imputed(when: str, last_alive: int | None, partial: str) -> int:
    """The day of death; one that had to be chosen is never before last known alive + 1 day.

    >>> from fhir_trial.endpoints.columns import day_number
    >>> _imputed("2023-05", day_number("2023-05-20", "mid"), "mid") == day_number("2023-05-21", "mid")
    True
    """
    day = col.day_number(when, partial)
    if is_full_date(when) or last_alive is None or day == NO_DAY:
        return day
    return max(day, last_alive + 1)
