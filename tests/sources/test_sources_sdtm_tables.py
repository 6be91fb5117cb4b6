import sys
from decimal import Decimal
from types import SimpleNamespace

import pandas as pd
import pytest
from msgspec.structs import replace

from fhir_trial.domain.study import SourceNotes
from fhir_trial.errors import MissingExtra
from fhir_trial.sources.sdtm import read_sdtm


def test_a_clean_trial_has_no_finding_but_what_is_not_carried(read, found, domains):
    data = read(domains)
    assert found(data) == []
    counts = {name: table.num_rows for name, table in data.tables.items()}
    assert counts == {
        "organization": 1, "site": 0, "eligibility": 0, "enrollment": 1, "consent": 3, "study": 1,
            "medication": 1, "patient": 3, "subject": 3, "dose": 3, "therapy": 1, "adverse_event": 2,
        "body_measure": 2, "vital_sign": 1,
        "performance_status": 1, "laboratory": 3, "lesion": 3, "measurement": 4, "sum_of_diameters": 1, "response": 2,
    }  # fmt: skip


def test_subjects(read, domains):
    one, two, three = read(domains).rows("subject")
    assert (one.state, one.enrolled_on, one.enrolled_source) == ("withdrawn", "2023-01-01", "ENROLLED")
    assert (one.first_dose_on, one.last_dose_on, one.ended_on) == ("2023-01-02", "2023-01-23", "2023-06-01")
    assert (one.arm_planned, one.age, one.consented_on) == ("Treatment", Decimal(61), "2022-12-20")
    assert [d.event for d in one.dispositions] == ["ENROLLED", "WITHDRAWAL BY SUBJECT"]
    contacts = {(c.source, c.on) for c in one.contacts}
    assert contacts == {
        ("DS", "2023-01-01"), ("DS", "2023-06-01"), ("LB", "2023-01-02"), ("LB", "2023-02-02"), ("QS", "2023-01-02"),
        ("VS", "2023-01-02"), ("VS", "2023-01-03"),
    }  # fmt: skip
    assert (two.state, two.enrolled_on, two.enrolled_source) == ("on-treatment", "2023-01-10", "RFSTDTC")
    assert (three.state, three.enrolled_on, three.arm_planned) == ("screen-failure", None, None)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"ds": "RANDOMIZED"}, ("2023-01-01", "RANDOMIZED")),
        ({"ds": "OTHER"}, ("2023-01-02", "RFSTDTC")),
        ({"ds": "OTHER", "RFSTDTC": ""}, ("2022-12-20", "RFICDTC")),
        ({"ds": "OTHER", "RFSTDTC": "", "RFICDTC": ""}, (None, None)),
    ],
)
def test_which_record_gives_the_date_of_enrolment(read, domains, change, expected):
    domains["ds"][0]["DSDECOD"] = change.pop("ds")
    domains["dm"][0] |= change
    subject = read(domains).rows("subject")[0]
    assert (subject.enrolled_on, subject.enrolled_source) == expected


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], "on-treatment"),
        (["DSDECOD=PROGRESSIVE DISEASE; DSCAT=DISPOSITION EVENT; DSSCAT=STUDY TREATMENT"], "follow-up"),
        (["DSDECOD=COMPLETED; DSCAT=DISPOSITION EVENT"], "completed"),
        (["DSDECOD=LOST TO FOLLOW-UP; DSCAT=DISPOSITION EVENT; DSSCAT=STUDY PARTICIPATION"], "completed"),
        (["DSDECOD=WITHDRAWAL BY SUBJECT; DSCAT=DISPOSITION EVENT; DSSCAT=STUDY TREATMENT"], "follow-up"),
        (["DSDECOD=WITHDRAWAL BY SUBJECT"], "withdrawn"),
        (["DSDECOD=SCREEN FAILURE; DSCAT=DISPOSITION EVENT"], "screen-failure"),
    ],
)
def test_states(read, domains, events, state):
    domains["ds"] = [
        dict(cell.split("=") for cell in f"USUBJID=S2; DSSEQ={n}; {text}".split("; ")) for n, text in enumerate(events, start=1)
    ] or [{"USUBJID": "S1", "DSSEQ": "1", "DSDECOD": "OTHER"}]
    assert read(domains).rows("subject")[1].state == state


def test_doses_take_their_supplements_and_keep_exact_decimals(read, domains):
    first, second, _ = read(domains).rows("dose")
    assert (first.dose, first.planned_per_m2, first.bsa_used, first.cycle) == (Decimal("480.5"), Decimal(300), Decimal("1.62"), 1)
    assert (second.planned_per_m2, second.cycle, second.status) == (None, 2, "completed")


def test_adverse_events(read, domains):
    first, second = read(domains).rows("adverse_event")
    assert (first.grade, first.severity, first.serious, first.organ_class) == (2, None, False, "Gastrointestinal disorders")
    assert {c.criterion: c.present for c in second.criteria} == {"death": False, "hospitalization": True}
    assert second.start == "2023-02"


def test_a_grade_may_be_written_in_full(read, found, domains):
    domains["ae"][0]["AETOXGR"] = "Grade 3"
    data = read(domains)
    assert found(data) == []
    assert data.rows("adverse_event")[0].grade == 3


def test_body_measures_convert_exactly(read, domains):
    weight, bsa = read(domains).rows("body_measure")
    assert (weight.value, weight.unit, weight.test) == (Decimal("68.265651685"), "kg", "weight")
    assert (bsa.value, bsa.unit, bsa.test) == (Decimal("1.7"), "m2", "bsa")


def test_measures_of_dm_stand_in_where_vs_has_none_of_the_test(read, found, domains):
    domains["dm"][0] |= {"BSA": "1.9", "HEIGHT": "170"}
    data = read(domains)
    rows = [(m.subject, m.test, m.value, m.unit, m.sequence) for m in data.rows("body_measure")]
    assert ("S1", "height", Decimal(170), "cm", 3) in rows  # the second number is a pulse in VS
    assert len(rows) == 3  # VS has a BSA, so DM's is not read
    assert [f.field for f in data.findings if f.code == "unit-not-recorded"] == ["HEIGHT"]


def test_a_response_not_done_has_no_value(read, domains):
    done, missed = read(domains).rows("response")
    assert (done.value, done.not_done) == ("PR", None)
    assert (missed.value, missed.not_done, missed.reason) == (None, True, "SCAN LATE")


def test_other_criteria_than_recist_are_counted_and_left(read, domains):
    domains["rs"][0]["RSCAT"] = "IRECIST"
    data = read(domains)
    assert len(data.rows("response")) == 1
    assert [f.found for f in data.findings if f.field == "RSCAT"] == ["1 rows"]


def test_a_zone_of_the_study_gives_clock_times_their_offset(read, found, domains, small_study):
    domains["ex"][0]["EXSTDTC"] = "2023-01-02T09:30"
    local = read(domains)
    assert local.rows("dose")[0].start == "2023-01-02T09:30"
    assert found(local) == [("local-time", "ex.csv", 1, "EXSTDTC")]
    zoned = read(domains, study=replace(small_study, sources=SourceNotes(time_zone="America/New_York")))
    assert zoned.rows("dose")[0].start == "2023-01-02T09:30-05:00"
    assert found(zoned) == []


def test_cutoff_and_mark_of_synthetic_data(read, domains):
    domains["ts"] = [{"TSPARMCD": "DCUTDTC", "TSVAL": "2023-07-01"}, {"TSPARMCD": "SYNTH", "TSVAL": "Y"}]
    data = read(domains)
    assert (data.data_cutoff, data.synthetic) == ("2023-07-01", True)


def test_a_drug_that_the_study_lacks_is_added_with_a_finding(read, found, domains):
    domains["ex"][2]["EXTRT"] = "DRUG B"
    data = read(domains)
    assert found(data) == [("unlisted-drug", "ex.csv", 3, "EXTRT")]
    assert [m.medication for m in data.rows("medication")] == ["DRUG A", "DRUG B"]


def test_a_domain_under_another_name_by_the_study_and_by_argument(read, domains, small_study):
    domains["rs_onco"] = domains.pop("rs")
    assert "response" not in read(domains).tables
    by_study = read(domains, study=replace(small_study, sources=SourceNotes(domains={"rs": "rs_onco"})))
    by_name = read(domains, domains={"RS": "RS_onco"})
    by_file = read(domains, domains={"rs": "rs_onco.csv"})
    for data in (by_study, by_name, by_file):
        assert len(data.rows("response")) == 2
        assert "rs_onco.csv" not in [f.place for f in data.findings if f.code == "not-carried-domain"]


def test_two_sources_of_a_domain_are_named(read, found, domains, small_study):
    domains["rs_onco"] = domains["rs"][:1]
    data = read(domains, domains={"rs": "rs_onco"})
    assert len(data.rows("response")) == 1
    assert found(data) == [("ambiguous-file", "rs", None, None)]


def test_names_in_upper_case_parquet_and_frames_give_the_same_tables(read, domains, small_study, tmp_path):
    expected = read(domains)
    frames = {name: pd.DataFrame(rows) for name, rows in domains.items()}
    for name, frame in frames.items():
        (tmp_path / "parquet").mkdir(exist_ok=True)
        frame.to_parquet(tmp_path / "parquet" / f"{name.upper()}.PARQUET")
        (tmp_path / "upper").mkdir(exist_ok=True)
        frame.rename(columns=str.lower).to_csv(tmp_path / "upper" / f"{name.upper()}.CSV", index=False)
    for source in (frames, tmp_path / "parquet", tmp_path / "upper"):
        assert read_sdtm(source, small_study).tables == expected.tables


def test_numbers_dates_and_floats_of_frames_are_read_as_text_would_be(domains, small_study):
    frames = {name: pd.DataFrame(rows) for name, rows in domains.items()}
    ex = frames["ex"]
    frames["ex"] = ex.assign(
        EXSEQ=ex.EXSEQ.astype(float), EXDOSE=ex.EXDOSE.astype(float), VISITNUM=ex.VISITNUM.astype("Int64"),
        EXSTDTC=pd.to_datetime(ex.EXSTDTC), EXENDTC=pd.to_datetime(ex.EXENDTC).dt.date,
    )  # fmt: skip
    as_text = read_sdtm({name: pd.DataFrame(rows) for name, rows in domains.items()}, small_study)
    assert read_sdtm(frames, small_study).tables == as_text.tables


XPT_HEADER = b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!"


def test_xpt_is_read_by_pyreadstat(read, domains, monkeypatch):
    rows = pd.DataFrame(domains.pop("cm"))

    def read_xport(path, **options):
        if "ae" in path:
            raise OSError
        return rows, None

    monkeypatch.setitem(sys.modules, "pyreadstat", SimpleNamespace(read_xport=read_xport, ReadstatError=OSError))
    del domains["ae"]
    data = read(domains, lambda folder: [(folder / name).write_bytes(XPT_HEADER) for name in ("CM.XPT", "ae.xpt")])
    assert len(data.rows("therapy")) == 1
    assert [f.place for f in data.findings if f.code == "not-xpt"] == ["ae.xpt"]


def test_xpt_without_pyreadstat_names_the_extra(read, domains, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyreadstat", None)
    with pytest.raises(MissingExtra, match=r"fhir_trial\[sdtm\]"):
        read(domains, lambda folder: (folder / "mh.xpt").write_bytes(b""))
