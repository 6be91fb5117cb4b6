from decimal import Decimal

import pytest

from fhir_trial.sources.sdtm import read_sdtm, write_sdtm

MM = {"TRORRESU": "mm", "TRSTRESU": "mm"}
WEEK_6 = {"USUBJID": "S1", "TREVAL": "INVESTIGATOR", "VISIT": "WEEK 6", "VISITNUM": "6", "TRDTC": "2023-02-13", "TRGRPID": "TARGET"}


def one(data, lesion, visit="WEEK 6"):
    (row,) = [m for m in data.rows("measurement") if (m.lesion, m.visit) == (lesion, visit)]
    return row


def test_rows_of_a_lesion_and_visit_are_joined_and_keep_their_sequences(read, domains):
    row = one(read(domains), "T02", "SCREENING")
    assert (row.longest_mm, row.short_axis_mm, row.state) == (Decimal(24), Decimal(16), None)
    assert (row.longest_sequence, row.short_axis_sequence, row.state_sequence) == (2, 3, None)


def test_centimetres_become_millimetres_exactly(read, domains):
    assert one(read(domains), "T01").longest_mm == Decimal("21.5")


def test_nodes_by_their_place(read, domains):
    assert {lesion.lesion: lesion.nodal for lesion in read(domains).rows("lesion")} == {"T01": False, "T02": True, "NT01": False}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"TRORRES": "TOO SMALL TO MEASURE"}, ("too-small-to-measure", None, None, None)),
        ({"TRSTRESC": "TOO SMALL TO MEASURE", "TRSTRESN": "5"} | MM, ("too-small-to-measure", Decimal(5), None, None)),
        ({"TRORRES": "MERGED WITH T02"}, ("merged", None, "T02", None)),
        ({"TRSTRESC": "Coalesced with T02"}, ("merged", None, "T02", None)),
        ({"TRSTAT": "NOT DONE", "TRREASND": "no scan"}, ("not-done", None, None, "no scan")),
        ({"TRORRES": "Not done"}, ("not-done", None, None, None)),
        ({"TRSTRESC": "NOT EVALUABLE", "TRREASND": "blurred"}, ("not-evaluable", None, None, "blurred")),
        ({"TRTESTCD": "TUMSTATE", "TRSTRESC": "ABSENT"}, ("absent", None, None, None)),
        ({"TRTESTCD": "TUMSTATE", "TRSTRESC": "UNEQUIVOCAL PROGRESSION"}, ("unequivocal-progression", None, None, None)),
        ({"TRORRES": "0"} | MM, (None, Decimal(0), None, None)),
        ({"TRSTRESN": "7.25"}, (None, Decimal("7.25"), None, None)),
        ({"TRSTRESC": "9", "TRSTRESU": "mm"}, (None, Decimal(9), None, None)),
        ({"TRORRES": "12 mm"}, (None, Decimal(12), None, None)),
        ({"TRORRES": "1.2cm"}, (None, Decimal(12), None, None)),
        ({"TRSTRESN": "12 mm", "TRSTRESU": "MM"}, (None, Decimal(12), None, None)),
    ],
)
def test_results(read, found, domains, result, expected):
    domains["tr"][5] = WEEK_6 | {"TRSEQ": "6", "TRLNKID": "T01", "TRTESTCD": "LDIAM"} | result
    data = read(domains)
    assert found(data) == []
    row = one(data, "T01")
    assert (row.state, row.longest_mm, row.merged_with, row.reason) == expected


def test_a_diameter_not_done_beside_a_measured_one_does_not_take_it_back(read, domains):
    of_t02 = WEEK_6 | {"TRLNKID": "T02"}
    domains["tr"] += [
        of_t02 | {"TRSEQ": "7", "TRTESTCD": "LDIAM", "TRSTAT": "NOT DONE"},
        of_t02 | {"TRSEQ": "8", "TRTESTCD": "LPERP", "TRSTRESN": "9"},
    ]
    row = one(read(domains), "T02")
    assert (row.state, row.longest_mm, row.short_axis_mm, row.longest_sequence) == (None, None, Decimal(9), 7)


def test_a_repeated_key_gets_an_ordinal_by_sequence_with_a_finding(read, found, domains):
    domains["tr"].append(domains["tr"][5] | {"TRSEQ": "5", "TRORRES": "2.3"})
    data = read(domains)
    rows = [(m.ordinal, m.longest_mm) for m in data.rows("measurement") if (m.lesion, m.visit) == ("T01", "WEEK 6")]
    assert sorted(rows) == [(1, Decimal(23)), (2, Decimal("21.5"))]
    assert found(data) == [("repeated-key", "tr.csv", 6, "TRTESTCD")]


def test_repeats_on_two_dates_are_told_apart_by_date(read, domains):
    node = WEEK_6 | {"TRLNKID": "T02", "VISIT": "UNSCHEDULED"}
    domains["tr"] += [
        node | {"TRSEQ": "7", "TRTESTCD": "LDIAM", "TRSTRESN": "20", "TRDTC": "2023-03-01"},
        node | {"TRSEQ": "8", "TRTESTCD": "LDIAM", "TRSTRESN": "22", "TRDTC": "2023-03-20"},
        node | {"TRSEQ": "9", "TRTESTCD": "LPERP", "TRSTRESN": "12", "TRDTC": "2023-03-20"},
    ]
    rows = {(m.ordinal, m.on): (m.longest_mm, m.short_axis_mm) for m in read(domains).rows("measurement") if m.visit == "UNSCHEDULED"}
    assert rows == {(1, "2023-03-01"): (Decimal(20), None), (2, "2023-03-20"): (Decimal(22), Decimal(12))}


def test_evaluators_have_lesions_and_rows_of_their_own(read, domains):
    for name in ("tu", "tr"):
        reader = {f"{name.upper()}EVAL": "INDEPENDENT ASSESSOR", f"{name.upper()}EVALID": "RADIOLOGIST 1", f"{name.upper()}ACPTFL": "Y"}
        domains[name] += [row | reader | {f"{name.upper()}SEQ": str(100 + n)} for n, row in enumerate(domains[name])]
    data = read(domains)
    assert [len(data.rows(name)) for name in ("lesion", "measurement", "sum_of_diameters")] == [6, 8, 2]
    assert {(m.evaluator_id, m.accepted, m.ordinal) for m in data.rows("measurement")} == {(None, None, 1), ("RADIOLOGIST 1", True, 1)}


def test_without_an_evaluator_it_is_the_investigator(read, domains):
    for row in domains["rs"]:
        row["RSEVAL"] = ""
    data = read(domains)
    assert {r.evaluator for r in data.rows("response")} == {"INVESTIGATOR"}
    assert data.findings.counts()["no-evaluator"] == 1


@pytest.mark.parametrize(
    "result", [{"TRORRES": "12 mm", "TRORRESU": "cm"}, {"TRORRES": "12 in"}, {"TRORRES": "mm"}, {"TRORRES": "<5", "TRORRESU": "mm"}]
)
def test_a_length_that_is_unclear_is_not_guessed(read, domains, result):
    domains["tr"][5] = WEEK_6 | {"TRSEQ": "6", "TRLNKID": "T01", "TRTESTCD": "LDIAM"} | result
    data = read(domains)
    assert [m.lesion for m in data.rows("measurement") if m.visit == "WEEK 6"] == []
    (finding,) = (f for f in data.findings if f.code == "not-a-diameter")
    assert (finding.row, finding.effect) == (6, "the row is left out: lesion T01 of subject S1 counts as not measured at WEEK 6")


def test_an_evaluator_is_one_in_whatever_case(read, found, domains, tmp_path):
    for row in domains["tr"]:
        row["TREVAL"] = "Investigator"
    data = read(domains)
    assert found(data) == []
    assert {m.evaluator for m in data.rows("measurement")} == {"INVESTIGATOR"}
    write_sdtm(data, tmp_path)
    assert "Investigator" in (tmp_path / "tr.csv").read_text()


@pytest.mark.parametrize(("term", "role"), [("NON-TARGET LESION", "non-target"), ("Target Lesions", "target"), ("NEW LESION", "new")])
def test_a_role_may_say_that_it_is_of_a_lesion(read, domains, term, role):
    domains["tr"][5]["TRGRPID"] = term
    assert one(read(domains), "T01").role == role


def test_a_response_that_says_it_was_not_done(read, found, domains):
    domains["rs"][0] |= {"RSORRES": "NOT DONE", "RSSTRESC": "", "RSSTAT": ""}
    data = read(domains)
    assert found(data) == []
    assert (True, None) in {(r.not_done, r.value) for r in data.rows("response")}


@pytest.mark.parametrize(("text", "value"), [("Partial Response", "PR"), ("PROGRESSIVE DISEASE", "PD"), ("Not Evaluable", "NE")])
def test_a_response_in_words(read, found, domains, text, value):
    domains["rs"][0] |= {"RSORRES": text, "RSSTRESC": ""}
    data = read(domains)
    assert found(data) == []
    assert value in {r.value for r in data.rows("response") if r.sequence == int(domains["rs"][0]["RSSEQ"])}


def test_a_fragment_is_a_lesion_split_from_its_parent(read, found, domains):
    fragment = {"USUBJID": "S1", "TUTESTCD": "TUSPLIT", "TUSTRESC": "TARGET", "TUEVAL": "INVESTIGATOR", "VISIT": "WEEK 6", "VISITNUM": "6"}
    domains["tu"] += [fragment | {"TUSEQ": "4", "TULNKID": "T02.1"}, fragment | {"TUSEQ": "5", "TULNKID": "T02.2"}]
    domains["tr"].append(WEEK_6 | {"TRSEQ": "7", "TRLNKID": "T02.1", "TRTESTCD": "LPERP", "TRSTRESN": "8"})
    data = read(domains)
    assert found(data) == []
    fragments = [(x.lesion, x.role, x.relation, x.origin, x.nodal) for x in data.rows("lesion") if x.relation]
    assert fragments == [("T02.1", "target", "split", "T02", True), ("T02.2", "target", "split", "T02", True)]


def test_a_fragment_that_tr_alone_has(read, found, domains):
    domains["tr"].append(WEEK_6 | {"TRSEQ": "7", "TRLNKID": "T01.1", "TRTESTCD": "LDIAM", "TRSTRESN": "8"})
    data = read(domains)
    assert found(data) == [("lesion-not-identified", "tr.csv", 7, "TRLNKID")]
    assert [(x.lesion, x.origin, x.relation) for x in data.rows("lesion") if x.relation] == [("T01.1", "T01", "split")]


@pytest.mark.parametrize("text", ["MERGED WITH T01", "T01"])
def test_a_merge_that_tu_alone_has_is_a_measurement_of_its_visit(read, found, domains, text):
    merge = {"USUBJID": "S1", "TUTESTCD": "TUMERGE", "TUSEQ": "4", "TULNKID": "T02", "TUSTRESC": text, "TUEVAL": "INVESTIGATOR"}
    domains["tu"].append(merge | {"VISIT": "WEEK 6", "VISITNUM": "6", "TUDTC": "2023-02-13"})
    data = read(domains)
    assert found(data) == []
    assert [(x.lesion, x.relation, x.origin) for x in data.rows("lesion") if x.relation] == [("T02", "merged", "T01")]
    row = one(data, "T02")
    assert (row.state, row.merged_with, row.on, row.role) == ("merged", "T01", "2023-02-13", "target")


def test_a_new_lesion_may_stand_in_tr_alone(read, found, domains):
    domains["tr"].append(WEEK_6 | {"TRSEQ": "7", "TRLNKID": "NEW01", "TRTESTCD": "TUMSTATE", "TRSTRESC": "EQUIVOCAL", "TRGRPID": "NEW"})
    data = read(domains)
    assert found(data) == []
    assert [(x.lesion, x.role, x.on) for x in data.rows("lesion") if x.role == "new"] == [("NEW01", "new", "2023-02-13")]
    assert one(data, "NEW01").state == "equivocal"


def test_without_tu_the_lesions_are_those_of_tr(read, found, domains):
    del domains["tu"]
    data = read(domains)
    assert found(data) == []
    assert {x.lesion: x.role for x in data.rows("lesion")} == {"T01": "target", "T02": "target", "NT01": "non-target"}


def test_markers_and_new_lesion_progression(read, domains):
    row = domains["rs"][0]
    domains["rs"] += [
        row | {"RSSEQ": "3", "RSTESTCD": "TMRESP", "RSSTRESC": "NOT NORMAL", "RSCAT": "GCIG"},
        row | {"RSSEQ": "4", "RSTESTCD": "NEWLPROG", "RSSTRESC": "EQUIVOCAL"},
        row | {"RSSEQ": "5", "RSTESTCD": "NTRGRESP", "RSSTRESC": "Non-CR/Non-PD"},
    ]
    values = {(r.test, r.value) for r in read(domains).rows("response") if r.visit == "WEEK 6"}
    assert values == {("overall", "PR"), ("marker", "NOT NORMAL"), ("new-lesion", "EQUIVOCAL"), ("non-target", "NON-CR/NON-PD")}


def test_a_visit_not_done_at_all_is_not_done_for_every_lesion(read, found, domains, tmp_path):
    del domains["tr"][3:]
    domains["tr"].append(
        WEEK_6 | {"TRSEQ": "9", "TRTESTCD": "TRALL", "TRLNKID": "", "TRGRPID": "", "TRSTAT": "NOT DONE", "TRREASND": "ill"}
    )
    data = read(domains)
    assert found(data) == []
    missed = [row for row in data.rows("measurement") if row.visit == WEEK_6["VISIT"]]
    assert sorted(row.lesion for row in missed) == sorted(row.lesion for row in data.rows("lesion"))
    assert {(row.state, row.reason, row.longest_mm) for row in missed} == {("not-done", "ill", None)}
    write_sdtm(data, tmp_path)
    assert read_sdtm(tmp_path, data.study).rows("measurement") == data.rows("measurement")


def test_a_length_of_a_whole_visit_is_no_result(read, domains):
    """TRALL is of every lesion: it says that none was looked at, and never how large they are."""
    domains["tr"].append(WEEK_6 | {"TRSEQ": "9", "TRTESTCD": "TRALL", "TRLNKID": "", "TRGRPID": "", "TRSTRESN": "12", "TRSTRESU": "mm"})
    data = read(domains)
    assert [(f.code, f.field, f.effect) for f in data.findings.errors()] == [("unknown-code", "TRSTRESC", "the row is left out")]
    assert [row for row in data.rows("measurement") if row.longest_mm is None and row.state is None] == []


def of_one_cause(data, code):
    (finding,) = [f for f in data.findings if f.code == code]
    assert (finding.place, finding.row) == ("tr.csv", None)
    return finding


def test_tr_without_tu_is_one_finding_that_says_what_follows(read, domains):
    del domains["tu"]
    finding = of_one_cause(read(domains), "lesion-not-identified")
    assert (finding.severity, finding.field) == ("information", "TRLNKID")
    assert finding.found == "3 lesions of 1 subjects, and none of the file is in TU"
    assert "longest diameters count" in finding.effect


def test_tr_whose_lesions_have_other_names_than_tus_is_one_finding(read, domains):
    for row in domains["tr"]:
        row["TRLNKID"] = f"X{row.get('TRLNKID', '')}" if row.get("TRLNKID") else ""
    finding = of_one_cause(read(domains), "lesion-not-identified")
    assert finding.found.startswith("3 lesions of 1 subjects")
    assert finding.severity == "warning"


def test_lesions_of_no_role_without_tu_are_one_error(read, domains):
    del domains["tu"]
    for row in domains["tr"]:
        row["TRGRPID"] = ""
    finding = of_one_cause(read(domains), "missing-value")
    assert (finding.severity, finding.effect) == ("error", "their measurements are left out of every sum and response")


def test_a_tr_that_names_no_lesion_is_one_error(read, domains):
    for row in domains["tr"]:
        row["TRLNKID"] = ""
    data = read(domains)
    assert of_one_cause(data, "missing-value").found == "none in 5 rows"
    assert data.table("measurement").num_rows == 0
