"""What results are made of: responses, times to events and who is in which population and arm; figures of any group of subjects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from fhir_trial.domain.dates import last_day
from fhir_trial.domain.entities import ENTITIES
from fhir_trial.domain.results import EndpointResult, Estimate
from fhir_trial.domain.study import EndpointDefinition
from fhir_trial.domain.tables import TrialData
from fhir_trial.endpoints import estimates, safety, subjects
from fhir_trial.endpoints.between import COMPARATORS, Between, between
from fhir_trial.endpoints.columns import with_codes
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.facts import Facts, gather
from fhir_trial.endpoints.proportions import proportion
from fhir_trial.endpoints.response import RATES, Responses, denominator, respond
from fhir_trial.endpoints.time_to_event import derive
from fhir_trial.endpoints.time_to_event_rules import ENDPOINTS, defined
from fhir_trial.errors import Finding, Findings, UsageError

POPULATIONS = {
    "enrolled": "intention_to_treat",
    "randomized": "intention_to_treat",
    "treated": "safety",
    "safety": "safety",
    "evaluable": "efficacy",
    "efficacy": "efficacy",
}
"""The flag of `adsl` that each population of an endpoint's definition is."""

LABELS = {
    "ORR": "Objective response rate",
    "CORR": "Confirmed objective response rate",
    "DCR": "Disease control rate",
    "CBR": "Clinical benefit rate",
    "SAFETY": "Treatment-emergent adverse events",
}
"""Endpoints that are no time to an event, as they are usually called."""

SAFETY = "SAFETY"

ASSESSMENTS = "tumour measurements (TR) or responses (RS)"
"""What endpoints that rest on assessments need."""


def prepare(data: TrialData, conventions: Conventions) -> "Analysis":
    """Derive everything that figures rest on, of `data` under `conventions`; what is missing is in the findings.

    Where the conventions name no data cutoff, the one that the data state is in force.
    """
    if conventions.data_cutoff is None and data.data_cutoff is not None:
        # a cutoff that names a month sees the whole of it
        conventions = conventions.with_settings({"data_cutoff": last_day(data.data_cutoff).isoformat()})
    tables = {name: data.frame(name) for name in ENTITIES if data.table(name).num_rows} | {"subject": data.frame("subject")}
    coded, findings = with_codes(tables), Findings()
    responses = respond(coded, conventions)
    facts = gather(coded, responses.of_evaluator(), conventions)
    findings.extend(responses.findings)
    findings.extend(facts.findings)
    adsl = subjects.adsl(tables, facts, data.study, conventions)
    derived = _derived(data, facts, conventions, findings)
    for name in () if assessed(data) else RATES:
        _leave_out(name, "measurement, response", ASSESSMENTS, findings)
    return Analysis(data, conventions, tables, adsl, derived, responses, findings)


def assessed(data: TrialData) -> bool:
    """Whether the source tells of assessments at all; a domain that came without a row says that nobody was assessed."""
    return "measurement" in data.tables or "response" in data.tables


@dataclass(frozen=True)
class Analysis:
    """Tables by entity, and what was derived from them; figures of any group of subjects are read off it."""

    data: TrialData
    conventions: Conventions
    tables: Mapping[str, pd.DataFrame] = field(repr=False)
    adsl: pd.DataFrame = field(repr=False)
    derived: Mapping[str, pd.DataFrame] = field(repr=False)
    responses: Responses = field(repr=False)
    findings: Findings = field(repr=False)

    def arms(self) -> list[str]:
        """The arms that enrolled subjects are in, the one that others are compared with first; none in a study of one arm."""
        defined_arms = self.data.study.arms
        if len(defined_arms) == 1:
            return []
        order = [arm.name for arm in sorted(defined_arms, key=lambda arm: arm.type not in COMPARATORS)]
        present = {str(arm) for arm in self.adsl.loc[self.adsl["intention_to_treat"], "arm"]}
        return [arm for arm in order if arm in present] + sorted(present - set(order))

    def results(self, arm: str | None, among: frozenset[str] | None = None) -> dict[str, EndpointResult]:
        """Every endpoint's result in an arm (None: in all), and of the subjects in `among` only where it is given."""
        return {name: self.result(name, arm, among) for name in self.names()}

    def names(self) -> list[str]:
        """The endpoints that the data allow."""
        rated = list(RATES) if assessed(self.data) else []
        return [*self.derived, *rated, *([SAFETY] if self.data.table("adverse_event").num_rows else [])]

    def result(self, name: str, arm: str | None = None, among: frozenset[str] | None = None) -> EndpointResult:
        """The result of one of `names`."""
        rows = self.rows(name, arm, among)
        if name in self.derived:
            return self._time_to_event(name, arm, rows)
        own, counted = self.definition(name), self.counted(name, arm, among)
        method, level = self.conventions.proportion_interval, float(self.conventions.level)
        yes = len(rows) if name == SAFETY else int((rows["subject"].isin(counted) & (rows["value"] == "Y")).sum())
        share = proportion(yes, len(counted), method, level)
        return self._result(own, arm, (share.n, share.x), (estimates.rate(share),), rows)

    def definition(self, name: str) -> EndpointDefinition:
        """The study's definition of an endpoint, else the usual one."""
        own = [e for e in self.data.study.endpoints if e.name == name]
        kind = "safety" if name == SAFETY else "proportion" if name in RATES else "time-to-event"
        label = LABELS[name] if name in LABELS else ENDPOINTS[name].label
        return own[0] if own else EndpointDefinition(name=name, label=label, kind=kind)

    def counted(self, name: str, arm: str | None = None, among: frozenset[str] | None = None) -> set[str]:
        """The subjects that an endpoint's figure is of: its denominator."""
        if name == SAFETY:
            return self.members("treated", arm, among)
        if name not in RATES:
            return self.members(self.definition(name).population, arm, among)
        return set(denominator(self.responses, _of(self.tables["subject"], self._asked(arm, among)), self.conventions))

    def members(self, population: str, arm: str | None = None, among: frozenset[str] | None = None) -> set[str]:
        """The subjects of a population, in an arm where one is given."""
        flag = self.adsl[POPULATIONS.get(population, "intention_to_treat")].to_numpy(dtype=bool)
        chosen = flag if arm is None else flag & (self.adsl["arm"] == arm).to_numpy(dtype=bool)
        found = set(self.adsl["subject"][chosen])
        return found if among is None else found & among

    def rows(self, name: str, arm: str | None = None, among: frozenset[str] | None = None) -> pd.DataFrame:
        """The row of each subject behind an endpoint's figure: its time, its response, or its events counted."""
        if name in self.derived:
            return _of(self.derived[name], self.counted(name, arm, among))
        if name in RATES:
            table = self.responses.of_subjects
            return _of(table[(table["parameter"] == RATES[name]).to_numpy(dtype=bool)], self._asked(arm, among))
        events = self.data.frame("adverse_event")
        during = events[safety.emergent(events, self.adsl, self.conventions)]
        counted = _of(during, self.counted(name, arm, among)).groupby("subject")
        found = counted.agg(events=("sequence", "size"), grade=("grade", "max"), source_sequences=("sequence", _in_order)).reset_index()
        return found.assign(source_domain="AE")

    def between(self, name: str, groups: Mapping[str, str], order: Sequence[str], strata: Mapping[str, Mapping[str, object]]) -> Between:
        """Groups of subjects (subject to group) compared in a time to an event, the first of `order` being the reference.

        `strata` holds columns of subject to value that the comparison is stratified by.
        """
        rows = estimates.times(self.rows(name, None, frozenset(groups)), self.conventions)
        columns = {stratum: rows["subject"].map(values) for stratum, values in strata.items()}
        grouped = rows.assign(group=rows["subject"].map(groups), **columns)
        return between(grouped, order, float(self.conventions.level), tuple(strata))

    def between_arms(self) -> dict[str, Between]:
        """Each time to an event compared between the arms, in a study of several."""
        arms = self.arms()
        of_subject = {str(s): str(a) for s, a in zip(self.adsl["subject"], self.adsl["arm"], strict=True)}
        return {name: self.between(name, of_subject, arms, {}) for name in self.derived} if len(arms) > 1 else {}

    def _asked(self, arm: str | None, among: frozenset[str] | None) -> set[str]:
        """Whose responses are looked at: everyone's, or those of an arm's enrolled subjects."""
        everyone = set(self.tables["subject"]["subject"]) if arm is None else self.members("enrolled", arm)
        return everyone if among is None else everyone & among

    def _time_to_event(self, name: str, arm: str | None, rows: pd.DataFrame) -> EndpointResult:
        """Kaplan-Meier figures of one endpoint."""
        own = self.definition(name)
        curve = estimates.curve_of(rows, self.conventions)
        figures = estimates.time_to_event(rows, curve, own.rates, self.conventions)
        columns = ("time", "survival", "lower", "upper", "at_risk", "events")
        drawn = pd.DataFrame({column: getattr(curve, column) for column in columns})
        return self._result(own, arm, (curve.n, int(curve.events.sum())), figures, rows, drawn)

    def _result(
        self,
        own: EndpointDefinition,
        arm: str | None,
        counts: tuple[int, int],
        figures: tuple[Estimate, ...],
        rows: pd.DataFrame,
        curve: pd.DataFrame | None = None,
    ) -> EndpointResult:
        """The result with the conventions it rests on."""
        return EndpointResult(
            self.data.study.id,
            own.name,
            own.label,
            own.kind,
            own.population,
            *counts,
            figures,
            rows,
            arm,
            self.conventions.preset,
            self.conventions.departures(),
            curve,
            self.data.synthetic,
        )


def _in_order(sequences: "pd.Series[Any]") -> tuple[int, ...]:
    return tuple(sorted(int(sequence) for sequence in sequences))


def _of(rows: pd.DataFrame, wanted: set[str]) -> pd.DataFrame:
    kept: pd.DataFrame = rows[rows["subject"].isin(wanted).to_numpy(dtype=bool)]
    return kept.reset_index(drop=True)


def _derived(data: TrialData, facts: Facts, conventions: Conventions, findings: Findings) -> dict[str, pd.DataFrame]:
    """The rows of every time-to-event endpoint that the data allow, by its name."""
    derived = {}
    own = {e.name: e for e in data.study.endpoints if e.kind == "time-to-event"}
    for name in [*ENDPOINTS, *(n for n in own if n not in ENDPOINTS)]:
        definition = own.get(name)
        try:
            endpoint = defined(name, definition.events if definition else (), definition.censors if definition else ())
        except UsageError as error:
            _leave_out(name, "study definition", str(error), findings)
            continue
        if not len(facts.subjects):
            _leave_out(name, "subject", "enrolled subjects with a date of the start", findings)
        elif endpoint.assessed and not assessed(data):
            _leave_out(name, "measurement, response", ASSESSMENTS, findings)
        else:
            derived[name] = derive(endpoint, facts, conventions)
    return derived


def _leave_out(name: str, place: str, expected: str, findings: Findings) -> None:
    findings.add(Finding("endpoint-left-out", place, field=name, expected=expected, severity="warning", effect=f"there is no {name}"))
