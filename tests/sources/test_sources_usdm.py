"""USDM v4 as study definitions: CDISC's own files with their counts, and what is spoiled."""

import contextlib
import copy
import gzip
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_trial.errors import InputError
from fhir_trial.sources.study_file import load_study
from fhir_trial.sources.study_import import import_study
from fhir_trial.sources.usdm import plain

REAL = Path(__file__).parents[1] / "data" / "usdm"


def document(name):
    return json.loads(gzip.decompress((REAL / f"{name}.json.gz").read_bytes()))


@pytest.fixture
def importing(tmp_path):
    def go(value):
        (tmp_path / "usdm.json").write_text(json.dumps(value), encoding="utf-8")
        imported = import_study(tmp_path / "usdm.json")
        (tmp_path / "study.yaml").write_text(imported.yaml(), encoding="utf-8")
        assert load_study(tmp_path / "study.yaml") == imported.study()
        return imported

    return go


def test_a_study_that_was_done_becomes_a_definition(importing):
    imported = importing(document("Alexion_NCT04573309_Wilsons"))
    study = imported.study()
    assert (study.id, study.phase, study.sponsor.name, study.condition) == ("NCT04573309", "PHASE2", "Alexion", "Wilson's Disease")
    assert [(arm.name, arm.type) for arm in study.arms] == [("15mg-30mg", "Protocol Treatment Arm")]
    # Two ways of giving it (15 mg, 30 mg) have no place in one planned exposure: they are listed.
    assert [(drug.medication, drug.planned) for drug in study.drugs] == [("ALXN1840", None)]
    assert "study.versions.studyInterventions.administrations" in {f.field for f in imported.findings}
    assert [sum(o.level == level for o in study.outcomes) for level in ("primary", "secondary", "other")] == [1, 7, 6]
    assert len(study.eligibility.criteria) == 2 + 31
    assert (study.eligibility.minimum_age, study.eligibility.maximum_age, study.eligibility.sex) == ("18 Years", "100 Years", "ALL")
    assert study.eligibility.criteria[1] == "Participants aged ≥ [min_age] at the time of signing the ICF."


def test_an_observational_design_becomes_a_definition(importing):
    study = importing(document("observational")).study()
    assert (study.id, study.acronym, study.sponsor.name, len(study.outcomes)) == ("NCT12345678", "SIMPLE", "ACME Pharma", 3)
    planned = study.drugs[0].planned
    assert (str(planned.dose), planned.unit, planned.route, planned.frequency) == ("12.0", "mg", "DENTAL", "Ten Days Per Month")


def test_what_usdm_does_not_state_is_said(importing):
    warnings = {f.code: f.field for f in importing(document("observational")).findings if f.severity == "warning"}
    assert warnings == {"missing-fact-assumed": "status"}
    changed = document("observational")
    changed["usdmVersion"] = "3.0.0"
    changed["study"]["versions"][0]["studyDesigns"][0]["studyPhase"]["standardCode"] |= {"code": "C0", "decode": "Phase IX Trial"}
    codes = {f.code: f.found for f in importing(changed).findings if f.severity == "warning"}
    assert (codes["other-version"], codes["unknown-code"]) == ("3.0.0", "Phase IX Trial")


def test_an_arm_has_the_drugs_of_its_elements(importing):
    changed = document("observational")
    design = changed["study"]["versions"][0]["studyDesigns"][0]
    cell = next(c for c in design["studyCells"] if c["armId"] == design["arms"][1]["id"])
    element = next(e for e in design["elements"] if e["id"] == cell["elementIds"][0])
    before = [arm.medications for arm in importing(changed).study().arms]
    element["studyInterventionIds"] = [changed["study"]["versions"][0]["studyInterventions"][1]["id"]]
    assert before[1] == ()
    assert importing(changed).study().arms[1].medications == ("INT2",)


def test_a_code_counts_and_not_the_name_that_its_writer_gives_it(importing):
    changed = document("observational")
    version = changed["study"]["versions"][0]
    version["studyDesigns"][0]["studyPhase"]["standardCode"]["decode"] = "Phase 3"
    for arm, code in zip(version["studyDesigns"][0]["arms"], ("C174266", "C174268"), strict=True):
        arm["type"] |= {"code": code, "decode": "Some Arm"}
    for title in version["titles"]:
        title["type"]["decode"] = "A Title"
    study = importing(changed).study()
    assert (study.phase, study.acronym, [arm.type for arm in study.arms]) == ("PHASE3", "SIMPLE", ["EXPERIMENTAL", "PLACEBO_COMPARATOR"])


def test_the_company_that_numbers_a_study_stands_for_a_sponsor_that_is_not_named(importing):
    changed = document("observational")
    version = changed["study"]["versions"][0]
    version["roles"] = []
    for organization in version["organizations"]:
        if organization["type"]["code"] == "C70793":
            organization["type"] |= {"code": "C54149", "decode": "Pharmaceutical Company"}
    imported = importing(changed)
    assert imported.study().sponsor.name == "ACME Pharma"
    assert "sponsor" in {f.field for f in imported.findings if f.code == "missing-fact-assumed"}


@pytest.mark.parametrize(
    ("number", "planned"),
    [
        ({"value": 75.0, "unit": None}, 75),
        ({"minValue": 300.0, "maxValue": 300.0}, 300),
        ({"minValue": {"value": 20}, "maxValue": {"value": 30}}, None),
        ({"value": 7.5}, None),
        ({"value": True}, None),
        (None, None),
    ],
)
def test_the_planned_enrolment_is_taken_where_it_is_one_number(importing, number, planned):
    changed = document("observational")
    changed["study"]["versions"][0]["studyDesigns"][0]["population"]["plannedEnrollmentNumber"] = number
    assert importing(changed).study().enrollment.planned == planned


def test_mark_up_is_taken_off_and_words_stay():
    assert plain("<p>a &lt; b</p><ul><li>c</li></ul>") == "a < b\nc"
    assert plain("<p> </p>") is None


OBSERVATIONAL = document("observational")


def spoiled(value, dice):
    if dice.random() < 0.03:
        return dice.choice((None, 1, "", [], {}, ["x"], {"id": []}, "text"))
    if isinstance(value, dict):
        return {name: spoiled(member, dice) for name, member in value.items() if dice.random() > 0.02}
    return [spoiled(item, dice) for item in value[:5]] if isinstance(value, list) else value


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_spoiled_document_is_read_or_refused(tmp_path_factory, seed):
    path = tmp_path_factory.mktemp("usdm") / "u.json"
    study = spoiled(copy.deepcopy(OBSERVATIONAL["study"]), random.Random(seed))
    document = {"study": study if isinstance(study, dict) else {"versions": study}, "usdmVersion": "4.0.0"}
    path.write_text(json.dumps(document))
    with contextlib.suppress(InputError):
        import_study(path).yaml()
