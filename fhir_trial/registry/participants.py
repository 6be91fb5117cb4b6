"""Who took part, for a results record: the groups, participant flow and baseline characteristics, from the trial's tables."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fhir_trial.domain.tables import TrialData
from fhir_trial.endpoints.analyse import Results
from fhir_trial.errors import Finding, Findings
from fhir_trial.registry.picklists import picklists
from fhir_trial.registry.record import NOT_AVAILABLE, Entry, Group, Measure, ParticipantFlow, ReasonNotCompleted

TOTAL = "TOTAL"
PARTICIPANTS = "Participants"
COUNT = "Count of Participants"
_UNKNOWN = "Unknown or Not Reported"


@dataclass(frozen=True)
class Participant:
    """One enrolled subject, as the analysis counts it; `end` is the disposition that ended participation, None while it goes on."""

    subject: str
    age_years: float | None
    sex: str | None
    race: str | None
    ethnicity: str | None
    treated: bool
    died: bool
    end: str | None


_Read = Callable[[Participant], str | None]


class Participants:
    """The intention-to-treat population by arm; an arm of the study is a group even where nobody was enrolled into it."""

    def __init__(self, data: TrialData, results: Results, findings: Findings) -> None:
        """Sort the subjects into groups; one who is enrolled without an arm of the study is a finding and stands in no group."""
        self.groups = tuple(Group(f"{n:03d}", arm.name, arm.description) for n, arm in enumerate(data.study.arms))
        keys = {group.title: group.key for group in self.groups}
        self.members: dict[str, list[Participant]] = {group.key: [] for group in self.groups}
        enrolled = results.adsl[results.adsl["intention_to_treat"].to_numpy(dtype=bool)]
        dead = {patient.subject for patient in data.rows("patient") if patient.dead}
        for row in enrolled.to_dict("records"):
            if row["arm"] in keys:
                self.members[keys[row["arm"]]].append(_participant(row, dead))
        if lost := len(enrolled) - sum(len(members) for members in self.members.values()):
            expected, effect = ", ".join(keys), "they are in no group of the record"
            findings.add(Finding("subjects-without-arm", "subject", field="arm_planned", found=str(lost), expected=expected, effect=effect))
        self.key_of = {subject.subject: key for key, members in self.members.items() for subject in members}

    @property
    def started(self) -> dict[str, int]:
        """How many were enrolled, by group."""
        return {key: len(members) for key, members in self.members.items()}

    def with_total(self) -> dict[str, list[Participant]]:
        """The members of each group and, where there are several groups, of all together."""
        everyone = [subject for members in self.members.values() for subject in members]
        return self.members | ({TOTAL: everyone} if len(self.members) > 1 else {})


ENDED = ("completed", "discontinued")
"""The states of subjects whose participation in the study has ended."""


def _participant(row: dict[Hashable, Any], dead: set[str]) -> Participant:
    in_years = str(row["age_unit"] or "YEARS").upper().rstrip("S") in {"YEAR", "A"}
    age = None if pd.isna(row["age"]) or not in_years else float(row["age"])
    sex, race, ethnicity = row["sex"], row["race"], row["ethnicity"]
    treated, died = bool(row["safety"]), bool(row["died"]) or row["subject"] in dead
    end = str(row["disposition"]).upper() if row["state"] in ENDED else None
    return Participant(row["subject"], age, sex, race, ethnicity, treated, died, end)


def participant_flow(participants: Participants) -> ParticipantFlow:
    """Started, completed, and not completed by reason: they add up, since who has no disposition yet is "ongoing at data cutoff"."""
    completed = dict.fromkeys(participants.members, 0)
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for key, members in participants.members.items():
        for subject in members:
            if subject.end == "COMPLETED":
                completed[key] += 1
            else:
                reasons[subject.end or "ONGOING AT DATA CUTOFF"][key] += 1
    return ParticipantFlow(
        started=participants.started,
        completed=completed,
        reasons=tuple(_reason(name, counts, participants.members) for name, counts in sorted(reasons.items())),
    )


def _reason(name: str, counts: Counter[str], groups: Iterable[str]) -> ReasonNotCompleted:
    reason = picklists().not_completed.get(name, "Other")
    return ReasonNotCompleted(reason, {key: counts[key] for key in groups}, None if reason != "Other" else name.capitalize())


def baseline(participants: Participants, findings: Findings) -> tuple[Measure, ...]:
    """Age, sex, and race and ethnicity as far as they were collected, in all enrolled subjects."""
    lists = picklists()
    measures = [
        _age(participants, findings),
        _categories(participants, "Sex: Female, Male", lambda s: s.sex, lists.sex, findings),
    ]
    everyone = [subject for members in participants.members.values() for subject in members]
    origins: tuple[tuple[str, _Read, Mapping[str, str]], ...] = (
        ("Race (NIH/OMB)", lambda s: s.race, lists.race),
        ("Ethnicity (NIH/OMB)", lambda s: s.ethnicity, lists.ethnicity),
    )
    collected = [
        _categories(participants, title, read, words, findings)
        for title, read, words in origins
        if any(read(subject) is not None for subject in everyone)
    ]
    return (*measures, *(collected or [_not_collected(participants)]))


def _age(participants: Participants, findings: Findings) -> Measure:
    entries, analysed = {}, {}
    for key, members in participants.with_total().items():
        ages = [subject.age_years for subject in members if subject.age_years is not None]
        if len(ages) < len(members):
            findings.add(_gap("age", len(members) - len(ages)))
        analysed[key] = len(ages)
        entries[key] = (_mean(ages),)
    return Measure("Age, Continuous", "Mean", "years", analysed, entries, dispersion="Standard Deviation")


def _mean(values: list[float]) -> Entry:
    if len(values) < 2:
        return Entry(f"{values[0]:.2f}" if values else NOT_AVAILABLE, spread=NOT_AVAILABLE, comment="Fewer than two participants analysed")
    return Entry(f"{statistics.fmean(values):.2f}", spread=f"{statistics.stdev(values):.2f}")


def _gap(field: str, count: int) -> Finding:
    return Finding(f"{field}-not-known", "subject", field=field, found=str(count), severity="warning", effect="they are not analysed")


def _categories(participants: Participants, title: str, read: _Read, words: Mapping[str, str], findings: Findings) -> Measure:
    """Counts of every category of the picklist, and of the unknown where there are any."""
    entries = {}
    for key, members in participants.with_total().items():
        found = Counter(words.get((read(subject) or "").upper(), _UNKNOWN) for subject in members)
        names = list(dict.fromkeys([*words.values(), *found]))
        entries[key] = tuple(Entry(str(found[name]), category=name) for name in names)
    unread = sum((read(s) or "").upper() not in words for members in participants.members.values() for s in members)
    if unread:
        findings.add(
            Finding("unknown-category", "subject", field=title, found=str(unread), severity="warning", effect=f"counted as {_UNKNOWN}")
        )
    return Measure(title, COUNT, PARTICIPANTS, _sizes(participants), entries)


def _not_collected(participants: Participants) -> Measure:
    entries = {key: (Entry("0"),) for key in participants.with_total()}
    analysed = dict.fromkeys(participants.with_total(), 0)
    why = "Race and ethnicity were not collected from any participant."
    return Measure("Race and Ethnicity Not Collected", COUNT, PARTICIPANTS, analysed, entries, population=why)


def _sizes(participants: Participants) -> dict[str, int]:
    return {key: len(members) for key, members in participants.with_total().items()}
