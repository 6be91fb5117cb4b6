"""What a record of a lesion that is no target says, state by state; which record and reason stand in a visit's row."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.recist import Assessments, assess
from fhir_trial.endpoints.response import respond
from fhir_trial.errors import Findings, InputError

Tables = dict[str, pd.DataFrame]
Build = Callable[[Mapping[str, Any]], Tables]
Day = Callable[[int], str]

WHO = {"subject": "S1", "evaluator": "INVESTIGATOR", "evaluator_id": None}
TUMOUR = {"id": "T1", "mm": 30, "nodal": False, "organ": "LUNG"}
OTHER = {"id": "N1", "nodal": False, "organ": "LIVER"}
NODE = {"id": "N1", "nodal": True, "organ": "LYMPH NODE"}


def judged(tables: Tables, **settings: object) -> Assessments:
    return assess(tables, preset("protocol").with_settings(settings))


def case(*visits: dict[str, Any], targets: Any = (), others: Any = ()) -> dict[str, Any]:
    numbered = [{"day": 42 * n, **visit} for n, visit in enumerate(visits, 1)]
    return {"baseline": {"target": list(targets), "nontarget": list(others)}, "visits": numbered}


def at_visit(tables: Tables, on_day: Day, lesion: str, **said: Any) -> Tables:
    """The tables with one record more, at the second visit unless it says otherwise."""
    row = {**WHO, "visit": "VISIT 2", "visit_number": 2, "on": on_day(42), "lesion": lesion, "record": 99, "state_sequence": 99, **said}
    return tables | {"measurement": pd.concat([tables["measurement"], pd.DataFrame([row])], ignore_index=True)}


NON_TARGET = [
    ("present", None, False, "NON-CR/NON-PD"),
    ("merged", None, False, "NON-CR/NON-PD"),
    ("merged", 0, False, "NON-CR/NON-PD"),
    ("equivocal", None, False, "NON-CR/NON-PD"),
    ("unequivocal", None, False, "NON-CR/NON-PD"),
    ("too-small-to-measure", None, False, "NON-CR/NON-PD"),
    ("absent", None, False, "CR"),
    ("not-evaluable", None, False, "NE"),
    ("not-done", None, False, "NE"),
    ("unequivocal-progression", None, False, "PD"),
    ("unequivocal-progression", 12, False, "PD"),
    (None, 12, False, "NON-CR/NON-PD"),
    (None, 0, False, "CR"),
    ("not-evaluable", 12, False, "NE"),
    ("not-done", 12, False, "NE"),
    # a node is normal below 10 mm, however it is said that it is seen (RECIST 1.1, 4.3.3)
    ("present", 9.9, True, "CR"),
    ("present", 10, True, "NON-CR/NON-PD"),
    ("too-small-to-measure", None, True, "CR"),
    (None, 9.9, True, "CR"),
    (None, 10, True, "NON-CR/NON-PD"),
    # where state and diameter disagree the diameter counts, as the finding says
    ("absent", 12, False, "NON-CR/NON-PD"),
    ("present", 0, False, "CR"),
]


@pytest.mark.parametrize(("state", "mm", "nodal", "expected"), NON_TARGET)
def test_what_is_said_of_a_non_target_lesion(
    tables_of: Build, on_day: Day, state: str | None, mm: float | None, nodal: bool, expected: str
) -> None:
    tables = tables_of(case(others=[NODE if nodal else OTHER]))
    size = {} if mm is None else {"short_axis_mm" if nodal else "longest_mm": Decimal(str(mm))}
    tables = at_visit(tables, on_day, "N1", role="non-target", state=state, **size)
    assert judged(tables).frame["overall"].tolist() == [expected]


NEW = [
    ("unequivocal", None, "PD"),
    ("present", None, "PD"),
    ("unequivocal-progression", None, "PD"),
    ("too-small-to-measure", None, "PD"),
    ("equivocal", None, "SD"),
    ("equivocal", 12, "SD"),
    ("absent", None, "SD"),
    ("absent", 12, "SD"),
    ("not-evaluable", None, "SD"),
    (None, 12, "PD"),
    (None, 0, "SD"),
    (None, -3, "SD"),
]


@pytest.mark.parametrize(("state", "mm", "expected"), NEW)
def test_what_is_said_of_a_new_lesion(tables_of: Build, on_day: Day, state: str | None, mm: float | None, expected: str) -> None:
    size = {} if mm is None else {"longest_mm": Decimal(mm)}
    tables = at_visit(tables_of(case({"target": {"T1": 30}}, targets=[TUMOUR])), on_day, "X1", role="new", state=state, **size)
    row = judged(tables).frame.iloc[0]
    assert (row["overall"], row["new_lesion"]) == (
        expected,
        "UNEQUIVOCAL" if expected == "PD" else "EQUIVOCAL" if state == "equivocal" else "NONE",
    )


TOLD = [*((word, "UNEQUIVOCAL") for word in ("UNEQUIVOCAL", "Y", "YES", "PRESENT", "PD", "NEW", "y")), ("EQUIVOCAL", "EQUIVOCAL")]


@pytest.mark.parametrize(
    ("value", "expected"), [*TOLD, ("N", "NONE"), ("NO", "NONE"), ("ABSENT", "NONE"), ("UNKNOWN", "NONE"), ("NE", "NONE")]
)
def test_a_new_lesion_that_is_reported_without_a_record(tables_of: Build, on_day: Day, value: str, expected: str) -> None:
    tables = tables_of(case({"target": {"T1": 30}}, targets=[TUMOUR]))
    row = {**WHO, "test": "new-lesion", "visit": "VISIT 2", "visit_number": 2, "on": on_day(42), "value": value, "sequence": 5}
    found = judged(tables | {"response": pd.DataFrame([row])}).frame.iloc[0]
    assert (found["new_lesion"], found["overall"]) == (expected, "PD" if expected == "UNEQUIVOCAL" else "SD")


@pytest.mark.parametrize(("identified", "codes"), [(-7, []), (-5, []), (-3, []), (-2, ["lesion-without-baseline"]), (None, [])])
def test_a_non_target_lesion_is_one_of_baseline_by_the_day_it_was_identified(
    tables_of: Build, on_day: Day, identified: int | None, codes: list[str]
) -> None:
    """Baseline scans are of days -7 and -3; the second lesion was identified and not recorded there."""
    second = {"id": "N2", "nodal": False, "organ": "BONE"}
    tables = tables_of(case({"nontarget": {"N1": "ABSENT"}}, others=[OTHER]))
    tables = at_visit(tables, on_day, "N1", role="non-target", state="present", visit="SCREENING 2", visit_number=1.5, on=on_day(-3))
    tables = at_visit(tables, on_day, "N2", role="non-target", state="absent")
    on = None if identified is None else on_day(identified)
    known = {**WHO, "lesion": second["id"], "role": "non-target", "organ": second["organ"], "nodal": False, "on": on}
    tables["lesion"] = pd.concat([tables["lesion"], pd.DataFrame([known])], ignore_index=True)
    result = judged(tables)
    assert ([f.code for f in result.findings], result.frame["overall"].tolist()) == (codes, ["CR"])


def test_a_lesion_identified_at_baseline_and_not_read_keeps_a_complete_response_away(tables_of: Build, on_day: Day) -> None:
    tables = tables_of(case({"nontarget": {"N1": "ABSENT"}}, others=[OTHER]))
    for identified, expected in ((on_day(-7), "NE"), (None, "NE"), (on_day(41), "CR")):
        known = {**WHO, "lesion": "N2", "role": "non-target", "organ": "BONE", "nodal": False, "on": identified}
        more = tables | {"lesion": pd.concat([tables["lesion"], pd.DataFrame([known])], ignore_index=True)}
        assert judged(more).frame["overall"].tolist() == [expected], identified


def test_of_two_markers_of_a_day_the_one_that_is_not_normal_counts(tables_of: Build, on_day: Day) -> None:
    tables = tables_of(case({"target": {"T1": 0}}, targets=[TUMOUR]))
    row = {**WHO, "test": "marker", "visit": "VISIT 2", "visit_number": 2, "on": on_day(42)}
    told = pd.DataFrame([{**row, "value": value, "sequence": n} for n, value in enumerate(("NORMAL", "NOT NORMAL"), 1)])
    for markers in (told, told.iloc[::-1]):
        assert judged(tables | {"response": markers}).frame["overall"].tolist() == ["PR"]


def reasons(result: Assessments) -> list[str]:
    return result.frame["reason"].tolist()


def test_a_lesion_that_grew_is_told_before_one_that_came_back(tables_of: Build) -> None:
    gone, back = {"N1": "ABSENT", "N2": "ABSENT"}, {"N1": "PRESENT", "N2": "ABSENT"}
    others = [OTHER, {"id": "N2", "nodal": False, "organ": "BONE"}]
    result = judged(tables_of(case(*({"nontarget": seen} for seen in (gone, back)), others=others)))
    assert reasons(result) == ["non-target lesions gone", "non-target lesion back after complete response"]
    grew = judged(tables_of(case(*({"nontarget": seen} for seen in (gone, {**back, "N2": "PD"})), others=others)))
    assert reasons(grew) == ["non-target lesions gone", "unequivocal progression of non-target lesions"]
    assert grew.frame["source_sequence"].tolist()[1] == 6


def test_without_disease_the_reason_says_so(tables_of: Build) -> None:
    result = judged(tables_of(case({"new_lesion": "EQUIVOCAL"}, {"new_lesion": "UNEQUIVOCAL"})))
    assert reasons(result) == ["no disease at baseline", "new lesion"]


def test_a_visit_said_not_to_be_done_and_measured_all_the_same_is_judged(tables_of: Build) -> None:
    result = judged(tables_of(case({"target": {"T1": 20}, "not_done": True}, targets=[TUMOUR])))
    assert (result.frame["overall"].tolist(), reasons(result)) == (["PR"], ["sum 30 % below baseline"])


def test_a_visit_that_was_not_done_says_nothing_but_a_new_lesion(tables_of: Build, on_day: Day) -> None:
    marker = {**WHO, "test": "marker", "visit": "VISIT 2", "visit_number": 2, "on": on_day(42), "value": "NOT NORMAL", "sequence": 8}
    tables = tables_of(case({"not_done": True}, {"new_lesion": "EQUIVOCAL"}))
    tables["response"] = pd.concat([tables["response"], pd.DataFrame([marker])], ignore_index=True)
    result = judged(tables)
    assert (result.frame["overall"].tolist()[0], reasons(result)[0]) == ("NE", "assessment not done")
    new = {**marker, "test": "new-lesion", "value": "Y"}
    tables["response"] = pd.concat([tables["response"], pd.DataFrame([new])], ignore_index=True)
    result = judged(tables)
    assert (result.frame["overall"].tolist()[0], reasons(result)[0]) == ("PD", "new lesion")


def visits_of(tables: Tables) -> int:
    return len(judged(tables).frame)


def two_scans(tables_of: Build, on_day: Day, days: tuple[int, int], **said: Any) -> Tables:
    """Two lesions scanned on two days after baseline; `said` of the visits' names and numbers."""
    second = {**TUMOUR, "id": "T2", "organ": "LIVER"}
    tables = tables_of(case({"target": {"T1": 20, "T2": 20}}, targets=[TUMOUR, second]))
    measured = tables["measurement"]
    measured.loc[2, "on"], measured.loc[3, "on"] = (on_day(day) for day in days)
    for name, values in said.items():
        measured[name] = measured[name].astype(object)
        measured.loc[[2, 3], name] = values
    return tables


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ({}, 1),
        ({"visit_number": [None, None]}, 1),
        ({"visit": [None, None]}, 1),
        ({"visit": [None, None], "visit_number": [None, None]}, 2),
        ({"visit_number": [2, None]}, 1),
    ],
    ids=["name and number", "name", "number", "neither", "a number once"],
)
def test_scans_of_some_days_are_one_visit_by_its_name_or_number(tables_of: Build, on_day: Day, said: dict[str, Any], count: int) -> None:
    assert visits_of(two_scans(tables_of, on_day, (42, 44), **said)) == count


def test_the_first_visit_of_a_table_may_have_a_name_alone(tables_of: Build, on_day: Day) -> None:
    tables = two_scans(tables_of, on_day, (42, 44))
    measured = tables["measurement"].assign(visit_number=None)
    assert visits_of(tables | {"measurement": measured.iloc[[2, 3, 0, 1]].reset_index(drop=True)}) == 1


def test_what_is_reported_of_a_visit_twice_makes_no_second_visit(tables_of: Build, on_day: Day) -> None:
    tables = tables_of(case({"target": {"T1": 20}}, targets=[TUMOUR]))
    row = {**WHO, "test": "new-lesion", "visit": "VISIT 2", "visit_number": 2, "value": "N"}
    told = pd.DataFrame([{**row, "on": on_day(day), "sequence": day} for day in (42, 44)])
    result = judged(tables | {"response": told})
    assert (len(result.frame), list(result.findings)) == (1, [])


def test_visits_of_one_day_stand_in_the_order_of_their_numbers(tables_of: Build, on_day: Day) -> None:
    tables = tables_of(case({"target": {"T1": 20}, "day": 42}, {"target": {"T1": 10}, "day": 42}, targets=[TUMOUR]))
    turned = tables["measurement"].iloc[[0, 2, 1]].reset_index(drop=True)
    assert judged(tables | {"measurement": turned}).frame["visit_number"].tolist() == [2, 3]


def test_an_accepted_reading_is_marked(tables_of: Build) -> None:
    tables = tables_of(case({"target": {"T1": 20}}, {"target": {"T1": 10}}, targets=[TUMOUR]))
    tables["measurement"]["accepted"] = [True, True, None]
    assert judged(tables).frame["accepted"].tolist() == [True, False]


@pytest.mark.parametrize(("baseline", "expected"), [(-7, ["PR", "PR"]), (None, ["PR"])])
def test_a_visit_named_for_baseline_is_one_only_where_nothing_was_read_before(
    tables_of: Build, on_day: Day, baseline: int | None, expected: list[str]
) -> None:
    """A "BASELINE" of day 3: the baseline of who has no other, an assessment on study of who has."""
    tables = tables_of(case({"target": {"T1": 20}, "day": 3, "name": "BASELINE"}, {"target": {"T1": 10}}, targets=[TUMOUR]))
    if baseline is None:
        tables["measurement"] = tables["measurement"].iloc[1:]
    assert judged(tables).frame["overall"].tolist() == expected


def test_without_any_date_nothing_is_baseline(tables_of: Build) -> None:
    tables = tables_of(case({"target": {"T1": 20}}, targets=[TUMOUR]))
    tables["measurement"]["on"] = None
    tables["subject"]["enrolled_on"] = None
    result = judged(tables)
    assert result.findings.counts() == {"assessment-without-date": 1}
    assert result.frame.empty


def test_lesions_that_only_measurements_tell_of_are_disease(tables_of: Build) -> None:
    tables = tables_of(case({"target": {"T1": 20}}, targets=[TUMOUR]))
    tables["lesion"] = tables["lesion"].iloc[:0]
    tables["measurement"] = tables["measurement"].iloc[1:]
    assert judged(tables).frame["overall"].tolist() == ["NE"]


def test_a_record_numbered_0_is_a_record(tables_of: Build) -> None:
    tables = tables_of(case({"target": {"T1": 20}}, targets=[TUMOUR]))
    tables["measurement"]["longest_sequence"] = tables["measurement"]["longest_sequence"] - 2
    row = judged(tables).frame.iloc[0]
    assert (row["source_domain"], row["source_sequence"]) == ("TR", 0)


def test_what_baseline_limits_refuse_has_no_response_and_the_others_stay(tables_of: Build) -> None:
    small = {**TUMOUR, "mm": 8}
    built = {
        "S1": tables_of(case({"target": {"T1": 20}}, targets=[TUMOUR])),
        "S2": tables_of(case({"target": {"T1": 4}}, targets=[small])),
        "S3": tables_of(case({"target": {"T1": 4}, "nontarget": {"N1": "PRESENT"}}, targets=[small], others=[OTHER])),
    }
    names = built["S1"]
    tables = {name: pd.concat([t[name].assign(subject=s) for s, t in built.items() if len(t[name])] or [names[name]]) for name in names}
    frame = judged({name: table.reset_index(drop=True) for name, table in tables.items()}, baseline_limits="refuse").frame
    said = frame[["target", "non_target", "overall", "reason"]].astype(object).where(lambda t: t.notna(), None)
    assert said.to_numpy().tolist() == [
        ["PR", None, "PR", "sum 30 % below baseline"],
        ["NE", None, "NE", "refused by baseline limits"],
        ["NE", "NE", "NE", "refused by baseline limits"],
    ]


def test_nothing_at_all_gives_an_empty_table_with_its_columns(tables_of: Build) -> None:
    full = judged(tables_of(case({"target": {"T1": 20}}, targets=[TUMOUR]))).frame
    result = judged({name: table.iloc[:0] for name, table in tables_of(case({"target": {"T1": 20}}, targets=[TUMOUR])).items()})
    assert (list(result.frame), len(result.frame), len(result.refused)) == (list(full), 0, 0)
    assert isinstance(result.findings, Findings)


def test_each_evaluator_and_reader_reads_for_itself(tables_of: Build) -> None:
    """Three readings of one subject, the same lesions, other sizes."""
    built = []
    for (evaluator, reader), mm in ((("INVESTIGATOR", None), 20), (("INDEPENDENT", "R1"), 30), (("INDEPENDENT", "R2"), 40)):
        tables = tables_of(case({"target": {"T1": mm}}, targets=[TUMOUR]))
        built.append(
            {name: t.assign(evaluator=evaluator, evaluator_id=reader) for name, t in tables.items() if name in ("measurement", "lesion")}
        )
    subject = {"subject": tables["subject"]}
    frame = judged(subject | {name: pd.concat([b[name] for b in built], ignore_index=True) for name in ("measurement", "lesion")}).frame
    told = frame[["evaluator", "evaluator_id", "sum_mm", "overall"]].astype(object).where(lambda t: t.notna(), None)
    assert sorted(told.to_numpy().tolist(), key=lambda row: row[2]) == [
        ["INVESTIGATOR", None, 20, "PR"],
        ["INDEPENDENT", "R1", 30, "SD"],
        ["INDEPENDENT", "R2", 40, "PD"],
    ]


@pytest.mark.parametrize(
    ("table", "column"), [("measurement", "subject"), ("measurement", "lesion"), ("lesion", "subject"), ("lesion", "lesion")]
)
def test_a_table_without_a_column_that_it_needs_is_refused_by_name(tables_of: Build, table: str, column: str) -> None:
    tables = tables_of(case({"target": {"T1": 20}}, targets=[TUMOUR]))
    with pytest.raises(InputError) as caught:
        judged(tables | {table: tables[table].drop(columns=column)})
    assert [(f.place, f.field) for f in caught.value.findings] == [(table, column)]
    judged(tables | {table: tables[table].drop(columns=column).iloc[:0]})  # without rows it needs none


def test_measurements_alone_are_enough(tables_of: Build) -> None:
    tables = tables_of(case({"target": {"T1": 20}}, targets=[TUMOUR]))
    assert judged({"measurement": tables["measurement"]}).frame["overall"].tolist() == ["PR"]


def test_a_fragment_may_be_told_of_by_the_table_of_lesions(tables_of: Build) -> None:
    """Its name says nothing of the lesion that it came from."""
    tables = tables_of(case({"target": {"T1": [10, 12]}}, targets=[TUMOUR]))
    measured = tables["measurement"].replace({"lesion": {"T1.1": "F1", "T1.2": "F2"}})
    split = [
        {**WHO, "lesion": name, "role": "target", "organ": "LUNG", "nodal": False, "relation": "split", "origin": "T1"}
        for name in ("F1", "F2")
    ]
    lesions = pd.concat([tables["lesion"], pd.DataFrame(split)], ignore_index=True)
    assert judged(tables | {"measurement": measured, "lesion": lesions}).frame["sum_mm"].tolist() == [22]


def test_a_lesion_measured_along_both_axes_is_no_node(tables_of: Build) -> None:
    tables = tables_of(case({"target": {"T1": 20}}, targets=[TUMOUR]))
    tables["measurement"]["short_axis_mm"] = [Decimal(15), Decimal(9)]
    tables["lesion"] = tables["lesion"].assign(organ=None, nodal=None)
    result = judged(tables)
    assert (result.frame["sum_mm"].tolist(), list(result.findings)) == ([20], [])


def test_a_diameter_of_a_metre_is_still_one(tables_of: Build) -> None:
    result = judged(tables_of(case({"target": {"T1": 1000}}, targets=[TUMOUR])))
    assert (result.frame["sum_mm"].tolist(), list(result.findings)) == ([1000], [])


def test_an_absent_lesion_of_no_size_contradicts_nothing(tables_of: Build) -> None:
    tables = tables_of(case({"target": {"T1": 0}}, targets=[TUMOUR]))
    tables["measurement"]["state"] = [None, "absent"]
    result = judged(tables)
    assert (result.frame["overall"].tolist(), list(result.findings)) == (["CR"], [])


def test_what_times_rest_on_is_of_one_evaluator_and_of_no_other_parameter(tables_of: Build) -> None:
    tables = tables_of(case({"target": {"T1": 20}}, targets=[TUMOUR]))
    other = {name: t.assign(evaluator="INDEPENDENT", evaluator_id="R1") for name, t in tables.items() if name in ("measurement", "lesion")}
    both = tables | {name: pd.concat([tables[name], other[name]], ignore_index=True) for name in other}
    rows = respond(both, preset("protocol")).of_evaluator()
    at_visits = rows[rows["parameter"].isin(["OVR", "TRGRESP", "SDIAM"])]
    assert at_visits[["parameter", "evaluator"]].to_numpy().tolist() == [["OVR", "INVESTIGATOR"]]
    assert {"BOR", "CBOR"} <= set(rows["parameter"])
