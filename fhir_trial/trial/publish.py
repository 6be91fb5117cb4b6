"""Results as FHIR resources: what was measured, in whom, what came out, and how (architecture: results in FHIR)."""

import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from importlib.metadata import version as package_version
from typing import Any, get_type_hints

from fhir_trial.domain.dates import first_day, is_full_date
from fhir_trial.domain.entities import ENTITIES, Entity, Figure, Measure, Member, Population, Provenance, Result, When
from fhir_trial.domain.results import EndpointResult, Estimate
from fhir_trial.domain.tables import TrialData
from fhir_trial.endpoints.analyse import Results
from fhir_trial.errors import Findings
from fhir_trial.mapping import load
from fhir_trial.mapping.codecs import base_type
from fhir_trial.mapping.keys import BASE
from fhir_trial.trial.apart import Resource
from fhir_trial.trial.digest import data_digest
from fhir_trial.trial.resources import mark_synthetic

DIGITS = 12
"""Significant digits of a figure: beyond them machines differ."""


def result_resources(data: TrialData, results: Results, fhir: str, recorded: dt.datetime) -> list[Resource]:
    """The resources of every endpoint, overall and by arm; a Provenance says from which data, by which version, recorded when.

    `recorded` is written once: a later sync of the same result leaves the first time as it is.
    """
    mapping, findings = load(fhir, data.study), Findings()
    rows = list(_rows(data, results, When(recorded.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))))
    written = [mapping[entity].write(row, findings) for entity, row in sorted(rows, key=lambda pair: list(ENTITIES).index(pair[0]))]
    findings.raise_errors()
    return [mark_synthetic(resource) if data.synthetic else resource for resource in written if resource is not None]


def _rows(data: TrialData, results: Results, recorded: When) -> Iterator[tuple[str, Entity]]:
    digest, period = data_digest(data), data_period(data)
    software = f"fhir_trial {package_version('fhir_trial')}"
    every = [*results.values(), *(result for arm in results.by_arm.values() for result in arm.values())]
    for result in every:
        common = {"study": result.study, "endpoint": result.endpoint}
        if result.arm is None:
            url = measure_url(result)
            yield "measure", Measure(**common, url=url, title=result.label, description=f"Population: {result.population}")
        members = tuple(Member(study=result.study, subject=str(subject)) for subject in result.subjects["subject"])
        name = f"{result.study} {result.endpoint}{f', {result.arm}' if result.arm else ''}: subjects counted under {result.preset}"
        yield "population", Population(**common, arm=result.arm, preset=result.preset, name=name, members=members)
        yield "result", result_row(result, period)
        yield "provenance", Provenance(**common, arm=result.arm, preset=result.preset, software=software, digest=digest, recorded=recorded)


def measure_url(result: EndpointResult) -> str:
    """The canonical name of what an endpoint of a study measures."""
    return f"{BASE}Measure/{result.study}-{result.endpoint}"


def result_row(result: EndpointResult, period: tuple[When, When]) -> Result:
    """The result as a row: its counts and each estimate."""
    departures = json.dumps(dict(result.departures), sort_keys=True, default=str) if result.departures else None
    return Result(
        study=result.study,
        endpoint=result.endpoint,
        arm=result.arm,
        measure=measure_url(result),
        title=result.label,
        preset=result.preset,
        departures=departures,
        data_from=period[0],
        data_until=period[1],
        n=result.n,
        count=result.count,
        figures=tuple(_figure(estimate) for estimate in result.estimates),
    )


def _figure(estimate: Estimate) -> Figure:
    return Figure(
        name=estimate.name,
        value=_decimal(estimate.value),
        unit=estimate.unit or "1",
        lower=_decimal(estimate.lower),
        upper=_decimal(estimate.upper),
        level=_decimal(estimate.level),
        method=estimate.method,
        at=estimate.at,
        at_unit=estimate.at_unit,
        at_risk=estimate.at_risk,
    )


def _decimal(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(format(Decimal(f"{value:.{DIGITS}g}"), "f"))


def data_period(data: TrialData) -> tuple[When, When]:
    """The first and the last day that any record of a subject names."""
    days = sorted({first_day(when) for entity in data.tables for when in _whens(data, entity) if is_full_date(when)})
    if not days:
        today = When("1900-01-01")
        return today, today
    return When(days[0].isoformat()), When(days[-1].isoformat())


def _whens(data: TrialData, entity: str) -> Iterator[str]:
    """The dates of an entity's table, without those of birth."""
    for name, hint in get_type_hints(ENTITIES[entity]).items():
        if base_type(hint) is When and name != "birth_date" and entity != "study":
            yield from _distinct(data, entity, name)


def _distinct(data: TrialData, entity: str, name: str) -> list[Any]:
    return [value for value in data.table(entity)[name].unique().to_pylist() if value is not None]
