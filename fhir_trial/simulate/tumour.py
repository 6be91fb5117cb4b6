"""Lesions over time: what is found at each scan, until the disease progresses."""

from collections import Counter
from dataclasses import dataclass, field

from fhir_trial.simulate.draws import Draws
from fhir_trial.simulate.parameters import Parameters, TumourParameters
from fhir_trial.simulate.person import Person

NODE = "LYMPH NODE"
TOO_SMALL_MM = 5
"""The size that stands for a lesion too small to measure (RECIST 1.1)."""

ABSENT, PRESENT, PROGRESSION, UNEQUIVOCAL, NOT_EVALUABLE = (
    "ABSENT",
    "PRESENT",
    "UNEQUIVOCAL PROGRESSION",
    "UNEQUIVOCAL",
    "NOT EVALUABLE",
)


@dataclass(frozen=True)
class Lesion:
    """A lesion as identified at the screening scan, or at a later one for a new lesion."""

    name: str
    role: str
    organ: str
    found_at: int = 0
    """Number of the scan that found it; 0 is screening."""

    @property
    def nodal(self) -> bool:
        """Whether it is a lymph node, measured by its short axis."""
        return self.organ == NODE


@dataclass(frozen=True)
class Scan:
    """What one scan showed: `sizes` of targets in mm (None: not evaluable), `states` of all other lesions."""

    number: int
    day: int
    done: bool = True
    sizes: dict[str, int | None] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    response: str = "NE"
    """As the conduct of the fictional study judged it; the analysis derives its own from the lesions."""

    @property
    def total(self) -> int | None:
        """The sum of diameters, unless a target was not evaluable."""
        sizes = [size for size in self.sizes.values() if size is not None]
        return sum(sizes) if len(sizes) == len(self.sizes) else None


@dataclass(frozen=True)
class TumourStory:
    """A subject's lesions and scans; the last scan is the one that showed progression, if any did."""

    lesions: tuple[Lesion, ...]
    scans: tuple[Scan, ...]

    @property
    def progression_day(self) -> int | None:
        """The day of the scan that showed progression."""
        return next((scan.day for scan in self.scans if scan.response == "PD"), None)

    def until(self, day: int) -> "TumourStory":
        """The story as far as it was seen by `day`."""
        scans = tuple(scan for scan in self.scans if scan.day <= day)
        seen = {scan.number for scan in scans}
        return TumourStory(tuple(lesion for lesion in self.lesions if lesion.found_at in seen), scans)


class _Disease:
    """The true state of one subject's lesions, moved from scan to scan."""

    def __init__(self, draws: Draws, parameters: TumourParameters) -> None:
        self._draws, self._of = draws, parameters
        self.lesions = [*self._targets(), *self._non_targets()]
        self.sizes = {lesion.name: self._first_size(lesion) for lesion in self.lesions if lesion.role == "TARGET"}
        self.states = {lesion.name: PRESENT for lesion in self.lesions if lesion.role == "NON-TARGET"}
        self._course = draws.pick({course: course.weight for course in parameters.courses.values()})
        self._until = draws.whole(self._course.until)
        self._change = draws.bell(self._course.change)

    def _targets(self) -> list[Lesion]:
        wanted, taken, found = self._draws.pick(self._of.targets), Counter[str](), []
        for number in range(1, wanted + 1):
            free = {organ: weight for organ, weight in self._of.organs.items() if taken[organ] < self._of.per_organ}
            organ = self._draws.pick(free)
            taken[organ] += 1
            found.append(Lesion(f"T{number:02d}", "TARGET", organ))
        return found

    def _non_targets(self) -> list[Lesion]:
        count = self._draws.pick(self._of.non_targets)
        return [Lesion(f"NT{number:02d}", "NON-TARGET", self._draws.pick(self._of.non_target_organs)) for number in range(1, count + 1)]

    def _first_size(self, lesion: Lesion) -> float:
        return float(round(self._draws.bell(self._of.node_short_axis if lesion.nodal else self._of.size)))

    def advance(self, scan: int) -> None:
        """Move every lesion by one scan interval."""
        progressing = self._course.progressing or scan > self._until
        change = self._of.regrowth if scan > self._until else self._change
        self.sizes = {name: size * max(0.1, self._draws.normal(change, self._of.lesion_spread)) for name, size in self.sizes.items()}
        if progressing and self._draws.chance(self._of.new_lesion):
            self._spread(scan)
        for name in self.states:
            if progressing and name.startswith("NT") and self._draws.chance(self._of.non_target_progression):
                self.states[name] = PROGRESSION

    def _spread(self, scan: int) -> None:
        number = 1 + sum(lesion.role == "NEW" for lesion in self.lesions)
        lesion = Lesion(f"NEW{number:02d}", "NEW", self._draws.pick(self._of.new_organs), found_at=scan)
        self.lesions.append(lesion)
        self.states[lesion.name] = UNEQUIVOCAL

    def vanish(self) -> None:
        """Where every target is gone the other lesions go too."""
        if all(size < self._of.smallest_seen for size in self.sizes.values()):
            self.states.update({name: ABSENT for name, state in self.states.items() if state == PRESENT})


def judge(scan: Scan, sums: list[int]) -> str:
    """How the fictional investigators judged a scan, with the earlier `sums` of diameters: enough of RECIST 1.1 to end treatment by.

    Progression is a sum 20 % and 5 mm over the smallest one (Eisenhauer 2009); whole millimetres, so nothing is rounded.
    """
    measured = sum(size for size in scan.sizes.values() if size is not None)
    if UNEQUIVOCAL in scan.states.values() or PROGRESSION in scan.states.values():
        return "PD"
    if 5 * measured >= 6 * min(sums) and measured - min(sums) >= 5:
        return "PD"
    if scan.total is None:
        return "NE"
    if measured == 0 and set(scan.states.values()) <= {ABSENT}:
        return "CR"
    return "PR" if 10 * measured <= 7 * sums[0] else "SD"


def tumour_story(person: Person, seed: int, parameters: Parameters) -> TumourStory:
    """A subject's scans, up to progression or the last one planned, as if nothing else happened to the subject."""
    draws, schedule = Draws(seed, person.number, 2), parameters.schedule
    disease = _Disease(draws, parameters.tumour)
    scans = [Scan(0, person.baseline_day, sizes={n: round(s) for n, s in disease.sizes.items()}, states=dict(disease.states), response="")]
    sums = [scans[0].total or 0]
    for number in range(1, schedule.scans + 1):
        disease.advance(number)
        disease.vanish()
        day = number * schedule.scan_interval + draws.whole(schedule.scan_shift)
        scan = _look(disease, draws, parameters, number, day)
        if scan.done:
            scan = Scan(number, day, sizes=scan.sizes, states=scan.states, response=judge(scan, sums))
            sums.extend([scan.total] if scan.total is not None else [])
        scans.append(scan)
        if scan.response == "PD":
            break
    return TumourStory(tuple(disease.lesions), tuple(scans))


def _look(disease: _Disease, draws: Draws, parameters: Parameters, number: int, day: int) -> Scan:
    if draws.chance(parameters.schedule.missed_scan):
        return Scan(number, day, done=False)
    return Scan(number, day, sizes={n: _measure(s, draws, parameters) for n, s in disease.sizes.items()}, states=dict(disease.states))


def _measure(size: float, draws: Draws, parameters: Parameters) -> int | None:
    """In whole mm: 0 is gone, and one too small to measure has the size that stands for it."""
    if draws.chance(parameters.schedule.lesion_not_evaluable):
        return None
    if size < parameters.tumour.smallest_seen:
        return 0
    return max(round(size), TOO_SMALL_MM)
