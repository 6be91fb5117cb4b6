"""What an analysis gave, as rows that are written to FHIR: the measure, the population, the result and where it came from."""

from decimal import Decimal

from fhir_trial.domain.base import Entity, When


class Measure(Entity, frozen=True, kw_only=True):
    """What an endpoint measures; `url` is its canonical name."""

    study: str
    endpoint: str
    url: str
    title: str
    description: str | None = None


class Member(Entity, frozen=True, kw_only=True):
    """A subject counted in a result."""

    study: str
    subject: str


class Population(Entity, frozen=True, kw_only=True):
    """The subjects behind one result: its manifest."""

    study: str
    endpoint: str
    arm: str | None = None
    preset: str
    name: str
    members: tuple[Member, ...] = ()


class Figure(Entity, frozen=True, kw_only=True):
    """One estimate of a result; a `value` or limit that is None was not reached. `at` is the time of a rate, `level` the interval's."""

    name: str
    value: Decimal | None = None
    unit: str
    lower: Decimal | None = None
    upper: Decimal | None = None
    level: Decimal | None = None
    method: str | None = None
    at: Decimal | None = None
    at_unit: str | None = None
    at_risk: int | None = None


class Result(Entity, frozen=True, kw_only=True):
    """What an endpoint gave, in one arm or (None) all of them: `n` subjects, `count` with the event, under the conventions of `preset`."""

    study: str
    endpoint: str
    arm: str | None = None
    measure: str
    title: str
    preset: str
    departures: str | None = None
    data_from: When
    data_until: When
    n: int
    count: int
    figures: tuple[Figure, ...] = ()


class Provenance(Entity, frozen=True, kw_only=True):
    """How a result came about: from which input (`digest`, sha256), by which software, and when it was first recorded."""

    study: str
    endpoint: str
    arm: str | None = None
    preset: str
    software: str
    digest: str
    recorded: When
