"""Participant flow, baseline, events at a glance, listings and checks, of a few subjects by hand."""

from typing import Any

import pandas as pd
import pytest

from fhir_trial.endpoints import baseline_table, participant_flow, safety_overview
from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.safety_checks import check_arms, check_events
from fhir_trial.endpoints.subjects import NO_ARM
from fhir_trial.errors import Findings

CONVENTIONS = preset("protocol")
DATES = ("enrolled_on", "first_dose_on", "last_dose_on", "death_on")
PEOPLE = pd.DataFrame(
    [
        ("A1", "A", "completed", True, True, 40.0, "YEARS", "F", "2023-01-01", "2023-01-10", "2023-02-10", None),
        ("A2", "A", "enrolled", True, True, 66.0, None, "M", "2023-01-01", "2023-01-10", "2023-02-10", "2023-03-01"),
        ("B1", "B", "enrolled", True, True, 1020.0, "MONTHS", None, "2023-01-01", "2023-01-10", None, "2023-06-01"),
        ("B2", "B", "enrolled", True, False, None, None, "F", "2023-01-01", None, None, None),
        ("N1", NO_ARM, "screen-failure", False, False, 50.0, "YEARS", "F", None, None, None, None),
    ],
    columns=["subject", "arm", "state", "intention_to_treat", "safety", "age", "age_unit", "sex", *DATES],
).assign(
    **{name: lambda f, name=name: pd.to_datetime(f[name]).astype("datetime64[s]") for name in DATES},
    died=lambda f: f["death_on"].notna(),
    race=None,
    ethnicity=None,
    country="USA",
    disposition=None,
)


def event(sequence: int, name: str, on: str | None, scope: str | None = None, category: str | None = "DISPOSITION EVENT") -> dict[str, Any]:
    return {"sequence": sequence, "event": name, "on": on, "scope": scope, "category": category}


ENDS = {
    "A1": [event(1, "ENROLLED", "2023-01-01", category="PROTOCOL MILESTONE"), event(2, "COMPLETED", "2023-02-10", "STUDY TREATMENT"),
           event(3, "Completed", "2023-04-01", "STUDY PARTICIPATION")],
    "A2": [event(1, "ADVERSE EVENT", "2023-02-10", "STUDY TREATMENT"), event(2, "DEATH", "2023-03-01", "STUDY PARTICIPATION")],
    "B1": [event(1, "ADVERSE EVENT", "2023-02-20", "STUDY TREATMENT"), event(2, "PROGRESSIVE DISEASE", "2023-02-21", "STUDY TREATMENT")],
    "B2": [event(1, "WITHDRAWAL BY SUBJECT", None)],
}  # fmt: skip
SUBJECT = pd.DataFrame({"subject": list(ENDS), "dispositions": list(ENDS.values())})


def flow(**settings: object) -> "pd.Series[Any]":
    table = participant_flow.table({"subject": SUBJECT}, PEOPLE, CONVENTIONS.with_settings(settings))
    assert tuple(table.columns) == participant_flow.COLUMNS
    return table.set_index(["arm", "stage", "category"])["subjects"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (("TOTAL", "screened", ""), 5),
        (("TOTAL", "screen failure", ""), 1),
        (("TOTAL", "enrolled", ""), 4),
        (("B", "treated", ""), 1),
        (("A", "treatment completed", ""), 1),
        (("A", "treatment discontinued", "ADVERSE EVENT"), 1),
        (("B", "treatment discontinued", "PROGRESSIVE DISEASE"), 1),  # the later of two
        (("B", "treatment discontinued", "ADVERSE EVENT"), 0),
        (("A", "study completed", ""), 1),
        (("A", "study discontinued", "DEATH"), 1),
        (("B", "study discontinued", "WITHDRAWAL BY SUBJECT"), 1),  # what does not say its scope ended the study
        (("B", "study discontinued", "DEATH"), 1),  # no event tells of it
        (("B", "study ongoing", ""), 0),
        (("TOTAL", "died", ""), 2),
    ],
)
def test_participant_flow(key: tuple[str, str, str], expected: int) -> None:
    assert flow()[key] == expected


def test_stages_add_up_in_every_arm() -> None:
    rows = flow()
    for arm in ("A", "B", "TOTAL"):
        of = rows[arm]
        assert of["study completed", ""] + of["study discontinued", ""] + of["study ongoing", ""] == of["enrolled", ""]
        assert of["treatment completed", ""] + of["treatment discontinued", ""] + of["treatment ongoing", ""] == of["treated", ""]
        reasons = of["study discontinued"].drop("")
        assert reasons.sum() == of["study discontinued", ""]


def test_what_happened_after_the_cutoff_is_not_seen() -> None:
    rows = flow(data_cutoff="2023-02-20")
    assert rows["B", "treatment discontinued", "ADVERSE EVENT"] == 1
    assert rows["A", "study ongoing", ""] == 2
    assert rows["B", "study ongoing", ""] == 1  # who died later


def test_a_study_that_tells_the_end_of_participation_only() -> None:
    table = participant_flow.table({"subject": SUBJECT[SUBJECT["subject"] == "B2"]}, PEOPLE, CONVENTIONS)
    assert not [stage for stage in table["stage"] if stage.startswith("treatment")]


BODY = pd.DataFrame(
    [
        ("A1", 1, "weight", 60.0, "kg", "2023-01-05"),
        ("A1", 4, "weight", 70.0, "kg", "2023-01-10"),  # on the day of the first dose
        ("A1", 2, "weight", 90.0, "kg", "2023-01-11"),  # after the first dose
        ("A1", 3, "height", 175.0, "cm", None),
        ("A2", 1, "weight", 154.0, "[lb_av]", "2023-01-05"),
        ("B1", 1, "weight", 80.0, "stone", "2023-01-05"),
    ],
    columns=["subject", "sequence", "test", "value", "unit", "on"],
)


def table_1(**changed: Any) -> tuple[pd.DataFrame, Findings]:
    findings = Findings()
    ecog = pd.DataFrame({"subject": ["A1", "B1"], "sequence": [1, 1], "score": [1, 0], "on": ["2023-01-04", "2023-01-04"]})
    found = baseline_table.table({"body_measure": BODY, "performance_status": ecog}, PEOPLE.assign(**changed), findings)
    assert tuple(found.columns) == baseline_table.COLUMNS
    return found.set_index(["arm", "characteristic", "category"]).sort_index(), findings


def test_numbers_are_described() -> None:
    rows = table_1()[0]
    age = rows.loc[("TOTAL", "Age (years)", "")]
    assert age[["n", "mean", "median", "minimum", "maximum"]].tolist() == [3, (40 + 66 + 85) / 3, 66, 40, 85]
    assert rows.loc[("A", "Weight (kg)", ""), ["n", "mean"]].tolist() == [2, pytest.approx((70 + 154 * 0.45359237) / 2)]
    assert rows.loc[("B", "Weight (kg)", ""), "n"] == 0
    assert rows.loc[("A", "Body mass index (kg/m2)", ""), "mean"] == pytest.approx(70 / 1.75**2)
    assert "Race" not in rows.index.get_level_values("characteristic")


def test_words_are_counted_and_the_missing_too() -> None:
    rows = table_1()[0]
    sex = rows.loc[("B", "Sex")]
    assert sex["subjects"].to_dict() == {"F": 1, "M": 0, "MISSING": 1}
    assert sex["percent"].to_dict() == {"F": 50, "M": 0, "MISSING": 50}
    assert rows.loc[("TOTAL", "Age group"), "subjects"].to_dict() == {"18-64": 1, "65-84": 1, ">=85": 1, "MISSING": 1}
    assert rows.loc[("TOTAL", "ECOG performance status"), "subjects"].to_dict() == {"0": 1, "1": 1, "MISSING": 2}
    for _, characteristic in {(arm, name) for arm, name, category in rows.index if category}:
        assert rows.loc[("TOTAL", characteristic), "subjects"].sum() == 4


@pytest.mark.parametrize(
    ("changed", "code"), [({"age_unit": "FORTNIGHTS"}, "unknown-unit"), ({"age": 999.0, "age_unit": "YEARS"}, "impossible-age")]
)
def test_ages_that_cannot_be_are_said_and_left_out(changed: dict[str, Any], code: str) -> None:
    rows, findings = table_1(**changed)
    assert findings.counts() == {code: 1}
    assert "Age (years)" not in rows.index.get_level_values("characteristic")


EVENTS = pd.DataFrame(
    [
        ("A1", 1, "Nausea", 3, True, "RELATED", "2023-01-12", None, "DRUG WITHDRAWN", None),
        ("A1", 2, "Nausea", 1, False, "NOT RELATED", "2023-01-13", None, None, None),
        ("A2", 1, "Sepsis", 5, True, "NOT RELATED", "2023-02-25", "2023-03-01", None, "FATAL"),
        ("B1", 1, "Fall", 2, False, None, "2023-01-01", None, None, None),  # before the first dose, and it has no end
    ],
    columns=["subject", "sequence", "term", "grade", "serious", "related", "start", "end", "action", "outcome"],
).assign(criteria=[None, None, None, [{"criterion": "hospitalization", "present": True}, {"criterion": "death", "present": False}]])


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ("any", (3, 2, 200 / 3, 3)),
        ("related", (3, 1, 100 / 3, 1)),
        ("grade 3 or higher", (3, 2, 200 / 3, 2)),
        ("related, grade 3 or higher", (3, 1, 100 / 3, 1)),
        ("serious", (3, 2, 200 / 3, 2)),
        ("related and serious", (3, 1, 100 / 3, 1)),
        ("leading to discontinuation", (3, 1, 100 / 3, 1)),
        ("fatal", (3, 1, 100 / 3, 1)),
    ],
)
def test_events_at_a_glance(category: str, expected: tuple[float, ...]) -> None:
    rows = safety_overview.overview({"adverse_event": EVENTS}, PEOPLE, CONVENTIONS).set_index(["arm", "category"])
    assert tuple(rows.loc[("TOTAL", category), ["n", "subjects", "percent", "events"]]) == pytest.approx(expected)


def test_listings() -> None:
    tables = {"adverse_event": EVENTS}
    serious = safety_overview.serious_events(tables, PEOPLE, CONVENTIONS).set_index(["subject", "sequence"])
    assert serious.index.tolist() == [("A1", 1), ("A2", 1), ("B1", 1)]
    assert serious.loc[("B1", 1), ["serious", "criteria", "emergent", "day", "arm"]].tolist() == [False, "hospitalization", False, -9, "B"]
    deaths = safety_overview.deaths(tables, PEOPLE, CONVENTIONS).set_index("subject")
    assert deaths.loc["A2", ["day", "days_after_last_dose", "on_treatment", "fatal_events"]].tolist() == [51, 19, True, "Sepsis"]
    assert deaths.loc["B1", "on_treatment"]
    assert pd.isna(deaths.loc["B1", "fatal_events"])
    late = PEOPLE.assign(death_on=PEOPLE["death_on"] + pd.Timedelta(days=30))
    assert not safety_overview.deaths(tables, late, CONVENTIONS).set_index("subject").loc["A2", "on_treatment"]


def test_no_events_at_all() -> None:
    assert (safety_overview.overview({}, PEOPLE, CONVENTIONS)["subjects"] == 0).all()
    assert safety_overview.serious_events({}, PEOPLE, CONVENTIONS).empty


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"subject": "Z9"}, "unknown-subject"),
        ({"subject": "B2"}, "event-of-untreated"),
        ({"start": "2023-01-12", "end": "2023-01-02"}, "ends-before-start"),
        ({"start": None, "end": None}, "undated-event"),
        ({"grade": 7}, "unknown-grade"),
        ({"grade": 0}, "unknown-grade"),
    ],
)
def test_odd_events_are_said_with_subject_record_and_effect(changed: dict[str, Any], code: str) -> None:
    findings = Findings()
    check_events(pd.DataFrame([EVENTS.iloc[0].to_dict() | changed]), PEOPLE, findings)
    assert [(f.code, f.place) for f in findings] == [(code, f"ae: subject {changed.get('subject', 'A1')}, record 1")]
    assert all(f.effect for f in findings)


def test_a_subject_without_an_arm_is_said() -> None:
    findings = Findings()
    check_arms(PEOPLE.assign(arm=PEOPLE["arm"].replace("B", NO_ARM)), findings)
    assert [(f.code, f.place) for f in findings] == [("missing-arm", "subject: B1"), ("missing-arm", "subject: B2")]
    clean = Findings()
    check_arms(PEOPLE, clean)
    check_events(EVENTS, PEOPLE, clean)
    assert len(clean) == 0
