"""The analysis as files a statistician expects: ADaM-style tables and a summary, as text; writing them to disk is the caller's.

Data that are synthetic are marked in every file: the last column of each table is SYNTHETIC, and `summary.json` says `"synthetic": true`.
Tables of real data have no such column.
"""

import json
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import pandas as pd

from fhir_trial.domain.decimals import without_padding
from fhir_trial.domain.results import EndpointResult, Estimate
from fhir_trial.endpoints.analyse import Results
from fhir_trial.endpoints.between import Between
from fhir_trial.endpoints.report_columns import REPORT_FILES, TEAE
from fhir_trial.endpoints.subgroups import COLUMNS as SUBGROUP_COLUMNS
from fhir_trial.endpoints.subgroups import table as subgroup_table
from fhir_trial.errors import Finding

ADSL = {
    "study": "STUDYID",
    "subject": "USUBJID",
    "site": "SITEID",
    "arm_planned": "ARM",
    "arm_actual": "ACTARM",
    "age": "AGE",
    "age_unit": "AGEU",
    "sex": "SEX",
    "race": "RACE",
    "ethnicity": "ETHNIC",
    "country": "COUNTRY",
    "intention_to_treat": "ITTFL",
    "safety": "SAFFL",
    "efficacy": "EFFFL",
    "consented_on": "RFICDT",
    "enrolled_on": "ENRLDT",
    "enrolled_source": "ENRLSRC",
    "randomized_on": "RANDDT",
    "first_dose_on": "TRTSDT",
    "last_dose_on": "TRTEDT",
    "ended_on": "EOSDT",
    "state": "STATE",
    "disposition": "DSDECOD",
    "disposition_on": "DSSTDT",
    "died": "DTHFL",
    "death_on": "DTHDT",
}
ADRS = {
    "study": "STUDYID",
    "subject": "USUBJID",
    "parameter": "PARAMCD",
    "evaluator": "EVAL",
    "evaluator_id": "EVALID",
    "visit": "VISIT",
    "visit_number": "VISITNUM",
    "value": "AVALC",
    "number": "AVAL",
    "on": "ADT",
    "day": "ADY",
    "reason": "REASON",
    "source_domain": "SRCDOM",
    "source_sequence": "SRCSEQ",
}
"""ADY is the study day, counted from the first dose (TRTSDT) as everywhere in the outputs; time zero is STARTDT of adtte."""
ADTTE = {
    "study": "STUDYID",
    "subject": "USUBJID",
    "parameter": "PARAMCD",
    "start": "STARTDT",
    "on": "ADT",
    "days": "AVAL",
    "censored": "CNSR",
    "event_description": "EVNTDESC",
    "censor_description": "CNSDTDSC",
    "source_domain": "SRCDOM",
    "source_variable": "SRCVAR",
    "source_sequence": "SRCSEQ",
}
SAFETY = {
    "arm": "ARM",
    "organ_class": "AESOC",
    "preferred_term": "AEDECOD",
    "n": "N",
    "subjects": "SUBJECTS",
    "events": "EVENTS",
    "grade1": "GRADE1",
    "grade2": "GRADE2",
    "grade3": "GRADE3",
    "grade4": "GRADE4",
    "grade5": "GRADE5",
    "grade3plus": "GRADE3PLUS",
    "serious": "SERIOUS",
    "related": "RELATED",
}
EXPOSURE = {
    "subject": "USUBJID",
    "medication": "EXTRT",
    "cycles": "CYCLES",
    "first_dose_on": "FIRST_DOSE",
    "last_dose_on": "LAST_DOSE",
    "cumulative_dose": "CUM_DOSE",
    "cumulative_dose_m2": "CUM_DOSE_M2",
    "duration_days": "DURATION_DAYS",
    "intensity_m2_per_week": "DI_M2_PER_WEEK",
    "relative_intensity_pct": "RDI_PCT",
    "reduced": "REDUCED",
    "max_delay_days": "MAX_DELAY_DAYS",
}

ORDER = ("arm", "subject", "parameter", "evaluator", "evaluator_id", "on", "visit_number", "visit", "source_sequence", "medication")
"""What rows stand by, so that the order in which a server gives them back changes no file; the safety table keeps its own within an arm."""

DIGITS = 12
"""Significant digits of figures in files: beyond them machines differ."""


def files(results: Results) -> dict[str, str]:
    """Every output by file name: adsl.csv, adrs.csv, adtte.csv, safety.csv, exposure.csv, summary.json, then those of the reports."""
    tables = {
        "adsl.csv": (results.adsl, ADSL),
        "adrs.csv": (results.adrs, ADRS),
        "adtte.csv": (_described(results.adtte), ADTTE),
        "safety.csv": (results.safety, SAFETY),
        "exposure.csv": (results.exposure, EXPOSURE),
    }
    written = {name: _csv(frame, names, results.synthetic) for name, (frame, names) in tables.items()}
    written["summary.json"] = json.dumps(summary(results), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    written["teae.csv"] = _csv(results.safety, TEAE, results.synthetic)
    # reports stand in an order of their own
    reports = {file: (results.reports[name], names) for name, (file, names) in REPORT_FILES.items()}
    if results.subgroups:
        columns = {name: name.upper() for name in SUBGROUP_COLUMNS}
        written["subgroups.csv"] = _csv(subgroup_table(results.subgroups), columns, results.synthetic, ())
    return written | {file: _csv(frame, names, results.synthetic, ()) for file, (frame, names) in reports.items()}


SEVERITIES = ("error", "warning", "information")
FINDING = ("severity", "code", "place", "row", "field", "found", "expected", "effect")


def findings_table(findings: Iterable[Finding], synthetic: bool) -> str:
    """Every finding as a row, the worst first; ordered by what they say, so that the way the data came decides nothing."""
    frame = pd.DataFrame([[getattr(f, name) for name in FINDING] for f in sorted(findings, key=_rank)], columns=list(FINDING), dtype=object)
    return _csv(frame, {name: name.upper() for name in FINDING}, synthetic, ())


def _rank(finding: Finding) -> tuple[object, ...]:
    texts = (getattr(finding, name) or "" for name in FINDING[4:])
    return SEVERITIES.index(finding.severity), finding.code, finding.place, finding.row or 0, *texts


def _described(adtte: pd.DataFrame) -> pd.DataFrame:
    """A reason as ADaM has it: EVNTDESC the event, or the class of censoring; CNSDTDSC the whole reason of a censored date."""
    reason, censored = adtte["reason"].astype(object), adtte["censored"] == 1
    return adtte.assign(
        event_description=reason.where(~censored, reason.map(lambda text: str(text).split(": ")[0])),
        censor_description=reason.where(censored, None),
    )


def _csv(frame: pd.DataFrame, names: Mapping[str, str], synthetic: bool, order: tuple[str, ...] = ORDER) -> str:
    by = [column for column in order if column in names and column in frame]
    if by:
        frame = frame.sort_values(by, kind="stable", na_position="first", ignore_index=True, key=_by_value)
    shown = pd.DataFrame({name: _cells(frame[column]) for column, name in names.items()}, index=frame.index)
    if synthetic:
        shown["SYNTHETIC"] = "Y"
    text: str = shown.to_csv(index=False, lineterminator="\n")
    return text


def _by_value(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Categories as their words: their own order is that of first appearance."""
    return values.astype("string") if isinstance(values.dtype, pd.CategoricalDtype) else values


def _cells(values: "pd.Series[Any]") -> "pd.Series[Any]":
    if pd.api.types.is_bool_dtype(values.dtype):
        return values.map({True: "Y", False: "N"})
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        texts: pd.Series[Any] = values.dt.strftime("%Y-%m-%d")
        return texts
    return pd.Series([_cell(value) for value in values.astype(object)], index=values.index, dtype=object)


def _cell(value: Any) -> Any:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, Decimal):
        return format(without_padding(value), "f")
    if isinstance(value, float):
        return _plain(value)
    return value


def _plain(figure: float) -> int | float:
    """The figure to `DIGITS` significant digits, without a point where it is whole."""
    rounded = float(f"{figure:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 10**DIGITS else rounded


def summary(results: Results) -> dict[str, Any]:
    """The figures of every endpoint with the conventions they rest on, as `summary.json` has them; not reached is None.

    A key an endpoint for all subjects, and the same under `arms` in a study of several, whose arms `comparisons` compares.
    """
    head: dict[str, Any] = {"study": results.study, "synthetic": results.synthetic}
    head["conventions"] = results.conventions.to_dict()
    head["departures"] = results.conventions.departures()
    head |= {name: figures(result) for name, result in results.items()}
    if results.by_arm:
        head["arms"] = {arm: {name: figures(result) for name, result in found.items()} for arm, found in results.by_arm.items()}
    if results.between_arms:
        head["comparisons"] = {name: _comparison(found) for name, found in results.between_arms.items()}
    if results.subgroups:
        rows = subgroup_table(results.subgroups)
        head["subgroups"] = [dict(zip(rows.columns, map(_cell, values), strict=True)) for values in rows.astype(object).to_numpy()]
    head["findings"] = results.findings.counts()
    return head


def figures(result: EndpointResult) -> dict[str, Any]:
    """The figures of one result, by its kind."""
    if result.kind != "time-to-event":
        found = result.estimate("proportion")
        return {"x": result.count, "n": result.n, **_limits(found), "level": found.level, "method": found.method}
    median = result.estimate("median")
    return {
        "n": result.n,
        "events": result.count,
        "median": _rounded(median.value),
        "lower": _rounded(median.lower),
        "upper": _rounded(median.upper),
        "level": median.level,
        "interval": median.method,
        "unit": "days",
        "follow_up_median": _rounded(result.estimate("follow_up_median").value),
        "rates": [_rate(e) for e in result.estimates if e.name == "rate"],
    }


def _comparison(found: Between) -> dict[str, Any]:
    """The log-rank test between arms, and each arm's hazard ratio against the arm of reference."""
    test = {"chi_square": _rounded(found.chi_square), "degrees_of_freedom": found.degrees, "p": _rounded(found.p)}
    names = ("value", "lower", "upper", "p", "log_rank_p")
    ratios = [{"arm": r.group, "reference": found.reference, **{n: _rounded(getattr(r, n)) for n in names}} for r in found.ratios]
    return {"log_rank": test, "hazard_ratios": ratios, "level": found.level, "method": found.method}


def _limits(found: Estimate) -> dict[str, Any]:
    return {"estimate": _rounded(found.value), "lower": _rounded(found.lower), "upper": _rounded(found.upper)}


def _rate(found: Estimate) -> dict[str, Any]:
    at = None if found.at is None else _plain(float(found.at))
    return {"at": at, "unit": found.at_unit, **_limits(found), "at_risk": found.at_risk, "method": found.method}


def _rounded(figure: float | None) -> int | float | None:
    return None if figure is None else _plain(figure)
