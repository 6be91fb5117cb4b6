"""Adverse events for a results record: serious ones, others above the threshold, and deaths from any cause, by group."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from fhir_trial.domain.entities import AdverseEvent
from fhir_trial.domain.tables import TrialData
from fhir_trial.endpoints.analyse import Results
from fhir_trial.endpoints.safety import emergent
from fhir_trial.errors import Finding, Findings
from fhir_trial.registry.participants import Participants
from fhir_trial.registry.picklists import picklists
from fhir_trial.registry.record import EventCounts, EventRow, EventTotals, ReportedEvents

THRESHOLD_PERCENT = 5
"""Others than serious events are listed above this frequency in any group (the highest threshold that PRS takes)."""

_Key = tuple[str, str | None]


class _Table:
    """Events of one kind, counted by term and organ system."""

    def __init__(self, events: Iterable[AdverseEvent], group_of: dict[str, str]) -> None:
        self.count: dict[_Key, Counter[str]] = defaultdict(Counter)
        self.subjects: dict[_Key, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for event in events:
            key = (event.preferred_term or event.term, picklists().organ_system(event.organ_class or ""))
            group = group_of[event.subject]
            self.count[key][group] += 1
            self.subjects[key][group].add(event.subject)

    def keep(self, at_risk: dict[str, int], percent: int) -> None:
        """Leave out what is not above `percent` of the subjects at risk in any group."""
        for key, by_group in list(self.subjects.items()):
            if not any(100 * len(subjects) > percent * at_risk[group] for group, subjects in by_group.items()):
                del self.count[key], self.subjects[key]

    def rows(self, at_risk: dict[str, int]) -> tuple[EventRow, ...]:
        return tuple(
            EventRow(key[0], key[1], {g: EventCounts(self.count[key][g], len(self.subjects[key][g]), n) for g, n in at_risk.items()})
            for key in sorted(self.count, key=lambda key: (key[1] or "", key[0]))
        )

    def affected(self, group: str) -> int:
        return len(set().union(*(by_group[group] for by_group in self.subjects.values())))


def reported_events(data: TrialData, results: Results, participants: Participants, findings: Findings) -> ReportedEvents:
    """Treatment-emergent events of treated subjects as the safety table has them, and deaths among all who were enrolled."""
    window = results.conventions.te_window_days
    group_of = {s.subject: key for key, members in participants.members.items() for s in members if s.treated}
    at_risk = {key: sum(group == key for group in group_of.values()) for key in participants.members}
    during = emergent(data.frame("adverse_event"), results.adsl, results.conventions)
    events = [event for event, counts in zip(data.rows("adverse_event"), during, strict=True) if counts and event.subject in group_of]
    if not data.rows("adverse_event"):
        expected, effect = "adverse events, or to know that there were none", "the record says that nobody had one"
        findings.add(Finding("no-adverse-events", "adverse_event", expected=expected, severity="warning", effect=effect))
    _report_gaps(events, findings)
    serious = _Table((event for event in events if event.serious), group_of)
    other = _Table((event for event in events if not event.serious), group_of)
    other.keep(at_risk, THRESHOLD_PERCENT)
    return ReportedEvents(
        threshold=THRESHOLD_PERCENT,
        totals={
            key: EventTotals(sum(s.died for s in members), len(members), serious.affected(key), other.affected(key), at_risk[key])
            for key, members in participants.members.items()
        },
        serious=serious.rows(at_risk),
        other=other.rows(at_risk),
        time_frame=f"Events: first dose to {window} days after last dose; deaths: enrolment to end of follow-up",
    )


def _report_gaps(events: list[AdverseEvent], findings: Findings) -> None:
    unknown = Counter(event.organ_class for event in events if picklists().organ_system(event.organ_class or "") is None)
    for organ_class, count in unknown.items():
        effect = f"{count} events have no organ system in the record, which PRS asks for"
        expected = "a MedDRA system organ class"
        findings.add(Finding("unknown-organ-system", "adverse_event", None, "organ_class", organ_class, expected, "warning", effect))
    if unsaid := sum(event.serious is None for event in events):
        effect = "counted as not serious"
        findings.add(
            Finding("seriousness-not-known", "adverse_event", field="serious", found=str(unsaid), severity="warning", effect=effect)
        )
