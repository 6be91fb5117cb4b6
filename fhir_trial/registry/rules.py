"""What PRS reviewers send back, checked on a PRS XML record: NLM's schema accepts nearly anything, these rules do not.

Severities are those of PRS: error, warning and note (information).
"""

import re
from collections.abc import Callable, Iterator

from lxml import etree

from fhir_trial.errors import Finding, Severity
from fhir_trial.registry.picklists import picklists
from fhir_trial.registry.prs_schema import parse, violations
from fhir_trial.registry.prs_xml import RRS

_Rule = Callable[[etree._Element], Iterator[Finding]]
_NAMELESS = {"safety", "efficacy", "effectiveness", "toxicity", "tolerability"}
_LEVELS = ("primary", "secondary", "other")
_PARTS = ("baseline", "certainAgreement", "outcomeMeasures", "participantFlow", "pointOfContact", "reportedEvents")


def check(xml: bytes, place: str = "record") -> list[Finding]:
    """What is wrong with a PRS XML record: against the schema, then against the business rules; `InputError` where it is no XML.

    A record without results gives a note only.
    """
    root = parse(xml, place)
    findings = violations(root)
    for study in root.iterfind(".//clinical_study"):
        findings.extend((*_lengths(study), _applicability(study)))
        result = study.find(f"{{{RRS}}}result")
        if result is None:
            findings.append(Finding("no-results", "clinical_study", severity="information"))
        else:
            findings.extend(finding for rule in _RULES for finding in rule(result))
    return findings


def _finding(
    code: str, element: etree._Element, found: object = None, expected: str | None = None, severity: Severity = "error"
) -> Finding:
    return Finding(code, f"{etree.QName(element).localname} line {element.sourceline}", None, None, _text_of(found), expected, severity)


def _text_of(found: object) -> str | None:
    return None if found is None else str(found)


def _text(element: etree._Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _lengths(study: etree._Element) -> Iterator[Finding]:
    limits = picklists().limits
    for path, name in (
        ("brief_title", "brief_title"),
        ("official_title", "official_title"),
        ("acronym", "acronym"),
        ("arm_group/arm_group_label", "group_title"),
        ("intervention/intervention_name", "intervention_name"),
        ("intervention/intervention_description/textblock", "intervention_description"),
        *((f"{level}_outcome/outcome_measure", "outcome_title") for level in _LEVELS),
        *((f"{level}_outcome/outcome_time_frame", "time_frame") for level in _LEVELS),
        *((f"{level}_outcome/outcome_description/textblock", "outcome_description") for level in _LEVELS),
        (".//outcomeMeasure/title", "outcome_title"),
        (".//outcomeMeasure/measureDescription", "outcome_description"),
        (".//outcomeMeasure/timeFrame", "time_frame"),
        (".//reportedEvents/timeFrame", "events_time_frame"),
        (".//flowGroup/title", "group_title"),
        (".//interventionGroup/title", "group_title"),
        (".//flowGroup/description", "group_description"),
    ):
        for element in study.iterfind(path):
            if len(element.text or "") > limits[name]:
                yield _finding("too-long", element, len(element.text or ""), f"at most {limits[name]} characters")


def _applicability(study: etree._Element) -> Finding:
    """Whether US law asks for these results, as far as the places of the study tell: a note, since a lawyer decides."""
    countries = [_text(address, "country") for address in study.iterfind("location/facility/address")]
    american = any(re.fullmatch(r"USA?|U\.S\.(A\.)?|United States( of America)?", country, re.IGNORECASE) for country in countries)
    if not countries:
        expected = "the study's locations, to tell whether it is an applicable clinical trial"
    elif len(countries) == 1 and not american:
        expected = "nothing: a study at one site outside the United States probably is no applicable clinical trial"
    else:
        expected = "a decision whether it is an applicable clinical trial; its protocol and analysis plan are due with the results if so"
    return Finding("applicability", f"clinical_study line {study.sourceline}", expected=expected, severity="information")


def _parts(result: etree._Element) -> Iterator[Finding]:
    missing = [part for part in _PARTS if result.find(part) is None]
    if missing and result.get("partialUpload") not in {"true", "1"}:
        yield _finding(
            "full-upload-destroys", result, "partialUpload is not true", f"partialUpload, since {', '.join(missing)} would be lost"
        )
    for part in missing:
        yield _finding("missing-part", result, expected=part, severity="warning")


def _flow(result: etree._Element) -> Iterator[Finding]:
    for period in result.iterfind(".//period"):
        started, completed = (
            _by_group(period, f"{kind}Milestone//milestoneAchievement", "subjectsAchieve") for kind in ("started", "completed")
        )
        dropped: dict[str, int] = {}
        for detail in period.iterfind(".//reasonDetail"):
            key = _text(detail, "reportingGroupId")
            dropped[key] = dropped.get(key, 0) + (_number(_text(detail, "subjectsAffected")) or 0)
        for key, count in started.items():
            accounted = completed.get(key, 0) + dropped.get(key, 0)
            if not dropped and accounted < count:  # PRS takes a flow without reasons, and reviewers ask for them
                found = f"{count - accounted} who did not complete in {key}"
                yield _finding("no-reasons", period, found, "why they did not", "warning")
            elif accounted != count:
                yield _finding("flow-does-not-add-up", period, f"{accounted} completed or not in {key}", f"{count}, who started")


def _by_group(element: etree._Element, path: str, tag: str) -> dict[str, int]:
    return {_text(item, "reportingGroupId"): _number(_text(item, tag)) or 0 for item in element.iterfind(path)}


def _denominators(result: etree._Element) -> Iterator[Finding]:
    started = [_number(_text(m, "subjectsAchieve")) for m in result.iterfind(".//period[1]/startedMilestone//milestoneAchievement")]
    baseline = [_number(_text(group, "subjectsAnalyzed")) for group in result.iterfind(".//baselineReportingGroup")]
    if started and baseline and started != baseline:
        element = next(result.iterfind("baseline"))
        yield _finding("baseline-differs-from-flow", element, baseline, f"{started}, or an explanation", "warning")
    everyone = max(sum(_most_started(result).values()), sum(count or 0 for count in baseline))
    for group in result.iterfind(".//outcomeReportingGroup"):
        analysed = _number(_text(group, "subjectsAnalyzed"))
        if analysed is not None and started and analysed > everyone:
            yield _finding("more-analysed-than-started", group, analysed, f"at most {everyone}")


def _most_started(result: etree._Element) -> dict[str, int]:
    """How many of each group started the period that most of them started: a group may begin with a later period."""
    most: dict[str, int] = {}
    for period in result.iterfind(".//period"):
        for key, count in _by_group(period, "startedMilestone//milestoneAchievement", "subjectsAchieve").items():
            most[key] = max(count, most.get(key, 0))
    return most


def _baseline(result: etree._Element) -> Iterator[Finding]:
    """Age and sex are asked of every study, race and ethnicity of those that collected them (or the word that they were not)."""
    for element in result.iterfind("baseline"):
        titles = {_text(measure, "title").partition(",")[0].partition(":")[0] for measure in element.iterfind(".//baselineMeasure")}
        for what, known in (("age", {"Age"}), ("sex", {"Sex", "Sex/Gender", "Gender"})):
            if not titles & known:
                yield _finding("missing-characteristic", element, expected=f"a baseline measure of {what}", severity="warning")


def _counts(result: etree._Element) -> Iterator[Finding]:
    """Participants counted in the categories of a row are no more than were analysed."""
    for measure in (*result.iterfind(".//baselineMeasure"), *result.iterfind(".//outcomeMeasure")):
        if _text(measure, "parameterType").lower() != "count of participants":
            continue
        for value in measure.iterfind(".//reportedValue"):
            counts = [_number(_text(entry, "parameterValue")) or 0 for entry in value.iterfind(".//reportedEntry")]
            analysed = _number(_text(value, "subjectsAnalyzed"))
            if analysed is not None and sum(counts) > analysed:
                yield _finding("counts-above-analysed", value, f"{sum(counts)} in all categories", f"at most the {analysed} analysed")


def _is_without_values(measure: etree._Element) -> bool:
    """Whether nobody was analysed, or the outcome is not posted yet: there is no figure to have a unit."""
    sizes = [_text(group, "subjectsAnalyzed") for group in measure.iterfind(".//outcomeReportingGroup")]
    return _text(measure, "reportingStatus") == "Not Posted" or (bool(sizes) and set(sizes) == {"0"})


def _measures(result: etree._Element) -> Iterator[Finding]:
    for measure in result.iterfind(".//outcomeMeasure"):
        yield from _title(measure)
        frame = _text(measure, "timeFrame")
        if not frame or frame.isdigit():
            yield _finding("time-frame", measure, frame or None, "a time frame in words, such as 'up to 24 months'")
        if _text(measure, "unitOfMeasure").upper() in {"", "NA", "N/A"} and not _is_without_values(measure):
            yield _finding("unit", measure, _text(measure, "unitOfMeasure"), "the unit of the values")
        continuous = re.search(r"mean|median", _text(measure, "parameterType"), re.IGNORECASE)
        if continuous and _text(measure, "dispersionType") in {"", "Not Applicable"}:
            yield _finding("no-dispersion", measure, _text(measure, "parameterType"), "a measure of dispersion")
        yield from _values(measure)


def _title(measure: etree._Element) -> Iterator[Finding]:
    title, unit = _text(measure, "title"), _text(measure, "unitOfMeasure").lower()
    start = re.match(r"(number|percentage|proportion) of", title, re.IGNORECASE)
    if start and unit and (start[1].lower() == "number") == (unit.startswith(("percent", "proportion", "%"))):
        yield _finding("title-against-unit", measure, f"{title!r} in {unit!r}", "a title and a unit that say the same", "warning")
    if title.lower() in _NAMELESS:
        yield _finding("title-names-nothing", measure, title, "what was measured", "warning")


def _values(measure: etree._Element) -> Iterator[Finding]:
    for entry in measure.iterfind(".//reportedEntry"):
        figures = [_text(entry, tag) for tag in ("parameterValue", "dispersionLowerLimit", "dispersionUpperLimit", "dispersionSpread")]
        if "NA" in figures and not _text(entry, "naComment"):
            yield _finding("na-without-comment", entry, "NA", "why the value is not available")
    for group in measure.iterfind(".//outcomeReportingGroup"):
        if _text(group, "subjectsAnalyzed") == "0" and not _text(measure, "populationAnalysisDescription"):
            yield _finding("nobody-analysed", group, "0", "an explanation in populationAnalysisDescription")


def _events(result: etree._Element) -> Iterator[Finding]:
    for events in result.iterfind("reportedEvents"):
        threshold = _text(events, "frequencyReportingThreshold")
        if not re.fullmatch(r"[0-4](\.\d+)?|5(\.0+)?", threshold):
            yield _finding("threshold", events, threshold or None, "5 percent or less")
        if not _text(events, "timeFrame"):
            yield _finding("time-frame", events, expected="over which time events were collected")
        for row in (*events.iterfind(".//seriousEvent"), *events.iterfind(".//frequentEvent")):
            yield from _event(row)
        for group in events.iterfind(".//interventionGroup"):
            yield from _totals(group)
        serious = {_text(row, "term").lower() for row in events.iterfind(".//seriousEvent")}
        for row in events.iterfind(".//frequentEvent"):
            if _text(row, "term").lower() in serious:
                yield _finding("serious-and-other", row, _text(row, "term"), "each event in one table only", "information")


def _event(row: etree._Element) -> Iterator[Finding]:
    system = _text(row, "organSystemName")
    if picklists().organ_system(system) is None:
        yield _finding("organ-system", row, system or None, "a system organ class that PRS knows")
    for stat in row.iterfind(".//eventStats"):
        events, affected, at_risk = (_number(_text(stat, tag)) for tag in ("numEvents", "numSubjectsAffected", "numSubjects"))
        if affected is None or at_risk is None or affected > at_risk or (events is not None and events < affected):
            yield _finding("event-counts", stat, f"{events} events, {affected} of {at_risk}", "events >= affected, affected <= at risk")


def _totals(group: etree._Element) -> Iterator[Finding]:
    for what, at_risk in (
        ("numDeaths", "partAtRiskAllCauseMort"),
        ("numSubjectsSeriousEvents", "partAtRiskSeriousEvents"),
        ("numSubjectsFrequentEvents", "partAtRiskFrequentEvents"),
    ):
        count, total = _number(_text(group, what)), _number(_text(group, at_risk))
        if count is None or total is None or count > total:
            yield _finding("group-totals", group, f"{what} {count} of {total}", "both numbers, the first not above the second")


_RULES: tuple[_Rule, ...] = (_parts, _flow, _denominators, _baseline, _counts, _measures, _events)
