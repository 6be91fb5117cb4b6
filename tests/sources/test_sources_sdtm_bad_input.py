import random

import pytest
from msgspec.structs import replace

from fhir_trial.domain.study import SourceNotes
from fhir_trial.domain.tables import TrialData
from fhir_trial.errors import FhirTrialError, InputError, UsageError
from fhir_trial.sources.sdtm import read_sdtm

T02 = {"USUBJID": "S1", "TREVAL": "INVESTIGATOR", "VISIT": "WEEK 6", "VISITNUM": "6", "TRDTC": "2023-02-13", "TRSEQ": "7", "TRLNKID": "T02"}
WEIGHT = {"USUBJID": "S2", "VSSEQ": "9", "VSTESTCD": "WEIGHT"}

ROWS = {
    # change: (domain, row from 0 or None to add one, values), then the finding expected, the table, and how many rows it keeps
    "impossible date": (("ae", 0, {"AESTDTC": "2023-02-30"}), ("impossible-date", "ae.csv", 1, "AESTDTC"), "adverse_event", 1),
    "date in words": (("ex", 1, {"EXSTDTC": "23JAN2023"}), ("impossible-date", "ex.csv", 2, "EXSTDTC"), "dose", 2),
    "unknown grade": (("ae", 1, {"AETOXGR": "6"}), ("unknown-code", "ae.csv", 2, "AETOXGR"), "adverse_event", 1),
    "unknown severity": (("ae", 1, {"AESEV": "AWFUL"}), ("unknown-code", "ae.csv", 2, "AESEV"), "adverse_event", 1),
    "unknown sex": (("dm", 2, {"SEX": "X"}), ("unknown-code", "dm.csv", 3, "SEX"), "patient", 2),
    "unknown arm": (("dm", 1, {"ARM": "Other", "ARMCD": "O"}), ("unknown-code", "dm.csv", 2, "ARM"), "subject", 3),
    "unknown role": (("tr", 5, {"TRGRPID": "TARGTE"}), ("unknown-code", "tr.csv", 6, "TRGRPID"), "measurement", 3),
    "unknown response": (("rs", 0, {"RSSTRESC": "CHECK"}), ("unknown-code", "rs.csv", 1, "RSSTRESC"), "response", 1),
    "unknown identification": (("tu", 2, {"TUSTRESC": "ODD"}), ("unknown-code", "tu.csv", 3, "TUSTRESC"), "lesion", 3),
    "duplicate key": (
        ("ae", None, {"USUBJID": "S1", "AESEQ": "1.0", "AETERM": "x"}), ("duplicate-key", "ae.csv", 3, "AESEQ"), "adverse_event", 2,
    ),
    "duplicate subject": (("dm", None, {"USUBJID": "S1", "ARM": "Treatment"}), ("duplicate-key", "dm.csv", 4, "USUBJID"), "subject", 3),
    "lesion identified twice": (
        ("tu", None, {"USUBJID": "S1", "TULNKID": "T01", "TUTESTCD": "TUMIDENT", "TUSTRESC": "TARGET", "TUEVAL": "INVESTIGATOR"}),
        ("duplicate-key", "tu.csv", 4, "TULNKID"), "lesion", 3,
    ),
    "subject not in DM": (("cm", 0, {"USUBJID": "S9"}), ("unknown-subject", "cm.csv", 1, "USUBJID"), "therapy", 0),
    "no subject": (("cm", 0, {"USUBJID": ""}), ("missing-value", "cm.csv", 1, "USUBJID"), "therapy", 0),
    "no term": (("ae", 0, {"AETERM": " "}), ("missing-value", "ae.csv", 1, "AETERM"), "adverse_event", 1),
    "sequence in words": (("ae", 0, {"AESEQ": "one"}), ("not-a-number", "ae.csv", 1, "AESEQ"), "adverse_event", 1),
    "sequence with a half": (("ae", 0, {"AESEQ": "1.5"}), ("not-a-number", "ae.csv", 1, "AESEQ"), "adverse_event", 1),
    "negative dose": (("ex", 0, {"EXDOSE": "-1"}), ("not-an-amount", "ex.csv", 1, "EXDOSE"), "dose", 2),
    "endless dose": (("ex", 0, {"EXDOSE": "1E+40"}), ("not-an-amount", "ex.csv", 1, "EXDOSE"), "dose", 2),
    "dose not a number": (("ex", 0, {"EXDOSE": "NaN"}), ("not-an-amount", "ex.csv", 1, "EXDOSE"), "dose", 2),
    "control character": (("ae", 0, {"AETERM": "nau\x00sea"}), ("invalid-text", "ae.csv", 1, "AETERM"), "adverse_event", 1),
    "ECOG of 6": (("qs", 0, {"QSSTRESN": "6"}), ("unknown-code", "qs.csv", 1, "QSSTRESN"), "performance_status", 0),
    "no ECOG": (("qs", 0, {"QSSTRESN": ""}), ("missing-value", "qs.csv", 1, "QSSTRESN"), "performance_status", 0),
    "weight in stone": (
        ("vs", None, WEIGHT | {"VSORRES": "11", "VSORRESU": "st"}), ("unknown-unit", "vs.csv", 4, "VSORRESU"), "body_measure", 2,
    ),
    "weight in words": (
        ("vs", None, WEIGHT | {"VSORRES": "x", "VSORRESU": "kg"}), ("not-an-amount", "vs.csv", 4, "VSORRES"), "body_measure", 2,
    ),
    "supplement of no row": (("suppex", 0, {"IDVARVAL": "9"}), ("supplement-without-parent", "suppex.csv", 1, "IDVARVAL"), "dose", 3),
    "two values of a supplement": (
        ("suppex", None, {"USUBJID": "S1", "IDVAR": "EXSEQ", "IDVARVAL": "1", "QNAM": "EXBSA", "QVAL": "2"}),
        ("duplicate-key", "suppex.csv", 3, "QNAM"), "dose", 3,
    ),
    "diameter in words": (("tr", 5, {"TRORRES": "big"}), ("not-a-diameter", "tr.csv", 6, "TRORRES"), "measurement", 3),
    "diameter in inches": (("tr", 5, {"TRORRESU": "in"}), ("unknown-unit", "tr.csv", 6, "TRORRESU"), "measurement", 3),
    "diameter without unit": (("tr", 5, {"TRORRESU": ""}), ("unknown-unit", "tr.csv", 6, "TRORRESU"), "measurement", 3),
    "negative diameter": (("tr", 5, {"TRORRES": "-2"}), ("negative-diameter", "tr.csv", 6, "TRORRES"), "measurement", 3),
    "diameter without lesion": (("tr", 5, {"TRLNKID": ""}), ("missing-value", "tr.csv", 6, "TRLNKID"), "measurement", 3),
    "no result": (("tr", 5, {"TRORRES": ""}), ("not-a-diameter", "tr.csv", 6, "TRORRES"), "measurement", 3),
    "lesion without a baseline": (
        ("tr", None, T02 | {"TRLNKID": "T07", "TRGRPID": "TARGET", "TRTESTCD": "LDIAM", "TRSTRESN": "12"}),
        ("lesion-without-baseline", "tr.csv", 7, "TRLNKID"), "measurement", 4,
    ),
    "lesion without a role": (
        ("tr", None, T02 | {"TRLNKID": "T07", "TRTESTCD": "LDIAM", "TRSTRESN": "12"}),
        ("missing-value", "tr.csv", 7, "TRGRPID"), "measurement", 4,
    ),
    "split of nothing": (
        ("tu", None, {"USUBJID": "S1", "TULNKID": "X", "TUTESTCD": "TUSPLIT", "TUSTRESC": "TARGET", "TUEVAL": "INVESTIGATOR"}),
        ("split-without-origin", "tu.csv", 4, "TULNKID"), "lesion", 3,
    ),
    "merge into nothing": (
        ("tu", None, {"USUBJID": "S1", "TULNKID": "T01", "TUTESTCD": "TUMERGE", "TUSTRESC": "MERGED WITH T09", "TUEVAL": "INVESTIGATOR"}),
        ("merge-without-lesion", "tu.csv", 4, "TUSTRESC"), "lesion", 3,
    ),
    "response not done and PR": (("rs", 0, {"RSSTAT": "NOT DONE"}), ("not-done-with-result", "rs.csv", 1, "RSSTAT"), "response", 1),
    "no response": (("rs", 0, {"RSSTRESC": ""}), ("missing-value", "rs.csv", 1, "RSSTRESC"), "response", 1),
    "impossible date of a contact": (("lb", 0, {"LBDTC": "2023-13-01"}), ("impossible-date", "lb.csv", 1, "LBDTC"), "subject", 3),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_bad_row_is_named_and_good_rows_are_kept(read, found, domains, name):
    (domain, row, values), finding, table, kept = ROWS[name]
    if row is None:
        domains[domain].append(values)
    else:
        domains[domain][row] |= values
    data = read(domains)
    assert found(data)[0] == finding
    assert all(f.expected for f in data.findings if f.severity == "error")
    assert data.table(table).num_rows == kept
    if any(f.severity == "error" for f in data.findings):
        with pytest.raises(InputError) as refused:
            read(domains, on_error="refuse")
        assert (refused.value.findings[0].code, refused.value.findings[0].row) == (finding[0], finding[2])


def test_a_date_with_an_unknown_part_is_kept_as_far_as_it_is_known(read, found, domains):
    domains["ae"][0]["AEENDTC"] = "2023---09"
    data = read(domains)
    assert data.rows("adverse_event")[0].end == "2023"
    assert found(data) == [("unknown-date-part", "ae.csv", 1, "AEENDTC")]


def test_a_cutoff_that_is_no_date_is_named(read, found, domains):
    domains["ts"] = [{"TSPARMCD": "DCUTDTC", "TSVAL": "soon"}, {"TSPARMCD": "TITLE", "TSVAL": "A trial"}]
    data = read(domains)
    assert (data.data_cutoff, data.synthetic) == (None, False)
    assert found(data) == [("impossible-date", "ts.csv", 1, "TSVAL")]


def test_two_studies_in_one_file_are_named(read, found, domains):
    for row, study in zip(domains["dm"], ("A", "A", "B"), strict=True):
        row["STUDYID"] = study
    assert found(read(domains)) == [("several-studies", "dm.csv", None, "STUDYID")]


def test_a_domain_of_another_study_than_dm_is_named(read, found, domains):
    for row in domains["dm"] + domains["ae"]:
        row["STUDYID"] = "A"
    assert found(read(domains)) == []
    domains["ae"][1]["STUDYID"] = "B"
    data = read(domains)
    assert found(data) == [("other-study", "ae.csv", 2, "STUDYID")]
    assert data.table("adverse_event").num_rows == 2


def test_a_control_character_in_a_column_without_a_field_is_named_and_not_carried(read, found, domains):
    domains["vs"][0]["VSSTRESC"] = "60\x00"
    data = read(domains)
    assert found(data) == [("invalid-text", "vs.csv", 1, "VSSTRESC")]
    assert all("\x00" not in (column.value or "") for row in data.rows("body_measure") for column in row.source_columns)


def test_a_sponsor_id_that_the_study_declares_unique_is_checked(read, found, domains, small_study):
    domains["ae"] = [row | {"USUBJID": "S1", "AESPID": "E1", "AESEQ": str(n)} for n, row in enumerate(domains["ae"], start=1)]
    assert found(read(domains)) == []
    strict = replace(small_study, sources=SourceNotes(unique_aespid=True))
    assert found(read(domains, study=strict)) == [("duplicate-key", "ae.csv", 2, "AESPID")]


def test_a_study_with_its_own_causality_terms_allows_no_other(read, found, domains, small_study):
    study = replace(small_study, codes={"related": {"RELATED": "RELATED"}})
    domains["ae"][1]["AEREL"] = "PERHAPS"
    assert found(read(domains, study=study)) == [("unknown-code", "ae.csv", 2, "AEREL")]


@pytest.mark.parametrize(
    ("domain", "column"),
    [("dm", "USUBJID"), ("ex", "EXTRT"), ("ae", "AESEQ"), ("tr", "TRLNKID"), ("tu", "TULNKID"), ("rs", "RSSTRESC"), ("vs", "VSTESTCD"),
     ("suppex", "QNAM"), ("ds", "DSSEQ"), ("qs", "QSTESTCD"), ("cm", "CMTRT")],
)  # fmt: skip
def test_a_missing_column_is_named(read, domains, domain, column):
    for row in domains[domain]:
        row.pop(column, None)
    findings = []
    try:
        findings = list(read(domains).findings)
    except InputError as error:
        findings = error.findings
        assert domain == "dm"
    (missing,) = [f for f in findings if f.code == "missing-column"]
    assert (missing.place, missing.field) == (f"{domain}.csv", column)


FILES = {
    "empty file": (lambda data: b"", "empty-file", None),
    "blank header": (lambda data: b",,\n1,2,3\n", "empty-file", None),
    "header alone": (lambda data: data.split(b"\n")[0], "empty-file", None),
    "Latin-1": (lambda data: data.replace(b"nausea", "übel".encode("latin-1")), "wrong-encoding", 1),
    "UTF-16": (lambda data: data.decode().encode("utf-16"), "wrong-encoding", None),
    "row with a cell too many": (lambda data: data.replace(b"\n", b",x\n", 2).replace(b",x\n", b"\n", 1), "ragged-row", 1),
    "row cut off": (lambda data: data[: data.rindex(b",")], "ragged-row", 2),
    "column twice": (lambda data: data.replace(b"AEDECOD", b"AETERM", 1), "duplicate-column", None),
    "cell beyond measure": (lambda data: data.replace(b"nausea", b'"' + b"n" * 200_000 + b'"'), "not-csv", None),
}


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_named_and_the_others_are_read(read, domains, name):
    change, code, row = FILES[name]
    data = read(domains, lambda folder: (folder / "ae.csv").write_bytes(change((folder / "ae.csv").read_bytes())))
    (finding,) = [f for f in data.findings if f.place == "ae.csv" and f.severity != "information"]
    assert (finding.code, finding.row) == (code, row)
    assert data.table("dose").num_rows == 3


def test_the_byte_of_a_wrong_encoding_is_named(read, domains):
    data = read(domains, lambda folder: (folder / "cm.csv").write_bytes(b"USUBJID\nS1\xff\n"))
    (finding,) = [f for f in data.findings if f.code == "wrong-encoding"]
    assert finding.found == "byte 0xFF at offset 10"


def test_broken_parquet_and_two_files_of_a_domain_are_named(read, found, domains):
    data = read(domains, lambda folder: [(folder / name).write_bytes(b"PAR1") for name in ("mh.parquet", "ae.parquet")])
    assert found(data) == [("ambiguous-file", "ae.parquet", None, None), ("not-parquet", "mh.parquet", None, None)]


def test_all_kinds_of_bad_input_are_reported_together(read, domains):
    domains["ae"][0]["AETOXGR"] = "9"
    domains["ae"][1]["AESTDTC"] = "2023-02-30"
    domains["ex"][0]["EXSTDTC"] = "2023-01-02T09:30"
    domains["ds"].append(domains["ds"][0])
    domains["tr"].append(T02 | {"TRLNKID": "T07", "TRGRPID": "TARGET", "TRTESTCD": "LDIAM", "TRSTRESN": "12"})
    for row in domains["rs"]:
        del row["RSTESTCD"]

    def spoil(folder):
        (folder / "cm.csv").write_bytes(b"")
        (folder / "vs.csv").write_bytes((folder / "vs.csv").read_bytes() + b"\xe9")

    data = read(domains, spoil)
    expected = {
        "unknown-code", "impossible-date", "local-time", "duplicate-key", "lesion-without-baseline", "missing-column", "empty-file",
        "wrong-encoding",
    }  # fmt: skip
    assert expected <= set(data.findings.counts())
    assert data.table("dose").num_rows == 3
    with pytest.raises(InputError) as refused:
        read(domains, spoil, on_error="refuse")
    assert expected - {"local-time"} == {f.code for f in refused.value.findings}


def test_findings_show_no_value_unless_they_are_described(read, domains):
    domains["ae"][0]["AESTDTC"] = "on her birthday"
    data = read(domains)
    (finding,) = data.findings.errors()
    assert "birthday" not in repr(finding) + str(InputError([finding])) + repr(data.findings)
    assert "birthday" in finding.describe()


def test_without_subjects_there_is_nothing_to_keep(read, domains, tmp_path, small_study):
    del domains["dm"]
    with pytest.raises(InputError, match="no subjects"):
        read(domains)
    with pytest.raises(UsageError, match="no folder"):
        read_sdtm(tmp_path / "nowhere", small_study)
    with pytest.raises(UsageError, match="no file"):
        read({}, domains={"rs": "rs_v2.csv"})
    for name in ("rs_onco", "/nowhere/rs"):
        with pytest.raises(UsageError, match="no file or data set"):
            read({}, domains={"rs": name})
    with pytest.raises(UsageError, match="keep or refuse"):
        read({}, on_error="maybe")


@pytest.mark.parametrize("seed", range(30))
def test_spoiled_files_never_give_a_traceback(read, domains, seed):
    """Cells and bytes at random: the answer is data with findings, or an error of ours."""
    dice = random.Random(seed)
    spoil_cells(domains, dice)
    try:
        data = read(domains, lambda folder: spoil_bytes(folder, dice))
    except FhirTrialError:
        return
    assert isinstance(data, TrialData)
    for entity in data.tables:
        data.rows(entity)


def spoil_cells(domains, dice):
    odd = [
        "",
        " ",
        "-1",
        "1E999",
        "NaN",
        "2023-02-31",
        "T",
        "\x00",
        "\ufeff",
        "é",
        "9" * 50,
        '"',
        "2023--",
        "MERGED WITH ",
        "S1",
        ".",
        "T01.",
        "0",
    ]
    for rows in domains.values():
        for row in rows:
            for name in row:
                if dice.random() < 0.08:
                    row[name] = dice.choice(odd)


def spoil_bytes(folder, dice):
    for path in sorted(folder.iterdir()):
        data = bytearray(path.read_bytes())
        if dice.random() < 0.3 and data:
            for _ in range(dice.randrange(1, 4)):
                data[dice.randrange(len(data))] = dice.randrange(256)
        path.write_bytes(bytes(data))
