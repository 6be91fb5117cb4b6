"""Who takes part: the fictional subjects and their first days. Days count from enrolment, day 0."""

import datetime as dt
from dataclasses import dataclass
from math import sqrt

from fhir_trial.domain.study import ArmDefinition, StudyDefinition
from fhir_trial.simulate.draws import Draws
from fhir_trial.simulate.parameters import Parameters


@dataclass(frozen=True)
class Person:
    """One subject as enrolled; `last_day` is the cutoff."""

    number: int
    subject: str
    arm: ArmDefinition
    sex: str
    age: int
    height_cm: int
    weight_kg: float
    ecog: int
    enrolled: dt.date
    consent_day: int
    baseline_day: int
    first_dose_day: int
    last_day: int

    def on(self, day: int) -> str:
        """The date of a day from enrolment."""
        return (self.enrolled + dt.timedelta(days=day)).isoformat()


def mosteller(height_cm: float, weight_kg: float) -> float:
    """Body surface area in m2 (Mosteller 1987), to two decimals.

    >>> mosteller(170, 65.0)
    1.75
    """
    return round(sqrt(height_cm * weight_kg / 3600), 2)


def enrol(study: StudyDefinition, n: int, seed: int, parameters: Parameters) -> list[Person]:
    """`n` subjects in the order of their enrolment."""
    calendar = parameters.calendar
    dates = Draws(seed, 0)
    days = sorted(dates.whole((0, calendar.enrolment_days)) for _ in range(n))
    return [
        _person(study, number, seed, parameters, calendar.first_enrolment + dt.timedelta(days=day))
        for number, day in enumerate(days, start=1)
    ]


def _person(study: StudyDefinition, number: int, seed: int, parameters: Parameters, enrolled: dt.date) -> Person:
    draws, person = Draws(seed, number, 1), parameters.person
    sex = "F" if draws.chance(person.female) else "M"
    return Person(
        number=number,
        subject=f"SYN-{number:03d}",
        arm=draws.pick(dict.fromkeys(study.arms, 1.0)),
        sex=sex,
        age=round(draws.bell(person.age)),
        height_cm=round(draws.bell(person.height_cm[sex])),
        weight_kg=round(draws.bell(person.weight_kg[sex]), 1),
        ecog=int(draws.chance(person.ecog_1)),
        enrolled=enrolled,
        consent_day=-draws.whole(person.consent_to_enrolment),
        baseline_day=-draws.whole(person.scan_to_enrolment),
        first_dose_day=draws.whole(person.enrolment_to_dose),
        last_day=(parameters.calendar.cutoff - enrolled).days,
    )
