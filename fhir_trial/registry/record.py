"""A results record as registries have it, in no file format: what is reported, by group. Values are texts as they will stand there."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Counts = Mapping[str, int]
"""Subjects (or events) by the key of a group."""

NOT_AVAILABLE = "NA"
"""The value of a figure that could not be estimated; its comment says why."""


@dataclass(frozen=True)
class Group:
    """A column of the record's tables: an arm, or all subjects."""

    key: str
    title: str
    description: str | None = None


@dataclass(frozen=True)
class ReasonNotCompleted:
    """Why subjects did not complete; `other` names a reason that PRS has no word for."""

    reason: str
    counts: Counts
    other: str | None = None


@dataclass(frozen=True)
class ParticipantFlow:
    """Subjects who started and completed the study, and why the others did not."""

    started: Counts
    completed: Counts
    reasons: tuple[ReasonNotCompleted, ...]


@dataclass(frozen=True)
class Entry:
    """A figure with its limits or spread; `comment` explains a value or limit that is not available."""

    value: str
    lower: str | None = None
    upper: str | None = None
    spread: str | None = None
    comment: str | None = None
    category: str | None = None


@dataclass(frozen=True)
class Measure:
    """A baseline characteristic or an outcome: `entries` and the number `analysed` by group key."""

    title: str
    parameter: str
    unit: str
    analysed: Counts
    entries: Mapping[str, tuple[Entry, ...]]
    dispersion: str | None = None
    interval_level: str | None = None
    description: str | None = None
    population: str | None = None
    time_frame: str | None = None
    level: str | None = None
    """Primary, Secondary or Other; None for a baseline characteristic."""


@dataclass(frozen=True)
class EventCounts:
    """One adverse event in one group."""

    events: int
    affected: int
    at_risk: int


@dataclass(frozen=True)
class EventRow:
    """One adverse event term with its counts by group key; `organ_system` is None where the data has none that PRS knows."""

    term: str
    organ_system: str | None
    counts: Mapping[str, EventCounts]


@dataclass(frozen=True)
class EventTotals:
    """A group's deaths from any cause, and subjects with a serious or another listed event, each with those at risk."""

    deaths: int
    mortality_at_risk: int
    serious: int
    other: int
    at_risk: int


@dataclass(frozen=True)
class ReportedEvents:
    """The adverse events: all serious ones, and others above `threshold` percent in any group."""

    threshold: int
    totals: Mapping[str, EventTotals]
    serious: tuple[EventRow, ...]
    other: tuple[EventRow, ...]
    time_frame: str


@dataclass(frozen=True)
class ResultsRecord:
    """The results of one study; `synthetic` ones are marked in every part, so that nobody can take them for real."""

    study: str
    sponsor: str
    title: str
    official_title: str | None
    groups: tuple[Group, ...]
    flow: ParticipantFlow
    baseline: tuple[Measure, ...]
    outcomes: tuple[Measure, ...]
    events: ReportedEvents
    synthetic: bool = False
    caveats: tuple[str, ...] = field(default=())
