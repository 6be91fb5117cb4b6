"""What times to events do whatever the rule: the order of events, definitions and conventions, findings, sources."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from endpoints.tte_cases import CLINICAL, NO_ASSESSMENT, WITHDRAWN, Case, date, facts

from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.facts import gather
from fhir_trial.endpoints.time_to_event import COLUMNS, derive
from fhir_trial.endpoints.time_to_event_rules import ENDPOINTS, EVENTS, defined, under
from fhir_trial.errors import UsageError

EVERYTHING = {
    "seen": [(60, "PD")],
    "died": 60,
    "therapy": 60,
    "ds": [CLINICAL, ("ADVERSE EVENT", None, "STUDY TREATMENT", 60)],
}
RANKED = ("progression", "clinical progression", "death", "treatment stopped", "new anticancer therapy")


@pytest.mark.parametrize(("first", "second"), list(combinations(RANKED, 2)))
def test_of_events_on_one_day_the_rank_decides_and_not_the_order_of_the_definition(first: str, second: str) -> None:
    own = defined("PFS", (second, first))
    rows = derive(own, facts(EVERYTHING, {}), preset("protocol"))
    assert rows["reason"].tolist() == [EVENTS[first].reason]


def test_a_derived_table_has_its_columns_in_order() -> None:
    rows = derive(ENDPOINTS["PFS"], facts(EVERYTHING, {}), preset("protocol"))
    assert (tuple(rows), rows.index.tolist()) == (COLUMNS, [0])


def test_what_a_study_leaves_open_is_as_usual() -> None:
    assert defined("PFS") == ENDPOINTS["PFS"]
    assert defined("PFS", censors=["start"]) == ENDPOINTS["PFS"]
    assert defined("EFS", censors=["assessment"]).events == ENDPOINTS["EFS"].events


@pytest.mark.parametrize("setting", [{"clinical_pd_event": True}, {"nact_rule": "event"}])
def test_conventions_add_events_only_to_what_ends_with_progression(setting: dict[str, Any]) -> None:
    conventions = preset("protocol").with_settings(setting)
    assert under(ENDPOINTS["TTR"], conventions) == ENDPOINTS["TTR"]
    assert under(ENDPOINTS["OS"], conventions) == ENDPOINTS["OS"]
    added = under(ENDPOINTS["PFS"], conventions).events
    assert (len(added), added[:2]) == (3, ENDPOINTS["PFS"].events)
    named = defined("PFS", added)
    assert under(named, conventions).events == added, "what is named already is not added again"


def test_a_censoring_that_a_study_names_stays() -> None:
    conventions = preset("protocol").with_settings({"censor_date": "last_any"})
    assert under(ENDPOINTS["PFS"], conventions).censors == ("assessment",)
    assert under(defined("PFS", censors=["alive"]), conventions).censors == ("alive",)


@pytest.mark.parametrize(("enrolled", "gap"), [(date(0), 70), (None, 56)], ids=["enrolment", "the start"])
def test_a_death_without_an_assessment_is_counted_from_enrolment_else_from_the_start(enrolled: str | None, gap: int) -> None:
    """Time zero is the first dose on day 14; enrolment is what the window begins with, where there is one."""
    case = {"died": 70, "subject": {"enrolled_on": enrolled, "first_dose_on": date(14)}}
    found = []
    for window in (gap, gap - 1):
        settings = {"start": "first_dose", "no_post_anchor": "enrollment", "death_window_days": window}
        found += derive(ENDPOINTS["PFS"], facts(case, settings), preset("protocol").with_settings(settings))["reason"].tolist()
    assert found == ["death", f"{NO_ASSESSMENT}; death {gap} d after"]


FINDINGS = [
    ({"died": 71, "ds": [("DEATH", None, None, 70)]}, "death-dates-disagree"),
    ({"ae": [("S", 1, "FATAL", date(60), None)]}, "death-in-another-source"),
    ({"dead": True}, "death-without-date"),
    ({"ds": [("DEATH", None, None, None)]}, "death-without-date"),
    ({"died": -4}, "death-before-start"),
    ({"died": 50, "contacts": [("LB", 60)]}, "seen-after-death"),
    ({"subject": {"enrolled_on": None}}, "no-start-date"),
    ({"ds": [(*WITHDRAWN[:3], None)]}, "event-without-date"),
    ({"ds": [("WITHDRAWAL BY SUBJECT", None, None, 70)]}, "withdrawal-without-scope"),
]


@pytest.mark.parametrize(("case", "code"), FINDINGS, ids=[f[1] for f in FINDINGS])
def test_what_does_not_fit_is_a_finding(case: Case, code: str) -> None:
    found = list(facts(case, {}).findings)
    assert [f.code for f in found] == [code]
    assert "subject S" in found[0].place
    assert found[0].effect


@pytest.mark.parametrize("kind", [list, tuple, lambda items: np.array(items, dtype=object)], ids=["list", "tuple", "array"])
@pytest.mark.parametrize(
    ("criteria", "dead"),
    [
        ([("death", True)], True),
        ([("hospitalization", True), ("death", True)], True),
        ([("death", False), ("hospitalization", True)], False),
        ([], False),
        (None, False),
    ],
)
def test_an_event_whose_criterion_is_death_is_fatal(kind: Any, criteria: list[tuple[str, bool]] | None, dead: bool) -> None:
    items = None if criteria is None else kind([{"criterion": name, "present": present} for name, present in criteria])
    event = {"subject": "S", "sequence": 1, "outcome": None, "start": date(60), "end": date(70), "criteria": items}
    tables = {
        "subject": pd.DataFrame([{"study": "X", "subject": "S", "state": "enrolled", "enrolled_on": date(0)}]),
        "adverse_event": pd.DataFrame([event]),
    }
    nothing = pd.DataFrame(columns=["subject", "parameter", "visit", "value", "on", "source_domain", "source_sequence"])
    conventions = preset("protocol").with_settings({"death_date_source": "dm+ds+ae"})
    assert derive(ENDPOINTS["OS"], gather(tables, nothing, conventions), conventions)["censored"].tolist() == [int(not dead)]


def test_a_record_after_the_death_is_named() -> None:
    case = {"died": 50, "ae": [("S", 4, "RECOVERED", date(40), date(60))], "contacts": [("LB", 55)]}
    (found,) = facts(case, {}).findings
    assert (found.place, found.found, found.effect) == ("ae: subject S, sequence 4", date(60), "the date of death counts")


def test_a_death_in_a_month_after_which_the_subject_was_seen_is_said() -> None:
    tables = {
        "subject": pd.DataFrame([{"study": "X", "subject": "S", "state": "enrolled", "enrolled_on": "2023-01-02"}]).assign(
            contacts=[[{"source": "LB", "on": "2023-06-10"}, {"source": "EX", "on": "2023-04-01"}]]
        ),
        "patient": pd.DataFrame([{"subject": "S", "death_date": "2023-05"}]),
        "therapy": pd.DataFrame([{"subject": "S", "sequence": 3, "category": "SUBSEQUENT ANTICANCER THERAPY", "start": None}]),
    }
    nothing = pd.DataFrame(columns=["subject", "parameter", "visit", "value", "on", "source_domain", "source_sequence"])
    found = gather(tables, nothing, preset("protocol"))
    assert [(f.code, f.place, f.found) for f in found.findings] == [
        ("seen-after-death", "dm: subject S", "2023-05"),
        ("event-without-date", "cm: subject S, sequence 3", None),
    ]
    assert str(derive(ENDPOINTS["OS"], found, preset("protocol"))["on"].iloc[0])[:10] == "2023-06-11"


@pytest.mark.parametrize(("numbers", "progressed"), [((2.1, 3.1), 126), ((2, 2), 131)])
def test_a_visit_name_that_returns_lends_no_scan_to_another_date(numbers: tuple[float, float], progressed: int) -> None:
    """Two unscheduled visits: by number the second's scans are its own, and without one the date reported stands."""
    who = {"subject": "S", "evaluator": "INVESTIGATOR", "evaluator_id": None, "visit": "UNSCHEDULED"}
    pairs = list(zip(numbers, ((42, 45, "SD"), (126, 131, "PD")), strict=True))
    scans = [who | {"visit_number": number, "on": date(day)} for number, (day, _, _) in pairs]
    seen = [
        who | {"visit_number": number, "on": date(day), "value": value, "parameter": "OVR", "source_domain": "RS", "source_sequence": day}
        for number, (_, day, value) in pairs
    ]
    subject = pd.DataFrame([{"study": "X", "subject": "S", "state": "enrolled", "enrolled_on": date(0)}])
    found = gather({"subject": subject, "measurement": pd.DataFrame(scans)}, pd.DataFrame(seen), preset("protocol"))
    assert derive(ENDPOINTS["PFS"], found, preset("protocol"))["days"].tolist() == [progressed]


def test_a_subject_twice_in_the_table_has_one_row() -> None:
    subject = pd.DataFrame([{"study": "X", "subject": "S", "state": "enrolled", "enrolled_on": date(0)}] * 2)
    nothing = pd.DataFrame(columns=["subject", "parameter", "visit", "value", "on", "source_domain", "source_sequence"])
    assert len(derive(ENDPOINTS["OS"], gather({"subject": subject}, nothing, preset("protocol")), preset("protocol"))) == 1


def test_without_a_response_there_is_no_duration() -> None:
    conventions = preset("protocol")
    for name in ("DOR", "CDOR", "TTR", "CTTR"):
        assert derive(ENDPOINTS[name], facts({"seen": [(42, "SD")]}, {}), conventions).empty


def test_sources_of_a_row() -> None:
    conventions = preset("protocol")
    rows = derive(ENDPOINTS["PFS"], facts({"seen": [(42, "SD"), (84, "PD")]}, {}), conventions)
    assert rows[["source_domain", "source_variable", "source_sequence"]].iloc[0].tolist() == ["RS", "RSDTC", 2]
    rows = derive(ENDPOINTS["PFS"], facts({}, {}), conventions)
    assert rows[["source_domain", "source_variable"]].iloc[0].tolist() == ["DS", "DSSTDTC"]


def test_a_study_names_events_and_censors() -> None:
    own = defined("PFS", ["progression", "new-anticancer_therapy"], ["start", "assessment"])
    assert (own.events, own.censors) == (("progression", "new anticancer therapy"), ("assessment",))
    with pytest.raises(UsageError, match="cannot name 'relapse'"):
        defined("PFS", ["relapse"])
    with pytest.raises(UsageError, match="no time-to-event endpoint is named DFS"):
        defined("DFS")
