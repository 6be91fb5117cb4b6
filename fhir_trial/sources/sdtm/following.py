"""Rows that follow from others: consent and states of a subject from their dates, sites and enrolment, and what a response rests on."""

from collections.abc import Iterator, Mapping
from typing import Any

Row = dict[str, Any]

ENTERED = frozenset({"enrolled", "on-treatment", "follow-up", "completed", "withdrawn"})
"""The states of subjects who take part."""

STUDY_CONSENT = "study"
"""What a subject consented to: taking part."""

_WITHDRAWN = frozenset({"WITHDRAWAL BY SUBJECT", "WITHDRAWAL OF CONSENT", "CONSENT WITHDRAWN"})
_BASIS = ("study", "subject", "evaluator", "evaluator_id", "visit", "ordinal")


def consents(people: list[Row]) -> list[Row]:
    """A consent for each subject who gave one, who is marked as resting on it; a withdrawn one is inactive."""
    given = [person for person in people if person["consented_on"] is not None]
    for person in given:
        person["consent"] = STUDY_CONSENT
    return [
        {
            "study": person["study"],
            "subject": person["subject"],
            "consent": STUDY_CONSENT,
            "status": "inactive" if _withdrew(person) else "active",
            "on": person["consented_on"],
        }
        for person in given
    ]


def _withdrew(person: Row) -> bool:
    """Whether the subject took back the consent to take part, and not only that to be treated."""
    events = person["dispositions"] or ()
    return any((e["event"] or "").upper() in _WITHDRAWN and (e["scope"] or "").upper() != "STUDY TREATMENT" for e in events)


def states(person: Row) -> list[Row]:
    """The states that a subject went through, as far as dates tell; a period whose end cannot be after its start has none.

    >>> states({"state": "completed", "consented_on": "2023-01-02", "enrolled_on": "2023-01-09", "first_dose_on": None,
    ...         "last_dose_on": None, "ended_on": "2023-06"})[1]
    {'state': 'enrolled', 'start': '2023-01-09', 'end': '2023-06'}
    """
    consented, enrolled, first, last, ended = (
        person[name] for name in ("consented_on", "enrolled_on", "first_dose_on", "last_dose_on", "ended_on")
    )
    periods = [("screening", consented, enrolled), ("enrolled", enrolled, first or ended), ("on-treatment", first, last)]
    if person["state"] in ("completed", "withdrawn", "screen-failure", "follow-up"):
        periods.append((person["state"], ended, None))
    return [
        {"state": state, "start": start, "end": end if end is not None and end[:10] >= start[:10] else None}
        for state, start, end in periods
        if start is not None
    ]


def link_responses(responses: list[Row], measurements: list[Row], sums: list[Row]) -> None:
    """Write into each response what it rests on: the same evaluator's measurements and sums of the same visit.

    A target response rests on target lesions, a non-target one on non-target lesions, a new lesion on new ones, an overall one on all.
    """
    measured, summed = _by_visit(measurements), _by_visit(sums)
    for response in responses:
        place = _place(response)
        if place is None or response["test"] == "marker":
            continue
        roles = {response["test"]} if response["test"] in ("target", "non-target") else {"new"}
        kept = [m for m in measured.get(place, ()) if response["test"] == "overall" or m["role"] in roles]
        response["measurements"] = [{name: m[name] for name in (*_BASIS, "lesion")} for m in kept]
        if response["test"] in ("overall", "target"):
            response["sums"] = [{name: s[name] for name in _BASIS} for s in summed.get(place, ())]


def _place(row: Row) -> tuple[Any, ...] | None:
    """Whose reading at which visit; None where the visit has no name."""
    return None if row["visit"] is None else (row["subject"], row["evaluator"], row["evaluator_id"], row["visit"])


def _by_visit(rows: list[Row]) -> Mapping[tuple[Any, ...], list[Row]]:
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if (place := _place(row)) is not None:
            found.setdefault(place, []).append(row)
    return found


def sites(people: list[Row]) -> Iterator[Row]:
    """The sites of the subjects, each once, with the country where all its subjects have the same."""
    countries: dict[str, set[str | None]] = {}
    for person in people:
        if person["site"] is not None:
            countries.setdefault(person["site"], set()).add(person["country"])
    for site, found in sorted(countries.items()):
        yield {"study": people[0]["study"], "site": site, "country": found.pop() if len(found) == 1 else None}


def enrolled(people: list[Row]) -> list[Row]:
    """The subjects who take part."""
    return [{"study": p["study"], "subject": p["subject"]} for p in people if p["state"] in ENTERED]
