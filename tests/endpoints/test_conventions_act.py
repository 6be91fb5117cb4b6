"""Every convention acts: for each parameter a case in which it alone changes the result, with the result before and after."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fhir_trial.domain.study import Drug, PlannedExposure, ReadingTime, Sponsor, StudyDefinition
from fhir_trial.endpoints import estimates, exposure, safety, subjects
from fhir_trial.endpoints.conventions import Conventions, parameters, preset
from fhir_trial.endpoints.facts import gather
from fhir_trial.endpoints.recist import assess
from fhir_trial.endpoints.response import denominator, respond
from fhir_trial.endpoints.time_to_event import derive
from fhir_trial.endpoints.time_to_event_rules import ENDPOINTS
from fhir_trial.errors import Findings

pytestmark = pytest.mark.thorough

Tables = dict[str, pd.DataFrame]
STUDY = StudyDefinition(
    id="X",
    title="X",
    status="UNKNOWN",
    sponsor=Sponsor(id="x", name="x"),
    arms=(),
    drugs=(Drug(medication="D", name="d", planned=PlannedExposure(dose=Decimal(200), unit="mg/m2", route="IV", cycle_days=21, day=1)),),
    outcomes=(),
    endpoints=(),
)


def lung(mm: object = 100, name: str = "T1") -> dict[str, Any]:
    return {"id": name, "mm": mm, "nodal": False, "organ": "LUNG"}


NODE = {"id": "N1", "mm": 20, "nodal": True, "organ": "LYMPH NODE"}
SPOT = [{"id": "X1", "nodal": False, "organ": "BONE"}, {"id": "X2", "nodal": False, "organ": "LIVER"}]


def seen(*sizes: tuple[int, object], **more: Any) -> dict[str, Any]:
    """A subject with one target lesion of 100 mm and these sizes on these days."""
    visits = [{"day": day, "not_done": True} if mm is None else {"day": day, "target": {"T1": mm}} for day, mm in sizes]
    return {"baseline": {"target": [lung()]}, "visits": visits} | more


CASES: dict[str, dict[str, Any]] = {
    "SD at 40 d": seen((40, 90)),
    "PR 23 d apart": seen((42, 60), (65, 60)),
    "two visits not done": seen((42, 60), (63, None), (84, None), (105, 60)),
    "PR SD PR": seen((42, 60), (84, 71), (126, 60)),
    "PR and a little more": seen((42, 65), (84, 71)),
    "back after CR": seen((42, 0), (84, 4)),
    "node back": {"baseline": {"target": [NODE]}, "visits": [{"day": 42, "target": {"N1": 8}}, {"day": 84, "target": {"N1": 11}}]},
    "node grown": {"baseline": {"target": [NODE]}, "visits": [{"day": 42, "target": {"N1": 3}}, {"day": 84, "target": {"N1": 9}}]},
    "one of two": {"baseline": {"target": [lung(50), lung(50, "T2")]}, "visits": [{"day": 42, "target": {"T1": 130, "T2": "NE"}}]},
    "spots partly": {"baseline": {"nontarget": SPOT}, "visits": [{"day": 42, "nontarget": {"X1": "PRESENT", "X2": "NE"}}]},
    "marker": seen((42, 0), marker="NOT NORMAL")
    | {"visits": [{"day": 42, "target": {"T1": 0}, "nontarget": {"X1": "ABSENT"}, "marker": "NOT NORMAL"}]}
    | {"baseline": {"target": [lung()], "nontarget": SPOT[:1]}},
    "spots gone once": {"baseline": {"nontarget": SPOT[:1]}, "visits": [{"day": 56, "nontarget": {"X1": "ABSENT"}}]},
    "spot not seen": {
        "baseline": {"target": [lung()], "nontarget": SPOT[:1]},
        "visits": [{"day": 42, "target": {"T1": 0}, "nontarget": {"X1": "NE"}}],
    },
    "more than at baseline": seen((42, 110), (84, 122)),
    "too small": {"baseline": {"target": [lung(10)]}, "visits": [{"day": 42, "target": {"T1": "TSTM"}}]},
    "equivocal": {
        "baseline": {"target": [lung()]},
        "visits": [
            {"day": 42, "target": {"T1": 90}, "new_lesion": "EQUIVOCAL"},
            {"day": 84, "target": {"T1": 90}, "new_lesion": "UNEQUIVOCAL"},
        ],
    },
    "therapy then PR": seen((42, 90), (84, 60)),
    "never seen": seen(),
    "too small at baseline": {"baseline": {"target": [lung(8)]}, "visits": [{"day": 42, "target": {"T1": 8}}]},
    "reported": seen((42, 90)),
    "SD for long": seen((42, 90), (180, 90)),
}


@cache
def lesions(build: Callable[[Mapping[str, Any]], Tables], day: Callable[[int], str]) -> Tables:
    """The tables of all `CASES`, a subject each."""
    every = {name: {k: t.assign(subject=name) for k, t in build(case).items() if len(t)} for name, case in CASES.items()}
    tables = {
        k: pd.concat([t[k] for t in every.values() if k in t], ignore_index=True) for k in ("measurement", "lesion", "subject", "response")
    }
    told = tables["response"]
    reported = {"subject": "reported", "evaluator": "INVESTIGATOR", "test": "overall", "visit": "VISIT 2", "visit_number": 2, "on": day(42)}
    other = {**reported, "subject": "SD at 40 d", "evaluator": "OTHER", "on": day(40), "value": "PD"}
    tables["response"] = pd.concat([told, pd.DataFrame([{**reported, "value": "PD"}, other])], ignore_index=True)
    tables["therapy"] = pd.DataFrame(
        [{"subject": "therapy then PR", "sequence": 1, "category": "SUBSEQUENT ANTICANCER THERAPY", "start": day(50)}]
    )
    return tables


# parameter, changed value, subject, what is looked at, before, after
RESPONSES = [
    ("sd_min_days", "any", "SD at 40 d", "BOR", "NE", "SD"),
    ("confirm_days", "21", "PR 23 d apart", "CBOR", "SD", "PR"),
    ("max_ne_between", "2", "two visits not done", "CBOR", "SD", "PR"),
    ("sd_between_ok", "true", "PR SD PR", "CBOR", "SD", "PR"),
    ("pr_sticky", "after_first", "PR and a little more", "OVR", "SD", "PR"),
    ("cr_relapse", "per_criteria", "back after CR", "OVR", "PD", "PR"),
    ("nodal_relapse_after_cr", "sum_rule", "node back", "OVR", "PD", "PR"),
    ("normal_nodes_never_pd", "false", "node grown", "OVR", "CR", "PD"),
    ("partial_sum_pd", "false", "one of two", "OVR", "PD", "NE"),
    ("nontarget_partly_evaluated", "NON-CR/NON-PD", "spots partly", "OVR", "NE", "NON-CR/NON-PD"),
    ("markers_required_for_cr", "false", "marker", "OVR", "PR", "CR"),
    ("unconfirmed_cr_label", "NE", "spots gone once", "CBOR", "NON-CR/NON-PD", "NE"),
    ("nontarget_ne_blocks_cr", "false", "spot not seen", "OVR", "PR", "CR"),
    ("nadir_includes_baseline", "false", "more than at baseline", "OVR", "PD", "SD"),
    ("tstm_mm", "9", "too small", "OVR", "PR", "SD"),
    ("backdate_equivocal", "true", "equivocal", "progression_on", "84", "42"),
    ("exclude_after_nact", "false", "therapy then PR", "BOR", "SD", "PR"),
    ("no_assessment_bor", "MISSING", "never seen", "BOR", "NE", "MISSING"),
    ("baseline_limits", "refuse", "too small at baseline", "OVR", "SD", "NE"),
    ("evaluator", "OTHER", "SD at 40 d", "BOR", "NE", "PD"),
    ("response_source", "derived", "reported", "BOR", "PD", "SD"),
    ("dcr_min_days", "200", "SD for long", "DCR", "Y", "N"),
    ("cbr_min_days", "181", "SD for long", "CBR", "Y", "N"),
]


APART = ("evaluator", "response_source", "sd_min_days")
"""Parameters that bear on other subjects than their own too; all the others are changed at once, each for a subject of its own."""


@pytest.fixture(scope="module")
def look(tables_of: Callable[[Mapping[str, Any]], Tables], on_day: Callable[[int], str]) -> Callable[[Conventions, str, str], str]:
    """What stands last for a subject under conventions."""
    tables = lesions(tables_of, on_day)

    @cache
    def rows_of(conventions: Conventions) -> pd.DataFrame:
        found = respond(tables, conventions)
        return found.of_evaluator() if conventions.evaluator == "OTHER" else found.table()

    def last(conventions: Conventions, subject: str, name: str) -> str:
        rows = rows_of(conventions)
        mine = rows[(rows["subject"] == subject).to_numpy(dtype=bool)]
        if name == "progression_on":
            on = mine["progression_on"].fillna(mine["on"])[(mine["parameter"] == "OVR") & (mine["value"] == "PD")]
            return str((on.min() - pd.Timestamp(on_day(0))).days)
        return str(mine["value"][mine["parameter"] == name].iloc[-1])

    return last


@pytest.mark.parametrize("row", RESPONSES, ids=[row[0] for row in RESPONSES])
def test_a_convention_on_responses(look: Any, row: tuple[str, str, str, str, str, str]) -> None:
    name, value, subject, at, before, after = row
    together = {row[0]: row[1] for row in RESPONSES if row[0] not in APART}
    changed = {name: value} if name in APART else together
    assert [look(preset("protocol").with_settings(settings), subject, at) for settings in ({}, changed)] == [before, after]


def date(day: int) -> str:
    return str(np.datetime64("2023-01-02") + day)


Case = dict[str, Any]


def timed(cases: Mapping[str, Case]) -> tuple[Tables, pd.DataFrame]:
    """Tables and responses of subjects enrolled on day 0: `seen` has (day, response), `scans` (visit, day)."""
    who = {"evaluator": "INVESTIGATOR", "evaluator_id": None}
    subjects, deaths, overall, scans, therapies = [], [], [], [], []
    for name, case in cases.items():
        one = {"subject": name}
        start = {"study": "X", "state": "enrolled", "enrolled_on": date(0), "enrolled_source": "ENROLLED", "first_dose_on": date(7)}
        subjects.append(one | start | {"dispositions": case.get("ds", []), "contacts": case.get("contacts", [])})
        deaths.append(one | {"death_date": case.get("died")})
        for number, (day, value) in enumerate(case.get("seen", []), 1):
            told = {
                "parameter": "OVR",
                "visit": f"V{day}",
                "on": date(day),
                "value": value,
                "source_domain": "RS",
                "source_sequence": number,
            }
            overall.append(one | who | told)
        scans += [one | who | {"lesion": "T1", "visit": f"V{visit}", "on": date(day)} for visit, day in case.get("scans", [])]
        if "therapy" in case:
            therapies.append(one | {"sequence": 1, "category": "SUBSEQUENT ANTICANCER THERAPY", "start": date(case["therapy"])})
    tables = {"subject": subjects, "patient": deaths, "measurement": scans, "therapy": therapies}
    return {name: pd.DataFrame(rows) for name, rows in tables.items()}, pd.DataFrame(overall)


@cache
def all_times(endpoint: str, conventions: Conventions) -> dict[str, tuple[int, int]]:
    """Days and censoring of every case: a subject each, named for its parameter."""
    tables, overall = timed({row[0]: row[3] for row in [*TIMES, *OVERALL]} | {"baseline scan": BASELINE_SCAN})
    rows = derive(ENDPOINTS[endpoint], gather(tables, overall, conventions), conventions)
    return {s: (int(days), int(censored)) for s, days, censored in rows[["subject", "days", "censored"]].itertuples(index=False)}


def ds(event: str, day: int, **more: str) -> list[dict[str, Any]]:
    return [{"sequence": 1, "event": event, "term": None, "scope": "STUDY PARTICIPATION", "category": None, "on": date(day)} | more]


LATE = {"seen": [(42, "SD")], "died": date(200)}
GAP = {"seen": [(42, "SD"), (140, "PD")]}
NE_LAST = {"seen": [(42, "SD"), (84, "NE")]}
CLINICAL = {"term": "CLINICAL PROGRESSION", "scope": "STUDY TREATMENT"}
# parameter, changed value, other settings of both, case, (days, censored) before and after
TIMES = [
    ("start", "first_dose", {}, {"seen": [(42, "PD")]}, (42, 0), (35, 0)),
    ("death_window_days", "none", {}, LATE, (42, 1), (200, 0)),
    ("death_window_inclusive", "false", {}, {"seen": [(42, "SD")], "died": date(105)}, (105, 0), (42, 1)),
    ("death_window_anchor", "last_any", {}, {"seen": [(42, "SD"), (84, "NE")], "died": date(140)}, (42, 1), (140, 0)),
    ("no_post_anchor", "none", {}, {"died": date(60)}, (60, 0), (0, 1)),
    ("missed_rule", "fda", {}, {"seen": [(42, "SD"), (150, "PD")]}, (150, 0), (42, 1)),
    ("assess_interval_days", "21", {"missed_rule": "fda"}, GAP, (140, 0), (42, 1)),
    ("missed_grace_days", "7", {"missed_rule": "fda"}, GAP, (140, 0), (42, 1)),
    ("nact_rule", "event", {}, {"seen": [(42, "SD")], "therapy": 50}, (42, 1), (50, 0)),
    ("clinical_pd_event", "true", {}, {"seen": [(42, "SD")], "ds": ds("PROGRESSIVE DISEASE", 60, **CLINICAL)}, (42, 1), (60, 0)),
    ("pd_scan_date", "latest", {}, {"seen": [(42, "PD")], "scans": [(42, 40), (42, 44)]}, (40, 0), (44, 0)),
    ("censor_scan_date", "earliest", {}, {"seen": [(42, "SD")], "scans": [(42, 40), (42, 44)]}, (44, 1), (40, 1)),
    ("censor_date", "last_any", {}, NE_LAST, (42, 1), (84, 1)),
    ("data_cutoff", date(60), {}, {"seen": [(42, "SD"), (84, "PD")]}, (84, 0), (42, 1)),
    ("ignore_after_withdrawal", "false", {}, {"seen": [(84, "PD")], "ds": ds("WITHDRAWAL BY SUBJECT", 60)}, (0, 1), (84, 0)),
    ("partial_date", "last", {"death_window_days": "none"}, {"died": "2023-03"}, (72, 0), (88, 0)),
    ("add_one", "true", {}, {"seen": [(42, "PD")]}, (42, 0), (43, 0)),
]
OVERALL = [
    ("death_date_source", "dm", {}, {"ds": ds("DEATH", 70), "contacts": [{"source": "EX", "on": date(9)}]}, (70, 0), (9, 1)),
    (
        "last_alive_sources",
        "ae+lb+ex",
        {},
        {"contacts": [{"source": "VS", "on": date(90)}, {"source": "EX", "on": date(50)}]},
        (90, 1),
        (50, 1),
    ),
]
BASELINE_SCAN = {"scans": [(-20, -20)], "died": date(60)}


@pytest.mark.parametrize(
    ("endpoint", "row"), [("PFS", row) for row in TIMES] + [("OS", row) for row in OVERALL], ids=[row[0] for row in [*TIMES, *OVERALL]]
)
def test_a_convention_on_times(endpoint: str, row: tuple[Any, ...]) -> None:
    name, value, both, _, before, after = row
    found = [all_times(endpoint, preset("protocol").with_settings(both | changed))[name] for changed in ({}, {name: value})]
    assert found == [before, after]


def test_the_baseline_scan_is_an_anchor_of_its_own() -> None:
    anchors = [preset("protocol").with_settings({"no_post_anchor": anchor}) for anchor in ("enrollment", "baseline_scan")]
    assert [all_times("PFS", conventions)["baseline scan"] for conventions in anchors] == [(60, 0), (0, 1)]


CURVE = pd.DataFrame({"days": [0, 10, 20, 30, 120, 140], "censored": [0, 0, 0, 1, 1, 0], "start": pd.Timestamp("2023-02-01")})
FLAT = pd.DataFrame({"days": [10, 20, 30, 40], "censored": [0, 0, 0, 0], "start": pd.Timestamp("2023-02-01")})


def read(rows: pd.DataFrame, name: str, conventions: Conventions) -> list[Any]:
    """A figure of a curve: value, limits, and how many are at risk."""
    found = estimates.time_to_event(rows, estimates.curve_of(rows, conventions), (ReadingTime(at=4),), conventions)  # type: ignore[arg-type]
    (figure,) = [e for e in found if e.name == name]
    return [None if v is None else round(v, 4) for v in (figure.value, figure.lower, figure.upper, figure.at_risk)]


READINGS = [
    ("interval", "plain", CURVE, "rate", [0.5, 0.1109, 0.8037, 1], [0.5, 0.0999, 0.9001, 1]),
    ("level", "0.9", CURVE, "rate", [0.5, 0.1109, 0.8037, 1], [0.5, 0.161, 0.7687, 1]),
    ("month_days", "30", CURVE, "rate", [0.5, 0.1109, 0.8037, 1], [0.5, 0.1109, 0.8037, 2]),
    ("rate_method", "proportion", CURVE, "rate", [0.5, 0.1109, 0.8037, 1], [0.1667, 0.0042, 0.6412, 1]),
    ("keep_zero_times", "false", CURVE, "rate", [0.5, 0.1109, 0.8037, 1], [0.6, 0.1257, 0.8818, 1]),
    ("median_at_half", "left", FLAT, "median", [25, 10, None, None], [20, 10, None, None]),
]


@pytest.mark.parametrize(("name", "value", "rows", "figure", "before", "after"), READINGS, ids=[row[0] for row in READINGS])
def test_a_convention_on_readings(name: str, value: str, rows: pd.DataFrame, figure: str, before: list[Any], after: list[Any]) -> None:
    assert [read(rows, figure, preset("protocol").with_settings(changed)) for changed in ({}, {name: value})] == [before, after]


def test_conventions_on_response_rates(look: Any, tables_of: Any, on_day: Any) -> None:
    tables = lesions(tables_of, on_day)
    found = respond(tables, preset("protocol"))
    treated = tables["subject"].assign(first_dose_on=[on_day(1)] * 3 + [None] * (len(CASES) - 3))
    sizes = [
        len(denominator(found, treated, preset("protocol").with_settings({"orr_denominator": who}))) for who in ("enrolled", "treated")
    ]
    assert sizes == [len(CASES), 3]
    assert len(denominator(found, treated, preset("protocol").with_settings({"orr_denominator": "evaluable"}))) < len(CASES)


DAYS = ["first_dose_on", "last_dose_on"]
TREATED = pd.DataFrame({"subject": ["S"], "arm": ["A"], "safety": [True], "first_dose_on": ["2023-01-10"], "last_dose_on": ["2023-02-10"]})
TREATED[DAYS] = TREATED[DAYS].apply(pd.to_datetime).astype("datetime64[s]")
EVENTS = pd.DataFrame(
    [("S", 1, "Rash", 1, "POSSIBLE", "2023-01-20"), ("S", 2, "Rash", 3, None, "2023-03-20")],
    columns=["subject", "sequence", "preferred_term", "grade", "related", "start"],
).assign(organ_class="Skin", term="Rash", serious=False, end=None)
SAFETY = [
    ("te_window_days", "60", {}, "events", 1, 2),
    ("related_values", "PROBABLE", {"related_missing": "not_related"}, "related", 1, 0),
    ("related_missing", "not_related", {"te_window_days": "60", "related_values": "PROBABLE"}, "related", 1, 0),
    ("ae_count", "events", {"te_window_days": "60"}, "grade1", 0, 1),
]


@pytest.mark.parametrize(("name", "value", "both", "column", "before", "after"), SAFETY, ids=[row[0] for row in SAFETY])
def test_a_convention_on_safety(name: str, value: str, both: dict[str, str], column: str, before: int, after: int) -> None:
    found = []
    for changed in ({}, {name: value}):
        table = safety.table({"adverse_event": EVENTS}, TREATED, preset("protocol").with_settings(both | changed), Findings())
        found.append(int(table.set_index(safety.KEY).loc[("A", "Skin", "Rash"), column]))
    assert found == [before, after]


def test_the_arm_of_tables_is_the_planned_or_the_actual_one() -> None:
    rows = pd.DataFrame({"arm_planned": ["A"], "arm_actual": ["B"]})
    arms = [subjects.arm_of(rows, STUDY, preset("protocol").with_settings({"arm": arm})).tolist() for arm in ("planned", "actual")]
    assert arms == [["A"], ["B"]]


BODY = pd.DataFrame(
    [("S", 1, "height", 170, "cm", "2023-01-01"), ("S", 2, "weight", 80, "kg", "2023-01-01")],
    columns=["subject", "sequence", "test", "value", "unit", "on"],
)
DOSES = pd.DataFrame(
    [("S", 1, "D", 1, "2023-01-02", 300, "mg", 1.5), ("S", 2, "D", 2, "2023-01-23", 300, "mg", 1.5)],
    columns=["subject", "sequence", "medication", "cycle", "start", "dose", "unit", "bsa_used"],
)
EXPOSURE = [
    ("exposure_duration", "last_dose_plus_one", "duration_days", 42, 22),
    ("bsa", "mosteller", "cumulative_dose_m2", 400, 308.6975),
    ("bsa", "dubois", "cumulative_dose_m2", 400, 313.2537),
]


@pytest.mark.parametrize(("name", "value", "column", "before", "after"), EXPOSURE, ids=[f"{row[0]} {row[1]}" for row in EXPOSURE])
def test_a_convention_on_exposure(name: str, value: str, column: str, before: float, after: float) -> None:
    found = []
    for changed in ({}, {name: value}):
        table = exposure.table({"dose": DOSES, "body_measure": BODY}, STUDY, preset("protocol").with_settings(changed), Findings())
        found.append(round(float(table[column].iloc[0]), 4))
    assert found == [before, after]


ELSEWHERE = {"orr_denominator", "proportion_interval", "arm"}
"""Parameters with a test of their own: here, and in test_proportions.py."""


def test_every_convention_with_a_choice_is_shown_to_act() -> None:
    shown = {row[0] for table in (RESPONSES, TIMES, OVERALL, READINGS, SAFETY, EXPOSURE) for row in table} | ELSEWHERE
    single = {name for name, parameter in parameters().items() if parameter.allowed == parameter.default}
    assert single == {"os_censor", "safety_population", "rdi_denominator"}
    assert shown == parameters().keys() - single


def test_the_limits_of_a_baseline_are_a_finding_or_a_refusal(tables_of: Any, on_day: Any) -> None:
    tables = lesions(tables_of, on_day)
    severities = [
        {
            f.severity
            for f in assess(tables, preset("protocol").with_settings({"baseline_limits": rule})).findings
            if f.code.endswith("-below-limit")
        }
        for rule in ("warn", "refuse")
    ]
    assert severities == [{"warning"}, {"error"}]
