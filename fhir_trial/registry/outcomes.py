"""Registered outcomes with their figures, for a results record, from the endpoints' results."""

from collections.abc import Iterator, Mapping

from fhir_trial.domain.results import EndpointResult, Estimate
from fhir_trial.domain.study import Outcome, StudyDefinition
from fhir_trial.endpoints.analyse import Results
from fhir_trial.errors import Finding, Findings
from fhir_trial.registry.picklists import picklists
from fhir_trial.registry.record import NOT_AVAILABLE, Entry, Group, Measure

PERCENT = "percentage of participants"
_OTHER = "Other Pre-specified"
_LEVELS = {"primary": "Primary", "secondary": "Secondary", "other": _OTHER}
"""Levels of outcomes in their order, and PRS's words for them."""
_ByGroup = Mapping[str, EndpointResult]


def outcomes(study: StudyDefinition, results: Results, groups: tuple[Group, ...], findings: Findings) -> tuple[Measure, ...]:
    """The registered outcomes as measures, primary ones first; an outcome without results is a finding."""
    measures: list[Measure] = []
    for outcome in sorted(study.outcomes, key=_rank):
        by_group = _by_group(outcome.endpoint, results, groups)
        if by_group:
            measures.extend(_measures(outcome, by_group))
            if outcome.time_frame is None:
                findings.add(_without_time_frame(outcome))
        else:
            expected = f"results of {outcome.endpoint}" if outcome.endpoint else "an endpoint in the study definition"
            place, effect = f"outcome {outcome.title}", "the record does not report it"
            findings.add(Finding("outcome-without-results", place, expected=expected, severity="warning", effect=effect))
    return tuple(measures)


def _rank(outcome: Outcome) -> int:
    """Primary ones first; a level of the study's own (exploratory) goes last."""
    return list(_LEVELS).index(outcome.level.lower()) if outcome.level.lower() in _LEVELS else len(_LEVELS)


def _without_time_frame(outcome: Outcome) -> Finding:
    expected, effect = "a time frame in the study definition", "to be entered in PRS before the record is released"
    return Finding("missing-for-prs", f"outcome {outcome.title}", None, "time_frame", None, expected, "warning", effect)


def _by_group(endpoint: str | None, results: Results, groups: tuple[Group, ...]) -> _ByGroup:
    """Each group's result: that of its arm, or of all subjects where there is one group only."""
    if endpoint is None:
        return {}
    if len(groups) == 1:
        return {groups[0].key: results[endpoint]} if endpoint in results else {}
    return {g.key: results.by_arm[g.title][endpoint] for g in groups if endpoint in results.by_arm.get(g.title, {})}


def _measures(outcome: Outcome, by_group: _ByGroup) -> Iterator[Measure]:
    """A proportion as one measure; a time to event as its rate at each time that was asked for, then its median."""
    first = next(iter(by_group.values()))
    for estimate in first.estimates:
        if estimate.name == "proportion":
            yield _measure(outcome, by_group, estimate, outcome.title)
        if estimate.name == "rate":
            yield _measure(outcome, by_group, estimate, f"{outcome.title}: rate at {estimate.at} {estimate.at_unit}")
    for estimate in first.estimates:
        if estimate.name == "median":
            yield _measure(outcome, by_group, estimate, f"{outcome.title}: median")


def _measure(outcome: Outcome, by_group: _ByGroup, first: Estimate, title: str) -> Measure:
    is_median = first.name == "median"
    dispersion, level = _interval(first)
    return Measure(
        title=title,
        parameter="Median" if is_median else "Number",
        unit=first.unit or "days" if is_median else PERCENT,
        analysed={key: result.n for key, result in by_group.items()},
        entries={key: (_entry(_same(result, first), is_median),) for key, result in by_group.items()},
        dispersion=dispersion,
        interval_level=level,
        description=_description(outcome, next(iter(by_group.values())), first),
        population=_population(by_group),
        time_frame=outcome.time_frame,
        level=_LEVELS.get(outcome.level.lower(), _OTHER),
    )


def _same(result: EndpointResult, wanted: Estimate) -> Estimate:
    """The estimate of the same name and time in another group; one that is not estimable where that group has none."""
    same = (e for e in result.estimates if (e.name, e.at, e.at_unit) == (wanted.name, wanted.at, wanted.at_unit))
    return next(same, Estimate(wanted.name, None))


def _entry(estimate: Estimate, is_median: bool) -> Entry:
    """The figure and its limits, NA with a comment where they were not reached or cannot be estimated."""
    texts = [_figure(value, is_median) for value in (estimate.value, estimate.lower, estimate.upper)]
    absent = [name for name, text in zip(("value", "lower limit", "upper limit"), texts, strict=True) if text == NOT_AVAILABLE]
    why = "not reached: too few participants had the event" if is_median else "not estimable"
    return Entry(texts[0], texts[1], texts[2], comment=f"{', '.join(absent).capitalize()} {why}." if absent else None)


def _figure(value: float | None, is_median: bool) -> str:
    """Days as they are (a midpoint has a half), a proportion in percent to one decimal.

    >>> _figure(68.5, True), _figure(82.0, True), _figure(0.25, False), _figure(None, True)
    ('68.5', '82', '25.0', 'NA')
    """
    if value is None:
        return NOT_AVAILABLE
    return f"{value:.2f}".rstrip("0").rstrip(".") if is_median else f"{100 * value:.1f}"


def _interval(estimate: Estimate) -> tuple[str, str | None]:
    """The dispersion type in PRS's words, and the level where it has no word for it.

    >>> _interval(Estimate("median", 1.0, level=0.95)), _interval(Estimate("median", 1.0, level=0.92))
    (('95% Confidence Interval', None), ('Other Confidence Interval Level', '92'))
    """
    level = f"{100 * (estimate.level or 0.95):.6g}"
    if level in picklists().interval_levels:
        return f"{level}% Confidence Interval", None
    return "Other Confidence Interval Level", level


def _description(outcome: Outcome, result: EndpointResult, estimate: Estimate) -> str:
    method = f" Interval: {estimate.method}." if estimate.method else ""
    departures = "".join(f"; {name} = {value}" for name, value in result.departures.items())
    reported = "" if result.label == outcome.title else f" Reported: {result.label}."
    return f"{outcome.description or ''}{reported}{method} Conventions: {result.preset}{departures}.".strip()


def _population(by_group: _ByGroup) -> str:
    """Who was analysed, and how many had the event or responded."""
    first = next(iter(by_group.values()))
    what = "had the event" if first.kind == "time-to-event" else "met the criterion"
    counts = ", ".join(f"{result.count} of {result.n}" for result in by_group.values())
    return f"Population: {first.population}. {counts} {what}."
