"""Each rule on times to events, one subject at a time: what a convention changes, and what the reason then says."""

from typing import Any

import pytest
from endpoints.tte_cases import ADEQUATE, CLINICAL, NO_ASSESSMENT, WITHDRAWN, Case, date, facts

from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.time_to_event import derive
from fhir_trial.endpoints.time_to_event_rules import ENDPOINTS

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
