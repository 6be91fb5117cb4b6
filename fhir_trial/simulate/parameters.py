"""The cohort's parameters, typed: what `parameters.yaml` holds."""

import datetime as dt
from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct

Pair = tuple[int, int]


class Bell(Struct, frozen=True, forbid_unknown_fields=True):
    """A bell-shaped quantity cut at `low` and `high`."""

    mean: float
    sd: float
    low: float
    high: float


class Calendar(Struct, frozen=True, forbid_unknown_fields=True):
    """When and where the fictional study took place."""

    first_enrolment: dt.date
    enrolment_days: int
    cutoff: dt.date
    site: str
    country: str


class PersonParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes part, and the days around enrolment."""

    female: float
    race: str
    age: Bell
    height_cm: dict[str, Bell]
    weight_kg: dict[str, Bell]
    ecog_1: float
    consent_to_enrolment: Pair
    scan_to_enrolment: Pair
    enrolment_to_dose: Pair


class Schedule(Struct, frozen=True, forbid_unknown_fields=True):
    """When tumours are assessed, and how often that fails."""

    scan_interval: int
    scan_shift: Pair
    scans: int
    missed_scan: float
    lesion_not_evaluable: float


class TumourCourse(Struct, frozen=True, forbid_unknown_fields=True):
    """How a subject's lesions change per scan interval until scan `until`."""

    weight: float
    change: Bell
    until: Pair
    progressing: bool = False
    """Whether the disease progresses from the first day."""


class TumourParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Lesions at the start, and how they grow, shrink and spread."""

    targets: dict[int, float]
    non_targets: dict[int, float]
    organs: dict[str, float]
    non_target_organs: dict[str, float]
    per_organ: int
    size: Bell
    node_short_axis: Bell
    smallest_seen: int
    lesion_spread: float
    regrowth: float
    new_lesion: float
    non_target_progression: float
    new_organs: dict[str, float]
    courses: dict[str, TumourCourse]


class Reader(Struct, frozen=True, forbid_unknown_fields=True):
    """The independent assessor."""

    evaluator: str
    id: str
    disagrees: float


class FollowUp(Struct, frozen=True, forbid_unknown_fields=True):
    """How participation ends; hazards are per week."""

    death_on_treatment: float
    death_after_progression: float
    withdrawal: float
    loss: float
    scans_after_toxicity: float
    subsequent_therapy: float
    therapy_after_progression: Pair
    therapies: dict[str, float]


class Treatment(Struct, frozen=True, forbid_unknown_fields=True):
    """Delays, reductions and the subject's condition by cycle."""

    delayed: float
    delay_days: Pair
    omitted: float
    omitted_reason: str
    levels: tuple[float, ...]
    weight_change: Bell
    worse_ecog: float


class EventKind(Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of adverse event; `reduces`, `delays`, `stops` are the chances that a grade 3 event changes treatment so."""

    term: str
    organ_class: str
    chance: float
    grades: dict[int, float]
    onset: Pair
    days: Pair
    related: str
    again: float = 0.0
    serious: float = 0.0
    reduces: float = 0.0
    delays: float = 0.0
    stops: float = 0.0


class Events(Struct, frozen=True, forbid_unknown_fields=True):
    """The adverse events and how they are graded."""

    grading: str
    delay_days: Pair
    list: tuple[EventKind, ...]


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """All of them."""

    calendar: Calendar
    person: PersonParameters
    schedule: Schedule
    tumour: TumourParameters
    reader: Reader
    follow_up: FollowUp
    treatment: Treatment
    events: Events


@cache
def parameters() -> Parameters:
    """The parameters of this package's `parameters.yaml`."""
    text = files(__package__).joinpath("parameters.yaml").read_bytes()
    return msgspec.yaml.decode(text, type=Parameters)
