"""A subject's course as the tests of times to events write it, and the facts that it gives."""

import datetime as dt
from typing import Any

import pandas as pd

from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.facts import Facts, gather

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
