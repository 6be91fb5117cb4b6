"""The date of death: which record gives it, what a date without a day stands for, and which records disagree."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import NO_DAY
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.fact_tables import dated, locate
from fhir_trial.errors import Finding, Findings

SOURCES = {"dm": ("DM",), "dm+ds": ("DM", "DS"), "dm+ds+ae": ("DM", "DS", "AE")}
"""Where the date of death is taken from, by convention `death_date_source`: the first that has it."""


@dataclass(frozen=True)
class DeathRecords:
    """Where deaths stand: the patient, disposition and adverse event tables, and the dates on which subjects were known alive."""

    tables: Mapping[str, pd.DataFrame]
    dispositions: pd.DataFrame
    alive: pd.DataFrame
    place: "pd.Index[Any]"

    def all(self) -> pd.DataFrame:
        """Every dated record of a death: subject (its place), when (text), domain, variable, sequence."""
        parts = [self._patients(), self._dispositions(), self._events()]
        return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)

    def _patients(self) -> pd.DataFrame:
        patient = self.tables.get("patient", pd.DataFrame(columns=["subject"]))
        rows = patient[col.column(patient, "death_date").notna().to_numpy(dtype=bool)]
        return _records(locate(rows, self.place), col.column(rows, "death_date"), "DM", "DTHDTC", None)

    def _dispositions(self) -> pd.DataFrame:
        rows = self.dispositions[(self.dispositions["event"] == "DEATH") & self.dispositions["text"].notna()]
        return _records(rows["subject"], rows["text"], "DS", "DSSTDTC", rows["sequence"])

    def _events(self) -> pd.DataFrame:
        events = self.tables.get("adverse_event", pd.DataFrame(columns=["subject", "sequence"]))
        fatal = col.column(events, "outcome").astype(object).fillna("").str.upper().isin(("FATAL", "DEATH")).to_numpy(dtype=bool)
        rows = events[fatal | _has_death(events)]
        when = col.column(rows, "end").astype(object).where(lambda end: end.notna(), col.column(rows, "start").astype(object))
        return _records(locate(rows, self.place), when, "AE", "AEENDTC", rows["sequence"])


def _records(subject: Any, when: "pd.Series[Any]", domain: str, variable: str, sequence: "pd.Series[Any] | None") -> pd.DataFrame:
    """Records of deaths of enrolled subjects with the first and last day that each date can mean."""
    number = np.nan if sequence is None else sequence.astype("float64").to_numpy()
    text = pd.Series(when.astype(object).to_numpy(), dtype=object)
    frame = pd.DataFrame({"subject": np.asarray(subject, dtype=np.int64), "when": text, "sequence": number})
    frame["domain"], frame["variable"] = (pd.Series(word, frame.index, dtype=object) for word in (domain, variable))
    frame["first"], frame["last"] = col.days(text, "first"), col.days(text, "last")
    known: pd.DataFrame = frame.loc[(frame["subject"] >= 0) & (frame["first"] != NO_DAY)]
    return known


def _has_death(events: pd.DataFrame) -> npt.NDArray[np.bool_]:
    criteria = col.column(events, "criteria")
    found = [
        isinstance(items, (list, tuple, np.ndarray)) and any(i["criterion"] == "death" and i["present"] for i in items)
        for items in criteria
    ]
    return np.array(found, dtype=bool)


def deaths(records: DeathRecords, conventions: Conventions, findings: Findings) -> pd.DataFrame:
    """One fact a dead subject, from the first source that has a date; what disagrees or is missing is a finding.

    A date without a day is the one that `partial_date` names, and never before last known alive + 1 day.
    """
    allowed = SOURCES[conventions.death_date_source]
    every = records.all()
    usable = every[every["domain"].isin(allowed)]
    order = np.lexsort((usable["first"], usable["domain"].map(allowed.index).astype("int64")))
    chosen = usable.iloc[order].drop_duplicates("subject").set_index("subject")
    _report(records, usable, chosen, findings)
    other = every[~every["subject"].isin(chosen.index)].drop_duplicates("subject", keep="last")
    for subject, domain, when in zip(other["subject"], other["domain"], other["when"], strict=True):
        _find(
            findings,
            "death-in-another-source",
            f"{domain.lower()}: subject {records.place[subject]}",
            when,
            "the subject does not count as dead",
        )
    _report_undated(records, set(chosen.index), findings)
    day = col.days(chosen["when"], conventions.partial_date)
    after = _last_alive(records).reindex(chosen.index).fillna(-1).to_numpy(dtype=np.int64) + 1
    day = np.where(chosen["first"] == chosen["last"], day, np.maximum(day, after))
    beyond = day > chosen["last"].to_numpy()
    for subject, when in zip(chosen.index.to_numpy()[beyond], chosen["when"][beyond], strict=True):
        _find(findings, "seen-after-death", f"dm: subject {records.place[subject]}", when, "the day after last known alive counts")
    return dated(chosen.index.to_numpy(), day, chosen["domain"].to_numpy(), chosen["variable"].to_numpy(), chosen["sequence"])


def _report(records: DeathRecords, usable: pd.DataFrame, chosen: pd.DataFrame, findings: Findings) -> None:
    """Findings for records whose date cannot be the same day as the one that counts; either may lack its day."""
    counted = chosen.reindex(usable["subject"])
    differs = (usable["first"].to_numpy() > counted["last"].to_numpy()) | (counted["first"].to_numpy() > usable["last"].to_numpy())
    for subject, when, domain in zip(usable["subject"][differs], usable["when"][differs], counted["domain"][differs], strict=True):
        place = f"{domain.lower()}: subject {records.place[subject]}"
        _find(findings, "death-dates-disagree", place, when, f"the date of {domain} counts")


def _find(findings: Findings, code: str, place: str, found: str | None, effect: str) -> None:
    findings.add(Finding(code, place, field="death_date", found=found, expected="one date of death", severity="warning", effect=effect))


def _report_undated(records: DeathRecords, dated_subjects: set[int], findings: Findings) -> None:
    """Findings for subjects said to be dead of whom no record has a date."""
    patient = records.tables.get("patient", pd.DataFrame())
    said = patient[col.column(patient, "dead").astype(object).fillna(False).to_numpy(dtype=bool)] if len(patient) else patient
    dead = {int(s) for s in locate(said, records.place)} if len(said) else set()
    dead |= set(records.dispositions.loc[(records.dispositions["event"] == "DEATH") & records.dispositions["text"].isna(), "subject"])
    for subject in sorted(dead - dated_subjects - {-1}):
        place = f"dm: subject {records.place[subject]}"
        _find(findings, "death-without-date", place, None, "the death is no event: the subject is censored")


def _last_alive(records: DeathRecords) -> "pd.Series[Any]":
    """The last day, recorded to the day, on which each subject was seen alive: a disposition may be the death itself."""
    exact = records.alive[records.alive["exact"].to_numpy(dtype=bool) & (records.alive["domain"] != "DS").to_numpy()]
    latest: pd.Series[Any] = exact.groupby("subject")["on"].max()
    return latest
