"""Records that are wrong: each is reported with its subject and record and what follows, and the rest is judged."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.response import Responses, respond
from fhir_trial.errors import Finding

Build = Callable[[Mapping[str, Any]], dict[str, pd.DataFrame]]
CASE = {
    "baseline": {
        "target": [{"id": "T1", "mm": 30, "nodal": False, "organ": "LUNG"}, {"id": "T2", "mm": 20, "nodal": True, "organ": "NODE"}]
    },
    "visits": [{"day": 42, "target": {"T1": 20, "T2": 12}}, {"day": 84, "target": {"T1": 10, "T2": 12}}],
}


def records(tables: dict[str, pd.DataFrame], **rows: Any) -> dict[str, pd.DataFrame]:
    """The tables with one record of T1 more."""
    who = {"subject": "S1", "evaluator": "INVESTIGATOR", "evaluator_id": None, "lesion": "T1", "role": "target"}
    return tables | {"measurement": pd.concat([tables["measurement"], pd.DataFrame([who | rows])], ignore_index=True)}


def judged(tables: dict[str, pd.DataFrame], **settings: object) -> tuple[Responses, list[object]]:
    result = respond(tables, preset("protocol").with_settings(settings))
    rows = result.at_visits
    return result, rows["value"][rows["parameter"] == "OVR"].tolist()


def only(result: Responses) -> Finding:
    (finding,) = list(result.findings)
    return finding


def test_clean_input_has_no_finding(tables_of: Build) -> None:
    result, overall = judged(tables_of(CASE))
    assert overall == ["PR", "PR"]
    assert list(result.findings) == []


def test_a_negative_diameter_is_not_measured(tables_of: Build) -> None:
    tables = tables_of(CASE)
    tables["measurement"].loc[2, "longest_mm"] = Decimal(-20)
    result, overall = judged(tables)
    assert overall == ["NE", "PR"]
    finding = only(result)
    assert (finding.code, finding.found) == ("impossible-diameter", "-20 mm")
    assert finding.place == "measurement: subject S1, INVESTIGATOR, lesion T1, visit VISIT 2, sequence 3"
    assert finding.effect == "the lesion counts as not evaluated"


@pytest.mark.parametrize("size", ["1000.1", "99999999999999"])
def test_a_diameter_beyond_a_metre_is_not_measured(tables_of: Build, size: str) -> None:
    tables = tables_of(CASE)
    tables["measurement"].loc[2, "longest_mm"] = Decimal(size)
    result, overall = judged(tables)
    assert overall == ["NE", "PR"]
    assert only(result).code == "impossible-diameter"


def test_a_node_with_its_longest_diameter_only_is_not_measured(tables_of: Build) -> None:
    tables = tables_of(CASE)
    tables["measurement"].loc[3, ["longest_mm", "short_axis_mm"]] = [Decimal(12), None]
    result, overall = judged(tables)
    assert overall == ["NE", "PR"]
    assert only(result).code == "other-diameter"


def test_the_last_of_two_baselines_counts(tables_of: Build, on_day: Callable[[int], str]) -> None:
    tables = records(tables_of(CASE), visit="BASELINE", visit_number=1.5, on=on_day(-1), longest_mm=Decimal(60))
    result, _ = judged(tables)
    assert result.assessments.frame["baseline_mm"].tolist() == [80, 80]
    assert (only(result).code, only(result).severity) == ("two-baselines", "warning")
    assert "lesion T1, visit BASELINE" in only(result).place


def test_treatment_starts_later_than_the_study(tables_of: Build, on_day: Callable[[int], str]) -> None:
    """A scan between enrolment and the first dose is still baseline."""
    tables = records(tables_of(CASE), visit="BASELINE", visit_number=1.5, on=on_day(5), longest_mm=Decimal(60))
    tables["subject"]["first_dose_on"] = on_day(5)
    assert judged(tables)[0].assessments.frame["baseline_mm"].tolist() == [80, 80]


@pytest.mark.parametrize("known", [True, False])
def test_a_target_without_baseline_is_left_out_of_the_sums(tables_of: Build, on_day: Callable[[int], str], known: bool) -> None:
    tables = records(tables_of(CASE), lesion="T9", visit="VISIT 2", visit_number=2, on=on_day(42), longest_mm=Decimal(99))
    if known:
        tables["lesion"] = pd.concat([tables["lesion"], tables["lesion"].iloc[:1].assign(lesion="T9")], ignore_index=True)
    result, overall = judged(tables)
    assert overall == ["PR", "PR"]
    assert only(result).code == ("lesion-without-baseline" if known else "not-a-baseline-target")
    assert only(result).effect == "the lesion is left out of the sums"


def test_a_target_identified_and_never_measured_is_said(tables_of: Build) -> None:
    tables = tables_of(CASE)
    tables["lesion"] = pd.concat([tables["lesion"], tables["lesion"].iloc[:1].assign(lesion="T9")], ignore_index=True)
    result, overall = judged(tables)
    assert overall == ["PR", "PR"]
    assert only(result).place == "measurement: subject S1, INVESTIGATOR, lesion T9"


def test_without_any_baseline_nothing_can_be_judged_but_a_new_lesion_is_progression(tables_of: Build) -> None:
    tables = tables_of({**CASE, "visits": [*CASE["visits"], {"day": 126, "target": {"T1": 9}, "new_lesion": "UNEQUIVOCAL"}]})
    tables["measurement"] = tables["measurement"].iloc[2:]
    result, overall = judged(tables)
    assert overall == ["NE", "NE", "PD"]
    assert result.findings.counts() == {"lesion-without-baseline": 2}


def test_a_record_twice_at_a_visit_counts_once(tables_of: Build, on_day: Callable[[int], str]) -> None:
    tables = records(tables_of(CASE), visit="VISIT 2", visit_number=2, on=on_day(42), longest_mm=Decimal(1))
    result, _ = judged(tables)
    assert result.assessments.frame["sum_mm"].tolist() == [32, 22]
    assert (only(result).code, only(result).effect) == ("duplicate-record", "the first record of the visit counts")


def test_a_visit_name_that_returns_on_another_day_is_another_assessment(tables_of: Build) -> None:
    visits = [{**visit, "name": "UNSCHEDULED"} for visit in CASE["visits"]]
    tables = tables_of({**CASE, "visits": [visits[0], {**visits[1], "target": {"T1": 40, "T2": 30}}]})
    tables["measurement"].loc[2:, "visit_number"] = 2
    result, overall = judged(tables)
    assert overall == ["PR", "PD"]
    assert only(result).code == "repeated-visit"


def test_visits_are_judged_in_the_order_of_their_dates(tables_of: Build) -> None:
    tables = tables_of({**CASE, "visits": [{"day": 84, "target": {"T1": 10, "T2": 12}}, {"day": 42, "target": {"T1": 25, "T2": 20}}]})
    result, overall = judged(tables)
    assert overall == ["SD", "PR"]
    assert (only(result).code, only(result).field) == ("unordered-visits", "visit_number")


@pytest.mark.parametrize("on", [None, "yesterday", "2023-02-30"])
def test_an_assessment_without_a_date_is_not_judged(tables_of: Build, on: str | None) -> None:
    tables = tables_of(CASE)
    tables["measurement"].loc[2:3, "on"] = on
    result, overall = judged(tables)
    assert overall == ["PR"]
    assert only(result).code == "assessment-without-date"


def test_a_reported_response_before_the_start_is_no_response(tables_of: Build, on_day: Callable[[int], str]) -> None:
    who = {"subject": "S1", "evaluator": "INVESTIGATOR", "evaluator_id": None, "test": "overall"}
    rows = [who | {"visit": v, "on": on_day(d), "value": r} for v, d, r in (("SCREENING", -1, "PR"), ("VISIT 2", 42, "SD"))]
    result, _ = judged(tables_of({"baseline": {}, "visits": []}) | {"response": pd.DataFrame(rows)})
    best = result.of_subjects.set_index("parameter")["value"]
    assert (best["BOR"], best["RSP"]) == ("SD", "N")
    assert (only(result).code, only(result).place) == ("assessment-before-baseline", "response: subject S1, INVESTIGATOR, visit SCREENING")


def test_a_lesion_merged_with_one_that_is_not_there_is_not_evaluated(tables_of: Build) -> None:
    for other in ("T7", "T1", "T2"):
        visits = [{"day": 42, "target": {"T1": f"MERGED WITH {other}", "T2": "MERGED WITH T1"}}]
        result, overall = judged(tables_of({**CASE, "visits": visits}))
        assert overall == ["NE"]
        assert result.findings.counts() == {"merged-with-unmeasured": 2}


def test_a_non_target_lesion_that_was_not_there_at_baseline_is_not_judged(tables_of: Build, on_day: Callable[[int], str]) -> None:
    more = {"lesion": "N9", "role": "non-target", "state": "present", "visit": "VISIT 2", "visit_number": 2, "on": on_day(42)}
    result, overall = judged(records(tables_of(CASE), **more))
    assert overall == ["PR", "PR"]
    assert only(result).effect == "the non-target lesion is not judged"


def test_a_subject_unknown_or_twice_in_the_subject_table_is_no_crash(tables_of: Build) -> None:
    tables = tables_of(CASE)
    _, overall = judged(tables | {"subject": tables["subject"].assign(subject="S2")})
    assert overall == ["PR", "PR"]
    result, _ = judged(tables | {"subject": pd.concat([tables["subject"]] * 2)})
    assert len(result.of_subjects) == 6


def limits(count: int, organ: str) -> dict[str, Any]:
    targets = [{"id": f"T{i}", "mm": 20, "nodal": False, "organ": organ.format(i)} for i in range(count)]
    return {"baseline": {"target": targets}, "visits": [{"day": 42, "target": {f"T{i}": 20 for i in range(count)}}]}


@pytest.mark.parametrize(
    ("count", "organ", "codes"),
    [(5, "O{}", []), (6, "O{}", ["too-many-targets"]), (2, "LUNG", []), (3, "LUNG", ["too-many-targets-in-an-organ"])],
)
def test_more_targets_than_allowed_are_a_finding_or_refused(tables_of: Build, count: int, organ: str, codes: list[str]) -> None:
    result, overall = judged(tables_of(limits(count, organ)))
    assert [f.code for f in result.findings] == codes
    assert overall == ["SD"]
    refused, overall = judged(tables_of(limits(count, organ)), baseline_limits="refuse")
    assert overall == (["NE"] if codes else ["SD"])
    assert [f.severity for f in refused.findings] == ["error"] * len(codes)


@pytest.mark.parametrize(("mm", "nodal", "fine"), [(10, False, True), (9.9, False, False), (15, True, True), (14.9, True, False)])
def test_the_least_size_of_a_target(tables_of: Build, mm: float, nodal: bool, fine: bool) -> None:
    case = {"baseline": {"target": [{"id": "T1", "mm": mm, "nodal": nodal, "organ": "O"}]}, "visits": [{"day": 42, "target": {"T1": 20}}]}
    assert (len(judged(tables_of(case))[0].findings) == 0) is fine


def rows_of(tables: dict[str, pd.DataFrame], name: str, *rows: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables with rows more of a subject's evaluator."""
    who = {"subject": "S1", "evaluator": "INVESTIGATOR", "evaluator_id": None}
    return tables | {name: pd.concat([tables[name], pd.DataFrame([who | row for row in rows])], ignore_index=True)}


def overall_rows(on_day: Callable[[int], str], *seen: tuple[str, float, int, str]) -> list[dict[str, Any]]:
    """Reported responses: visit, its number, day and value."""
    return [
        {"test": "overall", "visit": visit, "visit_number": number, "on": on_day(day), "value": value, "sequence": place}
        for place, (visit, number, day, value) in enumerate(seen, 1)
    ]


def test_a_visit_dated_before_the_baseline_is_no_response_assessment(tables_of: Build, on_day: Callable[[int], str]) -> None:
    tables = tables_of(CASE)
    tables["measurement"].loc[2:3, "on"] = "2022-02-13"  # a year too early
    result, overall = judged(tables)
    assert overall == ["PR"]
    assert result.findings.counts() == {"unordered-visits": 1, "assessment-before-baseline": 1}
    finding = next(f for f in result.findings if f.code == "assessment-before-baseline")
    assert finding.place == "measurement: subject S1, INVESTIGATOR, lesion T1, visit VISIT 2, sequence 3"
    assert finding.effect == "an assessment before the baseline is no response assessment"
    assert result.assessments.frame["baseline_mm"].tolist() == [50]


RECORDS = [
    ([("V1", 1, 42, "SD"), ("V2", 2, 42, "PR")], "duplicate-response", "V2", "SD"),
    ([("V1", 1, 42, "PR"), ("V1", 1, 84, "SD")], "repeated-visit", "V1", "PR"),
    ([("V2", 2, 42, "SD"), ("V1", 1, 84, "PR")], "unordered-visits", "V1", "PR"),
    ([("V1", 1, -1, "PR"), ("V2", 2, 84, "SD")], "assessment-before-baseline", "V1", "SD"),
]


@pytest.mark.parametrize(("seen", "code", "visit", "bor"), RECORDS)
def test_odd_records_of_reported_responses(
    tables_of: Build, on_day: Callable[[int], str], seen: list[tuple[str, float, int, str]], code: str, visit: str, bor: str
) -> None:
    empty = tables_of({"baseline": {}, "visits": []})
    result, _ = judged(empty | {"response": rows_of(empty, "response", *overall_rows(on_day, *seen))["response"]})
    assert only(result).code == code
    assert only(result).place.startswith(f"response: subject S1, INVESTIGATOR, visit {visit}, sequence ")
    assert only(result).effect
    assert result.of_subjects.set_index("parameter")["value"]["BOR"] == bor


def test_an_unscheduled_visit_that_returns_under_another_number_is_nothing_odd(tables_of: Build, on_day: Callable[[int], str]) -> None:
    seen = [("UNSCHEDULED", 2.1, 42, "SD"), ("UNSCHEDULED", 3.1, 84, "PR")]
    empty = tables_of({"baseline": {}, "visits": []})
    assert not judged(empty | {"response": rows_of(empty, "response", *overall_rows(on_day, *seen))["response"]})[0].findings.counts()


def test_of_each_subject_the_accepted_reader_counts_where_there_is_one(tables_of: Build, on_day: Callable[[int], str]) -> None:
    tables = tables_of({"baseline": {}, "visits": []})
    rows = [
        {"subject": subject, "test": "overall", "visit": "V", "on": on_day(42), "value": value, "evaluator_id": reader, "accepted": taken}
        for subject, reader, value, taken in (("S1", "R1", "PR", None), ("S1", "R2", "CR", True), ("S2", "R1", "SD", None))
    ]
    tables["subject"] = pd.concat([tables["subject"], tables["subject"].assign(subject="S2")], ignore_index=True)
    tables["response"] = pd.DataFrame(rows).assign(evaluator="INVESTIGATOR")
    result, _ = judged(tables)
    best = result.of_subjects[result.of_subjects["parameter"] == "BOR"]
    assert dict(zip(best["subject"], best["value"], strict=True)) == {"S1": "CR", "S2": "SD"}
    assert not result.findings.counts()


@pytest.mark.parametrize(
    ("value", "day", "expected"),
    [("NOT NORMAL", 45, ["PR"]), ("NOT NORMAL", None, ["PR"]), ("NORMAL", 45, ["CR"]), ("NOT NORMAL", 39, ["PR"])],
)
def test_a_marker_of_a_visit_counts_at_it_whenever_the_sample_was_taken(
    tables_of: Build, on_day: Callable[[int], str], value: str, day: int | None, expected: list[str]
) -> None:
    tables = tables_of({**CASE, "visits": [{"day": 42, "target": {"T1": 0, "T2": 8}}]})
    on = None if day is None else on_day(day)
    marker = {"test": "marker", "visit": "VISIT 2", "visit_number": 2, "on": on, "value": value}
    assert judged(rows_of(tables, "response", marker))[1] == expected


def test_a_marker_without_date_or_visit_is_said(tables_of: Build) -> None:
    result, overall = judged(rows_of(tables_of(CASE), "response", {"test": "marker", "visit": "HOME", "value": "NOT NORMAL"}))
    assert overall == ["PR", "PR"]
    assert (only(result).code, only(result).effect) == ("marker-without-date", "the marker does not count")


def test_a_new_lesion_of_the_baseline_scan_is_no_progression(tables_of: Build, on_day: Callable[[int], str]) -> None:
    more = {"lesion": "N9", "role": "new", "state": "unequivocal", "visit": "SCREENING", "visit_number": 1, "on": on_day(-7)}
    result, overall = judged(records(tables_of(CASE), **more))
    assert overall == ["PR", "PR"]
    assert only(result).code == "new-lesion-before-treatment"
    assert "lesion N9, visit SCREENING" in only(result).place


@pytest.mark.parametrize("role", ["non-target", "new"])
def test_an_impossible_diameter_of_another_lesion_is_said(tables_of: Build, on_day: Callable[[int], str], role: str) -> None:
    at = {"visit": "VISIT 2", "visit_number": 2, "on": on_day(42)} if role == "new" else {"visit": "SCREENING", "on": on_day(-7)}
    result, overall = judged(records(tables_of(CASE), lesion="N9", role=role, longest_mm=Decimal(-3), **at))
    assert overall == ["PR", "PR"]
    finding = next(f for f in result.findings if f.code == "impossible-diameter")
    assert (finding.found, finding.effect) == ("-3 mm", "the diameter does not count")


@pytest.mark.parametrize(
    ("state", "mm", "target"), [("absent", 12, "PR"), ("present", 0, "CR"), ("too-small-to-measure", 0, "CR"), ("present", 12, "PR")]
)
def test_a_state_that_contradicts_its_diameter_is_said(tables_of: Build, state: str, mm: int, target: str) -> None:
    case = {"baseline": {"target": [CASE["baseline"]["target"][0]]}, "visits": [{"day": 42, "target": {"T1": mm}}]}
    tables = tables_of(case)
    tables["measurement"]["state"] = [None, state]
    result, overall = judged(tables)
    assert overall == [target]
    assert result.findings.counts() == ({} if (state, mm) == ("present", 12) else {"state-and-diameter-disagree": 1})


def test_a_lesion_of_which_only_short_axes_are_known_is_a_node(tables_of: Build) -> None:
    node = {"id": "T1", "mm": 18, "nodal": True, "organ": None}
    tables = tables_of({"baseline": {"target": [node]}, "visits": [{"day": 42, "target": {"T1": 9}}]})
    tables["lesion"]["nodal"] = None
    result, overall = judged(tables)
    assert overall == ["CR"]
    assert only(result).code == "taken-as-node"
    tables["lesion"]["organ"] = "LUNG"
    assert judged(tables)[0].findings.counts()["other-diameter"] == 2


def test_lesions_identified_and_nothing_measured_at_all_are_said(tables_of: Build) -> None:
    tables = tables_of(CASE)
    result, overall = judged(tables | {"measurement": tables["measurement"].iloc[:0]})
    assert overall == []
    assert result.findings.counts() == {"lesion-without-baseline": 2}


def test_lesions_that_tu_identifies_and_nobody_measured_are_one_finding_for_all_subjects(tables_of: Build) -> None:
    tables = tables_of(CASE)
    lesions = tables["lesion"].assign(sequence=range(1, len(tables["lesion"]) + 1))
    lesions = pd.concat([lesions, lesions.assign(subject="S2")], ignore_index=True)
    finding = only(respond(tables | {"measurement": tables["measurement"].iloc[:0], "lesion": lesions}, preset("protocol")))
    assert finding.place == "measurement"
    assert finding.found == "4 target lesions that TU identifies, none measured"
