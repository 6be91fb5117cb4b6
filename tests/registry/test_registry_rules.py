import re

import pytest

from fhir_trial.errors import InputError
from fhir_trial.registry import check

RECORD = b"""<prs:study_collection xmlns:prs="http://clinicaltrials.gov/prs" xmlns:rrs="http://clinicaltrials.gov/rrs"><clinical_study>
<id_info><org_name>O</org_name><org_study_id>1</org_study_id></id_info><brief_title>T</brief_title>
<rrs:result partialUpload="true"><baseline><baselineMeasures>
<baselineMeasure><measureRows/><title>Age, Continuous</title></baselineMeasure><baselineMeasure><measureRows><measureRow><reportedValues>
<reportedValue><reportingGroupId>B0</reportingGroupId><reportedEntries><reportedEntry><catName>Female</catName><parameterValue>2</parameterValue>
</reportedEntry><reportedEntry><catName>Male</catName><parameterValue>2</parameterValue></reportedEntry></reportedEntries>
<subjectsAnalyzed>4</subjectsAnalyzed></reportedValue></reportedValues></measureRow></measureRows><parameterType>Count of Participants
</parameterType><title>Sex: Female, Male</title></baselineMeasure></baselineMeasures><baselineReportingGroups>
<baselineReportingGroup id="B0"><subjectsAnalyzed>4</subjectsAnalyzed></baselineReportingGroup></baselineReportingGroups></baseline>
<outcomeMeasures><outcomeMeasure><dispersionType>95% Confidence Interval</dispersionType><measureRows><measureRow><reportedValues>
<reportedValue><reportingGroupId>O0</reportingGroupId><reportedEntries><reportedEntry><dispersionUpperLimit>NA</dispersionUpperLimit>
<naComment>Not reached</naComment><parameterValue>3</parameterValue></reportedEntry></reportedEntries></reportedValue></reportedValues>
</measureRow></measureRows><parameterType>Median</parameterType><timeFrame>Up to 24 months</timeFrame><title>Survival</title>
<unitOfMeasure>months</unitOfMeasure><measureType>Primary</measureType><outcomeMeasureAnalyses/><outcomeReportingGroups>
<outcomeReportingGroup id="O0"><subjectsAnalyzed>4</subjectsAnalyzed></outcomeReportingGroup></outcomeReportingGroups></outcomeMeasure>
</outcomeMeasures><participantFlow><participantFlowGroups><flowGroup id="F0"/></participantFlowGroups><periods><period>
<completedMilestone><milestoneAchievements><milestoneAchievement><reportingGroupId>F0</reportingGroupId><subjectsAchieve>3</subjectsAchieve>
</milestoneAchievement></milestoneAchievements></completedMilestone><dropWithdrawReasons><dropWithdrawReason><dropWithdrawReasonDetails>
<reasonDetail><reportingGroupId>F0</reportingGroupId><subjectsAffected>1</subjectsAffected></reasonDetail></dropWithdrawReasonDetails>
<reasonType>Death</reasonType></dropWithdrawReason></dropWithdrawReasons><milestones/><startedMilestone><milestoneAchievements>
<milestoneAchievement><reportingGroupId>F0</reportingGroupId><subjectsAchieve>4</subjectsAchieve></milestoneAchievement>
</milestoneAchievements></startedMilestone></period></periods></participantFlow><reportedEvents>
<frequencyReportingThreshold>5</frequencyReportingThreshold><frequentAdverseEvents><frequentEvent><adverseEventStats><eventStats>
<reportingGroupId>E0</reportingGroupId><numEvents>2</numEvents><numSubjectsAffected>1</numSubjectsAffected><numSubjects>4</numSubjects>
</eventStats></adverseEventStats><organSystemName>Cardiac disorders</organSystemName><term>Palpitations</term></frequentEvent>
</frequentAdverseEvents><interventionGroups><interventionGroup id="E0"><numDeaths>1</numDeaths>
<numSubjectsFrequentEvents>1</numSubjectsFrequentEvents><numSubjectsSeriousEvents>0</numSubjectsSeriousEvents>
<partAtRiskAllCauseMort>4</partAtRiskAllCauseMort><partAtRiskFrequentEvents>4</partAtRiskFrequentEvents>
<partAtRiskSeriousEvents>4</partAtRiskSeriousEvents></interventionGroup></interventionGroups><seriousAdverseEvents/>
<timeFrame>Two years</timeFrame></reportedEvents></rrs:result></clinical_study></prs:study_collection>"""


def _codes(xml):
    return {finding.code for finding in check(xml) if finding.code not in {"missing-part", "applicability"}}


def test_a_sound_record_lacks_only_the_parts_that_are_not_there():
    assert _codes(RECORD) == set()
    assert {finding.expected for finding in check(RECORD) if finding.code == "missing-part"} == {"certainAgreement", "pointOfContact"}


@pytest.mark.parametrize(
    ("pattern", "replacement", "code"),
    [
        (rb' partialUpload="true"', b"", "full-upload-destroys"),
        (rb"<brief_title>T</brief_title>", b"<brief_title>" + b"T" * 301 + b"</brief_title>", "too-long"),
        (rb"<title>Survival</title>", b"<title>" + b"S" * 255 + b"</title>", "too-long"),
        (rb"<title>Survival</title>", b"<title>Safety</title>", "title-names-nothing"),
        (rb"<title>Survival</title>", b"<title>Percentage of Participants alive</title>", "title-against-unit"),
        (rb"Up to 24 months", b"24", "time-frame"),
        (rb"<timeFrame>Two years</timeFrame>", b"", "time-frame"),
        (rb"<timeFrame>Two years</timeFrame>", b"<timeFrame>" + b"T" * 501 + b"</timeFrame>", "too-long"),
        (rb"(<brief_title>T</brief_title>)", rb"\g<1><acronym>ABCDEFGHIJKLMNO</acronym>", "too-long"),
        (
            rb"(<brief_title>T</brief_title>)",
            rb"\g<1><primary_outcome><outcome_measure>" + b"O" * 255 + b"</outcome_measure></primary_outcome>",
            "too-long",
        ),
        (rb"<title>Age, Continuous</title>", b"<title>Weight</title>", "missing-characteristic"),
        (rb"<parameterValue>2</parameterValue>", b"<parameterValue>3</parameterValue>", "counts-above-analysed"),
        (rb"(?s)<dropWithdrawReason>.*</dropWithdrawReason>", b"", "no-reasons"),
        (rb"<subjectsAchieve>3", "<subjectsAchieve>\u00b2".encode(), "flow-does-not-add-up"),
        (rb"<unitOfMeasure>months", b"<unitOfMeasure>NA", "unit"),
        (rb"<dispersionType>[^<]*</dispersionType>", b"", "no-dispersion"),
        (rb"<naComment>[^<]*</naComment>", b"", "na-without-comment"),
        (rb'(<outcomeReportingGroup id="O0"><subjectsAnalyzed>)4', rb"\g<1>0", "nobody-analysed"),
        (rb'(<outcomeReportingGroup id="O0"><subjectsAnalyzed>)4', rb"\g<1>5", "more-analysed-than-started"),
        (rb'(<baselineReportingGroup id="B0"><subjectsAnalyzed>)4', rb"\g<1>3", "baseline-differs-from-flow"),
        (rb"<subjectsAffected>1", b"<subjectsAffected>2", "flow-does-not-add-up"),
        (rb"Threshold>5<", b"Threshold>10<", "threshold"),
        (rb"Threshold>5<", b"Threshold>few<", "threshold"),
        (rb"Cardiac disorders", b"Heart", "organ-system"),
        (rb"<numSubjectsAffected>1", b"<numSubjectsAffected>5", "event-counts"),
        (rb"<numEvents>2", b"<numEvents>0", "event-counts"),
        (rb"<numSubjects>4", b"<numSubjects>0", "event-counts"),
        (rb"<numDeaths>1", b"<numDeaths>5", "group-totals"),
        (
            rb"<seriousAdverseEvents/>",
            b"<seriousAdverseEvents><seriousEvent><adverseEventStats/><organSystemName>Cardiac disorders</organSystemName>"
            b"<term>palpitations</term></seriousEvent></seriousAdverseEvents>",
            "serious-and-other",
        ),
        (rb"<measureType>Primary</measureType>", b"", "schema"),
        (rb"(?s)<rrs:result.*</rrs:result>", b"", "no-results"),
    ],
)
def test_each_rule_finds_its_fault(pattern, replacement, code):
    broken, count = re.subn(pattern, replacement, RECORD, count=1)
    assert count == 1
    assert code in _codes(broken)


def test_an_outcome_that_nobody_was_analysed_for_needs_no_unit():
    empty = re.sub(rb'(<outcomeReportingGroup id="O0"><subjectsAnalyzed>)4', rb"\g<1>0", RECORD)
    explained = b"Median</parameterType><populationAnalysisDescription>Stopped</populationAnalysisDescription>"
    empty = empty.replace(b"Median</parameterType>", explained)
    assert _codes(empty.replace(b"<unitOfMeasure>months</unitOfMeasure>", b"")) == set()


def test_a_group_that_begins_with_a_later_period_is_among_those_who_started():
    period = RECORD[RECORD.index(b"<period>") : RECORD.index(b"</periods>")].replace(b"<subjectsAchieve>4", b"<subjectsAchieve>5")
    later = RECORD.replace(b"</periods>", period.replace(b"<subjectsAffected>1", b"<subjectsAffected>2") + b"</periods>")
    later = re.sub(rb'(<outcomeReportingGroup id="O0"><subjectsAnalyzed>)4', rb"\g<1>5", later)
    assert _codes(later) == set()


@pytest.mark.parametrize(
    ("countries", "says"),
    [([], "locations"), (["China"], "probably is no applicable"), (["USA"], "a decision"), (["China", "Japan"], "a decision")],
)
def test_applicability_is_a_note(countries, says):
    places = "".join(f"<location><facility><name/><address><country>{c}</country></address></facility></location>" for c in countries)
    xml = RECORD.replace(b"</brief_title>", b"</brief_title>" + places.encode())
    (note,) = [finding for finding in check(xml) if finding.code == "applicability"]
    assert says in note.expected
    assert note.severity == "information"


@pytest.mark.parametrize(
    ("xml", "code"),
    [
        (b"", "not-well-formed"),
        (b"<a>", "not-well-formed"),
        (b"\xff\xfe\xfa", "not-well-formed"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "document-type"),
        (b'<!DOCTYPE a SYSTEM "http://example.org/a.dtd"><a/>', "document-type"),
    ],
)
def test_what_is_no_safe_xml_is_refused(xml, code):
    with pytest.raises(InputError) as caught:
        check(xml)
    assert [finding.code for finding in caught.value.findings] == [code]


def test_many_entities_are_not_expanded():
    laughs = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10 if n else b"ha") for n in range(12))
    with pytest.raises(InputError):
        check(b"<!DOCTYPE a [" + laughs + b"]><a>&l11;</a>")
