"""Endpoints under several conventions side by side: the figures, and each subject whose outcome changes with what changed it."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from fhir_trial.domain.results import EndpointResult
from fhir_trial.domain.tables import TrialData
from fhir_trial.endpoints.analysis import LABELS, Analysis, prepare
from fhir_trial.endpoints.conventions import Conventions, parameters
from fhir_trial.endpoints.time_to_event_rules import ENDPOINTS
from fhir_trial.errors import Findings, InputError, UsageError


@dataclass(frozen=True)
class Outcome:
    """What a subject contributes to an endpoint.

    `value`: event or censored; Y or N with the responses that it rests on; how many events. `counted`: the figure's denominator has the
    subject. `days` and `on` (a date) are missing where the endpoint has none.
    """

    value: str | None
    counted: bool
    days: int | None = None
    on: str | None = None
    reason: str | None = None
    source: str | None = None

    def describe(self) -> str:
        """The outcome in words."""
        if self.value is None:
            return "not in the analysis" if not self.counted else "none"
        days = f" at {self.days} d" if self.days is not None else ""
        on = f" on {self.on}" if self.on else ""
        why = f" ({self.reason})" if self.reason else ""
        return f"{self.value}{days}{on}{why}{'' if self.counted else ', not counted'}"


@dataclass(frozen=True)
class OutcomeChange:
    """A subject whose outcome under `conventions` is not that under the first ones compared.

    `because` names the parameters each of which, changed alone in the first conventions, gives the new outcome; where none does, those
    without any one of which it would be another; where there are none of these either, those that change it at all.
    """

    subject: str = field(repr=False)
    endpoint: str
    conventions: int
    before: Outcome = field(repr=False)
    after: Outcome = field(repr=False)
    because: tuple[str, ...]

    def why(self) -> str:
        """The conventions behind the change, in words."""
        return ", ".join(self.because) or "several conventions together"


@dataclass(frozen=True)
class Comparison:
    """The results of `endpoints` under each of `conventions`, in their order, and the outcomes that change against the first."""

    study: str
    endpoints: tuple[str, ...]
    conventions: tuple[Conventions, ...]
    results: tuple[dict[str, EndpointResult], ...] = field(repr=False)
    changes: tuple[OutcomeChange, ...]
    findings: Findings
    synthetic: bool = False

    def names(self) -> list[str]:
        """A short name of each set of conventions: its preset where no other has that, else the preset and its departures."""
        presets = [c.preset for c in self.conventions]
        shown = [c.preset if presets.count(c.preset) == 1 else c.describe() for c in self.conventions]
        return [name if shown.count(name) == 1 else f"{name} ({number})" for number, name in enumerate(shown, 1)]


def compare(data: TrialData, endpoints: Sequence[str], conventions: Sequence[Conventions]) -> Comparison:
    """The endpoints of `data` under each of `conventions`, which are two or more.

    `UsageError` names an endpoint that there is none of; `InputError` says what is missing where the data do not allow it.
    """
    if len(conventions) < 2:
        raise UsageError("give two conventions or more to compare")
    for name in endpoints:
        _check(name, [*ENDPOINTS, *LABELS])
    analysed = _Analysed(data)
    analyses = [analysed.under(each) for each in conventions]
    findings = Findings(dict.fromkeys(f for analysis in analyses for f in analysis.findings))
    for name in endpoints:
        if any(name not in analysis.names() for analysis in analyses):
            raise InputError([f for f in findings if f.field == name] or list(findings))
    chosen = tuple(dict.fromkeys(endpoints))
    changes = tuple(
        change for number in range(1, len(analyses)) for change in _changes(chosen, analysed, (analyses[0], analyses[number]), number)
    )
    return Comparison(
        data.study.id,
        chosen,
        tuple(analysis.conventions for analysis in analyses),
        tuple({name: analysis.result(name) for name in chosen} for analysis in analyses),
        changes,
        findings,
        data.synthetic,
    )


def _check(name: str, known: Sequence[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name.upper(), known, n=1)
        raise UsageError(f"no endpoint is named {name}: " + (f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"))


class _Analysed:
    """Analyses of data under conventions, each made once whatever the preset's name."""

    def __init__(self, data: TrialData) -> None:
        self._data = data
        self._made: dict[Conventions, Analysis] = {}

    def under(self, conventions: Conventions) -> Analysis:
        key = replace(conventions, preset="")
        if key not in self._made:
            self._made[key] = prepare(self._data, conventions)
        return replace(self._made[key], conventions=replace(self._made[key].conventions, preset=conventions.preset))


def _changes(endpoints: Sequence[str], analysed: _Analysed, pair: tuple[Analysis, Analysis], number: int) -> Iterator[OutcomeChange]:
    """Each subject of whom the two analyses differ, with what makes the difference."""
    first, other = pair
    steps = _Steps(analysed, pair)
    for name in endpoints:
        before, after = _outcomes(first, name), _outcomes(other, name)
        for subject in sorted(before.keys() | after.keys()):
            old, new = before.get(subject, ABSENT), after.get(subject, ABSENT)
            if old != new:
                yield OutcomeChange(subject, name, number, old, new, steps.because(name, subject, (old, new)))


class _Steps:
    """What single conventions change between two analyses, worked out once an endpoint and only where it is asked for."""

    def __init__(self, analysed: _Analysed, pair: tuple[Analysis, Analysis]) -> None:
        self._analysed = analysed
        self._first, self._other = (analysis.conventions for analysis in pair)
        self._made: dict[tuple[str, bool], dict[str, dict[str, Outcome]]] = {}

    def because(self, endpoint: str, subject: str, outcomes: tuple[Outcome, Outcome]) -> tuple[str, ...]:
        """The parameters behind a change from one outcome to the other, as `OutcomeChange.because` has them."""
        old, new = outcomes
        alone = {p: found.get(subject, ABSENT) for p, found in self._each(endpoint, back=False).items()}
        if enough := [p for p, found in alone.items() if found == new]:
            return tuple(enough)
        needed = {p: found.get(subject, ABSENT) for p, found in self._each(endpoint, back=True).items()}
        return tuple(p for p in needed if needed[p] != new) or tuple(p for p in alone if alone[p] != old)

    def _each(self, endpoint: str, back: bool) -> dict[str, dict[str, Outcome]]:
        """Outcomes with each differing parameter alone changed in the first conventions, or set back in the others."""
        if (endpoint, back) not in self._made:
            base, taken = (self._other, self._first) if back else (self._first, self._other)
            differing = [p for p in parameters() if getattr(base, p) != getattr(taken, p)]
            under = {p: self._analysed.under(replace(base, **{p: getattr(taken, p)})) for p in differing}
            self._made[endpoint, back] = {p: _outcomes(analysis, endpoint) for p, analysis in under.items()}
        return self._made[endpoint, back]


ABSENT = Outcome(None, counted=False)
"""The outcome of a subject who is not in the analysis."""


def _outcomes(analysis: Analysis, name: str) -> dict[str, Outcome]:
    """What each subject contributes to an endpoint."""
    counted = analysis.counted(name)
    frame = analysis.rows(name).astype(object)
    rows = {str(s): dict(zip(frame.columns, values, strict=True)) for s, values in zip(frame["subject"], frame.to_numpy(), strict=True)}
    best = _best(analysis) if name in LABELS else {}
    return {s: _outcome(rows.get(s), s in counted, best.get(s)) for s in sorted(counted | rows.keys())}


def _best(analysis: Analysis) -> dict[str, tuple[str, str]]:
    """Best overall response of each subject, unconfirmed and confirmed."""
    table = analysis.responses.of_subjects
    found: list[dict[str, str]] = []
    for parameter in ("BOR", "CBOR"):
        rows = table[(table["parameter"] == parameter).to_numpy(dtype=bool)]
        found.append({str(s): str(v) for s, v in zip(rows["subject"], rows["value"], strict=True)})
    return {subject: (value, found[1].get(subject, value)) for subject, value in found[0].items()}


def _outcome(row: dict[str, Any] | None, counted: bool, best: tuple[str, str] | None) -> Outcome:
    if row is None:
        return Outcome(None, counted)
    if "events" in row:
        grade = f", maximum grade {int(row['grade'])}" if pd.notna(row["grade"]) else ""
        return Outcome(f"{int(row['events'])} events{grade}", counted)
    on = str(pd.Timestamp(row["on"]).date()) if pd.notna(row["on"]) else None
    source = _source(row)
    if "censored" in row:
        return Outcome("censored" if row["censored"] else "event", counted, int(row["days"]), on, str(row["reason"]), source)
    shown = f"{row['value']}" + (f": best response {best[0]}, confirmed {best[1]}" if best else "")
    return Outcome(shown, counted, None, on, str(row["reason"]), source)


def _source(row: dict[str, Any]) -> str | None:
    """The record that the outcome rests on: domain and sequence."""
    parts = [str(row[name]) for name in ("source_domain", "source_sequence") if pd.notna(row.get(name))]
    return " ".join(parts) or None
