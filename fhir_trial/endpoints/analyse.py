"""The analysis of a trial: every endpoint, overall and by arm, with the tables behind the figures and what was noticed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from fhir_trial.domain.results import EndpointResult, Estimate
from fhir_trial.domain.tables import TrialData
from fhir_trial.endpoints import exposure, safety
from fhir_trial.endpoints.analysis import SAFETY, Analysis, prepare
from fhir_trial.endpoints.between import Between
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.fact_tables import on_days
from fhir_trial.endpoints.factors import Factor
from fhir_trial.endpoints.reports import reports
from fhir_trial.endpoints.subgroups import Subgroup, subgroups
from fhir_trial.endpoints.subjects import first_dose, study_day
from fhir_trial.endpoints.time_to_event import COLUMNS
from fhir_trial.errors import Findings, NoSuchName, UsageError


@dataclass(frozen=True)
class Results(Mapping[str, EndpointResult]):
    """Results by endpoint name (all subjects), `by_arm` those of each arm, and the tables they come from.

    `adsl`, `adrs`, `adtte`, `safety` and `exposure` have domain column names; `day` in `adrs` and in every report is the study day, counted
    from the first dose as in the trial's tables. `findings` is what the analysis noticed beyond the data's own
    findings, an endpoint that had to be left out among it. `between_arms` compares the arms in each time to an event. `analysis` is what
    figures of other groups of subjects are read off. `reports` are the tables beside the endpoints (`reports.reports`), by name.
    """

    study: str
    conventions: Conventions
    overall: Mapping[str, EndpointResult]
    by_arm: Mapping[str, Mapping[str, EndpointResult]]
    adsl: pd.DataFrame = field(repr=False)
    adrs: pd.DataFrame = field(repr=False)
    adtte: pd.DataFrame = field(repr=False)
    safety: pd.DataFrame = field(repr=False)
    exposure: pd.DataFrame = field(repr=False)
    findings: Findings
    synthetic: bool = False
    between_arms: Mapping[str, Between] = field(default_factory=dict)
    analysis: Analysis | None = field(default=None, repr=False, compare=False)
    reports: Mapping[str, pd.DataFrame] = field(default_factory=dict, repr=False)
    subgroups: tuple[Subgroup, ...] = field(default=(), repr=False)

    @property
    def derivation(self) -> Analysis:
        """What the results were read off; a `UsageError` for results that were put together by hand."""
        if self.analysis is None:
            raise UsageError("these results were not derived from data: there is nothing to read other groups off")
        return self.analysis

    def of_everyone_and_arms(self) -> Iterator[EndpointResult]:
        """Each endpoint's result in all subjects, followed in a study of several arms by that of each arm."""
        for name, overall in self.overall.items():
            yield overall
            yield from (found[name] for found in self.by_arm.values() if name in found)

    def __getitem__(self, name: str) -> EndpointResult:
        """The result of that endpoint in all subjects; `NoSuchName`, a KeyError, names those there are."""
        if name not in self.overall:
            raise NoSuchName("endpoint", name, self.overall)
        return self.overall[name]

    def __iter__(self) -> Iterator[str]:
        """The endpoints' names."""
        return iter(self.overall)

    def __len__(self) -> int:
        """How many endpoints there are."""
        return len(self.overall)


def analyse(data: TrialData, conventions: Conventions) -> Results:
    """Every endpoint of `data` under `conventions`; one whose data are missing is left out with a finding that names them.

    Where the conventions name no data cutoff, the one that the data state is in force.
    """
    analysis = prepare(data, conventions)
    conventions, findings, derived = analysis.conventions, analysis.findings, analysis.derived
    compared = analysis.between_arms()
    doses = exposure.table(analysis.tables, data.study, conventions, findings)
    return Results(
        data.study.id,
        conventions,
        _tested(analysis.results(None), compared),
        {arm: _with_ratios(analysis.results(arm), arm, compared) for arm in sorted(analysis.arms())},
        analysis.adsl,
        _with_study_day(analysis.responses.table(), analysis.adsl),
        pd.concat(derived.values(), ignore_index=True) if derived else pd.DataFrame(columns=list(COLUMNS)),
        safety.table(analysis.tables, analysis.adsl, conventions, findings),
        doses,
        findings,
        data.synthetic,
        compared,
        analysis,
        reports(analysis, doses),
    )


def _with_study_day(responses: pd.DataFrame, adsl: pd.DataFrame) -> pd.DataFrame:
    """The responses with `day`: 1 on the day of the first dose, none for who was never treated."""
    return responses.assign(day=study_day(on_days(responses["on"], "mid"), first_dose(responses, adsl)))


def with_subgroups(results: Results, by: Sequence[str], strata: Sequence[str] = ()) -> Results:
    """The results with every endpoint in each level of the factors `by`, such as sex or age:65; comparisons are stratified by `strata`."""
    if not by:
        return results
    endpoints = [name for name in results if name != SAFETY]
    factors, stratified = ([Factor.parse(text) for text in texts] for texts in (by, strata))
    return replace(results, subgroups=subgroups(results.derivation, endpoints, factors, stratified))


def _tested(results: dict[str, EndpointResult], compared: Mapping[str, Between]) -> dict[str, EndpointResult]:
    """The results of all subjects with the p of the log-rank test between the arms, where there are arms."""
    return {name: _with(result, *_test(compared[name])) if name in compared else result for name, result in results.items()}


def _test(found: Between) -> tuple[Estimate, ...]:
    return (Estimate("log_rank_p", found.p, method=f"log-rank between arms, {found.degrees} degrees of freedom"),)


def _with_ratios(results: dict[str, EndpointResult], arm: str, compared: Mapping[str, Between]) -> dict[str, EndpointResult]:
    """The results of an arm with its hazard ratios against the arm of reference."""
    return {name: _with(result, *_ratios(compared.get(name), arm)) for name, result in results.items()}


def _ratios(found: Between | None, arm: str) -> Iterator[Estimate]:
    for ratio in found.ratios if found else ():
        if found and ratio.group == arm:
            yield Estimate("hazard_ratio", ratio.value, ratio.lower, ratio.upper, found.level, found.method)


def _with(result: EndpointResult, *more: Estimate) -> EndpointResult:
    return replace(result, estimates=(*result.estimates, *more))
