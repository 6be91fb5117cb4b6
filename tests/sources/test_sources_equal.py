"""SDTM to FHIR and back to SDTM: every column that is carried comes back as it stood, of the CDISC pilot's and pharmaverse's data."""

import csv
from pathlib import Path

import pytest
from msgspec.structs import replace
from real_sdtm import as_rows, same, some_subjects, source

from fhir_trial.domain.study import SourceNotes
from fhir_trial.errors import Findings
from fhir_trial.sources.sdtm import read_sdtm
from fhir_trial.sources.sdtm.layouts import LAYOUTS
from fhir_trial.sources.sdtm.variables import is_carried, variables
from fhir_trial.sources.sdtm.write import sdtm_lines
from fhir_trial.sources.study_file import load_study
from fhir_trial.trial.resources import from_resources, to_resources

DOMAINS = ("dm", "ex", "ae", "ds", "cm", "vs", "lb", "tu", "tr", "rs")
TABLE = Path(__file__).with_name("carried.csv")


def study():
    return replace(load_study("CDISCPILOT01"), sources=SourceNotes())


def by_key(domain, rows):
    number = f"{domain.upper()}SEQ"
    return {(row["USUBJID"], None if domain == "dm" else row.get(number)): row for row in rows}


def differences(frames, tables):
    """Domain and column of every cell that is not what it was, and rows that are not there or came from nowhere."""
    found = set()
    for domain in (domain for domain in DOMAINS if domain in frames):
        wanted, lines = by_key(domain, as_rows(frames[domain])), by_key(domain, tables[domain][1])
        made = {key for key in lines.keys() - wanted.keys() if domain == "dm" or key[1] is not None}
        found |= {(domain, "a row more") for _ in made} | {(domain, "a row less") for _ in wanted.keys() - lines.keys()}
        found |= {
            (domain, name)
            for key in wanted.keys() & lines.keys()
            for name, text in wanted[key].items()
            if not same(text, lines[key].get(name) or None)
        }
    return found


def by_way_of_fhir(data, version):
    unwritten = Findings()
    back = from_resources(to_resources(data, version, unwritten), data.study, version)
    assert (len(unwritten), back.findings.errors()) == (0, [])
    return back


@pytest.mark.parametrize(("name", "version"), [("cdisc", "r5"), ("pharmaverse", "r4")])
def test_some_subjects_come_back_equal_in_every_column(name, version):
    frames = some_subjects(source(name), 3)
    data = read_sdtm(frames, study())
    assert data.findings.errors() == []
    assert differences(frames, sdtm_lines(by_way_of_fhir(data, version))) == set()


@pytest.mark.pilot
@pytest.mark.parametrize(("name", "version"), [("cdisc", "r4"), ("pharmaverse", "r5")])  # the other way round above, with some subjects
def test_all_subjects_come_back_equal_in_every_column(name, version):
    frames = source(name)
    data = read_sdtm(frames, study())
    assert differences(frames, sdtm_lines(by_way_of_fhir(data, version))) == set()
    counts = {name: table.num_rows for name, table in data.tables.items()}
    assert (counts["laboratory"], counts["body_measure"] + counts["vital_sign"]) == (59580, 29643)


def test_a_difference_would_be_seen():
    frames = some_subjects(source("pharmaverse"), 2)
    tables = sdtm_lines(read_sdtm(frames, study()))
    tables["ae"][1][0]["AELLT"] = "something else"
    tables["rs"][1].pop()
    assert differences(frames, tables) == {("ae", "AELLT"), ("rs", "a row less")}


def rule_of(domain, variable):
    """How a variable is carried: by a field, by its key, beside the fields, or not at all."""
    layout = LAYOUTS[domain]
    if variable in ("STUDYID", "DOMAIN", "USUBJID", f"{domain.upper()}SEQ"):
        return "key"
    if variable in layout.variables:
        return "field"
    return "source column" if is_carried(domain, variable) else "not carried"


def test_the_table_of_what_is_carried_is_what_is_carried():
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(r["domain"], r["variable"]): r["carried"] for r in rows} == {
        (domain, name): rule_of(domain, name) for domain, name in variables() if domain in DOMAINS
    }
    left = [r for r in rows if r["carried"] == "not carried"]
    assert all(r["core"] == "permissible" and r["timing"] == "no" and r["reason"] for r in left)
    assert {r["variable"] for r in left} == {"INVID", "INVNAM"}
