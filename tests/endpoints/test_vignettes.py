"""Courses written as a data manager would send them, SDTM in CSV files, read and analysed as the command does: what each must come to.

Each clause is RECIST 1.1's (Eisenhauer 2009) or the conventions' own; the study is the first one, so times count from enrolment.
"""

import contextlib
import csv
import datetime as dt
import io
import json
from typing import Any

import pytest

from fhir_trial.cli.main import run

pytestmark = pytest.mark.thorough

ENROLLED = dt.date(2023, 1, 2)
STUDY = "NCT05189483"
Row = dict[str, Any]
DOMAINS: dict[str, list[Row]] = {name: [] for name in ("dm", "ds", "tu", "tr", "rs", "cm", "ae")}
EXPECTED: dict[str, dict[str, Any]] = {}


def date(day: int | str) -> str:
    """A date, in days from enrolment, or as it is recorded."""
    return day if isinstance(day, str) else (ENROLLED + dt.timedelta(day)).isoformat()


class Course:
    """One subject's records, row by row; `expect` says what they must come to."""

    def __init__(self, name: str, **demographics: Any) -> None:
        self.name, self.count = name, 0
        person = {
            "RFSTDTC": date(0),
            "RFICDTC": date(-14),
            "ARM": "Treatment",
            "ACTARM": "Treatment",
            "SEX": "F",
            "AGE": 60,
            "AGEU": "YEARS",
        }
        self.add("dm", "", SUBJID=name, **person, **demographics)
        self.ds("ENROLLED", 0)

    def add(self, domain: str, letters: str, **values: Any) -> "Course":
        self.count += 1
        number = {f"{letters}SEQ": self.count} if letters else {}
        DOMAINS[domain].append({"STUDYID": STUDY, "DOMAIN": domain.upper(), "USUBJID": self.name, **number, **values})
        return self

    def ds(self, event: str, day: int, term: str = "", scope: str = "") -> "Course":
        return self.add("ds", "DS", DSTERM=term or event, DSDECOD=event, DSSCAT=scope, DSSTDTC=date(day))

    def tu(self, lesion: str, result: str, organ: str = "LUNG", visit: int = 0, test: str = "TUMIDENT") -> "Course":
        return self.add("tu", "TU", TULNKID=lesion, TUTESTCD=test, TUORRES=result, TUSTRESC=result, TULOC=organ, **at("TU", visit))

    def tr(self, lesion: str, value: Any, visit: int, group: str = "TARGET", test: str = "LDIAM", **more: Any) -> "Course":
        size = {"TRSTRESN": value, "TRSTRESU": "mm"} if isinstance(value, int | float) else {}
        told = {"TRORRES": value, "TRSTRESC": value} if value is not None else {"TRSTAT": "NOT DONE"}
        return self.add("tr", "TR", TRLNKID=lesion, TRGRPID=group, TRTESTCD=test, **(told | size | at("TR", visit) | more))

    def rs(self, value: str | None, visit: int, test: str = "OVRLRESP", **more: Any) -> "Course":
        told = {"RSSTAT": "NOT DONE"} if value is None else {"RSORRES": value, "RSSTRESC": value}
        return self.add("rs", "RS", RSTESTCD=test, RSCAT="RECIST 1.1", **(told | at("RS", visit) | more))

    def cm(self, day: int) -> "Course":
        return self.add("cm", "CM", CMTRT="X", CMCAT="SUBSEQUENT ANTI-CANCER THERAPY", CMSTDTC=date(day))

    def ae(self, start: int, end: int) -> "Course":
        return self.add("ae", "AE", AETERM="X", AEDECOD="X", AEBODSYS="Y", AESTDTC=date(start), AEENDTC=date(end), AETOXGR=2)

    def sizes(self, visit: int, **of: Any) -> "Course":
        """Targets at a visit: nodes, named N..., by their short axis."""
        for lesion, value in of.items():
            self.tr(lesion, value, visit, test="LPERP" if lesion.startswith("N") else "LDIAM")
        return self

    def other(self, visit: int, state: str, lesion: str = "O01", group: str = "NON-TARGET") -> "Course":
        return self.tr(lesion, state, visit, group, "TUMSTATE")

    def expect(self, **what: Any) -> None:
        EXPECTED[self.name] = what


def at(letters: str, visit: int) -> Row:
    """Visit 0 is the baseline; the others are six weeks apart."""
    name, day = (f"WEEK {6 * visit}", 42 * visit) if visit else ("SCREENING", -7)
    return {f"{letters}EVAL": "INVESTIGATOR", "VISIT": name, "VISITNUM": visit + 1, f"{letters}DTC": date(day)}


def targets(name: str, others: bool = False, demographics: Row | None = None, **baseline: float) -> Course:
    """A subject with target lesions of these sizes, and a non-target lesion where asked."""
    course = Course(name, **(demographics or {}))
    for lesion in baseline:
        course.tu(lesion, "TARGET", "LYMPH NODE" if lesion.startswith("N") else "LUNG")
    course.sizes(0, **baseline)
    return course.tu("O01", "NON-TARGET", "LIVER").other(0, "PRESENT") if others else course


def dead(day: int | str) -> Row:
    return {"DTHDTC": date(day), "DTHFL": "Y"}


# 30 % is compared in exact decimals, in millimetres and from centimetres
targets("decimal-30", T1=43).sizes(1, T1=30.1).expect(OVR=["PR"])
targets("decimal-29.8", T1=43).sizes(1, T1=30.2).expect(OVR=["SD"])
targets("centimetres", T1=43).tr("T1", None, 1, TRSTAT="", TRORRES="3.01", TRORRESU="cm").expect(OVR=["PR"], SDIAM=[30.1])
targets("inches", T1=43).tr("T1", None, 1, TRSTAT="", TRORRES="1.2", TRORRESU="in").expect(finding="unknown-unit")
# progression: 20 % and 5 mm above the nadir, neither alone
targets("25-percent-5-mm", T1=40).sizes(1, T1=20).sizes(2, T1=25).expect(OVR=["PR", "PD"])
targets("24.5-percent-4.9-mm", T1=40).sizes(1, T1=20).sizes(2, T1=24.9).expect(OVR=["PR", "PR"])
targets("19.9-percent", T1=60, T2=60).sizes(1, T1=50, T2=50).sizes(2, T1=60, T2=59.9).expect(OVR=["SD", "SD"])
targets("20-percent", T1=60, T2=60).sizes(1, T1=50, T2=50).sizes(2, T1=60, T2=60).expect(OVR=["SD", "PD"])
targets("nadir-over-a-missed-target", T1=30, T2=20).sizes(1, T1=15, T2=10).sizes(2, T1=14, T2=None).sizes(3, T1=18, T2=13).expect(
    OVR=["PR", "NE", "PD"]
)
targets("the-rest-proves-it", T1=20, T2=20).sizes(1, T1=10, T2=10).sizes(2, T1=30, T2="NOT EVALUABLE").expect(OVR=["PR", "PD"])
# nodes, by their short axis, are normal below 10 mm
targets("node-9.9-then-10", N1=20, T1=20).sizes(1, N1=9.9, T1=0).sizes(2, N1=10, T1=0).expect(OVR=["CR", "PD"], BOR="CR")
targets("node-10", N1=20, T1=20).sizes(1, N1=10, T1=0).expect(OVR=["PR"])
targets("node-with-both-axes", N1=20).tr("N1", 30, 1).sizes(1, N1=8).expect(OVR=["CR"], SDIAM=[8])
Course("node-in-tr-alone").sizes(0, N1=18).sizes(1, N1=8).expect(OVR=["CR"], finding="taken-as-node")
targets("absent-by-state", N1=20, T1=20).other(1, "ABSENT", "N1", "TARGET").other(1, "ABSENT", "T1", "TARGET").expect(OVR=["CR"], SDIAM=[0])
# too small to measure is 5 mm, whatever stands beside it
targets("too-small", T1=20).sizes(1, T1="TOO SMALL TO MEASURE").sizes(2, T1=0).expect(OVR=["PR", "CR"], SDIAM=[5, 0])
targets("too-small-in-lower-case", T1=20).sizes(1, T1="too small to measure").expect(OVR=["PR"], SDIAM=[5])
targets("too-small-with-3-mm", T1=20).sizes(1, T1="TOO SMALL TO MEASURE").tr(
    "T1", 20, 2, TRSTRESN=3, TRORRES="TOO SMALL TO MEASURE"
).expect(SDIAM=[5, 5])
# fragments are added, coalesced lesions are one
targets("split-by-name", T1=40).sizes(1, **{"T1.1": 15, "T1.2": 12}).expect(OVR=["PR"], SDIAM=[27])
targets("split-in-tu", T1=40).tu("P1", "SPLIT FROM T1", visit=1, test="TUSPLIT").tu("P2", "SPLIT FROM T1", visit=1, test="TUSPLIT").sizes(
    1, P1=25, P2=24
).expect(OVR=["PD"], SDIAM=[49])
targets("coalesced", T1=30, T2=20).sizes(1, T1=45, T2="COALESCED WITH T1").sizes(2, T1=55).expect(OVR=["SD", "PD"], SDIAM=[45, 55])
targets("merged-in-tu", T1=30, T2=20).tu("T2", "MERGED WITH T1", visit=1, test="TUMERGE").sizes(1, T1=45).expect(OVR=["SD"], SDIAM=[45])
# non-target lesions
targets("non-target-progression", True, T1=30).sizes(1, T1=15).other(1, "UNEQUIVOCAL PROGRESSION").expect(
    OVR=["PD"], TRGRESP=["PR"], PFS=(42, 0)
)
targets("non-target-unread", True, T1=20).sizes(1, T1=0).other(1, "NOT EVALUABLE").expect(OVR=["PR"])
targets("non-target-present", True, T1=20).sizes(1, T1=0).other(1, "PRESENT").expect(OVR=["PR"])
targets("everything-gone", True, T1=20).sizes(1, T1=0).other(1, "ABSENT").expect(OVR=["CR"])
Course("not-measurable").tu("O01", "NON-TARGET", "BONE").other(0, "PRESENT").other(1, "PRESENT").other(2, "ABSENT").expect(
    OVR=["NON-CR/NON-PD", "CR"], BOR="CR", CBOR="NON-CR/NON-PD"
)
# a marker that is raised at baseline must come down, though the sample is taken days after the scan
targets("marker", T1=20).rs("NOT NORMAL", 0, "TMRESP").sizes(1, T1=0).rs("NOT NORMAL", 1, "TMRESP", RSDTC=date(44)).sizes(2, T1=0).rs(
    "NORMAL", 2, "TMRESP", RSDTC=date(86)
).expect(OVR=["PR", "CR"])
# new lesions
targets("new", T1=20).sizes(1, T1=10).other(1, "UNEQUIVOCAL", "X1", "NEW").expect(OVR=["PD"])
targets("new-measured", T1=20).sizes(1, T1=10).tr("X1", 12, 1, "NEW").expect(OVR=["PD"])
targets("new-in-tu-alone", T1=20).sizes(1, T1=10).tu("X1", "NEW", visit=1).expect(OVR=["PD"])
targets("new-as-reported", T1=20).sizes(1, T1=10).rs("Y", 1, "NEWLPROG").expect(OVR=["PD"])
targets("equivocal-then-sure", T1=20).sizes(1, T1=10).other(1, "EQUIVOCAL", "X1", "NEW").sizes(2, T1=10).other(
    2, "UNEQUIVOCAL", "X1", "NEW"
).expect(OVR=["PR", "PD"], PFS=(84, 0))
targets("equivocal-then-gone", T1=20).sizes(1, T1=10).other(1, "EQUIVOCAL", "X1", "NEW").sizes(2, T1=10).other(
    2, "ABSENT", "X1", "NEW"
).expect(OVR=["PR", "PR"], CBOR="PR")
# best responses
targets("not-done-between", T1=20).sizes(1, T1=10).sizes(2, T1=None).sizes(3, T1=10).expect(OVR=["PR", "NE", "PR"], CBOR="PR")
targets("back-after-cr", T1=20).sizes(1, T1=0).sizes(2, T1=3).expect(OVR=["CR", "PD"], CBOR="SD")
Course("pr-sd-pr").rs("PR", 1).rs("SD", 2).rs("PR", 3).expect(BOR="PR", CBOR="SD")
Course("pr-not-done-cr").rs("PR", 1).rs(None, 2).rs("CR", 3).expect(BOR="CR", CBOR="PR")
Course("sd-on-day-41").rs("SD", 1, RSDTC=date(41)).expect(BOR="NE")
Course("sd-then-early-pd").rs("SD", 1, RSDTC=date(30)).rs("PD", 2, RSDTC=date(41)).expect(BOR="PD", PFS=(41, 0))
Course("two-evaluators").rs("PD", 1, RSEVAL="INDEPENDENT ASSESSOR").rs("SD", 1).expect(BOR="SD", PFS=(42, 1))
Course("after-new-therapy").rs("SD", 1).rs("PR", 2).rs("PD", 3).cm(60).expect(BOR="SD", PFS=(126, 0))
# a death counts within 63 days of the last adequate assessment, else of enrolment
Course("death-63-days-after", **dead(105)).rs("SD", 1).expect(PFS=(105, 0), OS=(105, 0))
Course("death-64-days-after", **dead(106)).rs("SD", 1).expect(PFS=(42, 1), OS=(106, 0))
Course("death-on-day-63", **dead(63)).expect(PFS=(63, 0))
Course("death-on-day-64", **dead(64)).expect(PFS=(0, 1), OS=(64, 0))
Course("death-after-ne", **dead(130)).rs("SD", 1).rs("NE", 2).expect(PFS=(42, 1))
Course("progression-and-death", **dead(84)).rs("SD", 1).rs("PD", 2).expect(PFS=(84, 0))
Course("death-in-march", **dead("2023-03")).rs("SD", 1).ae(10, 72).expect(OS=(73, 0))
Course("withdrawn").rs("SD", 1).rs("PD", 2).ds("WITHDRAWAL BY SUBJECT", 60, scope="STUDY PARTICIPATION").expect(PFS=(42, 1))
Course("off-treatment").rs("SD", 1).rs("PD", 2).ds("WITHDRAWAL BY SUBJECT", 60, scope="STUDY TREATMENT").expect(PFS=(84, 0))
Course("clinical").rs("SD", 1).ds("PROGRESSIVE DISEASE", 60, "CLINICAL PROGRESSION", "STUDY TREATMENT").expect(PFS=(42, 1))
targets("two-scan-dates", T1=30, T2=20).sizes(2, T1=60).tr("T2", 30, 2, TRDTC=date(89)).expect(OVR=["PD"], PFS=(84, 0))
targets("scan-with-a-time", T1=20).tr("T1", 10, 1, TRDTC="2023-02-13T23:30").expect(OVR=["PR"], PFS=(42, 1))
# what is wrong is said with its subject, and the rest goes on
targets("never-at-baseline", T1=20).sizes(1, T1=10, T9=30).expect(OVR=["PR"], finding="lesion-without-baseline")
targets("negative", T1=20).sizes(1, T1=-10).sizes(2, T1=10).expect(OVR=["PR"], finding="negative-diameter")
targets("twice", T1=20).sizes(1, T1=10).sizes(1, T1=30).expect(OVR=["PR"], finding="duplicate-record")
Course("reported-twice").rs("SD", 1).rs("PR", 1).expect(BOR="SD", finding="duplicate-response")
Course("before-enrolment").rs("PR", 1, RSDTC=date(-3)).rs("SD", 2).expect(BOR="SD", finding="assessment-before-baseline")
targets("a-year-too-early", T1=20).tr("T1", 2, 1, TRDTC="2022-02-13").sizes(2, T1=10).expect(
    OVR=["PR"], finding="assessment-before-baseline"
)
targets("out-of-order", T1=20).sizes(1, T1=10).tr("T1", 14, 2, TRDTC=date(20)).expect(OVR=["PR", "PR"], finding="unordered-visits")
targets("two-baselines", T1=50).tr("T1", 20, 0, VISIT="BASELINE", VISITNUM=1.5, TRDTC=date(-1)).sizes(1, T1=15).expect(
    OVR=["SD"], finding="two-baselines"
)
Course("seen-after-death", **dead(50)).rs("SD", 1).ae(40, 60).expect(OS=(50, 0), finding="seen-after-death")


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The rows of adrs.csv and adtte.csv that the command writes of all courses at once, and its findings."""
    folder = tmp_path_factory.mktemp("vignettes")
    for name, rows in DOMAINS.items():
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with (folder / f"{name}.csv").open("w", newline="") as stream:
            table = csv.DictWriter(stream, columns)
            table.writeheader()
            table.writerows(rows)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert run(["endpoints", str(folder), "--study", STUDY, "--out", str(folder / "out"), "--json"]) == 1
    found: dict[str, Any] = {"findings": json.loads(said.getvalue())["findings"]}
    for name in ("adrs", "adtte"):
        with (folder / "out" / f"{name}.csv").open(newline="") as stream:
            found[name] = list(csv.DictReader(stream))
    return found


@pytest.mark.parametrize("name", EXPECTED)
def test_a_course_comes_to(analysed: dict[str, Any], name: str) -> None:
    visits = [row for row in analysed["adrs"] if row["USUBJID"] == name and row["EVAL"] in ("INVESTIGATOR", "")]
    times = {row["PARAMCD"]: (int(row["AVAL"]), int(row["CNSR"])) for row in analysed["adtte"] if row["USUBJID"] == name}
    for what, expected in EXPECTED[name].items():
        rows = sorted((row for row in visits if row["PARAMCD"] == what), key=lambda row: row["ADT"])
        if what == "finding":
            own = [f for f in analysed["findings"] if f["code"] == expected and name in f["place"] + f.get("effect", "")]
            assert own, [f for f in analysed["findings"] if f["code"] == expected]
            assert all(f["effect"] for f in own)
        elif what in times:
            assert times[what] == expected
        elif what in ("BOR", "CBOR"):
            assert rows[0]["AVALC"] == expected
        else:
            assert [float(row["AVAL"]) if what == "SDIAM" else row["AVALC"] for row in rows] == expected, what
