"""What one record of a lesion is read as: which axis, which size, evaluated or not; new lesions that only their identification tells of."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.response import Responses, respond
from fhir_trial.errors import InputError

Build = Callable[[Mapping[str, Any]], dict[str, pd.DataFrame]]
Day = Callable[[int], str]
TUMOUR = {"id": "T1", "mm": 30, "nodal": False, "organ": "LUNG"}
NODE = {"id": "T1", "mm": 18, "nodal": True, "organ": "LYMPH NODE"}
WHO = {"subject": "S1", "evaluator": "INVESTIGATOR", "evaluator_id": None}


def case(target: Any, *found: Any) -> dict[str, Any]:
    return {"baseline": {"target": [target]}, "visits": [{"day": 42 * n, "target": {"T1": mm}} for n, mm in enumerate(found, 1)]}


def judged(tables: dict[str, pd.DataFrame]) -> Responses:
    return respond(tables, preset("protocol"))


def said(tables: dict[str, pd.DataFrame], **columns: Any) -> dict[str, pd.DataFrame]:
    """The tables with other contents of the record at the visit."""
    measured = tables["measurement"].copy()
    for name, value in columns.items():
        measured[name] = [measured[name].iloc[0] if name in measured else None, value]
    return tables | {"measurement": measured}


AXES = [
    ({"longest_mm": Decimal(12), "short_axis_mm": None}, ["other-diameter"], None),
    ({"longest_mm": Decimal(12), "short_axis_mm": Decimal(9)}, [], 9),
    ({"longest_mm": Decimal(12), "short_axis_mm": None, "state": "not-evaluable"}, [], None),
    ({"longest_mm": Decimal(12), "short_axis_mm": None, "state": "absent"}, [], 0),
    ({"longest_mm": None, "short_axis_mm": None, "state": "not-evaluable"}, [], None),
    ({"longest_mm": None, "short_axis_mm": None}, [], None),
]


@pytest.mark.parametrize(("columns", "codes", "total"), AXES)
def test_a_node_is_read_by_its_short_axis(tables_of: Build, columns: dict[str, Any], codes: list[str], total: float | None) -> None:
    result = judged(said(tables_of(case(NODE, 9)), **columns))
    found = result.assessments.frame["sum_mm"].iloc[0]
    assert ([f.code for f in result.findings], None if pd.isna(found) else found) == (codes, total)


@pytest.mark.parametrize("state", ["not-evaluable", "not-done", "merged"])
def test_a_diameter_beside_a_state_that_says_it_was_not_read_does_not_count(tables_of: Build, state: str) -> None:
    assert judged(said(tables_of(case(TUMOUR, 12)), state=state)).assessments.frame["overall"].tolist() == ["NE"]


@pytest.mark.parametrize(("mm", "total"), [(3, 5), (5, 5), (9, 5), (0, 0), (None, 5)])
def test_a_lesion_too_small_to_measure_has_its_default_size_whatever_stands_beside(tables_of: Build, mm: int | None, total: int) -> None:
    tables = said(tables_of(case(TUMOUR, 12)), state="too-small-to-measure", longest_mm=None if mm is None else Decimal(mm))
    assert judged(tables).assessments.frame["sum_mm"].tolist() == [total]


def test_a_short_axis_numbered_0_is_a_record(tables_of: Build) -> None:
    tables = tables_of(case(NODE, 15))
    tables["measurement"]["short_axis_sequence"] = tables["measurement"]["short_axis_sequence"] - 2
    assert judged(tables).assessments.frame["source_sequence"].tolist() == [0]


@pytest.mark.parametrize(("state", "expected"), [(None, "PD"), ("equivocal", "SD"), ("unequivocal", "PD")])
def test_a_new_lesion_that_is_identified_is_unequivocal_unless_its_record_says_otherwise(
    tables_of: Build, on_day: Day, state: str | None, expected: str
) -> None:
    tables = tables_of(case(TUMOUR, 30))
    at = {**WHO, "visit": "VISIT 2", "visit_number": 2, "on": on_day(42), "lesion": "X1", "role": "new"}
    tables["lesion"] = pd.concat([tables["lesion"], pd.DataFrame([{**at, "organ": "BONE", "nodal": False}])], ignore_index=True)
    if state is not None:
        tables["measurement"] = pd.concat([tables["measurement"], pd.DataFrame([{**at, "state": state}])], ignore_index=True)
    result = judged(tables)
    assert (result.assessments.frame["overall"].tolist(), list(result.findings)) == ([expected], [])


def reported(on_day: Day, *rows: dict[str, Any]) -> pd.DataFrame:
    common = {**WHO, "test": "overall"}
    return pd.DataFrame([common | {"visit": f"V{n}", "visit_number": n, "sequence": n} | row for n, row in enumerate(rows, 1)])


def subjects(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame([{"study": "STUDY", "state": "enrolled"} | row for row in rows])


def test_days_count_from_the_start_which_is_day_1(on_day: Day) -> None:
    told = reported(on_day, {"on": on_day(-1), "value": "SD"}, {"on": on_day(0), "value": "PR"}, {"on": on_day(1), "value": "PR"})
    told = pd.concat([told, told.assign(subject="S2"), told.assign(subject="S9")], ignore_index=True)
    tables = {"subject": subjects({"subject": "S1", "enrolled_on": on_day(0)}, {"subject": "S2", "enrolled_on": None}), "response": told}
    result = judged(tables)
    rows = result.at_visits[(result.at_visits["parameter"] == "OVR").to_numpy()]
    days = {name: [None if pd.isna(d) else int(d) for d in of["day_from_start"]] for name, of in rows.groupby("subject", observed=True)}
    assert days == {"S1": [-1, 1, 2], "S2": [None] * 3, "S9": [None] * 3}
    best = result.of_subjects[(result.of_subjects["parameter"] == "BOR").to_numpy()]
    assert dict(zip(best["subject"], best["value"], strict=True)) == {"S1": "PR", "S2": "NE"}
    assert result.findings.counts() == {"assessment-before-baseline": 1}, "without a start nothing is before it"


def test_a_response_on_the_day_of_the_start_counts(on_day: Day) -> None:
    told = reported(on_day, {"on": on_day(0), "value": "PR"})
    result = judged({"subject": subjects({"subject": "S1", "enrolled_on": on_day(0)}), "response": told})
    rows = result.of_subjects.set_index("parameter")
    assert (rows["value"]["BOR"], rows["value"]["RSP"], rows["number"]["RSP"], rows["value"]["CRSP"], rows["number"]["CRSP"]) == (
        "PR",
        "Y",
        1.0,
        "N",
        0.0,
    )
    assert not result.findings.counts()


def test_another_evaluators_early_response_is_not_told_of(on_day: Day) -> None:
    early = {"on": on_day(-5), "value": "SD"}
    told = reported(on_day, {"on": on_day(42), "value": "SD"}, early | {"evaluator": "INDEPENDENT"})
    tables = {"subject": subjects({"subject": "S1", "enrolled_on": on_day(0)}), "response": told}
    assert not judged(tables).findings.counts()
    assert judged(tables | {"response": reported(on_day, early)}).findings.counts() == {"assessment-before-baseline": 1}


@pytest.mark.parametrize(("state", "expected"), [("ABSENT", "CR"), ("PRESENT", "NON-CR/NON-PD"), ("NE", "NE")])
def test_a_non_target_lesion_that_only_its_baseline_record_tells_of_is_judged(tables_of: Build, state: str, expected: str) -> None:
    other = {"id": "N1", "nodal": False, "organ": "LIVER"}
    tables = tables_of({"baseline": {"nontarget": [other]}, "visits": [{"day": 42, "nontarget": {"N1": state}}]})
    result = judged(tables | {"lesion": tables["lesion"].iloc[:0]})
    assert (result.assessments.frame["overall"].tolist(), list(result.findings)) == ([expected], [])


def test_every_evaluator_and_every_reader_has_a_reading_of_its_own(tables_of: Build) -> None:
    """With lesions of the same names, each compared with its own baseline."""
    readers = {("INVESTIGATOR", None): 60, ("INDEPENDENT", None): 20, ("INDEPENDENT", "R1"): 15, ("INDEPENDENT", "R2"): 0}
    built = []
    for (evaluator, reader), mm in readers.items():
        tables = tables_of(case(TUMOUR, mm))
        built.append({name: rows.assign(evaluator=evaluator, evaluator_id=reader) for name, rows in tables.items() if name != "subject"})
    every = {name: pd.concat([one[name] for one in built], ignore_index=True) for name in built[0]}
    frame = judged(every | {"subject": tables["subject"]}).assessments.frame
    found = {(e, None if pd.isna(r) else r): o for e, r, o in frame[["evaluator", "evaluator_id", "overall"]].itertuples(index=False)}
    assert found == dict(zip(readers, ("PD", "PR", "PR", "CR"), strict=True))


@pytest.mark.parametrize(
    ("table", "column"), [("measurement", "subject"), ("measurement", "lesion"), ("lesion", "lesion"), ("response", "test")]
)
def test_a_table_without_a_column_that_says_what_its_rows_are_about_is_refused(
    tables_of: Build, on_day: Day, table: str, column: str
) -> None:
    tables = tables_of(case(TUMOUR, 20)) | {"response": reported(on_day, {"on": on_day(42), "value": "SD"})}
    with pytest.raises(InputError) as refused:
        judged(tables | {table: tables[table].drop(columns=column)})
    assert [(f.code, f.place, f.field) for f in refused.value.findings] == [("missing-column", table, column)]
    assert not judged(tables | {"response": pd.DataFrame()}).findings.counts(), "a table without rows needs no columns"


def test_a_lesion_with_both_diameters_of_which_nobody_says_where_it_is_is_no_node(tables_of: Build) -> None:
    tables = tables_of(case(TUMOUR, 20))
    tables["lesion"] = tables["lesion"].assign(organ=None, nodal=None)
    tables["measurement"]["short_axis_mm"] = Decimal(9)
    result = judged(tables)
    assert (result.assessments.frame["sum_mm"].tolist(), list(result.findings)) == ([20], [])


@pytest.mark.parametrize(("mm", "total"), [("1000", 1000.0), ("1000.1", None)])
def test_up_to_a_metre_is_a_diameter(tables_of: Build, mm: str, total: float | None) -> None:
    result = judged(said(tables_of(case(TUMOUR, 20)), longest_mm=Decimal(mm)))
    found = result.assessments.frame["sum_mm"].iloc[0]
    assert (None if pd.isna(found) else found, len(result.findings)) == (total, int(total is None))


def test_nothing_is_no_contradiction_of_absence(tables_of: Build) -> None:
    result = judged(said(tables_of(case(TUMOUR, 20)), state="absent", longest_mm=Decimal(0)))
    assert (result.assessments.frame["overall"].tolist(), list(result.findings)) == (["CR"], [])
    contradicted = judged(said(tables_of(case(TUMOUR, 20)), state="absent", longest_mm=Decimal(4)))
    assert len(contradicted.findings) == 1
