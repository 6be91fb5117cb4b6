from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from lxml import etree
from msgspec.structs import replace

from fhir_trial.domain.entities import AdverseEvent, Disposition, Patient, Subject
from fhir_trial.domain.results import EndpointResult, Estimate
from fhir_trial.domain.study import ArmDefinition, Outcome, Sponsor, StudyDefinition
from fhir_trial.domain.tables import TrialData, to_table
from fhir_trial.endpoints import subjects
from fhir_trial.endpoints.analyse import Results
from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.facts import gather
from fhir_trial.endpoints.response import respond
from fhir_trial.errors import Findings, InputError
from fhir_trial.registry import check, results_xml

STUDY = StudyDefinition(
    id="NCT00000000", title="A Study", status="COMPLETED", sponsor=Sponsor(id="s", name="A Hospital"),
    arms=(ArmDefinition(name="Drug", type="EXPERIMENTAL", description="What they got"),), drugs=(), endpoints=(),
    outcomes=(
        Outcome(title="Objective response rate", level="secondary", time_frame="Up to 24 months", endpoint="ORR"),
        Outcome(title="Progression-free survival", level="primary", description="To PD", time_frame="Up to 24 months", endpoint="PFS"),
    ),
)  # fmt: skip
END = "DISPOSITION EVENT"


def _subject(number, arm="Drug", end=None, **more):
    dispositions = () if end is None else (Disposition(sequence=1, event=end, category=END, scope="STUDY PARTICIPATION", on="2022-06-01"),)
    values = {"state": "enrolled", "age": Decimal(40 + number), "age_unit": "YEARS", "race": "ASIAN", "enrolled_on": "2022-01-01",
              "first_dose_on": "2022-01-02", "last_dose_on": "2022-03-01"}  # fmt: skip
    return Subject(study=STUDY.id, subject=f"S{number}", arm_planned=arm, dispositions=dispositions, **(values | more))


def _event(number, sequence, term, organ_class="Cardiac disorders", serious=False, start="2022-02-01"):
    return AdverseEvent(
        study=STUDY.id, subject=f"S{number}", sequence=sequence, term=term, organ_class=organ_class, serious=serious, start=start
    )


def _data(subjects, events, synthetic=False, study=STUDY):
    patients = [
        Patient(study=STUDY.id, subject=s.subject, sex="F" if i % 2 else "M", death_date="2022-06-01" if i == 0 else None)
        for i, s in enumerate(subjects)
    ]
    tables = {
        "subject": to_table(subjects, Subject),
        "patient": to_table(patients, Patient),
        "adverse_event": to_table(events, AdverseEvent),
    }
    return TrialData(study=study, tables=tables, synthetic=synthetic)


def _result(endpoint, kind, estimates, arm=None, n=4, count=2):
    return EndpointResult(
        study=STUDY.id, endpoint=endpoint, label=endpoint, kind=kind, population="enrolled", n=n, count=count, estimates=estimates,
        subjects=pd.DataFrame(), arm=arm, departures={"interval": "log"},
    )  # fmt: skip


def _pfs(arm=None, n=4):
    rate = Estimate("rate", 0.5, 0.1, 0.8, 0.95, "log-log", at=Decimal(4), at_unit="months", at_risk=2)
    return _result("PFS", "time-to-event", (Estimate("median", 68.5, 40.0, None, 0.95, "log-log", "days"), rate), arm, n)


def _orr(arm=None, n=4):
    return _result("ORR", "proportion", (Estimate("proportion", 0.25, 0.0063, 0.8059, 0.95, "clopper-pearson"),), arm, n, 1)


def _results(data, by_arm=()):
    """Who is who as the analysis has it, with figures that were not computed from it."""
    conventions, nothing = preset("protocol"), pd.DataFrame()
    tables = {name: data.frame(name) for name in ("subject", "patient", "adverse_event")}
    facts = gather(tables, respond(tables, conventions).of_evaluator(), conventions)
    adsl = subjects.adsl(tables, facts, data.study, conventions)
    figures = {"PFS": _pfs(), "ORR": _orr()}
    return Results(STUDY.id, conventions, figures, dict(by_arm), adsl, nothing, nothing, nothing, nothing, Findings())


def _xml(data, findings=None):
    return results_xml(data, _results(data), data.study, findings)


SUBJECTS = [_subject(1, end="DEATH"), _subject(2, end="COMPLETED"), _subject(3), _subject(4, end="STUDY CLOSED BY SPONSOR")]
EVENTS = [_event(1, 1, "Palpitations"), _event(1, 2, "Palpitations"), _event(2, 1, "Palpitations"), _event(2, 2, "Arrest", serious=True),
          _event(3, 1, "Before treatment", start="2021-12-31"), _event(3, 2, "Long after", start="2022-04-01")]  # fmt: skip


@pytest.fixture
def record():
    findings = Findings()
    xml = _xml(_data(SUBJECTS, EVENTS), findings)
    return etree.fromstring(xml), findings


def _texts(root, path):
    return [element.text for element in root.iterfind(path)]


def test_our_own_record_passes_the_rules_but_for_what_is_missing():
    xml = _xml(_data(SUBJECTS, EVENTS))
    found = [(finding.code, finding.expected) for finding in check(xml) if finding.severity != "information"]
    assert found == [("missing-part", "certainAgreement"), ("missing-part", "pointOfContact")]


def test_flow_adds_up_and_says_why(record):
    root, _ = record
    assert _texts(root, ".//startedMilestone//subjectsAchieve") == ["4"]
    assert _texts(root, ".//completedMilestone//subjectsAchieve") == ["1"]
    reasons = {
        r.findtext("otherReasonName") or r.findtext("reasonType"): r.findtext(".//subjectsAffected")
        for r in root.iterfind(".//dropWithdrawReason")
    }
    assert reasons == {"Death": "1", "Ongoing at data cutoff": "1", "Study closed by sponsor": "1"}


def test_stopping_treatment_is_not_leaving_the_study_and_death_is():
    stopped = (Disposition(sequence=1, event="ADVERSE EVENT", category=END, scope="STUDY TREATMENT", on="2022-03-01"),)
    dead, alive = (replace(_subject(number), dispositions=stopped) for number in (1, 2))
    root = etree.fromstring(_xml(_data([dead, alive], [])))
    assert sorted(_texts(root, ".//dropWithdrawReason/reasonType")) == ["Death", "Other"]
    assert _texts(root, ".//otherReasonName") == ["Ongoing at data cutoff"]


def test_baseline(record):
    root, _ = record
    age, sex, race = root.iterfind(".//baselineMeasure")
    assert (age.findtext(".//parameterValue"), age.findtext(".//dispersionSpread")) == ("42.50", "1.29")
    assert list(zip(_texts(sex, ".//catName"), _texts(sex, ".//parameterValue"), strict=True)) == [("Female", "2"), ("Male", "2")]
    assert dict(zip(_texts(race, ".//catName"), _texts(race, ".//parameterValue"), strict=True))["Asian"] == "4"
    assert _texts(root, ".//baselineReportingGroup/subjectsAnalyzed") == ["4"]


def test_primary_outcome_with_a_limit_that_was_not_reached(record):
    root, _ = record
    rate, median, orr = root.iterfind(".//outcomeMeasure")
    assert [m.findtext("measureType") for m in (rate, median, orr)] == ["Primary", "Primary", "Secondary"]
    assert rate.findtext("title") == "Progression-free survival: rate at 4 months"
    assert [rate.findtext(f".//{tag}") for tag in ("parameterValue", "dispersionLowerLimit", "dispersionUpperLimit")] == [
        "50.0",
        "10.0",
        "80.0",
    ]
    assert [median.findtext(f".//{tag}") for tag in ("parameterValue", "dispersionLowerLimit", "dispersionUpperLimit")] == [
        "68.5",
        "40",
        "NA",
    ]
    assert "Upper limit not reached" in median.findtext(".//naComment")
    assert (median.findtext("dispersionType"), median.findtext("unitOfMeasure")) == ("95% Confidence Interval", "days")
    assert "interval = log" in median.findtext("measureDescription")
    assert (orr.findtext(".//parameterValue"), orr.findtext("unitOfMeasure")) == ("25.0", "percentage of participants")


def test_events_are_treatment_emergent_and_counted_by_term(record):
    root, _ = record
    stats = {
        row.findtext("term"): [e.text for e in row.iterfind(".//eventStats/*")][1:]
        for row in (*root.iterfind(".//frequentEvent"), *root.iterfind(".//seriousEvent"))
    }
    assert stats == {"Palpitations": ["3", "2", "4"], "Arrest": ["1", "1", "4"]}
    group = root.find(".//interventionGroup")
    assert {e.tag: e.text for e in group if e.tag.startswith(("num", "part"))} == {
        "numDeaths": "1", "numSubjectsFrequentEvents": "2", "numSubjectsSeriousEvents": "1", "partAtRiskAllCauseMort": "4",
        "partAtRiskFrequentEvents": "4", "partAtRiskSeriousEvents": "4",
    }  # fmt: skip


def test_treatment_emergent_is_from_the_first_dose_until_thirty_days_after_the_last():
    starts = {"2022-01-01": False, "2022-01-02": True, "2022-03-31": True, "2022-04-01": False, "2022-01": True, "2021": False, None: True}
    events = [_event(1, number, f"Event of {start}", start=start) for number, start in enumerate(starts)]
    found = _texts(etree.fromstring(_xml(_data(SUBJECTS, events))), ".//frequentEvent/term")
    assert sorted(found) == sorted(f"Event of {start}" for start, counts in starts.items() if counts)


def test_who_was_not_treated_is_not_at_risk_and_an_age_in_months_is_no_age_in_years():
    subjects = [SUBJECTS[0], _subject(2, first_dose_on=None, last_dose_on=None), _subject(3, age_unit="MONTHS")]
    findings = Findings()
    root = etree.fromstring(_xml(_data(subjects, []), findings))
    assert _texts(root, ".//partAtRiskSeriousEvents") == ["2"]
    assert _texts(root, ".//partAtRiskAllCauseMort") == ["3"]
    assert root.findtext(".//baselineMeasure//subjectsAnalyzed") == "2"
    assert "age-not-known" in findings.counts()


def test_every_death_counts_dated_or_not():
    data = _data(SUBJECTS, EVENTS)
    patients = [replace(p, dead=True) if p.subject == "S3" else p for p in data.rows("patient")]
    data = TrialData(study=STUDY, tables={**data.tables, "patient": to_table(patients, Patient)})
    assert _texts(etree.fromstring(_xml(data)), ".//numDeaths") == ["2"]


def test_a_screen_failure_is_no_participant_and_the_last_disposition_counts():
    two = tuple(
        Disposition(sequence=n, event=event, category=END, scope="STUDY PARTICIPATION") for n, event in enumerate(("OTHER", "COMPLETED"))
    )
    subjects = [_subject(1, state="screen-failure"), replace(_subject(2), dispositions=two)]
    root = etree.fromstring(_xml(_data(subjects, [])))
    assert _texts(root, ".//startedMilestone//subjectsAchieve") == ["1"]
    assert _texts(root, ".//completedMilestone//subjectsAchieve") == ["1"]


def test_other_events_at_five_percent_are_left_out():
    subjects = [_subject(n) for n in range(1, 41)]
    events = [_event(n, 1, "Two of forty") for n in (1, 2)] + [_event(n, 2, "Three of forty") for n in (1, 2, 3)]
    root = etree.fromstring(_xml(_data(subjects, events)))
    assert _texts(root, ".//frequentEvent/term") == ["Three of forty"]
    assert _texts(root, ".//numSubjectsFrequentEvents") == ["3"]


def test_groups_by_arm_with_a_total():
    arms = (ArmDefinition(name="A", type="EXPERIMENTAL"), ArmDefinition(name="B", type="PLACEBO_COMPARATOR"))
    study = replace(STUDY, arms=arms)
    subjects = [_subject(1, arm="A"), _subject(2, arm="B"), _subject(3, arm="B"), _subject(4, arm="Screen Failure")]
    findings = Findings()
    data = _data(subjects, [], study=study)
    by_arm = {"A": {"PFS": _pfs("A", 1)}, "B": {"PFS": _pfs("B", 2)}}
    xml = results_xml(data, _results(data, by_arm), study, findings)
    root = etree.fromstring(xml)
    assert _texts(root, ".//startedMilestone//subjectsAchieve") == ["1", "2"]
    assert _texts(root, ".//totalBaselineReportingGroup/subjectsAnalyzed") == ["3"]
    assert _texts(root, ".//outcomeMeasure[1]//outcomeReportingGroup/title") == ["A", "B"]
    assert {"subjects-without-arm", "outcome-without-results"} <= set(findings.counts())


def test_what_prs_needs_and_nobody_knows_is_said_and_not_invented(record):
    root, findings = record
    missing = {finding.place for finding in findings if finding.code == "missing-for-prs"}
    assert {"pointOfContact", "certainAgreement", "verification_date", "org_name"} <= missing
    assert root.find(".//pointOfContact") is None
    assert root.find(".//{*}result").get("partialUpload") == "true"
    assert root.find(".//clinical_study").get("partial_upload") == "true"


def test_synthetic_results_can_not_be_taken_for_real():
    real, synthetic = (_xml(_data(SUBJECTS, EVENTS, synthetic=s)) for s in (False, True))
    assert b"SYNTHETIC" not in real
    root = etree.fromstring(synthetic)
    for path in (
        ".//brief_title",
        ".//org_name",
        ".//org_study_id",
        ".//limitationsAndCaveats/description",
        ".//reportedEvents/notes",
        ".//recruitmentDetails",
        ".//baseline/populationAnalysisDescription",
        ".//outcomeMeasure/populationAnalysisDescription",
    ):
        texts = _texts(root, path)
        assert texts
        assert all(text.startswith("SYNTHETIC") for text in texts), path


def test_unknown_organ_system_and_unread_category_are_findings():
    findings = Findings()
    subjects = [replace(SUBJECTS[0], race="MARTIAN")]
    xml = _xml(_data(subjects, [_event(1, 1, "Itch", organ_class="SKIN")]), findings)
    assert {"unknown-organ-system", "unknown-category"} <= set(findings.counts())
    assert "organ-system" in {finding.code for finding in check(xml)}


def test_text_that_no_xml_can_hold_is_an_input_error():
    with pytest.raises(InputError, match="not xml text"):
        _xml(_data(SUBJECTS, [_event(1, 1, "Bell\x07")]))


def test_nobody_enrolled_gives_a_valid_record():
    assert b"Race and ethnicity were not collected" in _xml(_data([], []))


def test_a_record_without_any_event_says_that_it_is_a_claim():
    findings = Findings()
    _xml(_data(SUBJECTS, []), findings)
    assert "no-adverse-events" in findings.counts()


def test_an_outcome_without_a_time_frame_and_one_of_a_level_of_its_own():
    outcomes = (Outcome(title="Response", level="exploratory", endpoint="ORR"), replace(STUDY.outcomes[1], level="Primary"))
    study, findings = replace(STUDY, outcomes=outcomes), Findings()
    data = _data(SUBJECTS, EVENTS, study=study)
    root = etree.fromstring(results_xml(data, _results(data), study, findings))
    assert _texts(root, ".//measureType") == ["Primary", "Primary", "Other Pre-specified"]
    assert [f.place for f in findings if f.field == "time_frame"] == ["outcome Response"]


def test_schemas_are_the_published_ones(shared: Path):
    from fhir_trial.registry import prs_schema

    for path in (shared / "data" / "registry").glob("*.xsd"):
        assert (Path(prs_schema.__file__).parent / "schemas" / path.name).read_bytes() == path.read_bytes()
