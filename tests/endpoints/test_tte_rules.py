"""Each rule on times to events, one subject at a time: what a convention changes, and what the reason then says."""

import datetime as dt
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.facts import Facts, gather
from fhir_trial.endpoints.time_to_event import COLUMNS, derive
from fhir_trial.endpoints.time_to_event_rules import ENDPOINTS, EVENTS, defined, under
from fhir_trial.errors import UsageError

Case = dict[str, Any]


def date(day: int) -> str:
    return (dt.date(2023, 1, 2) + dt.timedelta(day)).isoformat()


def facts(case: Case, settings: dict[str, Any]) -> Facts:
    """A subject enrolled on day 0: `case` has seen (day, response), died, therapy, ds (event, term, scope, day), contacts (source, day)."""
    responses = [
        {"parameter": "OVR", "visit": f"V{i}", "value": value, "on": date(day), "source_sequence": i}
        for i, (day, value) in enumerate(case.get("seen", []), 1)
    ]
    responses += [{"parameter": name, "value": "Y", "on": date(day), "source_sequence": 1} for name, day in case.get("responded", [])]
    columns = ["subject", "evaluator", "evaluator_id", "parameter", "visit", "value", "on", "source_domain", "source_sequence"]
    frame = pd.DataFrame(
        [{"subject": "S", "evaluator": "INVESTIGATOR", "evaluator_id": None, "source_domain": "RS", **r} for r in responses],
        columns=columns,
    )
    dispositions = [
        {"sequence": i, "event": event, "term": term, "scope": scope, "on": None if day is None else date(day)}
        for i, (event, term, scope, day) in enumerate(case.get("ds", []), 1)
    ]
    contacts = [{"source": source, "on": date(day)} for source, day in case.get("contacts", [])]
    subject = {
        "study": "X",
        "subject": "S",
        "state": "enrolled",
        "enrolled_on": date(0),
        "enrolled_source": "ENROLLED",
        "dispositions": dispositions,
    }
    subject |= {"contacts": contacts, **case.get("subject", {})}
    tables = {
        "subject": pd.DataFrame([subject]),
        "patient": pd.DataFrame([{"subject": "S", "death_date": date(case["died"]) if "died" in case else None, "dead": case.get("dead")}]),
        "therapy": pd.DataFrame(
            [
                {
                    "subject": "S",
                    "sequence": 7,
                    "category": "Subsequent anti-cancer therapy",
                    "start": date(case.get("therapy", 0)),
                }
            ]
        )[: int("therapy" in case)],
        "adverse_event": pd.DataFrame(case.get("ae", []), columns=["subject", "sequence", "outcome", "start", "end"]),
    }
    return gather(tables, frame, preset("protocol").with_settings(settings))


WITHDRAWN = ("WITHDRAWAL BY SUBJECT", None, "STUDY PARTICIPATION", 60)
CLINICAL = ("PROGRESSIVE DISEASE", "CLINICAL PROGRESSION", "STUDY TREATMENT", 60)
NO_ASSESSMENT = "no adequate post-baseline assessment: censored at start"
ADEQUATE = "last adequate assessment"

ANY_SOURCE = {"death_date_source": "dm+ds+ae"}
FATAL = ("S", 1, "FATAL", date(60), date(70))

RULES: list[tuple[str, str, Case, dict[str, Any], tuple[int, int, str]]] = [
    ("day 63 itself counts", "PFS", {"seen": [(42, "SD")], "died": 105}, {}, (105, 0, "death")),
    (
        "unless the window is exclusive",
        "PFS",
        {"seen": [(42, "SD")], "died": 105},
        {"death_window_inclusive": False},
        (42, 1, f"{ADEQUATE}: death 63 d after"),
    ),
    ("an assessment before the start is no anchor", "PFS", {"seen": [(-5, "SD")], "died": 60}, {}, (60, 0, "death")),
    ("an assessment on the day of the start counts", "PFS", {"seen": [(0, "SD")]}, {}, (0, 1, ADEQUATE)),
    (
        "an assessment dated after the death is no anchor",
        "PFS",
        {"seen": [(10, "SD"), (200, "SD")], "died": 100},
        {},
        (200, 1, f"{ADEQUATE}: death 90 d after"),
    ),
    ("only NE: nothing adequate", "PFS", {"seen": [(42, "NE")]}, {}, (0, 1, NO_ASSESSMENT)),
    ("the last assessment of any kind", "PFS", {"seen": [(42, "SD"), (84, "NE")]}, {"censor_date": "last_any"}, (84, 1, "last assessment")),
    ("progression before the start is baseline", "PFS", {"seen": [(-1, "PD"), (42, "SD")]}, {}, (42, 1, ADEQUATE)),
    ("progression and death on one day", "PFS", {"seen": [(42, "PD")], "died": 42}, {}, (42, 0, "progression")),
    ("data on the day of cutoff count", "PFS", {"seen": [(42, "PD")]}, {"data_cutoff": date(42)}, (42, 0, "progression")),
    (
        "nothing after cutoff is seen",
        "PFS",
        {"seen": [(42, "SD"), (84, "PD")]},
        {"data_cutoff": date(83)},
        (42, 1, f"{ADEQUATE}: before cutoff"),
    ),
    (
        "death after cutoff is not seen",
        "OS",
        {"contacts": [("EX", 80)], "died": 84},
        {"data_cutoff": date(83)},
        (80, 1, "last known alive: before cutoff"),
    ),
    (
        "nothing after withdrawal",
        "PFS",
        {"seen": [(42, "SD"), (84, "PD")], "ds": [WITHDRAWN]},
        {},
        (42, 1, f"{ADEQUATE}: before withdrawal"),
    ),
    (
        "unless it is to be seen",
        "PFS",
        {"seen": [(84, "PD")], "ds": [WITHDRAWN]},
        {"ignore_after_withdrawal": False},
        (84, 0, "progression"),
    ),
    ("data on the day of withdrawal count", "PFS", {"seen": [(60, "PD")], "ds": [WITHDRAWN]}, {}, (60, 0, "progression")),
    (
        "stopping treatment is no withdrawal",
        "PFS",
        {"seen": [(84, "PD")], "ds": [(*WITHDRAWN[:2], "STUDY TREATMENT", 60)]},
        {},
        (84, 0, "progression"),
    ),
    (
        "the day new therapy starts counts as before it",
        "PFS",
        {"seen": [(60, "PD")], "therapy": 60},
        {"nact_rule": "censor"},
        (60, 0, "progression"),
    ),
    ("progression on the day of new therapy", "PFS", {"seen": [(60, "PD")], "therapy": 60}, {"nact_rule": "event"}, (60, 0, "progression")),
    (
        "new therapy hides progression",
        "PFS",
        {"seen": [(42, "SD"), (61, "PD")], "therapy": 60},
        {"nact_rule": "censor"},
        (42, 1, f"{ADEQUATE}: before new anticancer therapy"),
    ),
    ("new therapy does not hide death from OS", "OS", {"died": 90, "therapy": 60}, {"nact_rule": "censor"}, (90, 0, "death")),
    ("clinical progression is no event", "PFS", {"seen": [(42, "SD")], "ds": [CLINICAL]}, {}, (42, 1, ADEQUATE)),
    ("unless it is to be", "PFS", {"seen": [(42, "SD")], "ds": [CLINICAL]}, {"clinical_pd_event": True}, (60, 0, "progression: clinical")),
    ("98 days are not two missed visits", "PFS", {"seen": [(42, "SD"), (140, "PD")]}, {"missed_rule": "fda"}, (140, 0, "progression")),
    ("99 days are", "PFS", {"seen": [(42, "SD"), (141, "PD")]}, {"missed_rule": "fda"}, (42, 1, f"{ADEQUATE}: two missed visits")),
    (
        "the gap ends at an adequate assessment",
        "PFS",
        {"seen": [(42, "SD"), (84, "NE"), (141, "PD")]},
        {"missed_rule": "fda"},
        (42, 1, f"{ADEQUATE}: two missed visits"),
    ),
    ("the gap begins at the start", "PFS", {"seen": [(99, "PD")]}, {"missed_rule": "fda"}, (0, 1, f"{NO_ASSESSMENT}; two missed visits")),
    (
        "deaths too",
        "PFS",
        {"seen": [(42, "SD")], "died": 160},
        {"missed_rule": "fda", "death_window_days": None},
        (42, 1, f"{ADEQUATE}: two missed visits"),
    ),
    (
        "the gap ends at an adequate assessment though censored times end at any",
        "PFS",
        {"seen": [(42, "SD"), (84, "NE"), (141, "PD")]},
        {"missed_rule": "fda", "censor_date": "last_any"},
        (42, 1, f"{ADEQUATE}: two missed visits"),
    ),
    (
        "a late response is no missed event",
        "TTR",
        {"seen": [(120, "PR")], "responded": [("RSP", 120)]},
        {"missed_rule": "fda"},
        (120, 0, "response"),
    ),
    (
        "a therapy that began before the start hides nothing",
        "PFS",
        {"seen": [(42, "PD")], "therapy": -1},
        {"nact_rule": "censor"},
        (42, 0, "progression"),
    ),
    ("nor have two missed visits to do with it", "OS", {"seen": [(42, "SD")], "died": 300}, {"missed_rule": "fda"}, (300, 0, "death")),
    ("nothing is missed where nothing happens", "PFS", {"seen": [(42, "SD")]}, {"missed_rule": "fda"}, (42, 1, ADEQUATE)),
    (
        "every death counts where no window is set",
        "PFS",
        {"seen": [(42, "SD")], "died": 300},
        {"death_window_days": None},
        (300, 0, "death"),
    ),
    (
        "the window is for deaths alone",
        "EFS",
        {"seen": [(42, "SD")], "ds": [("ADVERSE EVENT", None, "STUDY TREATMENT", 200)]},
        {},
        (200, 0, "treatment stopped"),
    ),
    ("alive last by the latest record", "OS", {"contacts": [("LB", 50), ("EX", 30)]}, {}, (50, 1, "last known alive")),
    ("OS has no death window", "OS", {"seen": [(42, "SD")], "died": 400}, {}, (400, 0, "death")),
    ("alive last by any record", "OS", {"contacts": [("EX", 30), ("LB", 50)]}, {}, (50, 1, "last known alive")),
    ("DM's own date stands before others", "OS", {"contacts": [("DM", 40), ("LB", 50)]}, {}, (40, 1, "last known alive")),
    ("alive last before the start", "OS", {"contacts": [("LB", -3)]}, {}, (0, 1, "last known alive: censored at start")),
    ("death from DS", "OS", {"ds": [("DEATH", None, None, 70)]}, {}, (70, 0, "death")),
    (
        "but not where DM alone counts",
        "OS",
        {"ds": [("DEATH", None, None, 70)], "contacts": [("EX", 9)]},
        {"death_date_source": "dm"},
        (9, 1, "last known alive"),
    ),
    ("a fatal event alone is no death", "OS", {"ae": [("S", 1, "FATAL", date(60), date(70))]}, {}, (70, 1, "last known alive")),
    ("unless it is to be", "OS", {"ae": [("S", 1, "FATAL", date(60), date(70))]}, {"death_date_source": "dm+ds+ae"}, (70, 0, "death")),
    ("DM's date of death stands before DS's", "OS", {"died": 71, "ds": [("DEATH", None, None, 70)]}, {}, (71, 0, "death")),
    (
        "duration from the response",
        "DOR",
        {"seen": [(42, "PR"), (84, "PR"), (126, "PD")], "responded": [("RSP", 42)]},
        {},
        (84, 0, "progression"),
    ),
    (
        "duration ends with the last assessment",
        "CDOR",
        {"seen": [(42, "PR"), (84, "PR")], "responded": [("CRSP", 42)]},
        {},
        (42, 1, ADEQUATE),
    ),
    ("time to response", "TTR", {"seen": [(42, "PR")], "responded": [("RSP", 42)]}, {}, (42, 0, "response")),
    ("death does not end time to progression", "TTP", {"seen": [(42, "SD")], "died": 60}, {}, (42, 1, ADEQUATE)),
    (
        "treatment stopped for an adverse event",
        "EFS",
        {"seen": [(42, "SD")], "ds": [("ADVERSE EVENT", None, "STUDY TREATMENT", 50)]},
        {},
        (50, 0, "treatment stopped"),
    ),
    (
        "treatment stopped for lack of efficacy",
        "EFS",
        {"seen": [(42, "SD")], "ds": [("LACK OF EFFICACY", None, "STUDY TREATMENT", 50)]},
        {},
        (50, 0, "treatment stopped"),
    ),
    ("treatment stopped, of what it is not said", "EFS", {"ds": [("ADVERSE EVENT", None, None, 50)]}, {}, (50, 0, "treatment stopped")),
    (
        "taking part stopped is no end of treatment",
        "EFS",
        {"ds": [("ADVERSE EVENT", None, "STUDY PARTICIPATION", 50)]},
        {},
        (0, 1, NO_ASSESSMENT),
    ),
    ("ND and NA are nothing adequate", "PFS", {"seen": [(42, "ND"), (84, "NA")]}, {}, (0, 1, NO_ASSESSMENT)),
    ("DM's death stands before an event's", "OS", {"died": 71, "ae": [FATAL]}, ANY_SOURCE, (71, 0, "death")),
    ("DS's death stands before an event's", "OS", {"ds": [("DEATH", None, None, 71)], "ae": [FATAL]}, ANY_SOURCE, (71, 0, "death")),
    ("an outcome DEATH is fatal", "OS", {"ae": [("S", 1, "DEATH", date(60), date(70))]}, ANY_SOURCE, (70, 0, "death")),
    ("of two dates of a source the first", "OS", {"ds": [("DEATH", None, None, 72), ("DEATH", None, None, 70)]}, {}, (70, 0, "death")),
    ("one day more", "PFS", {"seen": [(42, "PD")]}, {"add_one": True}, (43, 0, "progression")),
    (
        "from the first dose",
        "PFS",
        {"seen": [(42, "PD")], "subject": {"first_dose_on": date(7)}},
        {"start": "first_dose"},
        (35, 0, "progression"),
    ),
    ("from consent", "PFS", {"seen": [(42, "PD")], "subject": {"consented_on": date(-7)}}, {"start": "consent"}, (49, 0, "progression")),
    ("from enrolment where nobody is randomised", "PFS", {"seen": [(42, "PD")]}, {"start": "randomization"}, (42, 0, "progression")),
]


@pytest.mark.parametrize(("title", "endpoint", "case", "settings", "expected"), RULES, ids=[r[0] for r in RULES])
def test_rule(title: str, endpoint: str, case: Case, settings: dict[str, Any], expected: tuple[int, int, str]) -> None:
    conventions = preset("protocol").with_settings(settings)
    rows = derive(ENDPOINTS[endpoint], facts(case, settings), conventions)
    assert [tuple(r) for r in rows[["days", "censored", "reason"]].itertuples(index=False)] == [expected]


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
    conventions = preset("protocol").with_settings(ANY_SOURCE)
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
