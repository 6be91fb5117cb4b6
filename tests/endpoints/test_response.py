"""Best responses and rates: each rule of the conventions changes what it says and nothing else."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fhir_trial.endpoints.confirmation import confirming
from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.response import Responses, rates, respond
from fhir_trial.endpoints.response_codes import CODES
from fhir_trial.errors import InputError

Build = Callable[[Mapping[str, Any]], dict[str, pd.DataFrame]]
Day = Callable[[int], str]
BEST = ["BOR", "CBOR", "RSP", "CRSP", "DCR", "CBR"]


@pytest.fixture
def reported(on_day: Day) -> Callable[..., dict[str, pd.DataFrame]]:
    """Tables of one enrolled subject with overall responses as reported: days from enrolment and words."""

    def tables(*visits: tuple[int, str | None], **subject: Any) -> dict[str, pd.DataFrame]:
        who = {"subject": "S1", "evaluator": "INVESTIGATOR", "evaluator_id": None, "test": "overall"}
        rows = [
            who | {"visit": f"V{n}", "visit_number": n, "on": on_day(d), "value": r, "not_done": r is None, "sequence": n}
            for n, (d, r) in enumerate(visits, 1)
        ]
        person = {"study": "STUDY", "subject": "S1", "state": "enrolled", "enrolled_on": on_day(0)} | subject
        return {
            "subject": pd.DataFrame([person]),
            "response": pd.DataFrame(rows, columns=[*who, "visit", "visit_number", "on", "value", "not_done", "sequence"]),
        }

    return tables


def best(result: Responses) -> list[str]:
    values = result.of_subjects.set_index("parameter")["value"]
    return [values[name] for name in BEST]


RULES: list[tuple[list[tuple[int, str | None]], dict[str, object], str]] = [
    ([(42, "SD")], {}, "SD SD N N Y N"),
    ([(41, "SD")], {}, "NE NE N N N N"),
    ([(41, "SD")], {"sd_min_days": 41}, "SD SD N N Y N"),
    ([(41, "SD")], {"dcr_min_days": 41}, "NE NE N N Y N"),
    ([(41, "SD"), (80, "PD")], {}, "PD PD N N N N"),
    ([(42, "SD"), (168, "SD")], {}, "SD SD N N Y Y"),
    ([(42, "SD"), (167, "SD")], {}, "SD SD N N Y N"),
    ([(42, "SD"), (167, "SD")], {"cbr_min_days": 167}, "SD SD N N Y Y"),
    ([(42, "NON-CR/NON-PD"), (200, "NON-CR/NON-PD")], {}, "NON-CR/NON-PD NON-CR/NON-PD N N Y N"),
    ([(41, "NON-CR/NON-PD")], {}, "NE NE N N N N"),
    ([(42, "NED")], {}, "NED NED N N N N"),
    ([(42, "PR"), (70, "PR")], {}, "PR PR Y Y Y Y"),
    ([(42, "PR"), (69, "PR")], {}, "PR SD Y N Y Y"),
    ([(42, "PR"), (69, "PR")], {"confirm_days": 21}, "PR PR Y Y Y Y"),
    ([(20, "PR")], {}, "PR NE Y N Y Y"),
    ([(20, "PR"), (41, "PD")], {}, "PR PD Y N Y Y"),
    ([(42, "PR"), (60, None), (80, None), (100, "PR")], {}, "PR SD Y N Y Y"),
    ([(42, "PR"), (60, None), (80, None), (100, "PR")], {"max_ne_between": 2}, "PR PR Y Y Y Y"),
    ([(42, "PR"), (60, None), (100, "PR")], {"max_ne_between": 0}, "PR SD Y N Y Y"),
    ([(42, "PR"), (60, "SD"), (100, "PR")], {}, "PR SD Y N Y Y"),
    ([(42, "PR"), (60, "SD"), (100, "CR")], {"sd_between_ok": True}, "CR PR Y Y Y Y"),
    ([(42, "CR"), (60, "SD"), (100, "CR")], {"sd_between_ok": True}, "CR SD Y N Y Y"),
    ([(42, "CR"), (70, "CR")], {}, "CR CR Y Y Y Y"),
    ([(42, "CR"), (70, "PR")], {}, "CR SD Y N Y Y"),
    ([(42, "PR"), (50, "CR"), (60, "PR"), (80, "PR")], {}, "CR SD Y N Y Y"),
    ([(42, "PR"), (84, "CR"), (126, "CR")], {}, "CR CR Y Y Y Y"),
    ([(42, "PR"), (50, "CR"), (60, "NE"), (80, "PR")], {}, "CR SD Y N Y Y"),
    ([(42, "PR"), (60, "NON-CR/NON-PD"), (100, "PR")], {"sd_between_ok": True}, "PR SD Y N Y Y"),
    ([(42, "PD"), (84, "CR"), (126, "CR")], {}, "PD PD N N N N"),
    ([(42, "NE")], {}, "NE NE N N N N"),
    ([], {}, "NE NE N N N N"),
    ([], {"no_assessment_bor": "MISSING"}, "MISSING MISSING N N N N"),
    ([(-1, "CR"), (42, "SD")], {}, "SD SD N N Y N"),
    ([(42, "SD"), (42, "PR")], {}, "SD SD N N Y N"),
    ([(42, "PD"), (42, "NON-CR/NON-PD")], {}, "PD PD N N N N"),
    ([(42, "NE"), (42, "CR")], {}, "CR SD Y N Y Y"),
    ([(42, "PR"), (84, "PR")], {"data_cutoff": "2023-02-13"}, "PR SD Y N Y Y"),
    ([(42, "PR"), (84, "PR")], {"data_cutoff": "2023-02-12"}, "NE NE N N N N"),
]


@pytest.mark.parametrize(("visits", "changed", "expected"), RULES)
def test_best_responses(reported: Callable[..., Any], visits: list[Any], changed: dict[str, object], expected: str) -> None:
    result = respond(reported(*visits), preset("protocol").with_settings(changed))
    assert best(result) == expected.split()


def test_responses_after_new_therapy_do_not_count(reported: Callable[..., Any], on_day: Day) -> None:
    def therapy(day: int, category: str) -> pd.DataFrame:
        return pd.DataFrame([{"subject": "S1", "category": category, "start": on_day(day)}])

    visits = ((42, "SD"), (84, "PR"), (126, "PR"))
    cases = [
        ({"therapy": therapy(83, "Subsequent anti-cancer therapy")}, {}, "SD", 3),
        ({"therapy": therapy(83, "SUBSEQUENT ANTICANCER THERAPY")}, {}, "SD", 3),
        ({"therapy": therapy(84, "SUBSEQUENT ANTICANCER THERAPY")}, {}, "PR", 3),
        ({"therapy": therapy(83, "PRIOR ANTICANCER THERAPY")}, {}, "PR", 3),
        ({"therapy": therapy(-1, "SUBSEQUENT ANTICANCER THERAPY")}, {}, "PR", 3),
        ({"therapy": therapy(83, "SUBSEQUENT ANTICANCER THERAPY")}, {"exclude_after_nact": False}, "PR", 3),
    ]
    for more, changed, bor, rows in cases:
        result = respond(reported(*visits) | more, preset("protocol").with_settings(changed))
        assert (best(result)[0], len(result.at_visits)) == (bor, rows), (more, changed)


WITHDRAWALS = [(83, "STUDY PARTICIPATION", "SD", 1), (84, "STUDY PARTICIPATION", "PR", 2), (83, "STUDY TREATMENT", "PR", 3)]


@pytest.mark.parametrize(("day", "scope", "bor", "rows"), WITHDRAWALS)
def test_responses_after_withdrawal_are_not_seen(
    reported: Callable[..., Any], on_day: Day, day: int, scope: str, bor: str, rows: int
) -> None:
    left = [{"sequence": 1, "event": "WITHDRAWAL BY SUBJECT", "scope": scope, "on": on_day(day)}]
    tables = reported((42, "SD"), (84, "PR"), (126, "PR"), dispositions=left)
    result = respond(tables, preset("protocol"))
    assert (best(result)[0], len(result.at_visits)) == (bor, rows)
    assert result.findings.counts() == ({"response-not-seen": 1} if rows < 3 else {})
    assert best(respond(tables, preset("protocol").with_settings({"ignore_after_withdrawal": False})))[0] == "PR"


@pytest.mark.parametrize(("start", "bor"), [("enrollment", "NE"), ("consent", "SD"), ("first_dose", "NE"), ("randomization", "NE")])
def test_days_count_from_the_start(reported: Callable[..., Any], on_day: Day, start: str, bor: str) -> None:
    tables = reported((41, "SD"), consented_on=on_day(-1), first_dose_on=on_day(7), randomized_on=None)
    result = respond(tables, preset("protocol").with_settings({"start": start}))
    assert best(result)[0] == bor
    assert result.at_visits["day_from_start"].tolist() == [{"consent": 43, "first_dose": 35}.get(start, 42)]


def test_the_source_and_date_of_a_best_response_are_those_of_the_deciding_visit(reported: Callable[..., Any]) -> None:
    result = respond(reported((42, "SD"), (84, "PR"), (126, "PR")), preset("protocol"))
    rows = result.of_subjects.set_index("parameter")
    assert rows.loc["BOR", ["visit", "source_domain", "source_sequence", "day_from_start"]].tolist() == ["V2", "RS", 2, 85]
    assert str(rows.loc["CRSP", "on"])[:10] == "2023-03-27"
    assert rows.loc["CRSP", "reason"] == "confirmed complete or partial response"


def test_a_negative_has_neither_date_nor_source(reported: Callable[..., Any]) -> None:
    rows = respond(reported((42, "SD")), preset("protocol")).of_subjects.set_index("parameter")
    assert rows.loc["RSP", ["value", "number", "reason"]].tolist() == ["N", 0.0, "no response"]
    assert rows.loc["RSP", ["on", "source_domain", "source_sequence", "day_from_start"]].isna().all()


def test_reported_responses_are_taken_where_the_evaluator_has_any(tables_of: Build, reported: Callable[..., Any]) -> None:
    case = {"baseline": {"target": [{"id": "T1", "mm": 30, "nodal": False}]}, "visits": [{"day": 42, "target": {"T1": 10}}]}
    tables = tables_of(case) | {"response": reported((42, "SD"))["response"]}
    bor = {s: best(respond(tables, preset("protocol").with_settings({"response_source": s})))[0] for s in ("auto", "reported", "derived")}
    assert bor == {"auto": "SD", "reported": "SD", "derived": "PR"}
    other = tables["response"].assign(evaluator="INDEPENDENT ASSESSOR")
    assert best(respond(tables | {"response": other}, preset("protocol")))[0] == "PR"
    assert best(respond(tables | {"response": other}, preset("protocol").with_settings({"evaluator": "INDEPENDENT ASSESSOR"})))[0] == "SD"


def test_lesions_count_where_the_evaluator_reported_other_subjects_only(tables_of: Build, reported: Callable[..., Any]) -> None:
    case = {"baseline": {"target": [{"id": "T1", "mm": 30, "nodal": False}]}, "visits": [{"day": 42, "target": {"T1": 10}}]}
    tables, other = tables_of(case), reported((42, "SD"))
    tables["subject"] = pd.concat([tables["subject"], other["subject"].assign(subject="S2")], ignore_index=True)
    tables["response"] = other["response"].assign(subject="S2")
    table = respond(tables, preset("protocol")).of_subjects
    bor = table[table["parameter"] == "BOR"]
    assert dict(zip(bor["subject"], bor["value"], strict=True)) == {tables["subject"]["subject"][0]: "PR", "S2": "SD"}
    assert sorted(bor["source_domain"]) == ["RS", "TR"]


@pytest.mark.parametrize("name", ["INVESTIGATOR", "Investigator", "r1"])
def test_an_evaluator_or_reader_is_known_in_any_case(reported: Callable[..., Any], name: str) -> None:
    tables = reported((42, "PR"))
    tables["response"]["evaluator_id"] = "R1"
    result = respond(tables, preset("protocol").with_settings({"evaluator": name}))
    assert (best(result)[0], list(result.findings)) == ("PR", [])


def test_an_evaluator_that_read_nothing_is_a_finding(reported: Callable[..., Any]) -> None:
    result = respond(reported((42, "PR")), preset("protocol").with_settings({"evaluator": "NOBODY"}))
    assert best(result)[0] == "NE"
    (finding,) = result.findings
    assert (finding.code, finding.found, finding.severity) == ("no-such-evaluator", "NOBODY", "error")
    assert finding.expected == "one of INVESTIGATOR"


def test_readers_without_an_accepted_one_are_a_finding(reported: Callable[..., Any]) -> None:
    tables = reported((42, "PR"), (42, "SD"))
    tables["response"]["evaluator_id"] = ["R1", "R2"]
    result = respond(tables, preset("protocol"))
    assert best(result)[0] == "SD"
    assert result.findings.counts() == {"several-readers": 1}
    tables["response"]["accepted"] = [True, False]
    assert best(respond(tables, preset("protocol")))[0] == "PR"


def test_an_unconfirmed_cr_without_measurable_disease_has_its_own_label(tables_of: Build) -> None:
    case = {"baseline": {"nontarget": [{"id": "N1", "nodal": False}]}, "visits": [{"day": 42, "nontarget": {"N1": "ABSENT"}}]}
    assert best(respond(tables_of(case), preset("protocol")))[:2] == ["CR", "NON-CR/NON-PD"]
    assert best(respond(tables_of(case), preset("protocol").with_settings({"unconfirmed_cr_label": "NE"})))[:2] == ["CR", "NE"]
    early = {**case, "visits": [{**case["visits"][0], "day": 41}]}
    assert best(respond(tables_of(early), preset("protocol")))[:2] == ["CR", "NE"]


def test_an_unconfirmed_cr_of_a_target_is_stable_disease_whatever_another_reader_measured(tables_of: Build) -> None:
    target = {"baseline": {"target": [{"id": "T1", "mm": 30, "nodal": False}]}, "visits": [{"day": 42, "target": {"T1": "ABSENT"}}]}
    without = {"baseline": {"nontarget": [{"id": "N1", "nodal": False}]}, "visits": [{"day": 42, "nontarget": {"N1": "ABSENT"}}]}
    mine, other = tables_of(target), tables_of(without)
    assert best(respond(mine, preset("protocol")))[:2] == ["CR", "SD"]
    both = {n: pd.concat([mine[n], other[n].assign(evaluator="INDEPENDENT")], ignore_index=True) for n in ("measurement", "lesion")}
    assert best(respond(mine | both, preset("protocol")))[:2] == ["CR", "SD"]


def test_progression_is_dated_to_the_equivocal_lesion_where_asked(tables_of: Build, reported: Callable[..., Any]) -> None:
    visits = [{"day": d, "target": {"T1": 30}, "new_lesion": n} for d, n in ((42, "EQUIVOCAL"), (84, "UNEQUIVOCAL"))]
    tables = tables_of({"baseline": {"target": [{"id": "T1", "mm": 30, "nodal": False}]}, "visits": visits})
    rows = {}
    told = reported((42, "SD"), (84, "PD"))["response"].assign(visit=["VISIT 2", "VISIT 3"])
    for name, response in (("derived", tables["response"]), ("reported", told)):
        for back in (False, True):
            result = respond(tables | {"response": response}, preset("protocol").with_settings({"backdate_equivocal": back}))
            ovr = result.at_visits[result.at_visits["parameter"] == "OVR"]
            rows[name, back] = (ovr["value"].tolist(), str(ovr["on"].iloc[1])[:10], str(ovr["progression_on"].iloc[1])[:10])
    assert rows == {
        ("derived", False): (["SD", "PD"], "2023-03-27", "2023-03-27"),
        ("derived", True): (["SD", "PD"], "2023-03-27", "2023-02-13"),
        ("reported", False): (["SD", "PD"], "2023-03-27", "NaT"),
        ("reported", True): (["SD", "PD"], "2023-03-27", "2023-02-13"),
    }


def test_the_date_of_a_visit_with_two_scans(tables_of: Build, on_day: Day) -> None:
    targets = [{"id": "T1", "mm": 30, "nodal": False}, {"id": "T2", "mm": 30, "nodal": False}]
    for size, value in ((30, "SD"), (60, "PD")):
        tables = tables_of({"baseline": {"target": targets}, "visits": [{"day": 81, "target": {"T1": size, "T2": size}}]})
        tables["measurement"].loc[3, "on"] = on_day(86)
        dates = {}
        for rule in ("earliest", "latest"):
            changed = {"pd_scan_date": rule, "censor_scan_date": "latest" if rule == "earliest" else "earliest"}
            frame = respond(tables, preset("protocol").with_settings(changed)).assessments.frame
            assert frame["overall"].tolist() == [value]
            dates[rule] = str(frame["on"].iloc[0])[:10]
        first, last = on_day(81), on_day(86)
        assert dates == ({"earliest": first, "latest": last} if value == "PD" else {"earliest": last, "latest": first})


def test_rates_and_their_denominators(reported: Callable[..., Any], on_day: Day) -> None:
    parts = []
    courses: dict[str, tuple[list[tuple[int, str | None]], dict[str, Any]]] = {
        "A": ([(42, "PR"), (84, "PR")], {"first_dose_on": on_day(0)}),
        "B": ([(42, "PR")], {"first_dose_on": on_day(0)}),
        "C": ([(42, "NE")], {"first_dose_on": on_day(0)}),
        "D": ([], {}),
        "E": ([], {"state": "screen-failure"}),
    }
    for name, (visits, subject) in courses.items():
        parts.append({k: v.assign(subject=name) for k, v in reported(*visits, **subject).items()})
    tables = {k: pd.concat([p[k] for p in parts if len(p[k])], ignore_index=True) for k in parts[0]}
    counts = {}
    for who in ("enrolled", "treated", "evaluable"):
        conventions = preset("protocol").with_settings({"orr_denominator": who, "proportion_interval": "wilson", "level": 0.9})
        found = rates(respond(tables, conventions), tables["subject"], conventions)
        counts[who] = [(found[rate].x, found[rate].n) for rate in ("ORR", "CORR", "DCR", "CBR")]
        assert (found["ORR"].method, found["ORR"].level) == ("wilson", 0.9)
    assert counts == {
        "enrolled": [(2, 4), (1, 4), (2, 4), (2, 4)],
        "treated": [(2, 3), (1, 3), (2, 3), (2, 3)],
        "evaluable": [(2, 2), (1, 2), (2, 2), (2, 2)],
    }


def test_nothing_at_all_gives_rows_that_say_so(reported: Callable[..., Any]) -> None:
    result = respond({"subject": reported()["subject"]}, preset("protocol"))
    assert len(result.at_visits) == 0
    assert best(result) == ["NE", "NE", "N", "N", "N", "N"]
    assert result.table()["reason"].tolist()[0] == "no post-baseline assessment"
    assert list(result.of_evaluator()["parameter"]) == BEST


def test_confirmation_never_crosses_subjects() -> None:
    responses = np.array([CODES[r] for r in ("PR", "PR", "PR", "PR")])
    group, day = np.array([0, 1, 1, 2]), np.array([0, 0, 28, 56])
    assert confirming(responses, group, day, preset("protocol")).tolist() == [-1, 2, -1, -1]


@pytest.mark.parametrize(
    ("table", "column", "code"),
    [
        ("response", "test", "missing-column"),
        ("response", "subject", "missing-column"),
        ("measurement", "lesion", "missing-column"),
        ("lesion", "lesion", "missing-column"),
        ("subject", "subject", "missing-table"),
    ],
)
def test_a_table_without_a_column_that_it_needs_is_refused_by_name(
    tables_of: Build, reported: Callable[..., Any], table: str, column: str, code: str
) -> None:
    case = {"baseline": {"target": [{"id": "T1", "mm": 30, "nodal": False}]}, "visits": [{"day": 42, "target": {"T1": 20}}]}
    tables = tables_of(case) | {"response": reported((42, "PR"))["response"]}
    tables[table] = tables[table].drop(columns=column)
    with pytest.raises(InputError) as refused:
        respond(tables, preset("protocol"))
    assert [(f.code, f.place, f.field) for f in refused.value.findings] == [(code, table, column)]


def test_without_a_table_of_subjects_nothing_is_derived(reported: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="subject"):
        respond({"response": reported((42, "PR"))["response"]}, preset("protocol"))
