"""The analysis of a trial: every endpoint, overall and by arm, with the tables behind the figures and what was noticed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pandas as pd

from fhir_trial.domain.entities import ENTITIES
from fhir_trial.domain.results import EndpointResult, Estimate
from fhir_trial.domain.study import EndpointDefinition
from fhir_trial.domain.tables import TrialData
from fhir_trial.endpoints import estimates, exposure, safety, subjects
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.endpoints.facts import Facts, gather
from fhir_trial.endpoints.proportions import proportion
from fhir_trial.endpoints.response import RATES, Responses, rates, respond
from fhir_trial.endpoints.time_to_event import COLUMNS, derive
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

RATE_LABELS = {
    "ORR": "Objective response rate",
    "CORR": "Confirmed objective response rate",
    "DCR": "Disease control rate",
    "CBR": "Clinical benefit rate",
}

ASSESSMENTS = "tumour measurements (TR) or responses (RS)"
"""What endpoints that rest on assessments need."""


@dataclass(frozen=True)
class Results(Mapping[str, EndpointResult]):
    """Results by endpoint name (all subjects), `by_arm` those of each arm, and the tables they come from.

    `adsl`, `adrs`, `adtte`, `safety` and `exposure` have domain column names; `findings` is what the analysis noticed beyond the data's own
    findings, an endpoint that had to be left out among it.
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

    def __getitem__(self, name: str) -> EndpointResult:
        """The result of that endpoint in all subjects."""
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
    if conventions.data_cutoff is None and data.data_cutoff is not None:
        conventions = conventions.with_settings({"data_cutoff": data.data_cutoff})
    tables = {name: data.frame(name) for name in ENTITIES if data.table(name).num_rows} | {"subject": data.frame("subject")}
    findings = Findings()
    responses = respond(tables, conventions)
    facts = gather(tables, responses.of_evaluator(), conventions)
    findings.extend(responses.findings)
    findings.extend(facts.findings)
    adsl = subjects.adsl(tables, facts, data.study, conventions)
    derived = _derived(data, tables, facts, conventions, findings)
    analysis = Analysis(data, conventions, adsl, tables["subject"], derived, responses)
    for name in () if len(responses.at_visits) else RATES:
        _leave_out(name, "measurement, response", ASSESSMENTS, findings)
    arms = sorted({str(arm) for arm in adsl.loc[adsl["intention_to_treat"], "arm"]}) if len(data.study.arms) != 1 else []
    return Results(
        data.study.id,
        conventions,
        analysis.results(None),
        {arm: analysis.results(arm) for arm in arms},
        adsl,
        responses.table(),
        pd.concat(derived.values(), ignore_index=True) if derived else pd.DataFrame(columns=list(COLUMNS)),
        safety.table(tables, adsl, conventions, findings),
        exposure.table(tables, data.study, conventions, findings),
        findings,
        data.synthetic,
    )


def _derived(
    data: TrialData, tables: Mapping[str, pd.DataFrame], facts: Facts, conventions: Conventions, findings: Findings
) -> dict[str, pd.DataFrame]:
    """The rows of every time-to-event endpoint that the data allow, by its name."""
    derived = {}
    assessed = "measurement" in tables or "response" in tables
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
        elif endpoint.assessed and not assessed:
            _leave_out(name, "measurement, response", ASSESSMENTS, findings)
        else:
            derived[name] = derive(endpoint, facts, conventions)
    return derived


def _leave_out(name: str, place: str, expected: str, findings: Findings) -> None:
    findings.add(Finding("endpoint-left-out", place, field=name, expected=expected, severity="warning", effect=f"there is no {name}"))


@dataclass(frozen=True)
class Analysis:
    """What results are made of: the derived rows, and who is in which population and arm."""

    data: TrialData
    conventions: Conventions
    adsl: pd.DataFrame
    subjects: pd.DataFrame
    derived: Mapping[str, pd.DataFrame]
    responses: Responses

    def results(self, arm: str | None) -> dict[str, EndpointResult]:
        """Every endpoint's result in an arm, or in all subjects."""
        found = {name: self.time_to_event(name, arm) for name in self.derived}
        if len(self.responses.at_visits):
            found |= self.proportions(arm)
        return found | self.safety(arm)

    def definition(self, name: str, label: str, kind: str) -> EndpointDefinition:
        """The study's definition of an endpoint, else the usual one."""
        own = [e for e in self.data.study.endpoints if e.name == name]
        return own[0] if own else EndpointDefinition(name=name, label=label, kind=kind)

    def members(self, population: str, arm: str | None) -> set[str]:
        """The subjects of a population, in an arm where one is given."""
        flag = self.adsl[POPULATIONS.get(population, "intention_to_treat")].to_numpy(dtype=bool)
        chosen = flag if arm is None else flag & (self.adsl["arm"] == arm).to_numpy(dtype=bool)
        return set(self.adsl["subject"][chosen])

    def time_to_event(self, name: str, arm: str | None) -> EndpointResult:
        """Kaplan-Meier figures of one endpoint."""
        own = self.definition(name, ENDPOINTS[name].label, "time-to-event")
        rows = self.derived[name]
        rows = rows[rows["subject"].isin(self.members(own.population, arm)).to_numpy(dtype=bool)].reset_index(drop=True)
        curve = estimates.curve_of(rows, self.conventions)
        figures = estimates.time_to_event(rows, curve, own.rates, self.conventions)
        columns = ("time", "survival", "lower", "upper", "at_risk", "events")
        drawn = pd.DataFrame({column: getattr(curve, column) for column in columns})
        return self.result(own, arm, (curve.n, int(curve.events.sum())), figures, rows, drawn)

    def proportions(self, arm: str | None) -> dict[str, EndpointResult]:
        """Response rates, with the subjects' responses."""
        among = (
            self.subjects
            if arm is None
            else self.subjects[self.subjects["subject"].isin(self.members("enrolled", arm)).to_numpy(dtype=bool)]
        )
        found = {}
        for name, rate in rates(self.responses, among, self.conventions).items():
            own = self.definition(name, RATE_LABELS[name], "proportion")
            table = self.responses.of_subjects
            rows = table[((table["parameter"] == RATES[name]) & table["subject"].isin(among["subject"])).to_numpy(dtype=bool)]
            found[name] = self.result(own, arm, (rate.n, rate.x), (estimates.rate(rate),), rows.reset_index(drop=True))
        return found

    def safety(self, arm: str | None) -> dict[str, EndpointResult]:
        """How many of the treated had a treatment-emergent event."""
        own = self.definition("SAFETY", "Treatment-emergent adverse events", "safety")
        events = self.data.frame("adverse_event")
        if not len(events):
            return {}
        treated = self.members("treated", arm)
        during = events[safety.emergent(events, self.adsl, self.conventions)]
        rows = (
            during[during["subject"].isin(treated).to_numpy(dtype=bool)]
            .groupby("subject")
            .agg(events=("sequence", "size"), grade=("grade", "max"))
        )
        share = proportion(len(rows), len(treated), self.conventions.proportion_interval, float(self.conventions.level))
        return {own.name: self.result(own, arm, (share.n, share.x), (estimates.rate(share),), rows.reset_index())}

    def result(
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
