"""Registry records as study definitions: seven real ones, what others bring, and what is no record."""

import contextlib
import copy
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_trial.domain.entities import Study
from fhir_trial.domain.tables import TrialData, to_rows
from fhir_trial.errors import Findings, InputError, UsageError
from fhir_trial.mapping import load
from fhir_trial.sources.ctgov import PURPOSES, criteria
from fhir_trial.sources.study_file import load_study
from fhir_trial.sources.study_import import import_study
from fhir_trial.sources.study_tables import study_tables
from fhir_trial.trial.resources import from_resources, to_resources

# record: status, phase, arms, drugs of each arm, primary, secondary and other outcomes, criteria: counted in the records by jq
REAL = {
    "NCT00567567": ("COMPLETED", "PHASE3", [10, 11], (3, 14, 0)),
    "NCT00763412": ("COMPLETED", "NA", [1, 1], (3, 6, 0)),
    "NCT01125800": ("COMPLETED", "PHASE1/PHASE2", [1, 1, 1, 1, 1], (3, 6, 0)),
    "NCT02299791": ("COMPLETED", "NA", [0, 0], (1, 0, 0)),
    "NCT02552212": ("COMPLETED", "PHASE3", [1, 0], (11, 20, 0)),
    "NCT03275402": ("TERMINATED", "PHASE2/PHASE3", [1], (1, 0, 0)),
    "NCT05594173": ("COMPLETED", None, [], (2, 0, 0)),
}


@pytest.fixture
def importing(tmp_path):
    """Import a document, and read the definition back from the YAML that it gives."""

    def go(document):
        file, out = tmp_path / "record.json", tmp_path / "study.yaml"
        file.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        imported = import_study(file)
        out.write_text(imported.yaml(), encoding="utf-8")
        if not imported.findings.errors():
            assert load_study(out) == imported.study()
        return imported

    return go


@pytest.mark.parametrize("number", REAL)
def test_a_real_record_becomes_a_definition_that_loads(shared, importing, number):
    status, phase, drugs, outcomes = REAL[number]
    imported = importing((shared / f"data/registry/records/{number}.json").read_bytes())
    study = imported.study()
    assert (study.id, study.status, study.phase) == (number, status, phase)
    assert [len(arm.medications) for arm in study.arms] == drugs
    assert tuple(sum(o.level == level for o in study.outcomes) for level in ("primary", "secondary", "other")) == outcomes
    assert {f.severity for f in imported.findings} == {"information"}


def leaves(value):
    if isinstance(value, dict):
        return [leaf for member in value.values() for leaf in leaves(member)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [] if value in (None, "") else [value]


@pytest.mark.parametrize("number", REAL)
def test_every_value_of_a_record_is_in_the_definition_or_listed(shared, importing, number):
    record = json.loads((shared / f"data/registry/records/{number}.json").read_bytes())["protocolSection"]
    imported = importing({"protocolSection": record})
    listed = sum(int(f.found.split()[0]) for f in imported.findings if f.code == "not-carried")
    taken = len(leaves(record)) - listed
    # What is not listed stands in the YAML; names of interventions and arms only link the two, and age groups follow from the ages.
    text = " ".join(imported.yaml().replace("\\", " ").split())
    linked = sum(len(leaves([a.get("interventionNames")])) for a in record.get("armsInterventionsModule", {}).get("armGroups", []))
    interventions = record.get("armsInterventionsModule", {}).get("interventions", [])
    linked += sum(1 + len(leaves([i.get("armGroupLabels")])) for i in interventions)
    assert (
        0
        < taken
        <= len(leaves(imported.members))
        + linked
        + len(record["eligibilityModule"].get("stdAges", []))
        + len(record["conditionsModule"]["conditions"])
    )
    assert " ".join(record["identificationModule"]["briefTitle"].split()) in text.replace("''", "'")


BASE = {
    "protocolSection": {
        "identificationModule": {"nctId": "NCT00000001", "briefTitle": "A study"},
        "statusModule": {"overallStatus": "RECRUITING"},
        "sponsorCollaboratorsModule": {"leadSponsor": {"name": "A sponsor", "class": "OTHER"}},
    }
}


def record(**modules):
    made = copy.deepcopy(BASE)
    made["protocolSection"] |= modules
    return made


def codes(imported, severity="error"):
    return [(f.code, f.field) for f in imported.findings if f.severity == severity]


def test_a_record_without_arms_drugs_outcomes_or_dates_is_whole(importing):
    study = importing(BASE).study()
    assert (study.arms, study.drugs, study.outcomes, study.started_on) == ((), (), (), None)


@pytest.mark.parametrize("status", ["AVAILABLE", "NO_LONGER_AVAILABLE", "APPROVED_FOR_MARKETING", "WITHDRAWN", "WITHHELD", "SUSPENDED"])
def test_any_status_of_the_registry_is_kept(importing, status):
    design = {"studyType": "EXPANDED_ACCESS", "expandedAccessTypes": {"individual": True}}
    imported = importing(record(statusModule={"overallStatus": status, "whyStopped": "No funds"}, designModule=design))
    study = imported.study()
    assert study.status == status
    unwritten = Findings()
    resources = list(to_resources(TrialData(study, study_tables(study)), "r4", unwritten))
    assert ([r["resourceType"] for r in resources].count("ResearchStudy"), len(unwritten)) == (1, 0)
    assert study.why_stopped == "No funds"
    assert next(r for r in resources if r["resourceType"] == "ResearchStudy")["reasonStopped"] == {"text": "No funds"}


@pytest.mark.parametrize("fhir", ["r4", "r5"])
@pytest.mark.parametrize("number", REAL)
def test_a_real_record_is_written_as_fhir_and_read_back_the_same(shared, importing, number, fhir):
    study = importing((shared / f"data/registry/records/{number}.json").read_bytes()).study()
    tables, findings = study_tables(study), Findings()
    back = from_resources(to_resources(TrialData(study, tables), fhir, findings), study, fhir)
    assert [f.describe() for f in (*findings, *back.findings)] == []
    assert {name: table.to_pylist() for name, table in back.tables.items() if name in tables} == {
        name: table.to_pylist() for name, table in tables.items() if table.num_rows
    }


@pytest.mark.parametrize("purpose", PURPOSES)
def test_any_purpose_of_the_registry_is_kept_in_the_resource(importing, purpose):
    study = importing(record(designModule={"designInfo": {"primaryPurpose": purpose}})).study()
    for fhir in ("r4", "r5"):
        findings = Findings()
        resources = list(to_resources(TrialData(study, study_tables(study)), fhir, findings))
        rows = from_resources(resources, study, fhir).rows("study")
        assert ([row.purpose for row in rows], len(findings)) == ([purpose], 0)


@pytest.mark.parametrize(
    ("status", "phases", "purpose", "read"),
    [
        ("Active, not recruiting", ["Phase 1/Phase 2"], "Supportive Care", ("ACTIVE_NOT_RECRUITING", "PHASE1/PHASE2", "SUPPORTIVE_CARE")),
        ("recruiting", ["PHASE3", "PHASE2"], "treatment", ("RECRUITING", "PHASE2/PHASE3", "TREATMENT")),
        ("Unknown", ["N/A"], None, ("UNKNOWN", "NA", None)),
    ],
)
def test_words_as_the_web_site_writes_them_are_the_registrys(importing, status, phases, purpose, read):
    design = {"phases": phases, "designInfo": {"primaryPurpose": purpose}}
    imported = importing(record(statusModule={"overallStatus": status}, designModule=design))
    study = imported.study()
    assert (study.status, study.phase, study.purpose) == read
    assert codes(imported, "warning") == []


def test_a_word_that_the_registry_lacks_is_said(importing):
    imported = importing(record(statusModule={"overallStatus": "PAUSED"}, designModule={"phases": ["PHASE1", "PHASE4"]}))
    assert (imported.study().status, imported.study().phase) == ("UNKNOWN", None)
    assert codes(imported, "warning") == [("unknown-code", "overallStatus"), ("unknown-code", "phases")]


@pytest.mark.parametrize(
    ("info", "figures"),
    [
        ({"count": 40, "type": "ACTUAL"}, (None, 40)),
        ({"count": 40, "type": "ESTIMATED"}, (40, None)),
        ({"count": "40", "type": "Anticipated"}, (40, None)),
        ({"count": 0, "type": "ACTUAL"}, (None, 0)),
        ({"count": 40}, (None, None)),
    ],
)
def test_enrolment_is_planned_or_actual_and_nothing_where_the_record_says_neither(importing, info, figures):
    imported = importing(record(designModule={"enrollmentInfo": info}))
    enrollment = imported.study().enrollment
    assert (enrollment.planned, enrollment.actual) == figures
    listed = "protocolSection.designModule.enrollmentInfo.count" in {f.field for f in imported.findings}
    assert listed == (figures == (None, None))


def test_enrolment_that_is_no_number_is_said(importing):
    imported = importing(record(designModule={"enrollmentInfo": {"count": "many", "type": "ACTUAL"}}))
    assert codes(imported) == [("wrong-type", "protocolSection.designModule.enrollmentInfo.count")]


def test_every_number_of_the_study_arrives_and_the_registrys_own_stands_in_its_system(importing):
    secondary = [
        {"id": "U10", "type": "NIH", "link": "l"},
        {"id": "CDR1"},
        {"type": "OTHER"},
        {"id": "A1", "type": "OTHER", "domain": "CTEP"},
    ]
    numbers = {"organization": {"fullName": "COG"}, "orgStudyIdInfo": {"id": "A1"}, "secondaryIdInfos": secondary}
    imported = importing(record(identificationModule={"nctId": "NCT00000001", "briefTitle": "T"} | numbers))
    (row,) = to_rows(study_tables(imported.study())["study"], Study)
    found = [(n.value, n.kind, n.issuer, n.registry) for n in row.identifiers]
    assert found == [
        ("NCT00000001", None, None, "ClinicalTrials.gov"),
        ("A1", None, "COG", None),
        ("U10", "NIH", None, None),
        ("CDR1", None, None, None),
        ("A1", "OTHER", "CTEP", None),
    ]
    assert "protocolSection.identificationModule.secondaryIdInfos.link" in {f.field for f in imported.findings}
    for version in ("r4", "r5"):
        rules = load(version)["study"]
        written = rules.to_fhir(row)
        assert [i["value"] for i in written["identifier"] if i.get("system") == "http://clinicaltrials.gov"] == ["NCT00000001"]
        assert rules.from_fhir(written) == row


def test_collaborators_and_officials_are_parties(importing):
    sponsors = {"leadSponsor": {"name": "S"}, "collaborators": {"name": "C", "class": "NIH"}}
    officials = [{"name": "Dr. O", "affiliation": "U", "role": "PRINCIPAL_INVESTIGATOR"}, {"affiliation": "Nobody"}]
    imported = importing(record(sponsorCollaboratorsModule=sponsors, contactsLocationsModule={"overallOfficials": officials}))
    parties = [(p.role, p.name, p.affiliation) for p in imported.study().parties]
    assert parties == [("COLLABORATOR", "C", None), ("PRINCIPAL_INVESTIGATOR", "Dr. O", "U")]
    assert "protocolSection.contactsLocationsModule.overallOfficials.affiliation" in {f.field for f in imported.findings}


def test_lists_of_one_that_were_unboxed_are_read(importing):
    study = importing(
        record(
            designModule={"phases": "PHASE2"},
            conditionsModule={"conditions": "Sarcoma"},
            armsInterventionsModule={
                "armGroups": {"label": "A", "interventionNames": "Drug: X"},
                "interventions": {"type": "DRUG", "name": "X"},
            },
            outcomesModule={"primaryOutcomes": {"measure": "PFS", "timeFrame": "2 years"}},
        )
    ).study()
    assert (study.phase, study.condition, study.arms[0].medications, study.outcomes[0].title) == ("PHASE2", "Sarcoma", ("X",), "PFS")


def test_arms_of_one_name_are_both_kept_and_said(importing):
    arms = [{"label": "Cohort"}, {"label": "Cohort"}, {"type": "OTHER"}]
    imported = importing(record(armsInterventionsModule={"armGroups": arms}))
    assert [arm["name"] for arm in imported.members["arms"]] == ["Cohort", "Cohort (2)"]
    assert codes(imported, "warning") == [("duplicate-key", "armGroups.label")]
    assert codes(imported) == [("missing-value", "armGroups.label")]


def test_what_is_no_drug_is_listed_with_its_arm(importing):
    groups = [{"label": "A", "interventionNames": ["Procedure: Biopsy", "Combination Product: X + device"]}]
    interventions = [{"type": "PROCEDURE", "name": "Biopsy"}, {"type": "COMBINATION_PRODUCT", "name": "X + device"}]
    imported = importing(record(armsInterventionsModule={"armGroups": groups, "interventions": interventions}))
    assert imported.study().arms[0].medications == ("X + device",)
    listed = {f.field.removeprefix("protocolSection.armsInterventionsModule."): f.found for f in imported.findings}
    assert listed["armGroups.interventionNames"] == "1 value"
    assert listed["interventions.name"] == "1 value"


def test_a_date_that_does_not_exist_is_said_and_left_out(importing):
    imported = importing(record(statusModule={"overallStatus": "COMPLETED", "startDateStruct": {"date": "2020-02-31"}}))
    assert "started_on" not in imported.members
    assert codes(imported) == [("impossible-date", "startDateStruct")]


def test_results_without_a_protocol_say_what_is_missing(importing):
    imported = importing({"resultsSection": {"participantFlowModule": {"title": "x"}}, "hasResults": True})
    assert codes(imported) == [("missing-fact", name) for name in ("id", "title", "status", "sponsor")]
    with pytest.raises(InputError):
        imported.study()


def test_an_answer_of_the_api_with_one_record_is_that_record(importing):
    assert importing({"studies": [BASE], "nextPageToken": "x"}).study().id == "NCT00000001"
    assert importing([BASE]).study().id == "NCT00000001"
    with pytest.raises(InputError, match="several studies"):
        importing({"studies": [BASE, BASE]})


def test_a_key_that_stands_twice_is_said(importing):
    text = json.dumps(BASE).replace('"nctId": "NCT00000001"', '"nctId": "NCT00000002", "nctId": "NCT00000001"')
    assert codes(importing(text.encode())) == [("repeated-key", "nctId")]


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"resourceType": "ResearchStudy"}', b"\xff\xfe{}", b"[" * 5000, b"null"])
def test_what_is_no_record_is_refused_with_a_finding(importing, document):
    with pytest.raises(InputError):
        importing(document)


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError):
        import_study(tmp_path / "no.json")


def test_criteria_without_a_list_are_paragraphs():
    assert criteria("Adults\nwith sarcoma\n\n1. ECOG 0\n2) Consent") == ["Adults\nwith sarcoma", "ECOG 0", "Consent"]
    assert criteria(None) == []


ODD = (None, 1, 1.5, True, "", " ", [], {}, ["x"], [None], {"label": {}}, "x" * 5000, "\u0000", "\u2028", "2020-13", "a: b\n- c")


def spoiled(value, dice):
    """The document with some of its parts replaced by something else."""
    if dice.random() < 0.04:
        return dice.choice(ODD)
    if isinstance(value, dict):
        return {name: spoiled(member, dice) for name, member in value.items() if dice.random() > 0.02}
    return [spoiled(item, dice) for item in value[:4]] if isinstance(value, list) else value


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(REAL)))
def test_a_spoiled_record_is_read_or_refused_and_never_a_traceback(shared, tmp_path_factory, seed, number):
    document = json.loads((shared / f"data/registry/records/{number}.json").read_bytes())["protocolSection"]
    folder = tmp_path_factory.mktemp("spoiled")
    (folder / "r.json").write_text(json.dumps({"protocolSection": spoiled(document, random.Random(seed))}))
    with contextlib.suppress(InputError):
        imported = import_study(folder / "r.json")
        (folder / "s.yaml").write_text(imported.yaml(), encoding="utf-8")
        if imported.is_whole:
            load_study(folder / "s.yaml")
