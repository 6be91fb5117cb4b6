"""The protocol of a PRS XML record as a study definition."""

import pytest

from fhir_trial.errors import InputError
from fhir_trial.registry.prs_schema import parse, violations
from fhir_trial.sources.study_file import load_study
from fhir_trial.sources.study_import import import_study

RECORD = """<prs:study_collection xmlns:prs="http://clinicaltrials.gov/prs" xmlns:rrs="http://clinicaltrials.gov/rrs">
<clinical_study>
<id_info><org_name>UniA</org_name><org_study_id>UNI-7</org_study_id><secondary_id><id>G1</id></secondary_id></id_info>
<brief_title>A Study of X &amp; Y</brief_title><acronym>XY</acronym><official_title>The Official Title</official_title>
<sponsors><lead_sponsor><agency>University A</agency></lead_sponsor><collaborator><agency>NCI</agency></collaborator></sponsors>
<brief_summary><textblock>What it is about.</textblock></brief_summary><detailed_description><textblock>More.</textblock>
</detailed_description>
<overall_status>Active, not recruiting</overall_status><start_date>2020-03</start_date>
<last_follow_up_date>2024-01-15</last_follow_up_date>
<study_design><study_type>Interventional</study_type><interventional_design>
<interventional_subtype>Treatment</interventional_subtype>
<phase>Phase 1/Phase 2</phase><allocation>Randomized</allocation></interventional_design></study_design>
<primary_outcome><outcome_measure>PFS</outcome_measure><outcome_time_frame>2 years</outcome_time_frame><outcome_description>
<textblock>To PD</textblock></outcome_description></primary_outcome>
<secondary_outcome><outcome_measure>ORR</outcome_measure></secondary_outcome><secondary_outcome>
<outcome_measure>OS</outcome_measure></secondary_outcome>
<enrollment>40</enrollment><enrollment_type>Anticipated</enrollment_type><condition>Sarcoma</condition><condition>GIST</condition>
<arm_group><arm_group_label>A</arm_group_label><arm_type>Active Comparator</arm_type></arm_group><arm_group>
<arm_group_label>B</arm_group_label><arm_type>Experimental</arm_type></arm_group>
<intervention><intervention_type>Drug</intervention_type><intervention_name>X</intervention_name>
<arm_group_label>A</arm_group_label><arm_group_label>B</arm_group_label></intervention>
<intervention><intervention_type>Procedure</intervention_type><intervention_name>Biopsy</intervention_name></intervention>
<intervention><intervention_type>Biological/Vaccine</intervention_type><intervention_name>Y</intervention_name>
<arm_group_label>B</arm_group_label></intervention>
<eligibility><criteria><textblock>Inclusion Criteria:

- Adults
- Consent</textblock></criteria><healthy_volunteers>No</healthy_volunteers><gender>Both</gender>
<minimum_age>18 Months</minimum_age><maximum_age>N/A</maximum_age></eligibility>
<overall_official><first_name>Ada</first_name><last_name>B</last_name><degrees>MD</degrees>
<role>Study Principal Investigator</role><affiliation>University A</affiliation></overall_official>
<rrs:result partialUpload="true"><outcomeMeasures/><pointOfContact><title>C</title></pointOfContact></rrs:result>
</clinical_study></prs:study_collection>
"""


@pytest.fixture
def importing(tmp_path):
    def go(text):
        (tmp_path / "record.xml").write_text(text, encoding="utf-8")
        imported = import_study(tmp_path / "record.xml")
        if imported.is_whole:
            (tmp_path / "study.yaml").write_text(imported.yaml(), encoding="utf-8")
            assert load_study(tmp_path / "study.yaml") == imported.study()
        return imported

    return go


def test_the_record_is_one_that_the_schema_takes():
    assert violations(parse(RECORD.encode())) == []


def test_a_protocol_becomes_a_definition_in_the_registrys_words(importing):
    imported = importing(RECORD)
    study = imported.study()
    assert (study.id, study.title, study.acronym, study.sponsor.name) == ("UNI-7", "A Study of X & Y", "XY", "University A")
    assert (study.status, study.phase, study.purpose) == ("ACTIVE_NOT_RECRUITING", "PHASE1/PHASE2", "TREATMENT")
    assert (study.condition, study.started_on, study.ended_on) == ("Sarcoma; GIST", "2020-03", "2024-01-15")
    assert (study.enrollment.planned, study.enrollment.actual) == (40, None)
    assert [(arm.name, arm.type, arm.medications) for arm in study.arms] == [
        ("A", "ACTIVE_COMPARATOR", ("X",)),
        ("B", "EXPERIMENTAL", ("X", "Y")),
    ]
    assert [(o.title, o.level, o.time_frame) for o in study.outcomes] == [
        ("PFS", "primary", "2 years"),
        ("ORR", "secondary", None),
        ("OS", "secondary", None),
    ]
    about = study.eligibility
    assert (about.minimum_age, about.maximum_age, about.sex) == ("18 Months", None, "ALL")
    assert about.criteria == ("Inclusion Criteria:", "Adults", "Consent")
    assert [(number.value, number.issuer) for number in study.identifiers] == [("G1", None)]
    assert [(p.role, p.name) for p in study.parties] == [("COLLABORATOR", "NCI"), ("PRINCIPAL_INVESTIGATOR", "Ada B MD")]


def test_what_a_definition_has_no_place_for_is_listed(importing):
    listed = {f.field for f in importing(RECORD).findings if f.code == "not-carried"}
    assert {"detailed_description", "eligibility.healthy_volunteers", "result"} <= listed
    assert "protocolSection.armsInterventionsModule.interventions.name" in listed  # a procedure is no drug


def test_what_is_missing_is_said(importing):
    imported = importing(RECORD.replace("<agency>University A</agency>", "<agency/>").replace("A Study of X &amp; Y", ""))
    assert [f.field for f in imported.findings if f.code == "missing-fact"] == ["sponsor"]
    assert imported.members["title"] == "The Official Title"


def test_two_studies_in_one_file_are_refused(importing):
    study = RECORD[RECORD.index("<clinical_study>") : RECORD.index("</prs:")]
    with pytest.raises(InputError, match="several studies"):
        importing(RECORD.replace("</prs:", f"{study}</prs:"))


def test_a_document_type_is_refused(importing):
    with pytest.raises(InputError, match="dtd refused"):
        importing(f"<!DOCTYPE x>{RECORD}")
