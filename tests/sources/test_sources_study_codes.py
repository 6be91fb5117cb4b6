"""Code tables that a study's owner keeps as CSV beside the study file."""

import pytest

from fhir_trial.errors import InputError
from fhir_trial.sources.sdtm import read_sdtm
from fhir_trial.sources.study_file import load_study

STUDY = """
id: T
title: t
status: COMPLETED
sponsor: {id: s, name: S}
arms: [{name: Treatment, code: T}]
drugs: []
outcomes: []
endpoints: []
"""


@pytest.fixture
def study(tmp_path):
    def go(**tables):
        (tmp_path / "t.yaml").write_text(STUDY)
        (tmp_path / "t").mkdir(exist_ok=True)
        for name, text in tables.items():
            (tmp_path / "t" / f"{name.replace('_', '-')}.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_study(tmp_path / "t.yaml")

    return go


def as_frames(domains):
    import pandas as pd

    return {name: pd.DataFrame(rows) for name, rows in domains.items()}


def test_a_sponsor_s_words_become_the_study_s(study, domains):
    domains["ae"][0]["AEREL"], domains["ae"][1]["AEREL"] = "definitely", "Who knows"
    data = read_sdtm(as_frames(domains), study(causality="AEREL,to\nDEFINITELY,PROBABLE\nno,NONE\n"))
    assert [e.related for e in data.rows("adverse_event")] == ["PROBABLE", "Who knows"]
    unmapped = [(f.field, f.found, f.severity) for f in data.findings if f.code == "unmapped-code"]
    assert unmapped == [("AEREL", "1 rows of WHO KNOWS", "warning")]


def test_loinc_says_which_test_it_is_where_nothing_else_does(study, domains):
    domains["lb"] = [
        {"USUBJID": "S1", "LBSEQ": "1", "LBLOINC": "718-7", "LBORRES": "120", "LBORRESU": "g/L"},
        {"USUBJID": "S1", "LBSEQ": "2", "LBLOINC": "718-7", "LBTESTCD": "OTHER", "LBORRES": "5"},
        {"USUBJID": "S1", "LBSEQ": "3", "LBLOINC": "0-0", "LBTESTCD": "X", "LBORRES": "5"},
    ]
    data = read_sdtm(as_frames(domains), study(loinc="LBLOINC,LBTESTCD,LBTEST\n718-7,HGB,Hemoglobin\n"))
    assert [(r.test, r.name) for r in data.rows("laboratory")] == [("HGB", "Hemoglobin"), ("OTHER", "Hemoglobin"), ("X", None)]
    assert [f.found for f in data.findings if f.code == "unmapped-code"] == ["1 rows of 0-0"]


def test_units_that_are_not_ucum_go_through_the_table(study, domains):
    domains["vs"] = [{"USUBJID": "S1", "VSSEQ": "1", "VSTESTCD": "WEIGHT", "VSORRES": "70", "VSORRESU": "Kilos"}]
    assert read_sdtm(as_frames(domains), study(units="VSORRESU,to\nKilos,kg\n")).rows("body_measure")[0].unit == "kg"


BAD = {
    "one column": (b"AEREL\nx\n", "not-a-code-table", None),
    "semicolons": (b"AEREL;to\nx;y\n", "not-a-code-table", None),
    "nothing": (b"", "not-a-code-table", None),
    "a column twice": (b"AEREL,to,to\nx,y,z\n", "not-a-code-table", None),
    "not UTF-8": (b"AEREL,to\n\xff,y\n", "not-csv", None),
    "a short row": (b"AEREL,to\nx\n", "ragged-row", 1),
    "a text twice": (b"AEREL,to\nx,y\nX,z\n", "duplicate-key", 2),
    "no text": (b"AEREL,to\n,y\n", "missing-value", 1),
}


@pytest.mark.parametrize("case", BAD)
def test_a_table_that_cannot_be_used_is_a_finding_with_its_row(study, case):
    content, code, row = BAD[case]
    with pytest.raises(InputError) as refused:
        study(causality=content)
    assert [(f.code, f.place, f.row) for f in refused.value.findings] == [(code, "causality.csv", row)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("item,domain\nx,DM\n", "missing-column"),
        ("item,domain,variable,colour\nx,DM,AGE,red\n", "unknown-column"),
        ("item,domain,variable\nx,,AGE\n", "missing-value"),
    ],
)
def test_a_table_of_items_that_cannot_be_used_is_a_finding(study, text, code):
    with pytest.raises(InputError) as refused:
        study(odm_items=text)
    assert [f.code for f in refused.value.findings] == [code]


def test_trial_data_in_a_folder_of_the_study_s_name_are_no_tables(study):
    tables = study(dm="STUDYID,DOMAIN\nT,DM\nT,DM\n", ae='"STUDYID","DOMAIN"\nT,AE\nT,AE\n', causality="AEREL,to\nno,NONE\n").sources.tables
    assert [table.variable for table in tables] == ["AEREL"]
