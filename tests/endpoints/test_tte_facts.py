"""From which records times to events are taken: time zero, assessments, progression, last contact."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.facts import gather
from fhir_trial.endpoints.time_to_event import derive
from fhir_trial.endpoints.time_to_event_rules import ENDPOINTS

RESPONSES = [
    "subject",
    "evaluator",
    "evaluator_id",
    "parameter",
    "visit",
    "value",
    "on",
    "progression_on",
    "source_domain",
    "source_sequence",
]


def date(day: int) -> str:
    return (dt.date(2023, 1, 2) + dt.timedelta(day)).isoformat()


def subject(name: str = "S", **more: Any) -> dict[str, Any]:
    known = {"study": "X", "subject": name, "state": "enrolled", "enrolled_on": date(0), "enrolled_source": "ENROLLED"}
    return known | {"dispositions": [], "contacts": []} | more


def event(sequence: int, name: str, day: int) -> dict[str, Any]:
    return {"sequence": sequence, "event": name, "term": None, "scope": None, "on": date(day)}


def seen(*rows: dict[str, Any]) -> pd.DataFrame:
    """Overall responses of an evaluator, as recorded unless they say otherwise."""
    common = {"subject": "S", "evaluator": "INVESTIGATOR", "parameter": "OVR", "visit": "V1", "source_domain": "RS", "source_sequence": 1}
    return pd.DataFrame([common | row for row in rows], columns=RESPONSES)


def time_of(endpoint: str, tables: dict[str, pd.DataFrame], responses: pd.DataFrame, **settings: Any) -> pd.DataFrame:
    conventions = preset("protocol").with_settings(settings)
    return derive(ENDPOINTS[endpoint], gather(tables, responses, conventions), conventions)


DAY_0 = [event(5, "INFORMED CONSENT OBTAINED", 0), event(6, "ENROLLED", 0), event(7, "RANDOMIZED", 3)]
STARTS = [
    ("enrollment", {}, ("DS", "DSSTDTC", 6)),
    ("enrollment", {"enrolled_source": "RANDOMIZED", "enrolled_on": date(3)}, ("DS", "DSSTDTC", 7)),
    ("enrollment", {"enrolled_source": "RFSTDTC"}, ("DM", "RFSTDTC", None)),
    ("enrollment", {"enrolled_source": "RFICDTC"}, ("DM", "RFICDTC", None)),
    ("enrollment", {"enrolled_source": None}, (None, None, None)),
    ("enrollment", {"enrolled_source": "REGISTER"}, (None, None, None)),
    ("consent", {"consented_on": date(0)}, ("DM", "RFICDTC", None)),
    ("randomization", {"randomized_on": date(3)}, ("DS", "DSSTDTC", 7)),
    ("first_dose", {"first_dose_on": date(4)}, ("EX", "EXSTDTC", 22)),
    ("first_dose", {"first_dose_on": date(0)}, ("EX", "EXSTDTC", 21)),
    ("first_dose", {"first_dose_on": date(2)}, ("EX", "EXSTDTC", None)),
]


@pytest.mark.parametrize(("start", "more", "expected"), STARTS)
def test_a_time_without_anything_to_see_rests_on_the_record_of_its_start(
    start: str, more: dict[str, Any], expected: tuple[str | None, str | None, int | None]
) -> None:
    """There are doses on the days of enrolment and of randomisation, and another subject with records of its own."""
    doses = [{"subject": name, "sequence": n, "start": date(day)} for name, n, day in (("S", 21, 0), ("S", 22, 4), ("T", 90, 4))]
    other = subject("T", dispositions=[event(91, "ENROLLED", 0)])
    tables = {"subject": pd.DataFrame([other, subject(dispositions=DAY_0, **more)]), "dose": pd.DataFrame(doses)}
    rows = time_of("PFS", tables, seen(), start=start)
    found = rows[rows["subject"] == "S"][["source_domain", "source_variable", "source_sequence"]].iloc[0]
    assert tuple(None if pd.isna(value) else value for value in found) == expected


def scans(*days: int) -> pd.DataFrame:
    who = {"subject": "S", "evaluator": "INVESTIGATOR", "evaluator_id": None, "visit": "V1", "visit_number": None}
    return pd.DataFrame([who | {"on": date(day)} for day in days])


@pytest.mark.parametrize(("choice", "expected"), [("latest", 45), ("earliest", 42)])
def test_a_censored_time_ends_with_the_scan_that_the_convention_names(choice: str, expected: int) -> None:
    tables = {"subject": pd.DataFrame([subject()]), "measurement": scans(42, 45)}
    rows = time_of("PFS", tables, seen({"value": "SD", "on": date(44)}), censor_scan_date=choice)
    assert rows[["days", "censored"]].to_numpy().tolist() == [[expected, 1]]


BACK = [
    ({"backdate_equivocal": True}, date(21), 21),
    ({"backdate_equivocal": False}, date(21), 42),
    ({"backdate_equivocal": True}, None, 42),
    ({"backdate_equivocal": True}, date(44), 42),
    ({"backdate_equivocal": True, "pd_scan_date": "latest"}, date(44), 45),
]


@pytest.mark.parametrize(("settings", "moved", "expected"), BACK)
def test_progression_is_dated_back_where_it_was_equivocal_before(settings: dict[str, Any], moved: str | None, expected: int) -> None:
    tables = {"subject": pd.DataFrame([subject()]), "measurement": scans(42, 45)}
    rows = time_of("PFS", tables, seen({"value": "PD", "on": date(44), "progression_on": moved}), **settings)
    assert rows[["days", "censored"]].to_numpy().tolist() == [[expected, 0]]


def test_responses_that_know_of_no_earlier_date_are_dated_as_they_stand() -> None:
    told = seen({"value": "PD", "on": date(44)}).drop(columns="progression_on")
    rows = time_of("PFS", {"subject": pd.DataFrame([subject()])}, told, backdate_equivocal=True)
    assert rows["days"].tolist() == [44]


def test_a_response_without_a_value_is_no_adequate_assessment() -> None:
    rows = time_of("PFS", {"subject": pd.DataFrame([subject()])}, seen({"value": None, "on": date(44)}))
    assert rows["reason"].tolist() == ["no adequate post-baseline assessment: censored at start"]


@pytest.mark.parametrize("source", ["AE", "LB", "EX"])
def test_last_known_alive_may_be_of_some_kinds_of_record_alone(source: str) -> None:
    contacts = [{"source": source, "on": date(60)}, {"source": "VS", "on": date(90)}, {"source": "DM", "on": date(95)}]
    tables = {"subject": pd.DataFrame([subject(contacts=contacts)])}
    rows = time_of("OS", tables, seen(), last_alive_sources="ae+lb+ex")
    assert rows[["days", "source_domain"]].to_numpy().tolist() == [[60, source]]
    assert time_of("OS", tables, seen())["days"].tolist() == [95]


CONTACTS = [
    ("adverse_event", "start", "AE", "AESTDTC"),
    ("adverse_event", "end", "AE", "AEENDTC"),
    ("dose", "end", "EX", "EXENDTC"),
    ("body_measure", "on", "VS", "VSDTC"),
    ("performance_status", "on", "QS", "QSDTC"),
    ("measurement", "on", "TR", "TRDTC"),
    ("lesion", "on", "TU", "TUDTC"),
    ("response", "on", "RS", "RSDTC"),
    ("laboratory", "on", "LB", "LBDTC"),
]


@pytest.mark.parametrize(("table", "column", "domain", "variable"), CONTACTS)
def test_every_kind_of_record_shows_a_subject_alive(table: str, column: str, domain: str, variable: str) -> None:
    """Records of a kind that has no such column, or no rows, show nothing."""
    needed = {"start": None, "end": None, "on": None, "outcome": None}
    row = {"subject": "S", "sequence": 4, **needed, column: date(60)}
    tables = {"subject": pd.DataFrame([subject()]), table: pd.DataFrame([row])}
    rows = time_of("OS", tables, seen())
    found = rows[["days", "source_domain", "source_variable", "source_sequence"]].to_numpy().tolist()
    assert found == [[60, domain, variable, 4]]
    for nothing in (tables[table].iloc[:0], tables[table].drop(columns=column)):
        assert time_of("OS", tables | {table: nothing}, seen())["days"].tolist() == [0]


@pytest.mark.parametrize(
    ("source", "variable"), [("DM", "LSTALVDT"), ("DS", "DSSTDTC"), ("LB", "LBDTC"), ("VS", "VSDTC"), ("QS", "QSDTC"), ("SV", None)]
)
def test_a_date_of_contact_names_the_variable_of_its_kind(source: str, variable: str | None) -> None:
    tables = {"subject": pd.DataFrame([subject(contacts=[{"source": source, "on": date(60)}])])}
    found = time_of("OS", tables, seen()).iloc[0]
    assert (found["days"], found["source_domain"]) == (60, source)
    assert (None if pd.isna(found["source_variable"]) else found["source_variable"]) == variable


def censored_on(measured: pd.DataFrame, *rows: dict[str, Any]) -> list[int]:
    tables = {"subject": pd.DataFrame([subject()]), "measurement": measured}
    return time_of("PFS", tables, seen(*rows))["days"].tolist()


SCANNED = {"value": "SD", "on": date(44)}


def test_a_response_takes_the_scans_of_its_visit_alone() -> None:
    assert censored_on(scans(42, 46), SCANNED) == [46]
    assert censored_on(scans(42, 46).assign(visit="V2"), SCANNED) == [44]
    assert censored_on(scans(42, 46).assign(evaluator="INDEPENDENT"), SCANNED) == [44]
    assert censored_on(scans(42, 46).assign(visit_number=[2, 2]), SCANNED) == [46], "a table that only names its visits is matched by name"
    assert censored_on(scans(42, 46).assign(visit=None), {**SCANNED, "visit": None}) == [44], "without a name there is no visit to share"
    undated = scans(42, 46)
    undated.loc[1, "on"] = None
    assert censored_on(undated, SCANNED) == [42]
    assert censored_on(scans(42).iloc[:0], SCANNED) == [44]


@pytest.mark.parametrize("column", ["evaluator", "evaluator_id", "visit"])
def test_responses_that_do_not_name_their_visit_or_reader_are_dated_as_they_stand(column: str) -> None:
    """Without a reader's id they are still told apart by evaluator and visit."""
    tables = {"subject": pd.DataFrame([subject()]), "measurement": scans(42, 46)}
    rows = time_of("PFS", tables, seen(SCANNED).drop(columns=column))
    assert rows["days"].tolist() == [46 if column == "evaluator_id" else 44]


def test_no_response_at_all_is_no_crash() -> None:
    assert censored_on(scans(42, 46)) == [0]


DEATH, IN_HOSPITAL = ("death", "hospitalization")
CRITERIA = [
    ([(DEATH, True)], True),
    ([(IN_HOSPITAL, True), (DEATH, True)], True),
    ([(DEATH, True), (IN_HOSPITAL, False)], True),
    ([(DEATH, False), (IN_HOSPITAL, True)], False),
    ([(IN_HOSPITAL, True)], False),
    ([], False),
    (None, False),
]


@pytest.mark.parametrize("kind", [list, tuple, np.array])
@pytest.mark.parametrize(("criteria", "died"), CRITERIA)
def test_an_event_that_was_serious_for_death_is_a_death(criteria: list[tuple[str, bool]] | None, died: bool, kind: Any) -> None:
    """However the table holds the criteria of seriousness."""
    held = None if criteria is None else kind([{"criterion": name, "present": present} for name, present in criteria])
    event = {"subject": "S", "sequence": 4, "outcome": None, "start": date(60), "end": date(70), "criteria": held}
    tables = {"subject": pd.DataFrame([subject()]), "adverse_event": pd.DataFrame([event])}
    rows = time_of("OS", tables, seen(), death_date_source="dm+ds+ae")
    assert rows[["days", "censored"]].to_numpy().tolist() == [[70, int(not died)]]


def test_a_death_without_a_day_comes_after_the_last_day_alive() -> None:
    contacts = [{"source": "VS", "on": date(70)}, {"source": "VS", "on": date(9)}]
    tables = {
        "subject": pd.DataFrame([subject(contacts=contacts)]),
        "patient": pd.DataFrame([{"subject": "S", "death_date": date(70)[:7], "dead": True}]),
    }
    assert time_of("OS", tables, seen(), partial_date="first")["days"].tolist() == [71]
