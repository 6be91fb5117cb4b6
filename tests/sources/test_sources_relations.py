"""RELREC: SDTM keeps its own relations, data that came from no SDTM get that of lesions to their results."""

import csv
from dataclasses import replace

import pyarrow as pa
import pytest

from fhir_trial.sources.sdtm import write_sdtm

RELATED = [{"RDOMAIN": "TU", "IDVAR": "TULNKID", "RELID": "1"}, {"RDOMAIN": "TR", "IDVAR": "TRLNKID", "RELID": "1"}]


def said(data):
    return [(f.code, f.severity, f.found) for f in data.findings if f.place.startswith("relrec")]


def lines_of(data, folder):
    write_sdtm(data, folder)
    if not (folder / "relrec.csv").exists():
        return None
    with (folder / "relrec.csv").open(newline="") as file:
        return [(line["RDOMAIN"], line["IDVAR"], line["RELTYPE"], line["RELID"]) for line in csv.DictReader(file)]


def test_data_that_came_from_no_sdtm_say_how_lesions_and_results_are_related(read, domains, tmp_path):
    data = read(domains)
    study = data.table("study").to_pylist()[0] | {"datasets": [], "qualifiers": [], "source_columns": []}
    others = replace(data, tables={**data.tables, "study": pa.Table.from_pylist([study], schema=data.table("study").schema)})
    assert lines_of(others, tmp_path) == [("TU", "TULNKID", "ONE", "TUTR"), ("TR", "TRLNKID", "MANY", "TUTR")]
    assert said(read(domains | {"relrec": RELATED})) == []


@pytest.mark.parametrize("names", [None, ("TULNKID", "TRLNKID"), ("TUGRPID", "TRGRPID")])
def test_sdtm_comes_back_with_the_relations_that_it_had(read, domains, tmp_path, names):
    related = [] if names is None else [("TU", names[0], "ONE", "1"), ("TR", names[1], "MANY", "1")]
    rows = [dict(zip(("RDOMAIN", "IDVAR", "RELTYPE", "RELID"), row, strict=True)) for row in related]
    assert lines_of(read(domains | ({"relrec": rows} if rows else {})), tmp_path / "out") == (related or None)


def test_data_without_lesions_have_no_relation(read, domains, tmp_path):
    write_sdtm(read({name: rows for name, rows in domains.items() if name not in ("tu", "tr")}), tmp_path)
    assert not (tmp_path / "relrec.csv").exists()


def test_other_relations_are_counted_and_lesions_related_otherwise_are_warned_of(read, domains):
    other = [{"RDOMAIN": "AE", "IDVAR": "AESEQ", "RELID": "2"}, {"RDOMAIN": "CM", "IDVAR": "CMSEQ", "RELID": "2"}]
    assert said(read(domains | {"relrec": RELATED + other})) == [("no-table", "information", "1 relations")]
    groups = [{"RDOMAIN": "TU", "IDVAR": "TUGRPID", "RELID": "1"}, {"RDOMAIN": "TR", "IDVAR": "TRGRPID", "RELID": "1"}]
    assert ("other-relation", "warning", None) in said(read(domains | {"relrec": groups}))


def test_a_date_alone_in_lb_is_a_contact_and_no_bad_result(read, domains):
    domains["lb"].append({"USUBJID": "S1", "LBDTC": "2023-03-03"})
    data = read(domains)
    assert data.findings.errors() == []
    assert ("LB", "2023-03-03") in [(c.source, c.on) for c in data.rows("subject")[0].contacts]
