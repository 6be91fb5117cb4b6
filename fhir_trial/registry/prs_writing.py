"""The model of posted results as PRS upload XML; what the XML has no place for is counted by path."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, count

import msgspec
from lxml import etree

from fhir_trial.errors import Finding, Findings, InputError, not_carried
from fhir_trial.registry.picklists import picklists
from fhir_trial.registry.posted import (
    COMPLETED,
    NOT_COMPLETED,
    PARTICIPANTS,
    STARTED,
    TOTAL,
    AdverseEvents,
    Analysis,
    Baseline,
    BaselineMeasure,
    Denominator,
    DropWithdraw,
    Event,
    EventGroup,
    Group,
    Milestone,
    OutcomeMeasure,
    Part,
    ParticipantFlow,
    Period,
    PostedRecord,
    PostedResults,
    Row,
    not_completed,
)
from fhir_trial.registry.prs_forms import places, to_texts, without_place
from fhir_trial.registry.prs_schema import parse, violations
from fhir_trial.registry.prs_xml import PRS, RRS

_Element = etree._Element
_Ids = Mapping[str | None, str]
_Parts = Mapping[str, Callable[[_Element], None]]


def write_prs(record: PostedRecord, place: str, findings: Findings) -> bytes:
    """The record as XML for a partial upload, valid against NLM's schema; `findings` collects what it has no place for.

    Raises `InputError` for text that no XML may hold, and rather than hand out what the schema refuses.
    """
    writer = _Writer(place, findings)
    try:
        document = writer.document(record)
    except _NotXmlTextError as error:
        raise InputError([Finding("not-xml-text", place, field=str(error), expected="text without control characters")]) from error
    writer.report_lost()
    if broken := violations(parse(document)):
        raise InputError(broken)
    return document


class _NotXmlTextError(ValueError):
    """A text with control characters, by the element that was to hold it."""


def add(parent: _Element, tag: str, text: str | int | None = None, **attributes: str) -> _Element:
    """A child element with its text."""
    child = etree.SubElement(parent, tag, attributes)
    try:
        child.text = None if text is None else str(text)
    except ValueError as error:
        raise _NotXmlTextError(f"{etree.QName(parent).localname}.{tag}") from error
    return child


class _Writer:
    """Writes one record; counts what is lost."""

    def __init__(self, place: str, findings: Findings) -> None:
        self.place, self.findings = place, findings
        self.lost: Counter[str] = Counter()

    def document(self, record: PostedRecord) -> bytes:
        root = etree.Element(f"{{{PRS}}}study_collection", nsmap={"prs": PRS, "rrs": RRS})
        study = add(root, "clinical_study", partial_upload="true")
        ids = add(study, "id_info")
        for tag, value in (("org_name", record.organization), ("org_study_id", record.org_study_id)):
            add(ids, tag, value)
            if value is None:
                expected = picklists().missing[tag].partition(" (")[0]
                self.findings.add(Finding("missing-for-prs", self.place, field=tag, expected=expected, severity="warning"))
        titles = (("brief_title", record.brief_title), ("acronym", record.acronym), ("official_title", record.official_title))
        for tag, value in titles:
            if value is not None:
                add(study, tag, value)
        if record.nct_id is not None:
            self.lost["nctId"] += 1
        if record.results is not None:
            self.result(add(study, f"{{{RRS}}}result", partialUpload="true"), record.results)
        return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))

    def result(self, result: _Element, results: PostedResults) -> None:
        more = results.more_info_module
        if (baseline := results.baseline_characteristics_module) is not None:
            self.baseline(add(result, "baseline"), baseline)
        if more is not None and more.certain_agreement is not None:
            self.members(add(result, "certainAgreement"), more.certain_agreement)
        if more is not None and more.limitations_and_caveats is not None:
            self.members(add(result, "limitationsAndCaveats"), more.limitations_and_caveats)
        outcomes = add(result, "outcomeMeasures")
        if results.outcome_measures_module is not None:
            for number, outcome in enumerate(results.outcome_measures_module.outcome_measures):
                self.outcome(add(outcomes, "outcomeMeasure"), outcome, f"OG.{number}")
        if results.participant_flow_module is not None:
            self.flow(add(result, "participantFlow"), results.participant_flow_module)
        if more is not None and more.point_of_contact is not None:
            self.members(add(result, "pointOfContact"), more.point_of_contact)
        if results.adverse_events_module is not None:
            self.events(add(result, "reportedEvents"), results.adverse_events_module)

    def members(self, element: _Element, part: Part, parts: _Parts | None = None) -> None:
        """A part's members in the order of its elements; `parts` write those that are parts themselves."""
        others = _others(part)
        for tag, place in places(type(part)).items():
            if place.part is not None:
                (parts or {})[place.part](element)
            elif place.of is not None:
                _optional(element, tag, others.get(tag))
            elif (value := getattr(part, place.member or "")) is not None:
                add(element, tag, to_texts(place, value).text)
            elif place.required:
                add(element, tag)
        for name in without_place(type(part)):
            if getattr(part, name) not in (None, ()):
                self.lost[f"{type(part).__name__}.{name}"] += 1

    def ids(self, groups: Iterable[Group | EventGroup], prefix: str) -> list[str]:
        """An XML id for each group of a section: ids are unique in the document, the registry's only in their section."""
        used: set[str] = set()
        made = []
        for number, group in enumerate(groups):
            match = re.fullmatch(r"[A-Z]{2}(\d{3,})", group.id or "")
            candidates = (f"{prefix}.{n:03d}" for n in chain([int(match[1])] if match else [], count(number)))
            made.append(next(candidate for candidate in candidates if candidate not in used))
            used.add(made[-1])
        return made

    def known(self, ids: _Ids, group: str | None, path: str) -> str | None:
        """The XML id of a group that is referred to; None, with a finding, for one that the section lacks."""
        if group not in ids:
            expected, effect = f"one of {', '.join(str(key) for key in ids)}", "the value is left out"
            self.findings.add(Finding("unknown-group", self.place, None, path, group, expected, effect=effect))
        return ids.get(group)

    def groups(self, parent: _Element, tag: str, groups: Sequence[Group], ids: Sequence[str], sizes: "_Sizes") -> None:
        for group, id_ in zip(groups, ids, strict=True):
            element = add(parent, tag, id=id_)
            for child, value in (("description", group.description), *sizes.get(group.id, {}).items(), ("title", group.title)):
                if value is not None:
                    add(element, child, value)

    def sizes(self, denoms: Sequence[Denominator], path: str) -> "_Sizes":
        """By group the elements for how many participants and other units were analysed; there is room for one other unit."""
        sizes: _Sizes = {}
        people = [denom for denom in denoms if denom.units == PARTICIPANTS][:1]
        units = [denom for denom in denoms if denom.units != PARTICIPANTS][:1]
        for tag, chosen in (("numUnitsAnalyzed", units), ("subjectsAnalyzed", people)):
            for size in (size for denom in chosen for size in denom.counts):
                of_group = sizes.setdefault(size.group_id, {})
                self.lost[f"{path}.denoms"] += tag in of_group  # a group has one number
                of_group.setdefault(tag, size.value)
        self.lost[f"{path}.denoms"] += len(denoms) - len(people) - len(units)
        return sizes

    def flow(self, element: _Element, flow: ParticipantFlow) -> None:
        ids = self.ids(flow.groups, "FG")
        by_group = dict(zip((group.id for group in flow.groups), ids, strict=True))

        def periods(parent: _Element) -> None:
            holder = add(parent, "periods")
            for period in flow.periods:
                self.period(add(holder, "period"), period, by_group)

        def groups(parent: _Element) -> None:
            self.groups(add(parent, "participantFlowGroups"), "flowGroup", flow.groups, ids, {})

        self.members(element, flow, {"flow_groups": groups, "periods": periods})

    def period(self, element: _Element, period: Period, ids: _Ids) -> None:
        by_type = {milestone.type: milestone for milestone in reversed(period.milestones)}
        self.milestone(add(element, "completedMilestone"), by_type.get(COMPLETED, Milestone()), ids)
        drops = add(element, "dropWithdrawReasons")
        for drop in period.drop_withdraws:
            self.drop(add(drops, "dropWithdrawReason"), drop, ids)
        others = add(element, "milestones")
        for milestone in period.milestones:
            if milestone is not by_type.get(STARTED) and milestone is not by_type.get(COMPLETED) and milestone.type != NOT_COMPLETED:
                inner = add(others, "milestone")
                self.milestone(inner, milestone, ids)
                add(inner, "titleOther", milestone.type)
        self.milestone(add(element, "startedMilestone"), by_type.get(STARTED, Milestone()), ids)
        if period.title is not None:
            add(element, "title", period.title)
        if NOT_COMPLETED in by_type and by_type[NOT_COMPLETED] != not_completed(period.milestones):
            self.lost["Period.milestones NOT COMPLETED that are not those who started less those who completed"] += 1

    def milestone(self, element: _Element, milestone: Milestone, ids: _Ids) -> None:
        if milestone.comment is not None:
            add(element, "comment", milestone.comment)
        holder = add(element, "milestoneAchievements")
        for achievement in milestone.achievements:
            if (id_ := self.known(ids, achievement.group_id, "achievements.groupId")) is not None:
                inner = add(holder, "milestoneAchievement")
                add(inner, "reportingGroupId", id_)
                self.members(inner, achievement)

    def drop(self, element: _Element, drop: DropWithdraw, ids: _Ids) -> None:
        def reasons(parent: _Element) -> None:
            holder = add(parent, "dropWithdrawReasonDetails")
            for reason in drop.reasons:
                if (id_ := self.known(ids, reason.group_id, "reasons.groupId")) is not None:
                    inner = add(holder, "reasonDetail")
                    add(inner, "reportingGroupId", id_)
                    self.members(inner, reason)

        self.members(element, drop, {"reasons": reasons})

    def baseline(self, element: _Element, baseline: Baseline) -> None:
        ids, sizes = self.ids(baseline.groups, "BG"), self.sizes(baseline.denoms, "Baseline")
        by_group = dict(zip((group.id for group in baseline.groups), ids, strict=True))
        split = len(baseline.groups) - 1 if len(baseline.groups) > 1 and baseline.groups[-1].title == TOTAL else len(baseline.groups)

        def measures(parent: _Element) -> None:
            holder = add(parent, "baselineMeasures")
            for measure in baseline.measures:
                self.measure(add(holder, "baselineMeasure"), measure, by_group)

        def groups(parent: _Element) -> None:
            holder = add(parent, "baselineReportingGroups")
            self.groups(holder, "baselineReportingGroup", baseline.groups[:split], ids[:split], sizes)

        def total(parent: _Element) -> None:
            self.groups(parent, "totalBaselineReportingGroup", baseline.groups[split:], ids[split:], sizes)

        self.members(element, baseline, {"baseline_measures": measures, "baseline_groups": groups, "total_group": total})

    def measure(self, element: _Element, measure: BaselineMeasure, ids: _Ids) -> None:
        if measure.denoms and (not measure.classes or any(row.denoms for row in measure.classes)):
            self.lost["BaselineMeasure.denoms beside denoms of its rows"] += 1

        def rows(parent: _Element) -> None:
            holder = add(parent, "measureRows")
            for row in measure.classes:
                self.row(add(holder, "measureRow"), row if row.denoms else msgspec.structs.replace(row, denoms=measure.denoms), ids)

        self.members(element, measure, {"rows": rows})

    def row(self, element: _Element, row: Row, ids: _Ids) -> None:
        """A row's figures, which the registry has by category, by group."""
        sizes = self.sizes(row.denoms, "Row")
        named = (measurement.group_id for category in row.categories for measurement in category.measurements)
        values = add(element, "reportedValues")
        for group in dict.fromkeys((*named, *sizes)):
            if (id_ := self.known(ids, group, "measurements.groupId")) is None:
                continue
            value = add(values, "reportedValue")
            add(value, "reportingGroupId", id_)
            by_tag = sizes.get(group, {})
            if "numUnitsAnalyzed" in by_tag:
                add(value, "numUnitsAnalyzed", by_tag["numUnitsAnalyzed"])
            self.entries(add(value, "reportedEntries"), row, group)
            if "subjectsAnalyzed" in by_tag:
                add(value, "subjectsAnalyzed", by_tag["subjectsAnalyzed"])
        if row.title is not None:
            add(element, "title", row.title)
        self.lost["Category without measurements"] += sum(not category.measurements for category in row.categories)

    def entries(self, element: _Element, row: Row, group: str | None) -> None:
        for category in row.categories:
            for measurement in category.measurements:
                if measurement.group_id == group:
                    entry = add(element, "reportedEntry")
                    if category.title is not None:
                        add(entry, "catName", category.title)
                    self.members(entry, measurement)

    def outcome(self, element: _Element, outcome: OutcomeMeasure, prefix: str) -> None:
        ids = self.ids(outcome.groups, prefix)
        by_group = dict(zip((group.id for group in outcome.groups), ids, strict=True))
        word, level = interval_words(outcome.dispersion_type)

        def rows(parent: _Element) -> None:
            holder = add(parent, "measureRows")
            for row in outcome.classes:
                self.row(add(holder, "measureRow"), row, by_group)

        def analyses(parent: _Element) -> None:
            holder = add(parent, "outcomeMeasureAnalyses")
            for analysis in outcome.analyses:
                self.analysis(add(holder, "measureAnalysis"), analysis, by_group)

        def groups(parent: _Element) -> None:
            sizes = self.sizes(outcome.denoms, "OutcomeMeasure")
            self.groups(add(parent, "outcomeReportingGroups"), "outcomeReportingGroup", outcome.groups, ids, sizes)

        parts: dict[str, Callable[[_Element], None]] = {
            "rows": rows,
            "analyses": analyses,
            "outcome_groups": groups,
            "interval_level": lambda parent: _optional(parent, "ciPctLevel", level),
            "outcome_dispersion": lambda parent: _optional(parent, "dispersionType", word),
            "posting_date": lambda parent: self.posting_date(parent, outcome.anticipated_posting_date),
        }
        self.members(element, msgspec.structs.replace(outcome, type=outcome.type or ""), parts)

    def posting_date(self, parent: _Element, date: str | None) -> None:
        if date is not None:
            year, _, month = date[:7].partition("-")
            element = add(parent, "anticipatedResultPostingDate")
            _optional(element, "month", month or None)
            add(element, "year", year)
            self.lost["OutcomeMeasure.anticipated_posting_date day"] += len(date) > len("2024-05")

    def analysis(self, element: _Element, analysis: Analysis, ids: _Ids) -> None:
        def groups(parent: _Element) -> None:
            holder = add(parent, "outcomeReportingGroups")
            for group in analysis.group_ids:
                if (id_ := self.known(ids, group, "analyses.groupIds")) is not None:
                    add(holder, "outcomeReportingGroupId", id_)

        self.members(element, analysis, {"analysis_groups": groups})

    def events(self, element: _Element, events: AdverseEvents) -> None:
        ids = self.ids(events.event_groups, "EG")
        by_group = dict(zip((group.id for group in events.event_groups), ids, strict=True))

        def table(parent: _Element, holder: str, tag: str, rows: Iterable[Event]) -> None:
            inner = add(parent, holder)
            for row in rows:
                self.event(add(inner, tag), row, by_group)

        def groups(parent: _Element) -> None:
            holder = add(parent, "interventionGroups")
            for group, id_ in zip(events.event_groups, ids, strict=True):
                self.members(add(holder, "interventionGroup", id=id_), group)

        parts = {
            "other_events": lambda parent: table(parent, "frequentAdverseEvents", "frequentEvent", events.other_events),
            "serious_events": lambda parent: table(parent, "seriousAdverseEvents", "seriousEvent", events.serious_events),
            "event_groups": groups,
        }
        self.members(element, events, parts)

    def event(self, element: _Element, event: Event, ids: _Ids) -> None:
        def stats(parent: _Element) -> None:
            holder = add(parent, "adverseEventStats")
            for figures in event.stats:
                if (id_ := self.known(ids, figures.group_id, "stats.groupId")) is not None:
                    inner = add(holder, "eventStats")
                    add(inner, "reportingGroupId", id_)
                    self.members(inner, figures)

        self.members(element, event, {"stats": stats})

    def report_lost(self) -> None:
        self.findings.extend(not_carried(self.place, self.lost, "PRS XML has no place for it"))


def _others(part: Part) -> dict[str, str | None]:
    """The elements that name what PRS has no word for, and their texts."""
    placed = [(place, getattr(part, place.member or "")) for place in places(type(part)).values() if place.other is not None]
    return {place.other or "": to_texts(place, value).other for place, value in placed if value is not None}


_Sizes = dict[str | None, dict[str, str | None]]


def interval_words(dispersion: str | None) -> tuple[str | None, str | None]:
    """PRS's word for an outcome's dispersion, and the level of an interval that it has no word for.

    >>> interval_words("95% Confidence Interval"), interval_words("96% Confidence Interval")
    (('95% Confidence Interval', None), ('Other Confidence Interval Level', '96'))
    """
    match = re.fullmatch(r"([\d.]+)% Confidence Interval", dispersion or "", re.IGNORECASE)
    if match is None or match[1] in picklists().interval_levels:
        return dispersion, None
    return "Other Confidence Interval Level", match[1]


def _optional(parent: _Element, tag: str, text: str | None) -> None:
    if text is not None:
        add(parent, tag, text)
