"""Records of the registry in both forms: real ones there and back, every field of the registry's, what is odd, and differences."""

import copy
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_trial.cli.main import run
from fhir_trial.errors import Findings, InputError
from fhir_trial.registry.ctgov_json import read_json, write_json
from fhir_trial.registry.prs_reading import read_prs
from fhir_trial.registry.prs_schema import parse, violations
from fhir_trial.registry.prs_writing import write_prs
from fhir_trial.registry.records import difference

REAL = ("NCT00567567", "NCT00763412", "NCT01125800", "NCT02299791", "NCT02552212", "NCT03275402", "NCT05594173")

GROUPS = [{"id": "OG000", "title": "A", "description": "Drug"}, {"id": "OG001", "title": "B"}]
OUTCOME = {
    "type": "PRIMARY",
    "title": "Survival",
    "reportingStatus": "POSTED",
    "anticipatedPostingDate": "2024-05",
    "paramType": "MEDIAN",
    "dispersionType": "96% Confidence Interval",
    "unitOfMeasure": "months",
    "calculatePct": False,
    "timeFrame": "2 years",
    "typeUnitsAnalyzed": "Eyes",
    "denomUnitsSelected": "Eyes",
    "groups": GROUPS,
    "denoms": [
        {"units": "Participants", "counts": [{"groupId": "OG000", "value": "3"}, {"groupId": "OG001", "value": "4"}]},
        {"units": "Eyes", "counts": [{"groupId": "OG000", "value": "6"}, {"groupId": "OG001", "value": "8"}]},
    ],
    "classes": [
        {
            "title": "Month 6",
            "denoms": [{"units": "Participants", "counts": [{"groupId": "OG000", "value": "2"}]}],
            "categories": [
                {
                    "title": "Alive",
                    "measurements": [
                        {"groupId": "OG000", "value": "NA", "lowerLimit": "2.0", "upperLimit": "NA", "comment": "Not reached \\[yet\\]"},
                        {"groupId": "OG001", "value": "4", "spread": "0.50"},
                    ],
                },
                {"title": "Dead", "measurements": [{"groupId": "OG001", "value": "1"}]},
            ],
        }
    ],
    "analyses": [
        {
            "paramType": "Hazard Ratio (HR)",
            "paramValue": "0.7",
            "pValue": "<0.01",
            "ciNumSides": "TWO_SIDED",
            "groupIds": ["OG000", "OG001"],
        },
        {"paramType": "My statistic", "statisticalMethod": "My method", "nonInferiorityType": "SUPERIORITY_OR_OTHER_LEGACY"},
    ],
}
EVENT = {"term": "Anaemia", "organSystem": "Blood and lymphatic system disorders", "assessmentType": "SYSTEMATIC_ASSESSMENT"}
RECORD = {
    "protocolSection": {
        "identificationModule": {
            "orgStudyIdInfo": {"id": "X-1"},
            "organization": {"fullName": "A University"},
            "briefTitle": "A Study",
        }
    },
    "resultsSection": {
        "participantFlowModule": {
            "recruitmentDetails": "At a clinic",
            "groups": [{"id": "FG000", "title": "A"}],
            "periods": [
                {
                    "title": "Overall Study",
                    "milestones": [
                        {"type": "STARTED", "achievements": [{"groupId": "FG000", "comment": "all", "numSubjects": "4"}]},
                        {"type": "Treated", "achievements": [{"groupId": "FG000", "numSubjects": "3"}]},
                        {"type": "COMPLETED", "achievements": [{"groupId": "FG000", "numSubjects": "1"}]},
                        {"type": "NOT COMPLETED", "achievements": [{"groupId": "FG000", "numSubjects": "3"}]},
                    ],
                    "dropWithdraws": [
                        {"type": "Death", "reasons": [{"groupId": "FG000", "numSubjects": "2"}]},
                        {"type": "Moved away", "reasons": [{"groupId": "FG000", "numSubjects": "1"}]},
                    ],
                }
            ],
        },
        "baselineCharacteristicsModule": {
            "groups": [{"id": "BG000", "title": "A"}, {"id": "BG001", "title": "B"}, {"id": "BG002", "title": "Total"}],
            "denoms": [{"units": "Participants", "counts": [{"groupId": f"BG00{n}", "value": str(n + 1)} for n in range(3)]}],
            "measures": [
                {
                    "title": "Shoe size",
                    "paramType": "MEAN",
                    "dispersionType": "STANDARD_DEVIATION",
                    "unitOfMeasure": "size",
                    "denoms": [{"units": "Participants", "counts": [{"groupId": "BG000", "value": "1"}]}],
                    "classes": [{"categories": [{"measurements": [{"groupId": "BG000", "value": "40", "spread": "1"}]}]}],
                }
            ],
        },
        "outcomeMeasuresModule": {"outcomeMeasures": [OUTCOME]},
        "adverseEventsModule": {
            "frequencyThreshold": "5",
            "eventGroups": [{"id": "EG000", "title": "A", "deathsNumAffected": 0, "deathsNumAtRisk": 4}],
            "seriousEvents": [EVENT | {"stats": [{"groupId": "EG000", "numEvents": 2, "numAffected": 1, "numAtRisk": 4}]}],
        },
        "moreInfoModule": {
            "certainAgreement": {"piSponsorEmployee": False, "restrictionType": "LTE60", "restrictiveAgreement": True},
            "pointOfContact": {"title": "Dr. C", "organization": "U", "phone": "1", "phoneExt": "2", "email": "c@example.org"},
        },
    },
    "hasResults": True,
}


def encoded(document):
    return json.dumps(document).encode()


def there(document):
    """The record of a document, and what was found on the way."""
    findings = Findings()
    return read_json(encoded(document), "r.json", findings), findings


def xml_and_back(record):
    """The results of a record as JSON, by way of PRS XML, and what was found on the way."""
    findings = Findings()
    document = write_prs(record, "r.json", findings)
    assert violations(parse(document)) == []
    back = read_prs(document, "r.xml", findings)
    return json.loads(write_json(back)), findings


def changed(path, value):
    """The record with another value at a path of members and places; None takes it away."""
    document = copy.deepcopy(RECORD)
    *above, last = path.split(".")
    owner = document["resultsSection"]
    for step in above:
        owner = owner[int(step) if step.isdecimal() else step]
    if value is None:
        del owner[last]
    else:
        owner[int(last) if last.isdecimal() else last] = value
    return document


@pytest.mark.parametrize("number", REAL)
def test_a_real_record_comes_back_equal_from_both_forms(shared, number):
    data = (shared / f"data/registry/records/{number}.json").read_bytes()
    findings = Findings()
    record = read_json(data, number, findings)
    posted = json.loads(data)["resultsSection"]
    assert json.loads(write_json(record))["resultsSection"] == posted
    back, lost = xml_and_back(record)
    assert back["resultsSection"] == posted
    assert [(f.code, f.field) for f in lost] == [("not-carried", "nctId")]
    assert {f.severity for f in findings} <= {"information"}


def test_a_record_with_everything_comes_back_equal():
    record, findings = there(RECORD)
    back, lost = xml_and_back(record)
    assert back == RECORD == json.loads(write_json(record))
    assert [f.describe() for f in (*findings, *lost)] == []


WITHOUT_PLACE_IN_XML = {
    "Achievement": set(),
    "DropWithdraw": {"comment"},
    "DropReason": {"comment"},
    "Analysis": {"ci_lower_limit_comment", "tested_non_inferiority"},
}


def of_metadata(node, section):
    """A value for a field of the registry's metadata: each text is its name, each group the first of its section."""
    if (children := node.get("children")) and node["sourceType"] == "STRUCT":
        value = {child["name"]: of_metadata(child, section) for child in children}
    elif node["name"] in ("id", "groupId", "groupIds"):
        value = f"{section}000"
    elif node["type"] in ("boolean", "integer"):
        value = True if node["type"] == "boolean" else 7
    else:
        value = "2024-05" if node["type"] == "PartialDate" else node["name"]
    return [value] if node["type"].endswith("[]") else value


SECTIONS = {"participantFlowModule": "FG", "baselineCharacteristicsModule": "BG", "outcomeMeasuresModule": "OG"}


def test_every_results_field_of_the_registry_is_carried_or_listed(shared):
    metadata = json.loads((shared / "data/registry/ctgov_v2_metadata.json").read_bytes())
    section = next(node for node in metadata if node["name"] == "resultsSection")
    results = {node["name"]: of_metadata(node, SECTIONS.get(node["name"], "EG")) for node in section["children"]}
    milestone = results["participantFlowModule"]["periods"][0]["milestones"][0]
    results["participantFlowModule"]["periods"][0]["milestones"] = [milestone, {**milestone, "type": "STARTED"}]
    document = {"protocolSection": {}, "resultsSection": results}
    record, findings = there(document)
    assert [f.describe() for f in findings] == []
    assert json.loads(write_json(record))["resultsSection"] == results
    _, lost = xml_and_back(record)
    assert {f.field for f in lost if f.code == "not-carried"} == {
        f"{part}.{name}" for part, names in WITHOUT_PLACE_IN_XML.items() for name in names
    } | {"BaselineMeasure.denoms beside denoms of its rows"}


def test_lists_of_one_that_were_unboxed_are_read():
    document = copy.deepcopy(RECORD)
    flow = document["resultsSection"]["participantFlowModule"]
    flow["groups"], flow["periods"] = flow["groups"][0], flow["periods"][0]
    record, findings = there(document)
    assert json.loads(write_json(record)) == RECORD
    assert len(findings) == 0


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("participantFlowModule", "text", ("wrong-type", "resultsSection.participantFlowModule")),
        ("participantFlowModule.groups", ["A"], ("wrong-type", "resultsSection.participantFlowModule.groups")),
        ("participantFlowModule.recruitmentDetails", {"a": 1}, ("wrong-type", "resultsSection.participantFlowModule.recruitmentDetails")),
        ("participantFlowModule.novelty", "x", ("not-carried", "resultsSection.participantFlowModule.novelty")),
        (
            "moreInfoModule.certainAgreement.restrictiveAgreement",
            "perhaps",
            ("wrong-type", "resultsSection.moreInfoModule.certainAgreement.restrictiveAgreement"),
        ),
        (
            "adverseEventsModule.eventGroups.0.deathsNumAffected",
            "many",
            ("wrong-type", "resultsSection.adverseEventsModule.eventGroups.deathsNumAffected"),
        ),
    ],
)
def test_a_value_that_can_not_be_used_is_named_with_its_path(path, value, found):
    _, findings = there(changed(path, value))
    assert [(f.code, f.field) for f in findings] == [found]


def test_numbers_may_be_texts_and_texts_numbers():
    path = "outcomeMeasuresModule.outcomeMeasures.0.denoms.0.counts.0.value"
    record, findings = there(changed(path, 3))
    assert json.loads(write_json(record)) == RECORD
    record, more = there(changed("adverseEventsModule.eventGroups.0.deathsNumAtRisk", "4"))
    assert json.loads(write_json(record)) == RECORD
    assert len(findings) == len(more) == 0


@pytest.mark.parametrize(
    ("path", "value", "lost"),
    [
        ("participantFlowModule.periods.0.milestones.3.achievements.0.numSubjects", "2", "NOT COMPLETED"),
        ("participantFlowModule.periods.0.dropWithdraws.0.comment", "why", "DropWithdraw.comment"),
        ("outcomeMeasuresModule.outcomeMeasures.0.analyses.0.testedNonInferiority", True, "Analysis.tested_non_inferiority"),
        ("outcomeMeasuresModule.outcomeMeasures.0.anticipatedPostingDate", "2024-05-17", "day"),
    ],
)
def test_what_the_xml_has_no_place_for_is_listed(path, value, lost):
    _, findings = xml_and_back(there(changed(path, value))[0])
    (finding,) = findings
    assert finding.code == "not-carried"
    assert lost in finding.field


def test_a_group_that_the_section_lacks_is_said_and_the_rest_is_written():
    record, _ = there(changed("outcomeMeasuresModule.outcomeMeasures.0.classes.0.categories.1.measurements.0.groupId", "OG009"))
    back, findings = xml_and_back(record)
    assert [(f.code, f.found) for f in findings] == [("unknown-group", "OG009")]
    assert len(back["resultsSection"]["outcomeMeasuresModule"]["outcomeMeasures"][0]["classes"][0]["categories"]) == 1


def test_ids_of_others_become_the_registrys():
    record, _ = there(RECORD)
    document = write_prs(record, "r", Findings()).replace(b"OG.0.001", b"Arm.B").replace(b"FG.000", b"flow")
    findings = Findings()
    assert json.loads(write_json(read_prs(document, "r", findings))) == RECORD
    assert len(findings) == 0


def test_what_a_file_says_of_all_events_counts_for_each():
    record, _ = there(changed("adverseEventsModule.seriousEvents.0.assessmentType", None))
    common = b"<assessmentType>Non-systematic Assessment</assessmentType><frequencyReportingThreshold>"
    document = write_prs(record, "r", Findings()).replace(b"<frequencyReportingThreshold>", common)
    (event,) = read_prs(document, "r", Findings()).results.adverse_events_module.serious_events
    assert event.assessment_type == "NON_SYSTEMATIC_ASSESSMENT"


def test_elements_that_the_model_lacks_are_listed():
    record, _ = there(RECORD)
    more = b"<verification_date>2024-01</verification_date><rrs:result"
    findings = Findings()
    read_prs(write_prs(record, "r", Findings()).replace(b"<rrs:result", more), "r.xml", findings)
    assert [(f.code, f.field) for f in findings] == [("not-carried", "verification_date")]


def test_text_that_no_xml_can_hold_is_refused():
    record, _ = there(changed("participantFlowModule.recruitmentDetails", "bell \u0007"))
    with pytest.raises(InputError, match=r"r, field participantFlow\.recruitmentDetails: not xml text"):
        write_prs(record, "r", Findings())


def test_a_list_of_one_record_is_that_record():
    for document in ([RECORD], {"studies": [RECORD]}):
        assert json.loads(write_json(there(document)[0])) == RECORD
        assert difference(encoded(document), encoded(RECORD), ("a", "b"), Findings()) == []


@pytest.mark.parametrize("data", [b"{}", b"[]", b"null", b'{"a": 1', b'{"studies": []}', b"\xff\xfe"])
def test_what_is_no_record_is_refused(data):
    with pytest.raises(InputError):
        read_json(data, "r", Findings())


@pytest.mark.parametrize("data", [b"", b"<a/>", b"<a", b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>'])
def test_what_is_no_prs_xml_is_refused(data):
    with pytest.raises(InputError):
        read_prs(data, "r", Findings())


ODD = (None, 1, 1.5, True, "", " ", [], {}, ["x"], [None], "x" * 300, "\u2028", "]]>", "<b>&amp;", "OG000")


def spoiled(value, dice):
    if dice.random() < 0.04:
        return dice.choice(ODD)
    if isinstance(value, dict):
        return {name: spoiled(member, dice) for name, member in value.items() if dice.random() > 0.03}
    return [spoiled(item, dice) for item in value] if isinstance(value, list) else value


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_spoiled_record_is_converted_or_refused_and_comes_back_the_same(seed):
    document = {"protocolSection": {}, "resultsSection": spoiled(RECORD["resultsSection"], random.Random(seed))}
    record, _ = there(document)
    first = write_prs(record, "r", Findings())
    back = read_prs(first, "r", Findings())
    assert write_prs(back, "r", Findings()) == write_prs(read_json(write_json(back), "r", Findings()), "r", Findings())


def test_differences_are_named_by_field_in_one_form_and_across_both():
    other = changed("outcomeMeasuresModule.outcomeMeasures.0.classes.0.categories.0.measurements.1.value", "5")
    where = "resultsSection.outcomeMeasuresModule.outcomeMeasures[Survival].classes[Month 6].categories[Alive].measurements[OG001].value"
    record, _ = there(other)
    for second in (encoded(other), write_prs(record, "r", Findings())):
        (change,) = difference(encoded(RECORD), second, ("a", "b"), Findings())
        assert change.describe() == f"{where}: '4' -> '5'"
    assert difference(encoded(RECORD), write_prs(there(RECORD)[0], "r", Findings()), ("a", "b"), Findings()) == []


def test_a_part_that_one_record_lacks_differs_by_its_fields():
    lacking = changed("moreInfoModule.certainAgreement", None)
    paths = [change.path.rpartition(".")[2] for change in difference(encoded(RECORD), encoded(lacking), ("a", "b"), Findings())]
    assert paths == ["piSponsorEmployee", "restrictionType", "restrictiveAgreement"]


def test_the_commands(tmp_path, capsys):
    source, xml, back = (tmp_path / name for name in ("r.json", "r.xml", "back.json"))
    source.write_bytes(encoded(RECORD))
    assert run(["registry", "convert", str(source), "--to", "prs-xml", "--out", str(xml)]) == 0
    assert run(["registry", "convert", str(xml), "--to", "ctgov-json", "--out", str(back)]) == 0
    assert run(["registry", "diff", str(source), str(back)]) == 0
    source.write_bytes(encoded(changed("participantFlowModule.recruitmentDetails", "Elsewhere")))
    capsys.readouterr()
    assert run(["registry", "diff", str(source), str(xml), "--json"]) == 1
    (change,) = json.loads(capsys.readouterr().out)["changes"]
    assert (change["first"], change["second"]) == ("Elsewhere", "At a clinic")


@pytest.mark.parametrize("command", [["convert", "{}", "--to", "pdf", "--out", "x"], ["diff", "{}", "no.json"], ["check", "no.xml"]])
def test_a_wrong_call_is_a_usage_error(tmp_path, command):
    (tmp_path / "r.json").write_bytes(encoded(RECORD))
    assert run(["registry", *(part.format(tmp_path / "r.json") for part in command)]) == 2


def test_a_record_in_json_is_checked_as_the_xml_that_it_would_be(tmp_path, capsys):
    (tmp_path / "r.json").write_bytes(encoded(changed("adverseEventsModule.frequencyThreshold", "20")))
    assert run(["registry", "check", str(tmp_path / "r.json"), "--json"]) == 1
    assert "threshold" in {finding["code"] for finding in json.loads(capsys.readouterr().out)}
