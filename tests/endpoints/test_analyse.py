"""The analysis of a small trial of two arms, from entities to files."""

import csv
import dataclasses
import io
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fhir_trial.domain.entities import AdverseEvent, Disposition, Dose, Patient, Response, Subject, When
from fhir_trial.domain.study import ArmDefinition, EndpointDefinition, ReadingTime, Sponsor, StudyDefinition
from fhir_trial.domain.tables import TrialData, to_table
from fhir_trial.endpoints import outputs
from fhir_trial.endpoints.analyse import Results, analyse
from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.report_columns import REPORT_FILES
from fhir_trial.errors import UsageError
from fhir_trial.notebook.session import endpoint_table
from fhir_trial.trial.tables import trial_table

STUDY = StudyDefinition(
    id="X",
    title="X",
    status="UNKNOWN",
    sponsor=Sponsor(id="x", name="x"),
    arms=(ArmDefinition(name="A", type="EXPERIMENTAL"), ArmDefinition(name="B", type="EXPERIMENTAL")),
    drugs=(),
    outcomes=(),
    endpoints=(
        EndpointDefinition(
            name="PFS",
            label="Progression-free survival",
            kind="time-to-event",
            events=("progression", "death"),
            censors=("adequate assessment", "start"),
            rates=(ReadingTime(at=Decimal(1)), ReadingTime(at=Decimal(10)), ReadingTime(at=Decimal(5), unit="weeks")),
        ),
    ),
)

# subject, arm, responses by day of January and February 2023, day of death
PEOPLE: list[tuple[str, str | None, dict[str, str], str | None]] = [
    ("S1", "A", {"2023-01-21": "SD", "2023-02-10": "PD"}, None),
    ("S2", "A", {"2023-01-21": "PR", "2023-03-02": "PR"}, None),
    ("S3", "B", {"2023-01-21": "PD"}, "2023-02-20"),
    ("S4", "B", {}, None),
]


def trial(synthetic: bool = False, **replaced: Any) -> TrialData:
    subjects = [
        Subject(
            study="X",
            subject=name,
            state="enrolled",
            arm_planned=arm,
            enrolled_on=When("2023-01-01"),
            first_dose_on=When("2023-01-02"),
            age=Decimal(60),
        )
        for name, arm, _, _ in PEOPLE
    ]
    subjects.append(Subject(study="X", subject="S5", state="screen-failure"))
    responses = [
        Response(study="X", subject=name, test="overall", evaluator="INVESTIGATOR", visit=f"V{i}", on=When(on), value=value, sequence=i)
        for name, _, seen, _ in PEOPLE
        for i, (on, value) in enumerate(seen.items(), 1)
    ]
    event = AdverseEvent(
        study="X", subject="S1", sequence=1, term="Nausea", preferred_term="Nausea", organ_class="GI", grade=3, start=When("2023-01-05")
    )
    dose = Dose(study="X", subject="S1", sequence=1, medication="D", dose=Decimal(10), unit="mg", start=When("2023-01-02"))
    tables = {
        "subject": to_table(subjects, Subject),
        "patient": to_table([Patient(study="X", subject=n, sex="F", death_date=When(d) if d else None) for n, _, _, d in PEOPLE], Patient),
        "response": to_table(responses, Response),
        "adverse_event": to_table([event], AdverseEvent),
        "dose": to_table([dose], Dose),
    }
    return TrialData(STUDY, {k: v for k, v in (tables | replaced).items() if v is not None}, synthetic)


@pytest.fixture(scope="module")
def results() -> Results:
    return analyse(trial(), preset("protocol"))


def test_overall_and_by_arm(results: Results) -> None:
    pfs = results["PFS"]
    assert (pfs.n, pfs.count, pfs.kind, pfs.preset, dict(pfs.departures)) == (4, 2, "time-to-event", "protocol", {})
    assert sorted(zip(pfs.subjects["days"], pfs.subjects["censored"], strict=True)) == [(0, 1), (20, 0), (40, 0), (60, 1)]
    assert pfs.estimate("median").value == 40
    assert pfs.curve is not None
    assert pfs.curve["at_risk"].tolist() == [4, 3, 2, 1]
    assert {arm: (found["PFS"].n, found["PFS"].count, found["PFS"].arm) for arm, found in results.by_arm.items()} == {
        "A": (2, 1, "A"),
        "B": (2, 1, "B"),
    }
    assert (results["ORR"].count, results["ORR"].n) == (1, 4)
    assert (results.by_arm["B"]["ORR"].count, results.by_arm["B"]["ORR"].n) == (0, 2)
    assert (results["SAFETY"].count, results["SAFETY"].n) == (1, 4)
    assert set(results) == {"PFS", "OS", "DOR", "CDOR", "TTR", "CTTR", "TTP", "EFS", "ORR", "CORR", "DCR", "CBR", "SAFETY"}


def test_rates_are_read_where_the_study_says(results: Results) -> None:
    first, late, weeks = (e for e in results["PFS"].estimates if e.name == "rate")
    assert (round(first.value or 0, 4), first.at_risk) == (0.6667, 2)
    assert (late.value, late.lower, late.at_risk) == (None, None, 0)
    assert (weeks.value, weeks.at_unit) == (first.value, "weeks")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("settings", "at_month", "value"),
    [
        ({"month_days": "30"}, 0, 2 / 3),
        ({"month_days": "calendar"}, 0, 2 / 3),
        ({"month_days": "weeks"}, 0, 2 / 3),
        ({"rate_method": "proportion"}, 0, 0.5),
    ],
)
def test_reading_conventions(settings: dict[str, object], at_month: int, value: float) -> None:
    found = analyse(trial(), preset("protocol").with_settings(settings))["PFS"]
    rates = [e for e in found.estimates if e.name == "rate"]
    assert rates[at_month].value == pytest.approx(value)
    assert set(found.departures) == set(settings)


def test_times_of_zero_may_be_left_out() -> None:
    assert analyse(trial(), preset("protocol").with_settings({"keep_zero_times": False}))["PFS"].n == 3


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_files(results: Results) -> None:
    files = outputs.files(results)
    assert list(files)[:6] == ["adsl.csv", "adrs.csv", "adtte.csv", "safety.csv", "exposure.csv", "summary.json"]
    assert list(files)[6:] == ["teae.csv", *(name for name, _ in REPORT_FILES.values())]
    adtte = [r for r in rows(files["adtte.csv"]) if r["PARAMCD"] == "PFS"]
    assert list(adtte[0].values()) == ["X", "S1", "PFS", "2023-01-01", "2023-02-10", "40", "0", "progression", "", "RS", "RSDTC", "2"]
    assert (adtte[3]["EVNTDESC"], adtte[3]["CNSDTDSC"]) == (
        "no adequate post-baseline assessment",
        "no adequate post-baseline assessment: censored at start",
    )
    adsl = rows(files["adsl.csv"])
    assert [(r["ITTFL"], r["SAFFL"], r["EFFFL"], r["DTHFL"], r["DTHDT"]) for r in adsl] == [
        ("Y", "Y", "Y", "N", ""),
        ("Y", "Y", "Y", "N", ""),
        ("Y", "Y", "Y", "Y", "2023-02-20"),
        ("Y", "Y", "N", "N", ""),
        ("N", "N", "N", "N", ""),
    ]
    assert [r["USUBJID"] for r in rows(files["adrs.csv"]) if r["PARAMCD"] == "BOR"] == ["S1", "S2", "S3", "S4", "S5"]
    assert rows(files["safety.csv"])[0] | {"ARM": "A"} == rows(files["safety.csv"])[0]
    assert (rows(files["exposure.csv"])[0]["EXTRT"], rows(files["exposure.csv"])[0]["CUM_DOSE"]) == ("D", "10")


def test_summary(results: Results) -> None:
    summary = json.loads(outputs.files(results)["summary.json"])
    assert summary["conventions"]["preset"] == "protocol"
    assert summary["conventions"]["death_window_days"] == 63
    assert list(summary["PFS"]) == ["n", "events", "median", "lower", "upper", "level", "interval", "unit", "follow_up_median", "rates"]
    assert (summary["PFS"]["median"], summary["PFS"]["upper"], summary["PFS"]["unit"]) == (40, None, "days")
    assert {k: summary["PFS"]["rates"][0][k] for k in ("at", "unit", "at_risk")} == {"at": 1, "unit": "months", "at_risk": 2}
    assert list(summary["ORR"]) == ["x", "n", "estimate", "lower", "upper", "level", "method"]
    assert (summary["ORR"]["x"], summary["ORR"]["estimate"]) == (1, 0.25)
    assert summary["arms"]["A"]["PFS"]["n"] == 2
    assert summary["synthetic"] is False


def test_synthetic_data_are_marked_everywhere() -> None:
    files = outputs.files(analyse(trial(synthetic=True), preset("protocol")))
    assert json.loads(files["summary.json"])["synthetic"] is True
    for name, text in files.items():
        assert name == "summary.json" or {r["SYNTHETIC"] for r in rows(text)} <= {"Y"}, name
        assert name == "summary.json" or text.splitlines()[0].endswith(",SYNTHETIC"), name
    assert "SYNTHETIC" not in outputs.files(analyse(trial(), preset("protocol")))["adsl.csv"]


def test_what_is_missing_is_named_and_the_rest_goes_on() -> None:
    found = analyse(trial(response=None, dose=None), preset("protocol"))
    assert set(found) == {"OS", "SAFETY"}
    assert {f.field for f in found.findings if f.code == "endpoint-left-out"} == {
        "PFS",
        "DOR",
        "CDOR",
        "TTR",
        "CTTR",
        "TTP",
        "EFS",
        "ORR",
        "CORR",
        "DCR",
        "CBR",
    }
    assert found.findings.counts()["no-doses"] == 1
    assert json.loads(outputs.files(found)["summary.json"])["OS"]["n"] == 4


def test_a_domain_of_responses_without_a_row_says_that_nobody_was_assessed() -> None:
    found = analyse(trial(response=to_table([], Response)), preset("protocol"))
    times = dict(zip(found["PFS"].subjects["subject"], found["PFS"].subjects["reason"], strict=True))
    start = "no adequate post-baseline assessment: censored at start"
    assert times == {"S1": start, "S2": start, "S3": "death", "S4": start}
    assert (found["ORR"].count, found["ORR"].n) == (0, 4)
    assert "endpoint-left-out" not in found.findings.counts()


def test_a_trial_of_nobody_has_files() -> None:
    found = analyse(TrialData(STUDY, {}), preset("protocol"))
    assert set(outputs.files(found)) == set(outputs.files(analyse(trial(), preset("protocol"))))
    assert dict(found) == {}
    assert found.findings.counts()["endpoint-left-out"] >= 8


def test_the_cutoff_that_the_data_state_is_in_force() -> None:
    data = dataclasses.replace(trial(), data_cutoff=When("2023-02-09"))
    found = analyse(data, preset("protocol"))
    assert found.conventions.data_cutoff == "2023-02-09"
    assert sorted(zip(found["PFS"].subjects["days"], found["PFS"].subjects["reason"], strict=True))[2:] == [
        (20, "last adequate assessment: before cutoff"),
        (20, "progression"),
    ]
    assert analyse(data, preset("protocol").with_settings({"data_cutoff": "2023-12-31"})).conventions.data_cutoff == "2023-12-31"


def test_a_cutoff_that_names_a_month_sees_the_whole_of_it() -> None:
    found = analyse(dataclasses.replace(trial(), data_cutoff=When("2023-02")), preset("protocol"))
    assert found.conventions.data_cutoff == "2023-02-28"


def _ended(name: str, *events: tuple[str, str, str | None]) -> Subject:
    """A subject of arm A whose record says off study until the cutoff, with these disposition events: name, scope, day."""
    return Subject(
        study="X",
        subject=name,
        state="completed",
        arm_planned="A",
        enrolled_on=When("2023-01-01"),
        first_dose_on=When("2023-01-02"),
        ended_on=When("2023-06-30"),
        dispositions=tuple(
            Disposition(sequence=n, event=event, category="DISPOSITION EVENT", scope=scope, on=When(on) if on else None)
            for n, (event, scope, on) in enumerate(events, 1)
        ),
    )


def _stands(**tables: Any) -> tuple[dict[str, tuple[str, str, str]], dict[tuple[str, str], int]]:
    """STATE, EOSDT and DSDECOD of each subject, and all subjects' counts by stage and reason, at the end of June."""
    written = outputs.files(analyse(trial(**tables), preset("protocol").with_settings({"data_cutoff": "2023-06-30"})))
    subjects = {row["USUBJID"]: (row["STATE"], row["EOSDT"], row["DSDECOD"]) for row in rows(written["adsl.csv"])}
    counts = {(row["STAGE"], row["REASON"]): int(row["SUBJECTS"]) for row in rows(written["disposition.csv"]) if row["ARM"] == "TOTAL"}
    states = [state for state, _, _ in subjects.values()]
    assert counts["study completed", ""] == states.count("completed")
    assert counts["study discontinued", ""] == states.count("discontinued")
    assert counts["study ongoing", ""] == len(states) - states.count("completed") - states.count("discontinued")
    return subjects, counts


def test_state_and_end_of_study_are_those_of_the_participant_flow() -> None:
    stopped, study = ("PROGRESSIVE DISEASE", "STUDY TREATMENT", "2023-02-01"), "STUDY PARTICIPATION"
    people = [
        _ended("D1", stopped, ("DEATH", study, "2023-03-01")),
        _ended("L1", stopped, ("LOST TO FOLLOW-UP", study, "2023-03-02")),
        _ended("C1", stopped, ("COMPLETED", study, "2023-03-03")),
        _ended("F1", stopped),
        _ended("T1"),
        _ended("X1", stopped, ("DEATH", study, "2023-07-01")),  # after the cutoff
        _ended("W1", ("ADVERSE EVENT", study, None)),
    ]
    assert _stands(subject=to_table(people, Subject))[0] == {
        "D1": ("discontinued", "2023-03-01", "DEATH"),
        "L1": ("discontinued", "2023-03-02", "LOST TO FOLLOW-UP"),
        "C1": ("completed", "2023-03-03", "COMPLETED"),
        "F1": ("follow-up", "", "PROGRESSIVE DISEASE"),
        "T1": ("on-treatment", "", ""),
        "X1": ("follow-up", "", "PROGRESSIVE DISEASE"),
        "W1": ("discontinued", "", "ADVERSE EVENT"),
    }


def test_a_death_ends_the_study_of_whom_no_event_did() -> None:
    stopped, study = ("PROGRESSIVE DISEASE", "STUDY TREATMENT", "2023-02-01"), "STUDY PARTICIPATION"
    died = {"F1": "2023-06-30", "T1": "2023-03-01", "X1": "2023-07-01", "L1": "2023-05-01", "C1": "2023-04-01"}
    people = [
        _ended("F1", stopped),
        _ended("T1"),
        _ended("X1", stopped),  # after the cutoff
        _ended("L1", stopped, ("LOST TO FOLLOW-UP", study, "2023-03-02")),  # an event that ended the study is what ended it
        _ended("C1", ("COMPLETED", study, "2023-03-03")),
        _ended("S1", ("DEATH", "STUDY TREATMENT", "2023-04-02")),  # the only record of the death
    ]
    patients = [Patient(study="X", subject=name, death_date=When(on)) for name, on in died.items()]
    subjects, counts = _stands(subject=to_table(people, Subject), patient=to_table(patients, Patient))
    assert subjects == {
        "F1": ("discontinued", "2023-06-30", "DEATH"),
        "T1": ("discontinued", "2023-03-01", "DEATH"),
        "X1": ("follow-up", "", "PROGRESSIVE DISEASE"),
        "L1": ("discontinued", "2023-03-02", "LOST TO FOLLOW-UP"),
        "C1": ("completed", "2023-03-03", "COMPLETED"),
        "S1": ("discontinued", "2023-04-02", "DEATH"),
    }
    assert (counts["study discontinued", "DEATH"], counts["study ongoing", ""], counts["died", ""]) == (3, 1, 5)


def test_an_end_that_no_disposition_tells_of_is_said() -> None:
    """Of a third the death tells, of a fourth it comes after the cutoff."""
    people = [_ended(name) for name in ("T1", "T2", "T3", "T4")]
    patients = [Patient(study="X", subject=name, death_date=When(on)) for name, on in (("T3", "2023-03-01"), ("T4", "2023-07-01"))]
    data = trial(subject=to_table(people, Subject), patient=to_table(patients, Patient))
    results = analyse(data, preset("protocol").with_settings({"data_cutoff": "2023-06-30"}))
    found = next(f for f in results.findings if f.code == "end-without-event")
    assert (found.found, found.effect) == ("3 subjects off study", "for them the study counts as ongoing")


def test_milestones_without_a_category_end_nothing() -> None:
    events = (Disposition(sequence=1, event="ENROLLED", on=When("2023-01-01")),)
    subject = Subject(study="X", subject="S9", state="enrolled", enrolled_on=When("2023-01-01"), dispositions=events)
    row = analyse(trial(subject=to_table([subject], Subject)), preset("protocol")).adsl.iloc[0]
    assert (row["state"], row["disposition"]) == ("enrolled", None)


def test_study_days_of_responses_are_those_of_the_trials_tables(results: Results) -> None:
    """Time zero of the endpoints is another day (enrolment): ADY counts from the first dose like every other study day."""
    recorded = trial_table(trial(), "response").to_pylist()
    known = {(row["subject"], row["visit"]): row["day"] for row in recorded}
    rows = list(csv.DictReader(io.StringIO(outputs.files(results)["adrs.csv"])))
    assert {(row["USUBJID"], row["VISIT"]): int(row["ADY"]) for row in rows if row["PARAMCD"] == "OVR"} == known
    assert known["S1", "V1"] == 20


def test_figures_say_in_words_why_they_are_missing(results: Results) -> None:
    words = {(name, result.label_of(e)): e.words() for name, result in results.items() for e in result.estimates}
    assert words["PFS", "log_rank_p"][1:] == ("", "")
    assert words["PFS", "median"] == ("40", "20", "not reached")
    assert words["PFS", "rate at 10 months"] == ("not estimable",) * 3
    assert words["TTR", "follow_up_median"] == ("not estimable",) * 3  # everyone had the event: nobody was followed
    assert words["SAFETY", "subjects with an event"][0] == "0.25"
    assert ("SAFETY", "proportion") not in words


def test_a_study_of_several_arms_shows_each_arm_behind_everyone(results: Results) -> None:
    table = endpoint_table(results, in_words=True)
    pfs = table[table["endpoint"] == "PFS"]
    assert pfs["arm"].unique().tolist() == ["all", "A", "B"]
    assert pfs[pfs["estimate"] == "median"]["n"].tolist() == [4, 2, 2]
    assert "hazard_ratio" in set(pfs[pfs["arm"] == "B"]["estimate"])


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda r: r["PFX"], "there is no endpoint PFX: did you mean PFS? There are PFS, OS, DOR"),
        (lambda r: r["pfs"], "there is no endpoint pfs: did you mean PFS?"),
        (lambda r: r["survival time"], "there is no endpoint survival time: there are PFS, OS, DOR"),
        (lambda r: r["PFS"].estimate("medain"), "there is no estimate of PFS named medain: did you mean median? There are median, "),
        (lambda _: STUDY.endpoint("OS"), "there is no endpoint of X named OS: there are PFS"),
    ],
)
def test_a_name_that_is_not_there_says_what_is(results: Results, ask: Callable[[Results], object], told: str) -> None:
    with pytest.raises(KeyError) as caught:
        ask(results)
    assert str(caught.value).startswith(told)
    assert isinstance(caught.value, UsageError)


def test_a_name_that_is_not_there_is_still_no_member(results: Results) -> None:
    assert "PFX" not in results
    assert results.get("PFX") is None
