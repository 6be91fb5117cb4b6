"""Adverse events: which ones a subject had, when, and what they did to treatment."""

from dataclasses import dataclass

from fhir_trial.simulate.draws import Draws
from fhir_trial.simulate.parameters import EventKind, Parameters
from fhir_trial.simulate.person import Person

ACTION = {"stops": "DRUG WITHDRAWN", "reduces": "DOSE REDUCED", "delays": "DRUG INTERRUPTED"}


@dataclass(frozen=True)
class Event:
    """One adverse event; `end_day` may lie beyond the time the subject was seen."""

    kind: EventKind
    grade: int
    start_day: int
    end_day: int
    serious: bool
    action: str = "DOSE NOT CHANGED"


def adverse_events(person: Person, seed: int, parameters: Parameters) -> tuple[Event, ...]:
    """The events a subject would have if treated throughout, by their first day."""
    found: list[Event] = []
    for index, kind in enumerate(parameters.events.list):
        draws = Draws(seed, person.number, 3, index)
        if draws.chance(kind.chance):
            first = _event(person, kind, draws, draws.pick(kind.grades), person.first_dose_day + draws.whole(kind.onset))
            found.append(first)
            if draws.chance(kind.again):
                found.append(_event(person, kind, draws, min(first.grade, 2), first.end_day + draws.whole((8, 20))))
    return tuple(sorted(found, key=lambda event: (event.start_day, event.kind.term)))


def _event(person: Person, kind: EventKind, draws: Draws, grade: int, start_day: int) -> Event:
    chances = {"stops": kind.stops, "reduces": kind.reduces, "delays": kind.delays}
    action = next((ACTION[what] for what, chance in chances.items() if draws.chance(chance) and grade >= 3), "DOSE NOT CHANGED")
    serious = draws.chance(kind.serious) and grade >= 3
    return Event(kind, grade, start_day, start_day + draws.whole(kind.days), serious, action)
