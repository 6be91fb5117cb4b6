"""Whole files from SDTM to FHIR and back: what is lost of real data is in a table, each with its reason, and nothing else is."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace
from real_sdtm import as_rows, some_subjects, source

from fhir_trial.domain.study import SourceNotes
from fhir_trial.errors import Findings
from fhir_trial.sources.sdtm import read_sdtm
from fhir_trial.sources.sdtm.variables import as_number
from fhir_trial.sources.sdtm.write import sdtm_lines
from fhir_trial.sources.study_file import load_study
from fhir_trial.trial.resources import from_resources, to_resources

TABLE = Path(__file__).with_name("not_carried.csv")


def by_way_of_fhir(frames, study, version):
    data = read_sdtm(frames, study)
    return sdtm_lines(from_resources(to_resources(data, version, Findings()), study, version))


def bag(name, rows):
    """The rows in no order, numbers as numbers."""
    return Counter(frozenset((v, as_number(name, v, text)) for v, text in row.items() if text) for row in rows)


def lost(frames, tables):
    """File and variable of what did not come back, `rows` for rows that differ in what did; and what came from nowhere, as `more`."""
    found = {(name, "file") for name in frames.keys() - tables.keys()} | {(name, "file more") for name in tables.keys() - frames.keys()}
    for name in frames.keys() & tables.keys():
        header, lines = tables[name]
        columns = list(frames[name].columns)
        found |= {(name, v) for v in set(columns) - set(header)} | {(name, f"{v} more") for v in set(header) - set(columns)}
        kept = [{v: row[v] for v in header if v in row} for row in as_rows(frames[name])]
        before, after = bag(name, kept), bag(name, lines)
        found |= {(name, "rows")} if before - after else set()
        found |= {(name, "rows more")} if after - before else set()
        if header != [v for v in columns if v in header]:
            found.add((name, "order of columns"))
    return found


def expected(collection):
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["reason"] for row in rows)
    return {(row["file"], row["what"]) for row in rows if row["source"] == collection}


def study():
    return replace(load_study("CDISCPILOT01"), sources=SourceNotes())


@pytest.mark.parametrize("version", ["r4", "r5"])
@pytest.mark.parametrize("name", ["cdisc", "pharmaverse"])
def test_of_some_subjects_nothing_is_lost_but_what_the_table_lists(name, version):
    frames = some_subjects(source(name), 3)
    assert lost(frames, by_way_of_fhir(frames, study(), version)) == expected(name)


@pytest.mark.pilot
@pytest.mark.parametrize(("name", "version"), [("cdisc", "r4"), ("pharmaverse", "r5")])
def test_of_all_subjects_nothing_is_lost_but_what_the_table_lists(name, version):
    frames = source(name)
    assert lost(frames, by_way_of_fhir(frames, study(), version)) == expected(name)


def test_what_gets_lost_is_seen():
    frames = some_subjects(source("pharmaverse"), 2)
    tables = sdtm_lines(read_sdtm(frames, study()))
    tables["sv"][1][0]["VISIT"] = "another"
    tables["suppae"][1].pop()
    tables["dm"][0].remove("RFICDTC")  # which is blank there
    tables["relrec"] = ([], [])
    found = {("sv", "rows"), ("sv", "rows more"), ("suppae", "rows"), ("dm", "RFICDTC"), ("relrec", "file more")}
    assert lost(frames, tables) - expected("pharmaverse") == found
