"""RELREC: the relation of lesions to their results is written and read; others are counted."""

import csv

from fhir_trial.sources.sdtm import write_sdtm

RELATED = [{"RDOMAIN": "TU", "IDVAR": "TULNKID", "RELID": "1"}, {"RDOMAIN": "TR", "IDVAR": "TRLNKID", "RELID": "1"}]


def said(data):
    return [(f.code, f.severity, f.found) for f in data.findings if f.place.startswith("relrec")]


def test_the_relation_of_lesions_to_results_is_written_and_read(read, domains, tmp_path):
    data = read(domains)
    write_sdtm(data, tmp_path)
    with (tmp_path / "relrec.csv").open(newline="") as file:
        lines = [(line["RDOMAIN"], line["IDVAR"], line["RELTYPE"], line["RELID"]) for line in csv.DictReader(file)]
    assert lines == [("TU", "TULNKID", "ONE", "TUTR"), ("TR", "TRLNKID", "MANY", "TUTR")]
    assert said(read(domains | {"relrec": RELATED})) == []


def test_data_without_lesions_have_no_relation(read, domains, tmp_path):
    write_sdtm(read({name: rows for name, rows in domains.items() if name not in ("tu", "tr")}), tmp_path)
    assert not (tmp_path / "relrec.csv").exists()


def test_other_relations_are_counted_and_lesions_related_otherwise_are_warned_of(read, domains):
    other = [{"RDOMAIN": "AE", "IDVAR": "AESEQ", "RELID": "2"}, {"RDOMAIN": "CM", "IDVAR": "CMSEQ", "RELID": "2"}]
    assert said(read(domains | {"relrec": RELATED + other})) == [("not-carried-rows", "information", "1 relations")]
    groups = [{"RDOMAIN": "TU", "IDVAR": "TUGRPID", "RELID": "1"}, {"RDOMAIN": "TR", "IDVAR": "TRGRPID", "RELID": "1"}]
    assert ("other-relation", "warning", None) in said(read(domains | {"relrec": groups}))


def test_a_date_alone_in_lb_is_a_contact_and_no_bad_result(read, domains):
    domains["lb"].append({"USUBJID": "S1", "LBDTC": "2023-03-03"})
    data = read(domains)
    assert data.findings.errors() == []
    assert ("LB", "2023-03-03") in [(c.source, c.on) for c in data.rows("subject")[0].contacts]
