"""Cycles of treatment: when each was given, at which body surface area and dose level."""

from dataclasses import dataclass
from decimal import Decimal

from fhir_trial.domain.study import Drug
from fhir_trial.simulate.course import Course
from fhir_trial.simulate.draws import Draws
from fhir_trial.simulate.events import ACTION
from fhir_trial.simulate.parameters import Parameters
from fhir_trial.simulate.person import mosteller


@dataclass(frozen=True)
class Cycle:
    """One cycle: `level` is the fraction of the planned dose per m2 that was given, `adjustment` why it was late or reduced."""

    number: int
    day: int
    weight_kg: float
    bsa_m2: float
    ecog: int
    level: float
    adjustment: str | None = None

    def dose(self, drug: Drug) -> int:
        """What was given of a drug, in whole mg: per m2 by body surface area and level, else the planned amount."""
        assert drug.planned is not None
        if drug.planned.unit != "mg/m2":
            return int(drug.planned.dose)
        return int((drug.planned.dose * Decimal(str(self.bsa_m2)) * Decimal(str(self.level))).to_integral_value())


def cycles(course: Course, cycle_days: int, seed: int, parameters: Parameters) -> list[Cycle]:
    """The cycles given before treatment ended; the first one always is."""
    draws, of, person = Draws(seed, course.person.number, 5), parameters.treatment, course.person
    day, weight, ecog, step = person.first_dose_day, person.weight_kg, person.ecog, 0
    given: list[Cycle] = []
    while not given or day < course.treatment_end_day:
        reduced = sum(event.action == ACTION["reduces"] and event.start_day < day for event in course.events)
        adverse = [event for event in course.events if event.action == ACTION["delays"] and day - cycle_days < event.start_day <= day]
        late = bool(given) and (bool(adverse) or draws.chance(of.delayed))
        day += draws.whole(parameters.events.delay_days if adverse else of.delay_days) if late else 0
        if given and day >= course.treatment_end_day:
            break
        changed = min(reduced, len(of.levels) - 1) > step or bool(given and adverse)
        step = min(reduced, len(of.levels) - 1)
        adjustment = "ADVERSE EVENT" if changed else "SCHEDULING" if late else None
        given.append(Cycle(len(given) + 1, day, weight, mosteller(person.height_cm, weight), ecog, of.levels[step], adjustment))
        day += cycle_days
        weight = round(weight * draws.bell(of.weight_change), 1)
        ecog = min(ecog + int(draws.chance(of.worse_ecog)), 2)
    return given
