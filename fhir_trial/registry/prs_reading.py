"""PRS XML as the model of posted results: what `prs_writing` writes, and what others upload; elements that nothing reads are counted."""

import re
from calendar import month_abbr
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_type_hints

from lxml import etree

from fhir_trial.errors import Finding, Findings, InputError, not_carried
from fhir_trial.registry.posted import (
    COMPLETED,
    PARTICIPANTS,
    STARTED,
    Achievement,
    AdverseEvents,
    Analysis,
    Baseline,
    BaselineMeasure,
    Category,
    Caveats,
    CertainAgreement,
    Count,
    Denominator,
    DropReason,
    DropWithdraw,
    Event,
    EventGroup,
    EventStats,
    Group,
    Measurement,
    Milestone,
    MoreInfo,
    OutcomeMeasure,
    OutcomeMeasures,
    Part,
    ParticipantFlow,
    Period,
    PointOfContact,
    PostedRecord,
    PostedResults,
    Row,
    not_completed,
)
from fhir_trial.registry.prs_forms import Texts, from_texts, places
from fhir_trial.registry.prs_schema import parse
from fhir_trial.registry.prs_xml import RRS

_Element = etree._Element
_Ids = Mapping[str, str]
_P = TypeVar("_P", bound=Part)
_IDENTITY = {
    "organization": "id_info/org_name",
    "org_study_id": "id_info/org_study_id",
    "brief_title": "brief_title",
    "acronym": "acronym",
    "official_title": "official_title",
}


def read_prs(data: bytes, place: str, findings: Findings) -> PostedRecord:
    """The record of a file with one study; `findings` collects what the model has no place for.

    Raises `InputError` for what is no safe XML, and no PRS record.
    """
    root = parse(data, place)
    studies = list(root.iter("clinical_study"))
    if len(studies) != 1:
        expected = "PRS XML (study_collection) with one clinical_study"
        raise InputError([Finding("unknown-format", place, found=f"{len(studies)} of them", expected=expected)])
    reader = _Reader(place, findings)
    result = studies[0].find(f"{{{RRS}}}result")
    record = PostedRecord(
        **{name: reader.text(studies[0], path) for name, path in _IDENTITY.items()},
        results=None if result is None else reader.results(result),
    )
    reader.report_left(studies[0])
    return record


class _Reader:
    """Reads one record, and remembers which elements it read."""

    def __init__(self, place: str, findings: Findings) -> None:
        self.place, self.findings = place, findings
        self.read: set[_Element] = set()

    def text(self, element: _Element, path: str) -> str | None:
        child = element.find(path)
        if child is None:
            return None
        self.read.add(child)
        return (child.text or "").strip() or None

    def members(self, element: _Element, part: type[Part]) -> dict[str, Any]:
        """The members of a part that are texts, numbers and truth values."""
        found: dict[str, Any] = {}
        hints = get_type_hints(part)
        for tag, place in places(part).items():
            if place.member is None:
                continue
            other = None if place.other is None else self.text(element, place.other)
            text = self.text(element, tag)
            value = None if text is None else from_texts(place, Texts(text, other))
            if text is not None and "int" in str(hints[place.member]):
                value = int(text) if re.fullmatch(r"\d{1,12}", text) else None
            if text is not None and value is None:
                expected = "Yes or No" if place.is_ else "a number"
                self.findings.add(Finding("wrong-type", self.place, _line(element), tag, text, expected, effect="not used"))
            if value is not None:
                found[place.member] = value
        return found

    def one(self, element: _Element, path: str, part: type[_P]) -> _P | None:
        """A part that has no parts of its own."""
        child = element.find(path)
        return None if child is None else part(**self.members(child, part))

    def results(self, result: _Element) -> PostedResults:
        more = MoreInfo(
            limitations_and_caveats=self.one(result, "limitationsAndCaveats", Caveats),
            certain_agreement=self.one(result, "certainAgreement", CertainAgreement),
            point_of_contact=self.one(result, "pointOfContact", PointOfContact),
        )
        outcomes = tuple(self.outcome(element) for element in result.iterfind("outcomeMeasures/outcomeMeasure"))
        flow, baseline, events = (result.find(tag) for tag in ("participantFlow", "baseline", "reportedEvents"))
        return PostedResults(
            participant_flow_module=None if flow is None else self.flow(flow),
            baseline_characteristics_module=None if baseline is None else self.baseline(baseline),
            outcome_measures_module=OutcomeMeasures(outcome_measures=outcomes) if outcomes else None,
            adverse_events_module=None if events is None else self.events(events),
            more_info_module=more if more != MoreInfo() else None,
        )

    def ids(self, groups: list[_Element], prefix: str) -> dict[str, str]:
        """The registry's id for each XML id: the number in ours, else the place of the group."""
        ours = {group.get("id", ""): re.fullmatch(rf"{prefix}\.(?:\d+\.)?(\d{{3,}})", group.get("id", "")) for group in groups}
        numbers = {id_: int(match[1]) for id_, match in ours.items() if match is not None}
        free = iter(number for number in range(len(groups) + max(numbers.values(), default=0) + 1) if number not in numbers.values())
        return {id_: f"{prefix}{numbers[id_] if id_ in numbers else next(free):03d}" for id_ in ours}

    def reference(self, element: _Element, ids: _Ids) -> str | None:
        id_ = self.text(element, "reportingGroupId") or ""
        if id_ not in ids:
            expected = f"one of {', '.join(ids)}"
            self.findings.add(Finding("unknown-group", self.place, _line(element), "reportingGroupId", id_, expected))
        return ids.get(id_)

    def groups(self, elements: list[_Element], ids: _Ids) -> tuple[Group, ...]:
        return tuple(Group(id=ids[element.get("id", "")], **self.members(element, Group)) for element in elements)

    def sizes(self, sized: list[tuple[str | None, _Element]], units: str | None) -> tuple[Denominator, ...]:
        """How many participants and other units were analysed, by the group of each element."""
        made = []
        for tag, unit in (("subjectsAnalyzed", PARTICIPANTS), ("numUnitsAnalyzed", units or "Units")):
            texts = [(group, self.text(element, tag)) for group, element in sized]
            counts = tuple(Count(group_id=group, value=text) for group, text in texts if text is not None)
            made += [Denominator(units=unit, counts=counts)] if counts else []
        return tuple(made)

    def flow(self, element: _Element) -> ParticipantFlow:
        groups = element.findall("participantFlowGroups/flowGroup")
        ids = self.ids(groups, "FG")
        periods = tuple(self.period(period, ids) for period in element.iterfind("periods/period"))
        return ParticipantFlow(groups=self.groups(groups, ids), periods=periods, **self.members(element, ParticipantFlow))

    def period(self, element: _Element, ids: _Ids) -> Period:
        started, completed = (self.milestone(element, f"{tag}Milestone", ids) for tag in ("started", "completed"))
        others = [self._milestone(other, self.text(other, "titleOther"), ids) for other in element.iterfind("milestones/milestone")]
        milestones = [milestone for milestone in (started, *others, completed) if milestone is not None]
        if (rest := not_completed(milestones)) is not None:
            milestones.append(rest)
        drops = tuple(self.drop(drop, ids) for drop in element.iterfind("dropWithdrawReasons/dropWithdrawReason"))
        return Period(title=self.text(element, "title"), milestones=tuple(milestones), drop_withdraws=drops)

    def milestone(self, period: _Element, tag: str, ids: _Ids) -> Milestone | None:
        """The milestone that every period has; None where nothing is said of it."""
        element = period.find(tag)
        type_ = STARTED if tag.startswith("started") else COMPLETED
        made = None if element is None else self._milestone(element, type_, ids)
        return made if made != Milestone(type=type_) else None

    def _milestone(self, element: _Element, type_: str | None, ids: _Ids) -> Milestone:
        achievements = []
        for inner in element.iterfind("milestoneAchievements/milestoneAchievement"):
            found = self.members(inner, Achievement)
            if (why := self.text(inner, "subjectsNaComment")) is not None:
                found.setdefault("comment", why)
            achievements.append(Achievement(group_id=self.reference(inner, ids), **found))
        return Milestone(type=type_, comment=self.text(element, "comment"), achievements=tuple(achievements))

    def drop(self, element: _Element, ids: _Ids) -> DropWithdraw:
        details = element.iterfind("dropWithdrawReasonDetails/reasonDetail")
        reasons = tuple(DropReason(group_id=self.reference(inner, ids), **self.members(inner, DropReason)) for inner in details)
        return DropWithdraw(reasons=reasons, **self.members(element, DropWithdraw))

    def baseline(self, element: _Element) -> Baseline:
        groups = [*element.findall("baselineReportingGroups/baselineReportingGroup"), *element.findall("totalBaselineReportingGroup")]
        ids = self.ids(groups, "BG")
        found = self.members(element, Baseline)
        units = found.get("type_units_analyzed")
        denoms = self.sizes([(ids[group.get("id", "")], group) for group in groups], units)
        measures = tuple(self.measure(inner, ids, units) for inner in element.iterfind("baselineMeasures/baselineMeasure"))
        return Baseline(groups=self.groups(groups, ids), denoms=denoms, measures=measures, **found)

    def measure(self, element: _Element, ids: _Ids, units: str | None) -> BaselineMeasure:
        """A baseline measure; where all its rows have the same numbers analysed, they are the measure's."""
        rows = self.rows(element, ids, units)
        found = self.members(element, BaselineMeasure)
        same = rows[0].denoms if rows and all(row.denoms == rows[0].denoms for row in rows) else ()
        if same:
            rows = tuple(Row(title=row.title, categories=row.categories) for row in rows)
        return BaselineMeasure(denoms=same, classes=rows, **found)

    def rows(self, element: _Element, ids: _Ids, units: str | None) -> tuple[Row, ...]:
        made = []
        for row in element.iterfind("measureRows/measureRow"):
            values = [(self.reference(value, ids), value) for value in row.iterfind("reportedValues/reportedValue")]
            denoms, categories = self.sizes(values, units), self.categories(values)
            made.append(Row(title=self.text(row, "title"), denoms=denoms, categories=categories))
        return tuple(made)

    def categories(self, values: list[tuple[str | None, _Element]]) -> tuple[Category, ...]:
        """The figures by category, as the registry has them; two entries of a group with one name are two categories."""
        by_name: dict[tuple[str | None, int], list[Measurement]] = {}
        for group, value in values:
            seen: Counter[str | None] = Counter()
            for entry in value.iterfind("reportedEntries/reportedEntry"):
                name = self.text(entry, "catName")
                measurement = Measurement(group_id=group, **self.members(entry, Measurement))
                by_name.setdefault((name, seen[name]), []).append(measurement)
                seen[name] += 1
        return tuple(Category(title=name, measurements=tuple(measurements)) for (name, _), measurements in by_name.items())

    def outcome(self, element: _Element) -> OutcomeMeasure:
        groups = element.findall("outcomeReportingGroups/outcomeReportingGroup")
        ids = self.ids(groups, "OG")
        found = self.members(element, OutcomeMeasure)
        units = found.get("type_units_analyzed")
        word, level = self.text(element, "dispersionType"), self.text(element, "ciPctLevel")
        date = element.find("anticipatedResultPostingDate")
        return OutcomeMeasure(
            groups=self.groups(groups, ids),
            denoms=self.sizes([(ids[group.get("id", "")], group) for group in groups], units),
            classes=self.rows(element, ids, units),
            analyses=tuple(self.analysis(inner, ids) for inner in element.iterfind("outcomeMeasureAnalyses/measureAnalysis")),
            dispersion_type=f"{level}% Confidence Interval" if level is not None else word,
            anticipated_posting_date=None if date is None else self.posting_date(date),
            **found,
        )

    def posting_date(self, element: _Element) -> str | None:
        year, month = self.text(element, "year"), self.text(element, "month")
        names = {name.casefold(): number for number, name in enumerate(month_abbr) if name}
        number = int(month) if month and month.isdecimal() else names.get((month or "")[:3].casefold())
        return year if number is None else f"{year}-{number:02d}"

    def analysis(self, element: _Element, ids: _Ids) -> Analysis:
        references = element.findall("outcomeReportingGroups/outcomeReportingGroupId")
        self.read |= set(references)
        groups = tuple(ids[id_] for reference in references if (id_ := (reference.text or "").strip()) in ids)
        return Analysis(group_ids=groups, **self.members(element, Analysis))

    def events(self, element: _Element) -> AdverseEvents:
        groups = element.findall("interventionGroups/interventionGroup")
        ids = self.ids(groups, "EG")
        common = {name: value for name, value in self.members(element, Event).items() if name in ("assessment_type", "source_vocabulary")}
        serious, other = (
            tuple(self.event(event, ids, common) for event in element.iterfind(path))
            for path in ("seriousAdverseEvents/seriousEvent", "frequentAdverseEvents/frequentEvent")
        )
        return AdverseEvents(
            event_groups=tuple(EventGroup(id=ids[group.get("id", "")], **self.members(group, EventGroup)) for group in groups),
            serious_events=serious,
            other_events=other,
            **self.members(element, AdverseEvents),
        )

    def event(self, element: _Element, ids: _Ids, common: Mapping[str, Any]) -> Event:
        """An event; what the file says of all of them counts where it says nothing itself."""
        details = element.iterfind("adverseEventStats/eventStats")
        stats = tuple(EventStats(group_id=self.reference(inner, ids), **self.members(inner, EventStats)) for inner in details)
        return Event(stats=stats, **{**common, **self.members(element, Event)})

    def report_left(self, study: _Element) -> None:
        """The elements with a text that nothing has read, by path."""
        left = Counter(path for element, path in _texts(study) if element not in self.read)
        self.findings.extend(not_carried(self.place, left, "the model of results has no place for it"))


def _line(element: _Element) -> int | None:
    line = element.sourceline
    return line if isinstance(line, int) else None


def _texts(element: _Element, path: str = "") -> Iterator[tuple[_Element, str]]:
    for child in element:
        if isinstance(child.tag, str):
            name = etree.QName(child).localname
            inner = f"{path}.{name}" if path else name
            if (child.text or "").strip():
                yield child, inner
            yield from _texts(child, inner)
