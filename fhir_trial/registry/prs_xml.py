"""A results record as PRS upload XML. Elements stand in the order of the schema; what the record does not hold is left out."""

from collections.abc import Callable, Iterable

from lxml import etree

from fhir_trial.errors import Finding, InputError
from fhir_trial.registry.participants import TOTAL
from fhir_trial.registry.record import Counts, Entry, EventRow, Group, Measure, ReasonNotCompleted, ResultsRecord

PRS, RRS = "http://clinicaltrials.gov/prs", "http://clinicaltrials.gov/rrs"
SYNTHETIC = "SYNTHETIC DATA - NOT REAL - NOT FOR UPLOAD"


def _add(parent: etree._Element, tag: str, text: str | int | None = None, attributes: dict[str, str] | None = None) -> etree._Element:
    child = etree.SubElement(parent, tag, attributes)
    if text is not None:
        try:
            child.text = str(text)
        except ValueError as error:  # control characters, which no XML may hold
            raise InputError([Finding("not-xml-text", tag, expected="text without control characters")]) from error
    return child


def _add_known(parent: etree._Element, tag: str, text: str | int | None) -> None:
    if text is not None:
        _add(parent, tag, text)


def prs_xml(record: ResultsRecord) -> bytes:
    """The record as XML, for a partial upload: a full one would destroy the parts that are missing here.

    A synthetic record names an organisation and a protocol that cannot exist, so that no registry can take it.
    """
    mark = f"{SYNTHETIC}: " if record.synthetic else ""
    root = etree.Element(f"{{{PRS}}}study_collection", nsmap={"prs": PRS, "rrs": RRS})
    study = _add(root, "clinical_study", attributes={"partial_upload": "true"})
    ids = _add(study, "id_info")
    _add(ids, "org_name", SYNTHETIC if record.synthetic else record.sponsor)
    _add(ids, "org_study_id", f"SYNTHETIC-{record.study}" if record.synthetic else record.study)
    _add(study, "brief_title", mark + record.title)
    if record.official_title is not None:
        _add(study, "official_title", mark + record.official_title)
    result = _add(study, f"{{{RRS}}}result", attributes={"partialUpload": "true"})
    _baseline(result, record)
    caveats = [SYNTHETIC, *record.caveats] if record.synthetic else [*record.caveats]
    if caveats:
        _add(_add(result, "limitationsAndCaveats"), "description", "; ".join(caveats))
    measures = _add(result, "outcomeMeasures")
    for number, measure in enumerate(record.outcomes):
        _outcome(measures, measure, number, record)
    _flow(result, record)
    _events(result, record)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def _titled(parent: etree._Element, tag: str, group: Group, id_: str, between: Callable[[etree._Element], None]) -> None:
    """A group: description, what stands `between`, title."""
    element = _add(parent, tag, attributes={"id": id_})
    _add_known(element, "description", group.description)
    between(element)
    _add(element, "title", group.title)


def _baseline(result: etree._Element, record: ResultsRecord) -> None:
    baseline = _add(result, "baseline")
    measures = _add(baseline, "baselineMeasures")
    for measure in record.baseline:
        _measure(_add(measures, "baselineMeasure"), measure, "BG", record)
    groups = _add(baseline, "baselineReportingGroups")
    for group in record.groups:
        _sized(groups, "baselineReportingGroup", group, f"BG.{group.key}", record.flow.started[group.key])
    if record.synthetic:
        _add(baseline, "populationAnalysisDescription", SYNTHETIC)
    if len(record.groups) > 1:
        _sized(baseline, "totalBaselineReportingGroup", Group(TOTAL, "Total"), f"BG.{TOTAL}", sum(record.flow.started.values()))


def _sized(parent: etree._Element, tag: str, group: Group, id_: str, size: int) -> None:
    _titled(parent, tag, group, id_, lambda element: _add_known(element, "subjectsAnalyzed", size))


def _measure(element: etree._Element, measure: Measure, prefix: str, record: ResultsRecord) -> None:
    _add_known(element, "ciPctLevel", measure.interval_level)
    _add_known(element, "dispersionType", measure.dispersion)
    row = _add(_add(element, "measureRows"), "measureRow")
    values = _add(row, "reportedValues")
    for key, entries in measure.entries.items():
        value = _add(values, "reportedValue")
        _add(value, "reportingGroupId", f"{prefix}.{key}")
        listed = _add(value, "reportedEntries")
        for entry in entries:
            _entry(_add(listed, "reportedEntry"), entry)
        _add(value, "subjectsAnalyzed", measure.analysed[key])
    _add_known(element, "measureDescription", measure.description)
    _add(element, "parameterType", measure.parameter)
    population = [SYNTHETIC] if record.synthetic else []
    population += [measure.population] if measure.population is not None else []
    _add_known(element, "populationAnalysisDescription", ". ".join(population) or None)
    _add_known(element, "timeFrame", measure.time_frame)
    _add(element, "title", measure.title)
    _add(element, "unitOfMeasure", measure.unit)


def _entry(element: etree._Element, entry: Entry) -> None:
    for tag, text in (
        ("catName", entry.category),
        ("dispersionLowerLimit", entry.lower),
        ("dispersionSpread", entry.spread),
        ("dispersionUpperLimit", entry.upper),
        ("naComment", entry.comment),
        ("parameterValue", entry.value),
    ):
        _add_known(element, tag, text)


def _outcome(parent: etree._Element, measure: Measure, number: int, record: ResultsRecord) -> None:
    element, prefix = _add(parent, "outcomeMeasure"), f"OG.{number}"
    _measure(element, measure, prefix, record)
    _add(element, "measureType", measure.level)
    _add(element, "outcomeMeasureAnalyses")
    groups = _add(element, "outcomeReportingGroups")
    for group in record.groups:
        if group.key in measure.entries:
            _sized(groups, "outcomeReportingGroup", group, f"{prefix}.{group.key}", measure.analysed[group.key])


def _flow(result: etree._Element, record: ResultsRecord) -> None:
    flow = _add(result, "participantFlow")
    groups = _add(flow, "participantFlowGroups")
    for group in record.groups:
        _titled(groups, "flowGroup", group, f"FG.{group.key}", lambda _: None)
    period = _add(_add(flow, "periods"), "period")
    _milestone(period, "completedMilestone", record.flow.completed)
    reasons = _add(period, "dropWithdrawReasons")
    for reason in record.flow.reasons:
        _reason(reasons, reason)
    _add(period, "milestones")
    _milestone(period, "startedMilestone", record.flow.started)
    _add(period, "title", "Overall Study")
    _add_known(flow, "recruitmentDetails", SYNTHETIC if record.synthetic else None)


def _milestone(period: etree._Element, tag: str, counts: Counts) -> None:
    achievements = _add(_add(period, tag), "milestoneAchievements")
    for key, count in counts.items():
        achievement = _add(achievements, "milestoneAchievement")
        _add(achievement, "reportingGroupId", f"FG.{key}")
        _add(achievement, "subjectsAchieve", count)


def _reason(parent: etree._Element, reason: ReasonNotCompleted) -> None:
    element = _add(parent, "dropWithdrawReason")
    details = _add(element, "dropWithdrawReasonDetails")
    for key, count in reason.counts.items():
        detail = _add(details, "reasonDetail")
        _add(detail, "reportingGroupId", f"FG.{key}")
        _add(detail, "subjectsAffected", count)
    _add_known(element, "otherReasonName", reason.other)
    _add(element, "reasonType", reason.reason)


def _events(result: etree._Element, record: ResultsRecord) -> None:
    events = record.events
    element = _add(result, "reportedEvents")
    _add(element, "frequencyReportingThreshold", events.threshold)
    _event_rows(_add(element, "frequentAdverseEvents"), "frequentEvent", events.other)
    groups = _add(element, "interventionGroups")
    for group in record.groups:
        _event_group(groups, group, record)
    _add_known(element, "notes", SYNTHETIC if record.synthetic else None)
    _event_rows(_add(element, "seriousAdverseEvents"), "seriousEvent", events.serious)
    _add(element, "timeFrame", events.time_frame)


def _event_group(parent: etree._Element, group: Group, record: ResultsRecord) -> None:
    totals, element = record.events.totals[group.key], _add(parent, "interventionGroup", attributes={"id": f"EG.{group.key}"})
    _add_known(element, "description", group.description)
    for tag, count in (
        ("numDeaths", totals.deaths),
        ("numSubjectsFrequentEvents", totals.other),
        ("numSubjectsSeriousEvents", totals.serious),
        ("partAtRiskAllCauseMort", totals.mortality_at_risk),
        ("partAtRiskFrequentEvents", totals.at_risk),
        ("partAtRiskSeriousEvents", totals.at_risk),
    ):
        _add(element, tag, count)
    _add(element, "title", group.title)


def _event_rows(parent: etree._Element, tag: str, rows: Iterable[EventRow]) -> None:
    for row in rows:
        element = _add(parent, tag)
        stats = _add(element, "adverseEventStats")
        for key, counts in row.counts.items():
            stat = _add(stats, "eventStats")
            _add(stat, "reportingGroupId", f"EG.{key}")
            _add(stat, "numEvents", counts.events)
            _add(stat, "numSubjectsAffected", counts.affected)
            _add(stat, "numSubjects", counts.at_risk)
        _add_known(element, "organSystemName", row.organ_system)
        _add(element, "term", row.term)
