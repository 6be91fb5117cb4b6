"""Rows that follow from others: consent, states, sites, enrolment, and what a response rests on."""

import pytest

from fhir_trial.simulate import simulate
from fhir_trial.sources.sdtm import read_sdtm
from fhir_trial.sources.sdtm.following import link_responses
from fhir_trial.sources.study_file import load_study
from fhir_trial.trial.resources import from_resources, to_resources

STUDY = load_study("NCT05189483")


def cohort():
    return read_sdtm(simulate(STUDY), STUDY)


def reading(**fields):
    row = {"study": "S", "subject": "1", "evaluator": "INVESTIGATOR", "evaluator_id": None, "visit": "WEEK 6", "ordinal": 1}
    return row | fields


@pytest.mark.parametrize(
    ("test", "lesions", "sums"),
    [
        ("overall", ["T01", "NT01", "NEW1"], 1),
        ("target", ["T01"], 1),
        ("non-target", ["NT01"], 0),
        ("new-lesion", ["NEW1"], 0),
        ("marker", [], 0),
    ],
)
def test_a_response_rests_on_what_its_reader_found_at_its_visit(test, lesions, sums):
    there = [reading(lesion="T01", role="target"), reading(lesion="NT01", role="non-target"), reading(lesion="NEW1", role="new")]
    elsewhere = [
        reading(lesion="T01", role="target", **other) for other in ({"visit": "WEEK 12"}, {"subject": "2"}, {"evaluator_id": "R2"})
    ]
    response = reading(test=test)
    link_responses([response], there + elsewhere, [reading(), reading(visit="WEEK 12")])
    assert [m["lesion"] for m in response.get("measurements", ())] == lesions
    assert len(response.get("sums", ())) == sums
    assert all("role" not in m for m in response.get("measurements", ()))


def test_without_a_visit_a_response_rests_on_nothing_in_particular():
    response = reading(test="overall", visit=None)
    link_responses([response], [reading(lesion="T01", role="target", visit=None)], [])
    assert "measurements" not in response


def test_who_takes_part_and_by_which_states():
    data = cohort()
    (study,), (enrollment,), (eligibility,) = data.rows("study"), data.rows("enrollment"), data.rows("eligibility")
    assert (study.enrolled, study.eligible) == (enrollment.enrolled, eligibility.eligible)
    assert study.enrollment_actual == enrollment.size == len(enrollment.subjects) > 0
    assert [c.kind for c in eligibility.criteria][:2] == ["minimum age", "maximum age"]
    assert [e.medication for e in study.arms[0].exposures] == ["NAB-PACLITAXEL", "CAMRELIZUMAB"]
    assert {s.site for s in study.sites} == {s.site for s in data.rows("site")}
    treated = next(s for s in data.rows("subject") if s.first_dose_on and s.last_dose_on)
    assert {(p.state, p.start) for p in treated.states} >= {("enrolled", treated.enrolled_on), ("on-treatment", treated.first_dose_on)}


def test_all_of_it_comes_back_from_fhir():
    data = cohort()
    for fhir in ("r5",):
        again = from_resources(to_resources(data, fhir, data.findings), STUDY, fhir)
        assert again.findings.errors() == []
        for name in ("site", "eligibility", "enrollment", "study", "consent"):
            assert again.table(name).to_pylist() == data.table(name).to_pylist(), name
        for name in ("subject", "response"):
            assert sorted(map(repr, again.table(name).to_pylist())) == sorted(map(repr, data.table(name).to_pylist())), name
