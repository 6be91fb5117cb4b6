"""Rows that are kept beside the tables (SV, RELREC, TS, SUPP--): what of them cannot be carried is a finding."""

import pytest

from fhir_trial.errors import Findings
from fhir_trial.sources.sdtm.write import sdtm_lines
from fhir_trial.trial.resources import from_resources, to_resources

SV = {"USUBJID": "S1", "VISITNUM": "1", "SVSTDTC": "2023-01-02"}
RELATED = {"USUBJID": "S1", "RDOMAIN": "AE", "IDVAR": "AESEQ", "IDVARVAL": "1", "RELID": "R1"}
KINDS = {"sv": SV, "relrec": RELATED}


def of(data, name):
    return [(f.code, f.severity, f.row, f.field, f.found) for f in data.findings if f.place == f"{name}.csv" and f.code != "no-table"]


def back(data, name):
    return sdtm_lines(from_resources(to_resources(data, "r4", Findings()), data.study, "r4"))[name]


@pytest.mark.parametrize("name", KINDS)
def test_rows_of_a_subject_that_dm_lacks_are_a_finding(read, domains, name):
    row = KINDS[name]
    data = read(domains | {name: [row, row | {"USUBJID": "S9"}, row | {"USUBJID": "S9"}, row | {"USUBJID": "S8"}]})
    assert of(data, name) == [("not-carried-rows", "warning", 2, "USUBJID", "3 rows of 2 subjects, such as S9")]
    assert [line["USUBJID"] for line in back(data, name)[1]] == ["S1"]
    said = [f.effect for f in data.findings if f.place == f"{name}.csv" and f.code == "no-table"]
    assert len(said) == 1
    assert "subjects that DM has are kept" in said[0]


@pytest.mark.parametrize("name", KINDS)
def test_rows_of_subjects_that_dm_has_are_no_finding(read, domains, name):
    assert of(read(domains | {name: [KINDS[name]]}), name) == []


def test_relations_of_no_subject_are_of_the_study(read, domains):
    data = read(domains | {"relrec": [{name: text for name, text in RELATED.items() if name != "USUBJID"}]})
    assert of(data, "relrec") == []
    assert len(back(data, "relrec")[1]) == 1


@pytest.mark.parametrize(
    ("name", "row", "variable"),
    [
        ("sv", SV | {"VISIT": "a\x07b"}, "VISIT"),
        ("relrec", RELATED | {"RELID": "a\x07b"}, "RELID"),
        ("ts", {"TSSEQ": "1", "TSPARMCD": "TITLE", "TSVAL": "a\x07b"}, "TSVAL"),
        ("suppae", {"USUBJID": "S1", "IDVAR": "AESEQ", "IDVARVAL": "1", "QNAM": "AEXYZ", "QVAL": "a\x07b"}, "QVAL"),
        ("suppae", {"USUBJID": "S1", "IDVAR": "AESEQ", "IDVARVAL": "1", "QNAM": "AEXYZ", "QVAL": "a", "QORIG": "\x07"}, "QORIG"),
    ],
)
def test_cells_with_a_control_character_are_a_finding(read, domains, name, row, variable):
    assert of(read(domains | {name: [row]}), name) == [("invalid-text", "warning", 1, variable, None)]


@pytest.mark.parametrize(("name", "row"), [*KINDS.items(), ("ts", {"TSPARMCD": "TITLE", "TSVAL": "A trial"})])
def test_columns_of_a_sponsor_are_a_finding(read, domains, name, row):
    column = f"{name.upper()[:2]}FOO"
    data = read(domains | {name: [row | {column: "x"}]})
    assert of(data, name) == [("not-carried-variables", "information", None, None, f"1 rows of {column}")]
    assert column not in back(data, name)[0]


def test_qualifiers_of_rows_that_are_all_left_out_are_a_finding(read, domains):
    qualifier = {"USUBJID": "S1", "RDOMAIN": "AE", "IDVAR": "AESEQ", "IDVARVAL": "1", "QNAM": "AEXYZ", "QVAL": "a"}
    rows = [row | {"AESTDTC": "yesterday"} for row in domains["ae"]]
    data = read(domains | {"ae": rows, "suppae": [qualifier]})
    assert data.table("adverse_event").num_rows == 0
    assert of(data, "suppae") == [("not-carried-rows", "information", None, "QNAM", "1 rows of AEXYZ")]
