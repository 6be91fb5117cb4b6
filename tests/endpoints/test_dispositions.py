"""Which disposition event ended a subject's study or treatment: the last that did, up to the cutoff."""

from typing import Any

import pandas as pd
import pytest
from endpoints.tte_cases import date, facts

from fhir_trial.endpoints.columns import NO_DAY, day_number
from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.dispositions import endings, endings_by_subject

STUDY, TREATMENT = "STUDY PARTICIPATION", "STUDY TREATMENT"
Event = tuple[str, str | None, int | None, int | None]
"""Name, scope, day, sequence."""


def ends(what: str, *events: Event, **settings: object) -> tuple[str | None, int | None]:
    """The event that ended `what`, and its day; beside a subject whom nothing ended."""
    told = [
        {"event": name, "category": "DISPOSITION EVENT", "scope": scope, "on": None if day is None else date(day), "sequence": number}
        for name, scope, day, number in events
    ]
    subjects = pd.DataFrame([{"subject": "S", "dispositions": told}, {"subject": "T", "dispositions": []}])
    found = endings(subjects, pd.Index(["T", "S"]), what, preset("protocol").with_settings(settings))
    start = day_number(date(0), "mid")
    other, mine = ((None if pd.isna(event) else event, None if on == NO_DAY else on - start) for event, on in found.to_numpy().tolist())
    assert other == (None, None)
    return mine


ENDS: list[tuple[str, str, list[Event], dict[str, Any], tuple[str | None, int | None]]] = [
    ("an end", "study", [("COMPLETED", STUDY, 50, 1)], {}, ("COMPLETED", 50)),
    ("of something else", "study", [("COMPLETED", TREATMENT, 50, 1)], {}, (None, None)),
    ("of treatment", "treatment", [("COMPLETED", TREATMENT, 50, 1), ("DEATH", STUDY, 60, 2)], {}, ("COMPLETED", 50)),
    ("the last by day", "study", [("OTHER", STUDY, 60, 1), ("LOST TO FOLLOW-UP", STUDY, 50, 2)], {}, ("OTHER", 60)),
    ("of a day the last by number", "study", [("OTHER", STUDY, 60, 2), ("LOST TO FOLLOW-UP", STUDY, 60, 1)], {}, ("OTHER", 60)),
    (
        "of a day and number the last",
        "study",
        [("OTHER", STUDY, 60, 1), ("LOST TO FOLLOW-UP", STUDY, 60, 1)],
        {},
        ("LOST TO FOLLOW-UP", 60),
    ),
    ("without numbers the last", "study", [("OTHER", STUDY, 60, None), ("COMPLETED", STUDY, 60, None)], {}, ("COMPLETED", 60)),
    ("undated", "study", [("OTHER", STUDY, None, 1)], {}, ("OTHER", None)),
    ("undated beside dated", "study", [("OTHER", STUDY, 10, 1), ("COMPLETED", STUDY, None, 2)], {}, ("OTHER", 10)),
    ("undated counts whatever the cutoff", "study", [("OTHER", STUDY, None, 1)], {"data_cutoff": date(50)}, ("OTHER", None)),
    ("on the day of the cutoff", "study", [("OTHER", STUDY, 50, 1)], {"data_cutoff": date(50)}, ("OTHER", 50)),
    ("after the cutoff", "study", [("OTHER", STUDY, 50, 1), ("DEATH", STUDY, 51, 2)], {"data_cutoff": date(50)}, ("OTHER", 50)),
]


@pytest.mark.parametrize(("what", "events", "settings", "expected"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS])
def test_what_ended_it(what: str, events: list[Event], settings: dict[str, Any], expected: tuple[str | None, int | None]) -> None:
    assert ends(what, *events, **settings) == expected


@pytest.mark.parametrize("event", ["ADVERSE EVENT", "LACK OF EFFICACY", "PHYSICIAN DECISION"])
@pytest.mark.parametrize("scope", [TREATMENT, None, STUDY])
def test_treatment_stopped_for_an_event_or_without_effect(event: str, scope: str | None) -> None:
    """An end without a scope is taken as the treatment's; of the study it is none."""
    stops = facts({"ds": [(event, None, scope, 60)]}, {}).named("treatment stopped")
    assert len(stops) == int(event != "PHYSICIAN DECISION" and scope != STUDY)


@pytest.mark.parametrize(
    ("what", "died", "events", "settings", "expected"),
    [
        ("study", 40, [], {}, "DEATH"),
        ("study", None, [], {}, None),
        ("study", 40, [("OTHER", STUDY, 30, 1)], {}, "OTHER"),
        ("study", None, [("OTHER", STUDY, 30, 1)], {}, "OTHER"),
        ("study", 40, [], {"data_cutoff": date(40)}, "DEATH"),
        ("study", 40, [], {"data_cutoff": date(39)}, None),
        ("treatment", 40, [], {}, None),
    ],
)
def test_a_death_ends_the_study_of_whom_no_event_did(
    what: str, died: int | None, events: list[Event], settings: dict[str, Any], expected: str | None
) -> None:
    told = [{"event": name, "category": None, "scope": scope, "on": date(day or 0), "sequence": n} for name, scope, day, n in events]
    subjects = pd.DataFrame([{"subject": "S", "dispositions": told}])
    adsl = pd.DataFrame({"subject": ["S"], "death_on": pd.to_datetime([None if died is None else date(died)])})
    event, on = endings_by_subject(subjects, adsl, what, preset("protocol").with_settings(settings)).iloc[0]
    days = {"DEATH": 40, "OTHER": 30}
    assert (None if pd.isna(event) else event) == expected
    assert on == (NO_DAY if expected is None else day_number(date(days[expected]), "mid"))
