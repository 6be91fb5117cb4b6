"""The cohort through the readers and endpoints that everybody's data go through."""

import csv
import io

import pytest
from scipy.stats import beta

from fhir_trial.endpoints.analyse import analyse
from fhir_trial.endpoints.conventions import for_study
from fhir_trial.errors import Findings
from fhir_trial.registry import check, results_xml
from fhir_trial.simulate import simulate, write_cohort
from fhir_trial.sources.sdtm import read_sdtm

SIBLING = [("Alopecia", "subjects", 25), ("Leukopenia", "subjects", 7), ("Fatigue", "subjects", 6), ("Anaemia", "subjects", 6),
           ("Nausea", "subjects", 6), ("Neutropenia", "grade3", 3), ("Peripheral sensory neuropathy", "grade3", 3),
           ("*ANY*", "grade4", 0)]  # fmt: skip
"""BMC Cancer 2022, s12885-022-09176-1: term, figure, subjects of 28."""


@pytest.fixture(scope="module")
def folder(simulated_study, tmp_path_factory):
    path = tmp_path_factory.mktemp("cohort")
    write_cohort(simulate(simulated_study), path)
    return path


@pytest.fixture(scope="module")
def data(simulated_study, folder):
    return read_sdtm(folder, simulated_study)


@pytest.fixture(scope="module")
def results(simulated_study, data):
    return analyse(data, for_study(simulated_study))


def test_read_without_a_complaint_and_known_as_synthetic(data):
    assert [finding.describe() for finding in data.findings if finding.severity != "information"] == []
    assert data.synthetic
    assert data.table("subject").num_rows == 28


def test_response_and_progression_are_calibrated(results):
    assert [finding.describe() for finding in results.findings if finding.severity != "information"] == []
    assert 5 <= results["ORR"].count <= 9
    assert 1.8 <= results["PFS"].estimate("median").value / 30.4375 <= 3.0


@pytest.mark.parametrize(("term", "figure", "subjects"), SIBLING)
def test_adverse_events_agree_with_the_published_sibling(results, term, figure, subjects):
    table = results.safety
    row = table[(table.arm == "TOTAL") & (table.preferred_term == term) & ((term != "*ANY*") | (table.organ_class == "*ANY*"))]
    found = int(row[figure].iloc[0])
    assert subjects == 0 or beta.ppf(0.025, subjects, 29 - subjects) <= found / 28
    assert found / 28 <= beta.ppf(0.975, subjects + 1, 28 - subjects)
    assert subjects > 0 or found == 0


@pytest.mark.thorough
def test_the_cohort_shows_what_the_death_window_does(simulated_study, data, results):
    ema = analyse(data, for_study(simulated_study, "ema", {"death_window_days": "none"}))
    assert ema["PFS"].count > results["PFS"].count
    assert results["PFS"].subjects["reason"].str.contains("death .* after").any()


def test_one_lesion_edited_changes_that_subject_alone(simulated_study, folder, results, tmp_path):
    """A responder's first measurement after baseline becomes 400 mm: progression then, and no response later."""
    rows = list(csv.DictReader(io.StringIO((folder / "tr.csv").read_text(encoding="utf-8"))))
    best = results["ORR"].subjects
    responders = set(best.loc[best["value"] == "Y", "subject"])
    edited = next(r for r in rows if r["USUBJID"] in responders and r["TRTESTCD"] == "LDIAM" and r["VISITNUM"] == "106" and r["TRSTRESN"])
    edited |= {"TRORRES": "400", "TRSTRESC": "400", "TRSTRESN": "400"}
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / "tr.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    after = analyse(read_sdtm(tmp_path, simulated_study), for_study(simulated_study))
    days = [r["PFS"].subjects.set_index("subject")["days"] for r in (results, after)]
    assert list(days[0].index[days[0] != days[1]]) == [edited["USUBJID"]]
    assert after["ORR"].count == results["ORR"].count - 1


def test_its_registry_record_is_valid_and_marked(simulated_study, data, results):
    findings = Findings()
    xml = results_xml(data, results, simulated_study, findings)
    assert findings.errors() == []
    assert {finding.code for finding in check(xml) if finding.severity != "information"} == {"missing-part"}
    assert xml.count(b"SYNTHETIC DATA - NOT REAL") > 8
