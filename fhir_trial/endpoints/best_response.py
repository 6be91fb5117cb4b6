"""Best overall response, confirmed and not, and what follows from it: response, disease control, clinical benefit. Rules are data."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhir_trial.endpoints.columns import NO_DAY, Bools, Ints, labelled
from fhir_trial.endpoints.confirmation import confirming
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.response_codes import CR, NE, NED, NEITHER, PD, PR, SD

COMPLETE, PARTIAL, ANY = (CR,), (PR,), (PD, CR, PR, SD, NE, NEITHER, NED)
RESPONDED = (CR, PR)


@dataclass(frozen=True)
class Counted:
    """The responses that a subject's best response is taken from, sorted by subject and day, up to the first progression.

    `row` is their place in the visit table, `who` the subject's place, `since` days since the start, `day` days since 1970-01-01;
    `measurable` says of each of `subjects` subjects whether they had a target lesion.
    """

    row: Ints
    who: Ints
    day: Ints
    since: Ints
    value: Ints
    measurable: Bools

    @property
    def subjects(self) -> int:
        """How many subjects there are, assessed or not."""
        return len(self.measurable)


@dataclass(frozen=True)
class Rule:
    """A subject gets `label` for the first of these responses, `least` days or more after the start (and confirmed, where it must be)."""

    label: str
    responses: tuple[int, ...]
    reason: str
    least: int = 0
    confirmed: bool = False
    measurable: bool | None = None


def rules(conventions: Conventions) -> dict[str, tuple[Rule, ...]]:
    """The rules of each parameter; of each the first that any response meets is taken.

    BOR and CBOR: RECIST 1.1, 4.4.3, 4.6 and table 3. An unconfirmed response is SD where it lasted long enough for that.
    """
    long, control, benefit = conventions.sd_min_days, conventions.disease_control_days, conventions.cbr_min_days
    stable = Rule("SD", (SD,), "stable disease for the least time", long)
    rest = (
        Rule("NON-CR/NON-PD", (NEITHER,), "neither complete response nor progression for the least time", long),
        Rule("NED", (NED,), "no evidence of disease for the least time", long),
        Rule("PD", (PD,), "progression"),
        Rule("NE", ANY, "no evaluable response, or none for the least time"),
    )
    label = conventions.unconfirmed_cr_label
    unconfirmed = (
        Rule(label, COMPLETE, "complete response without measurable disease, not confirmed", long, measurable=False),
        Rule("SD", (CR, PR, SD), "stable disease or unconfirmed response for the least time", long),
    )
    best = (Rule("CR", COMPLETE, "complete response"), Rule("PR", PARTIAL, "partial response"))
    confirmed = tuple(Rule(r.label, r.responses, f"confirmed {r.reason}", confirmed=True) for r in best)
    yes = Rule("Y", RESPONDED, "complete or partial response")
    return {
        "BOR": (*best, stable, *rest),
        "CBOR": (*confirmed, *unconfirmed, *rest),
        "RSP": (yes,),
        "CRSP": (Rule("Y", RESPONDED, "confirmed complete or partial response", confirmed=True),),
        "DCR": (yes, Rule("Y", (SD, NEITHER), "stable disease for the least time", control)),
        "CBR": (yes, Rule("Y", (SD,), "stable disease for the least time", benefit)),
    }


ABSENT = {"RSP": "no response", "CRSP": "no confirmed response", "DCR": "no disease control", "CBR": "no clinical benefit"}
"""Why a subject has N."""


def best(counted: Counted, conventions: Conventions) -> pd.DataFrame:
    """A row a parameter and subject: parameter, who, value, reason, and `at`, where the deciding response stands in `counted` (or -1)."""
    confirmed = confirming(counted.value, counted.who, counted.day, conventions) >= 0
    tables = rules(conventions)
    labels: list[str] = []
    reasons: list[str] = []
    decided, at = [], []
    for name, table in tables.items():
        codes, places = _decide(table, counted, confirmed)
        decided.append(codes + len(labels))
        at.append(places)
        labels += [*(rule.label for rule in table), "N" if name in ABSENT else conventions.no_assessment_bor]
        reasons += [*(rule.reason for rule in table), ABSENT.get(name, "no post-baseline assessment")]
    parameter = np.repeat(np.arange(len(tables)), counted.subjects)
    code = np.concatenate(decided)
    return pd.DataFrame(
        {
            "parameter": labelled(parameter, list(tables)),
            "who": np.tile(np.arange(counted.subjects), len(tables)),
            "value": labelled(code, labels),
            "reason": labelled(code, reasons),
            "at": np.concatenate(at),
        },
        copy=False,
    )


def _decide(table: tuple[Rule, ...], counted: Counted, confirmed: Bools) -> tuple[Ints, Ints]:
    """For each subject the first rule that any response meets (their number, where none), and the response that met it."""
    decided, at = np.full(counted.subjects, len(table)), np.full(counted.subjects, -1)
    for place, rule in enumerate(table):
        first = _first(counted, _meets(rule, counted, confirmed))
        take = (at < 0) & (first >= 0)
        decided[take], at[take] = place, first[take]
    return decided, at


def _meets(rule: Rule, counted: Counted, confirmed: Bools) -> Bools:
    meets: Bools = np.isin(counted.value, rule.responses) & (counted.since >= rule.least if rule.least else True)
    if rule.confirmed:
        meets = meets & confirmed
    if rule.measurable is not None:
        meets = meets & (counted.measurable[counted.who] == rule.measurable)
    return meets


def _first(counted: Counted, meets: Bools) -> Ints:
    """The first response of each subject that meets a rule, -1 where none does."""
    first, found = np.full(counted.subjects, NO_DAY), np.flatnonzero(meets)
    np.minimum.at(first, counted.who[found], found)
    return np.where(first == NO_DAY, -1, first)
