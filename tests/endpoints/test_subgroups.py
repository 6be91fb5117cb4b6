"""Groups compared: hazard ratios and log-rank tests, factors and their levels, subgroups of a small trial of two arms."""

import math
from decimal import Decimal
from typing import Any

import msgspec
import pandas as pd
import pytest

from fhir_trial.domain.entities import Patient, PerformanceStatus, Response, Subject, When
from fhir_trial.domain.study import ArmDefinition, Sponsor, StudyDefinition
from fhir_trial.domain.tables import TrialData, to_table
from fhir_trial.endpoints import outputs
from fhir_trial.endpoints.analyse import Results, analyse, with_subgroups
from fhir_trial.endpoints.between import between
from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.factors import Factor
from fhir_trial.endpoints.subgroups import COLUMNS, subgroups, table
from fhir_trial.errors import UsageError

pytestmark = pytest.mark.thorough

STUDY = StudyDefinition(
    id="X",
    title="X",
    status="UNKNOWN",
    sponsor=Sponsor(id="x", name="x"),
    arms=(ArmDefinition(name="New", type="EXPERIMENTAL"), ArmDefinition(name="Old", type="ACTIVE_COMPARATOR")),
    drugs=(),
    outcomes=(),
    endpoints=(),
)
# arm, sex, age, ECOG, day of progression or None, last day seen
PEOPLE: list[tuple[str, str | None, int, int, int | None, int]] = [
    ("New", "F", 50, 0, None, 120),
    ("New", "F", 60, 1, 90, 90),
    ("New", "M", 66, 0, 60, 60),
    ("New", "M", 70, 1, None, 100),
    ("Old", "F", 55, 0, 40, 40),
    ("Old", "F", 65, 1, 80, 80),
    ("Old", "M", 71, 0, 30, 30),
    ("Old", None, 49, 1, None, 110),
]


def on(day: int) -> When:
    return When(str((pd.Timestamp("2023-01-01") + pd.Timedelta(days=day)).date()))


def trial(arms: tuple[ArmDefinition, ...] = STUDY.arms) -> TrialData:
    people = [(f"S{number}", *row) for number, row in enumerate(PEOPLE, 1)]
    subjects = [
        Subject(
            study="X",
            subject=s,
            state="enrolled",
            arm_planned=arm,
            enrolled_on=on(0),
            first_dose_on=on(1),
            age=Decimal(age),
            age_unit="YEARS",
        )
        for s, arm, _, age, *_ in people
    ]
    responses = [
        Response(study="X", subject=s, test="overall", evaluator="INVESTIGATOR", visit=v, on=on(day), value=value, sequence=n)
        for s, *_, event, last in people
        for n, (v, day, value) in enumerate([("V1", 20, "PR"), ("V2", last, "SD" if event is None else "PD")], 1)
    ]
    scores = [PerformanceStatus(study="X", subject=s, sequence=1, score=ecog, on=on(-3)) for s, _, _, _, ecog, *_ in people]
    tables = {
        "subject": to_table(subjects, Subject),
        "patient": to_table([Patient(study="X", subject=s, sex=sex) for s, _, sex, *_ in people], Patient),
        "response": to_table(responses, Response),
        "performance_status": to_table(scores, PerformanceStatus),
    }
    return TrialData(msgspec.structs.replace(STUDY, arms=arms), tables)


@pytest.fixture(scope="module")
def results() -> Results:
    return analyse(trial(), preset("protocol"))


def rows(*people: tuple[float, int, str, str]) -> pd.DataFrame:
    return pd.DataFrame(people, columns=["days", "censored", "group", "stratum"])


def test_two_groups_by_hand() -> None:
    # a dies at 1 and 3, b at 2 and 4: observed - expected of a is 2 - (1/2 + 1/3 + 1/2), its variance 1/4 + 2/9 + 1/4
    found = between(rows((1, 0, "a", ""), (2, 0, "b", ""), (3, 0, "a", ""), (4, 0, "b", "")), ["a", "b"], 0.95)
    assert found.chi_square == pytest.approx((2 / 3) ** 2 / (13 / 18))
    (ratio,) = found.ratios
    # of the partial likelihood 1/(2+2h) * h/(1+2h) * 1/(1+h) the slope in log h is 0 at its maximum
    h = ratio.value or 0
    assert 1 - 2 * h / (2 + 2 * h) - 2 * h / (1 + 2 * h) - h / (1 + h) == pytest.approx(0, abs=1e-10)
    assert (ratio.lower or 0) * (ratio.upper or 0) == pytest.approx(h**2)
    assert (found.degrees, found.reference, ratio.group) == (1, "a", "b")


def test_a_stratum_is_compared_within_itself() -> None:
    mixed = rows((1, 0, "a", "x"), (2, 0, "b", "x"), (3, 0, "a", "y"), (4, 0, "b", "y"))
    stratified = between(mixed, ["a", "b"], 0.95, ("stratum",))
    # in each stratum a dies first of two: 1 - 1/2 each, the variance 1/4 each
    assert stratified.chi_square == pytest.approx(1**2 / 0.5)
    assert stratified.method.endswith("stratified by stratum")
    assert stratified.ratios[0].value is None  # b never dies while a is at risk
    assert stratified.ratios[0].log_rank_p == pytest.approx(stratified.p)


@pytest.mark.parametrize(
    ("people", "degrees"),
    [
        ([], 0),
        ([(1, 0, "a", "")], 0),
        ([(1, 1, "a", ""), (2, 1, "b", "")], 0),
        ([(1, 0, "a", ""), (2, 1, "b", "")], 1),
        ([(1, 0, "a", ""), (1, 0, "a", ""), (2, 0, "b", "")], 1),
    ],
)
def test_what_cannot_be_estimated_is_none(people: list[tuple[float, int, str, str]], degrees: int) -> None:
    found = between(rows(*people), ["a", "b"], 0.95)
    assert (found.degrees, found.p is None) == (degrees, degrees == 0)
    assert [(ratio.group, ratio.value, ratio.lower) for ratio in found.ratios] == [("b", None, None)]


def test_three_groups_each_against_the_reference() -> None:
    people = [(d, 0, g, "") for g, days in {"a": (1, 4, 7), "b": (2, 5, 8), "c": (3, 6, 9)}.items() for d in days]
    found = between(rows(*people), ["a", "b", "c"], 0.9)
    alone = between(rows(*(p for p in people if p[2] != "c")), ["a", "b"], 0.9)
    assert found.degrees == 2
    assert found.ratios[0] == alone.ratios[0]
    assert [ratio.group for ratio in found.ratios] == ["b", "c"]


def test_arms_are_compared_with_the_comparator(results: Results) -> None:
    pfs = results.between_arms["PFS"]
    assert (pfs.reference, [ratio.group for ratio in pfs.ratios]) == ("Old", ["New"])
    assert (pfs.ratios[0].value or 9) < 1
    estimate = results.by_arm["New"]["PFS"].estimate("hazard_ratio")
    assert (estimate.value, estimate.method) == (pfs.ratios[0].value, "Cox, Efron ties, against Old")
    with pytest.raises(KeyError):
        results.by_arm["Old"]["PFS"].estimate("hazard_ratio")
    assert results["PFS"].estimate("log_rank_p").value == pfs.p
    summary = outputs.summary(results)["comparisons"]["PFS"]
    assert summary["log_rank"]["degrees_of_freedom"] == 1
    assert summary["hazard_ratios"][0]["arm"] == "New"
    assert math.isclose(summary["hazard_ratios"][0]["value"], pfs.ratios[0].value or 0, rel_tol=1e-11)


def test_subgroups_are_the_results_of_their_subjects_alone(results: Results) -> None:
    found = subgroups(results.derivation, ["PFS", "ORR"], [Factor.parse("SEX"), Factor.parse("age:65"), Factor.parse("ecog")])
    frame = table(found)
    assert list(frame.columns) == list(COLUMNS)
    sizes = frame[(frame["endpoint"] == "PFS") & (frame["arm"] == "TOTAL")].set_index(["factor", "level"])["n"].to_dict()
    assert sizes == {
        ("All subjects", "All subjects"): 8, ("SEX", "F"): 4, ("SEX", "M"): 3, ("SEX", "MISSING"): 1,
        ("age:65", "<65"): 4, ("age:65", ">=65"): 4, ("ecog", "0"): 4, ("ecog", "1"): 4,
    }  # fmt: skip
    everyone = next(s for s in found if s.endpoint == "PFS")
    assert everyone.between == results.between_arms["PFS"]
    assert everyone.overall.estimate("median") == results["PFS"].estimate("median")
    women = next(s for s in found if (s.endpoint, s.level) == ("PFS", "F"))
    assert sorted(women.overall.subjects["subject"]) == ["S1", "S2", "S5", "S6"]
    assert (women.by_arm["New"].n, women.by_arm["New"].count) == (2, 1)
    rate = next(s for s in found if (s.endpoint, s.level) == ("ORR", "F"))
    assert (rate.overall.count, rate.overall.n, rate.between) == (4, 4, None)


def test_a_study_of_one_arm_compares_the_levels() -> None:
    one = analyse(trial((ArmDefinition(name="New", type="EXPERIMENTAL"),)), preset("protocol"))
    assert one.between_arms == {}
    found = [s for s in subgroups(one.derivation, ["PFS"], [Factor.parse("ecog")], [Factor.parse("sex")]) if s.factor == "ecog"]
    assert {s.between for s in found} == {found[0].between}
    assert found[0].between is not None
    assert (found[0].between.reference, found[0].between.strata) == ("0", ("sex",))
    assert {s.by_arm == {} for s in found} == {True}


def test_subgroups_have_a_file_and_a_key(results: Results) -> None:
    made = with_subgroups(results, ["sex"])
    assert "subgroups.csv" in outputs.files(made)
    assert "subgroups.csv" not in outputs.files(results)
    assert len(outputs.summary(made)["subgroups"]) == outputs.files(made)["subgroups.csv"].count("\n") - 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("age", "age is a number: say where it is cut, such as age:65"),
        ("sex:3", "sex is no number and cannot be cut at 3"),
        ("sexx", "no column is named sexx: did you mean sex"),
        ("enrolled_on", "no column is named enrolled_on"),
        ("age:sixty", "is cut at numbers"),
        ("age:nan", "found 'age:nan'"),
        (":3", "a factor is a column"),
    ],
)
def test_a_factor_that_cannot_be_is_refused(results: Results, text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        subgroups(results.derivation, ["PFS"], [Factor.parse(text)])


def test_an_endpoint_without_subgroups_is_refused(results: Results) -> None:
    with pytest.raises(UsageError, match="no subgroups of SAFETY"):
        subgroups(results.derivation, ["SAFETY"], [])


@pytest.mark.parametrize(
    ("text", "value", "level"),
    [
        ("age:65", 65, ">=65"),
        ("age:65", Decimal("64.9"), "<65"),
        ("age:65,50", 50, "50 to <65"),
        ("sex", "F", "F"),
        ("saffl", True, "Y"),
        ("x", None, "MISSING"),
    ],
)
def test_the_level_of_a_value(text: str, value: Any, level: str) -> None:
    assert Factor.parse(text).level(value) == level
