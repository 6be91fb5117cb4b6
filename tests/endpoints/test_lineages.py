"""Lesions that split and merge: which one a record counts for, in whatever order the records stand."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import pytest

from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.recist import Assessments, assess

Tables = dict[str, pd.DataFrame]
Build = Callable[[Mapping[str, Any]], Tables]
Day = Callable[[int], str]
ORDERS = pytest.mark.parametrize("backwards", [False, True], ids=["in order", "backwards"])


def lesion(name: str, mm: Any = 20, nodal: bool = False) -> dict[str, Any]:
    return {"id": name, "mm": mm, "nodal": nodal, "organ": "LYMPH NODE" if nodal else "LUNG"}


def judged(tables: Tables, backwards: bool = False, **settings: object) -> Assessments:
    if backwards:
        tables = tables | {"measurement": tables["measurement"].iloc[::-1].reset_index(drop=True)}
    return assess(tables, preset("protocol").with_settings(settings))


def case(*lesions: dict[str, Any], at: Mapping[str, Any]) -> dict[str, Any]:
    return {"baseline": {"target": list(lesions)}, "visits": [{"day": 42, "target": at}]}


@ORDERS
@pytest.mark.parametrize("names", [("T1", "T2"), ("T2", "T1")])
def test_a_lesion_that_merged_counts_with_the_one_that_is_measured(tables_of: Build, names: tuple[str, str], backwards: bool) -> None:
    found = judged(tables_of(case(*map(lesion, names), at={"T1": "MERGED WITH T2", "T2": 30})), backwards)
    assert (found.frame["sum_mm"].tolist(), found.frame["overall"].tolist(), list(found.findings)) == ([30], ["SD"], [])


@ORDERS
@pytest.mark.parametrize("other", [30, "MERGED WITH T2"], ids=["measured", "merged"])
def test_a_lesion_that_merged_with_one_that_nobody_measured_is_not_evaluated(tables_of: Build, other: Any, backwards: bool) -> None:
    """Whatever the records before and after it say."""
    at = {"T1": "MERGED WITH T9", "T2": 10, "T3": other}
    found = judged(tables_of(case(*(lesion(name) for name in ("T1", "T2", "T3")), at=at)), backwards)
    assert found.frame["overall"].tolist() == ["NE"]
    assert ["T1" in f.place for f in found.findings if f.code == "merged-with-unmeasured"] == [True]


@pytest.mark.parametrize(("nodal", "expected"), [(True, "CR"), (False, "PR")])
def test_fragments_of_a_node_are_a_node(tables_of: Build, nodal: bool, expected: str) -> None:
    """Of 8 mm together a node is normal; a tumour is not, though it was in fragments from the start."""
    found = judged(tables_of(case(lesion("T1", [20, 10], nodal), at={"T1": [4, 4]})))
    assert (found.frame["sum_mm"].tolist(), found.frame["overall"].tolist()) == ([8], [expected])


@pytest.mark.parametrize(("nodal", "back"), [(False, "PD"), (True, "CR")])
def test_fragments_that_come_back_after_cr_are_a_tumour_or_a_node(tables_of: Build, nodal: bool, back: str) -> None:
    """Of a node less than 10 mm is normal (RECIST 1.1, 4.3.2)."""
    visits = [{"day": 42 * n, "target": {"T1": sizes}} for n, sizes in enumerate(([0, 0], [4, 0]), 1)]
    tables = tables_of({"baseline": {"target": [lesion("T1", 20, nodal)]}, "visits": visits})
    for rule in ("ge10", "sum_rule"):
        assert judged(tables, nodal_relapse_after_cr=rule).frame["overall"].tolist() == ["CR", back]


def test_fragments_are_known_by_what_the_lesion_table_says_whatever_they_are_called(tables_of: Build) -> None:
    tables = tables_of(case(lesion("T1", 30), at={"T1": [10, 5]}))
    names = {"T1.1": "LEFT PART", "T1.2": "RIGHT PART"}
    tables["measurement"] = tables["measurement"].replace({"lesion": names})
    parts = tables["lesion"].iloc[[0, 0]].assign(lesion=list(names.values()), relation="split", origin="T1")
    tables["lesion"] = pd.concat([tables["lesion"], parts], ignore_index=True)
    found = judged(tables)
    assert (found.frame["sum_mm"].tolist(), list(found.findings)) == ([15], [])


def test_a_non_target_lesion_recorded_at_baseline_is_one_however_late_it_was_identified(tables_of: Build, on_day: Day) -> None:
    case = {"baseline": {"nontarget": [lesion("N1")]}, "visits": [{"day": 42, "nontarget": {"N1": "ABSENT"}}]}
    tables = tables_of(case)
    tables["lesion"]["on"] = on_day(60)
    assert judged(tables).frame["overall"].tolist() == ["CR"]


def test_a_new_lesion_dates_from_when_it_was_first_equivocal(tables_of: Build, on_day: Day) -> None:
    words = ("EQUIVOCAL", "EQUIVOCAL", "UNEQUIVOCAL")
    visits = [{"day": 42 * n, "target": {"T1": 20}, "new_lesion": word} for n, word in enumerate(words, 1)]
    found = judged(tables_of({"baseline": {"target": [lesion("T1")]}, "visits": visits}), backdate_equivocal=True)
    assert [None if pd.isna(on) else str(on)[:10] for on in found.frame["progression_on"]] == [None, None, on_day(42)]
