"""Each choice that RECIST leaves open, in a course of its own: the same visits under one value of a convention and another."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import pytest

from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.recist import assess

TUMOUR = {"id": "T1", "mm": 30, "nodal": False}
SECOND = {"id": "T2", "mm": 20, "nodal": False}
NODE = {"id": "T1", "mm": 18, "nodal": True}
OTHER = {"id": "N1", "nodal": False}
MERGED = "MERGED WITH T1"
UNREAD = {"id": "N2", "nodal": False}


def course(targets: list[Any], others: list[Any], *visits: dict[str, Any]) -> dict[str, Any]:
    return {"baseline": {"target": targets, "nontarget": others}, "visits": [{"day": 42 * n, **visit} for n, visit in enumerate(visits, 1)]}


def sizes(*values: Any) -> list[dict[str, Any]]:
    return [{"target": {"T1": value}} for value in values]


def pairs(*values: tuple[Any, Any]) -> list[dict[str, Any]]:
    return [{"target": {"T1": first, "T2": second}} for first, second in values]


def states(*values: str) -> list[dict[str, Any]]:
    return [{"nontarget": {"N1": value}} for value in values]


SIX = [{"id": f"T{n}", "mm": 12, "nodal": False, "organ": f"O{n}"} for n in range(1, 7)]


def chain(count: int, mm: int) -> dict[str, Any]:
    """A visit at which each lesion has merged with the next: as many as RECIST has targets are followed, and no more."""
    return {"target": {f"T{n}": f"MERGED WITH T{n + 1}" for n in range(1, count)} | {f"T{count}": mm}}


RULES: list[tuple[dict[str, Any], dict[str, object], str]] = [
    (course([TUMOUR], [], *sizes(0, 4)), {}, "CR PD"),
    (course([TUMOUR], [], *sizes(0, 4)), {"cr_relapse": "per_criteria"}, "CR PR"),
    (course([TUMOUR], [], *sizes(0, "TSTM")), {"cr_relapse": "per_criteria", "tstm_mm": 4}, "CR PR"),
    (course([TUMOUR], [], *sizes(0, "TSTM")), {"cr_relapse": "per_criteria"}, "CR PD"),
    (course([NODE], [], *sizes(8, 10)), {}, "CR PD"),
    (course([NODE], [], *sizes(8, 11)), {"nodal_relapse_after_cr": "sum_rule"}, "CR PR"),
    (course([NODE], [], *sizes(9.9, 9.9)), {}, "CR CR"),
    (course([NODE], [], *sizes(10)), {}, "PR"),
    (course([], [OTHER], *states("ABSENT", "PRESENT")), {}, "CR PD"),
    (course([], [OTHER], *states("ABSENT", "PRESENT")), {"cr_relapse": "per_criteria"}, "CR NON-CR/NON-PD"),
    (course([TUMOUR], [OTHER], *({"target": {"T1": mm}, "nontarget": {"N1": "PRESENT"}} for mm in (0, 4))), {}, "PR PR"),
    (course([TUMOUR], [], *sizes(21, 22)), {}, "PR SD"),
    (course([TUMOUR], [], *sizes(21, 22)), {"pr_sticky": "after_first"}, "PR PR"),
    (course([TUMOUR], [], *sizes(21, 22)), {"pr_sticky": "after_confirmed"}, "PR SD"),
    (course([TUMOUR], [], *sizes(21, 21, 22)), {"pr_sticky": "after_confirmed"}, "PR PR PR"),
    (course([TUMOUR], [], *sizes(20, 26, 22)), {"pr_sticky": "after_first"}, "PR PD SD"),
    (course([TUMOUR], [OTHER], {"target": {"T1": 0}}), {}, "PR"),
    (course([TUMOUR], [OTHER], {"target": {"T1": 0}}), {"nontarget_ne_blocks_cr": False}, "CR"),
    (course([], [OTHER, UNREAD], *states("PRESENT")), {}, "NE"),
    (
        course([], [OTHER, {"id": "N2", "nodal": False}], *states("PRESENT")),
        {"nontarget_partly_evaluated": "NON-CR/NON-PD"},
        "NON-CR/NON-PD",
    ),
    (course([], [OTHER], {"nontarget": {"N1": "ABSENT"}, "marker": "NOT NORMAL"}, *states("ABSENT")), {}, "NON-CR/NON-PD NON-CR/NON-PD"),
    (course([], [OTHER], {"nontarget": {"N1": "ABSENT"}, "marker": "NOT NORMAL"}), {"markers_required_for_cr": False}, "CR"),
    (course([TUMOUR], [], {"target": {"T1": 0}, "marker": "NOT NORMAL"}, {"target": {"T1": 0}, "marker": "NORMAL"}), {}, "PR CR"),
    (course([TUMOUR], [], *sizes(34, 40)), {}, "SD PD"),
    (course([TUMOUR], [], *sizes(34, 40)), {"nadir_includes_baseline": False}, "SD SD"),
    (course([TUMOUR, SECOND], [], {"target": {"T1": 40, "T2": "MERGED WITH T1"}}, {"target": {"T1": 34}}), {}, "SD PR"),
    (course([TUMOUR, SECOND], [], *pairs((40, MERGED), (32, 10), (32, None))), {}, "SD SD NE"),
    (course([TUMOUR, SECOND], [], *pairs((40, MERGED), (32, 10), (40, MERGED), (40, None))), {}, "SD SD SD SD"),
    (course([TUMOUR, SECOND], [], *pairs((40, MERGED), (40, "NE"), (40, None))), {}, "SD NE SD"),
    (course([TUMOUR], [], *sizes([10, 12], [10, None], [10, 9])), {}, "SD NE PR"),
    (course([TUMOUR], [], *sizes([0, 0], [2, 2])), {"nodal_relapse_after_cr": "sum_rule"}, "CR PD"),
    (course([NODE], [], *sizes([9, 9], [10, 9])), {"cr_relapse": "per_criteria"}, "CR PD"),
    (course([TUMOUR, SECOND], [], {"target": {"T1": 60}}), {"partial_sum_pd": False}, "NE"),
    (course([TUMOUR, SECOND], [], {"target": {"T1": 60}}), {"partial_sum_pd": True}, "PD"),
    (course([TUMOUR, SECOND], [], *pairs((0, 0), (4, None))), {"partial_sum_pd": False}, "CR NE"),
    (course([TUMOUR, SECOND], [], *pairs((0, 0), (4, None))), {"partial_sum_pd": True}, "CR PD"),
    (course([TUMOUR, SECOND], [], *pairs((0, 0), (4, 0))), {"partial_sum_pd": False}, "CR PD"),
    (course([TUMOUR, SECOND], [], *pairs((0, None))), {}, "NE"),
    (course([NODE], [], *sizes(9.9, 13)), {"nodal_relapse_after_cr": "sum_rule"}, "CR SD"),
    (course([NODE], [], *sizes(9.9, 13)), {"nodal_relapse_after_cr": "sum_rule", "pr_sticky": "after_first"}, "CR PR"),
    (course([], [], {"new_lesion": "EQUIVOCAL"}, {"new_lesion": "UNEQUIVOCAL"}), {}, "NED PD"),
    (course(SIX[:5], [], chain(5, 50)), {}, "SD"),
    (course(SIX, [], chain(6, 60)), {}, "NE"),
    (course([TUMOUR], [], *({"target": {"T1": 30}, "new_lesion": new} for new in ("EQUIVOCAL", "UNEQUIVOCAL"))), {}, "SD PD"),
    (course([TUMOUR], [], {"target": {"T1": 15}}, {"not_done": True}, {"target": {"T1": 20}}), {}, "PR NE PD"),
]


@pytest.mark.parametrize(("case", "changed", "expected"), RULES)
def test_the_overall_responses_of_a_course(
    tables_of: Callable[[Mapping[str, Any]], dict[str, pd.DataFrame]], case: dict[str, Any], changed: dict[str, object], expected: str
) -> None:
    result = assess(tables_of(case), preset("protocol").with_settings(changed))
    assert result.frame["overall"].tolist() == expected.split()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "2023-03-22"),
        ({"pd_scan_date": "latest"}, "2023-03-27"),
        ({"backdate_equivocal": True}, "2023-02-08"),
        ({"backdate_equivocal": True, "pd_scan_date": "latest"}, "2023-02-13"),
        ({"backdate_equivocal": True, "censor_scan_date": "earliest"}, "2023-02-08"),
    ],
)
def test_progression_dated_back_has_the_scan_date_that_progression_takes(
    tables_of: Callable[[Mapping[str, Any]], dict[str, pd.DataFrame]], changed: dict[str, object], expected: str
) -> None:
    new = ({"target": {"T1": 30}, "new_lesion": state} for state in ("EQUIVOCAL", "UNEQUIVOCAL"))
    tables = tables_of(course([TUMOUR], [], *new))
    measured = tables["measurement"]
    five_days_before = {"2023-02-13": "2023-02-08", "2023-03-27": "2023-03-22"}
    tables["measurement"] = measured.assign(on=measured["on"].where(measured["role"] == "new", measured["on"].replace(five_days_before)))
    result = assess(tables, preset("protocol").with_settings(changed))
    assert result.frame["overall"].tolist() == ["SD", "PD"]
    assert str(result.frame["progression_on"].iloc[1])[:10] == expected


def test_the_order_of_records_decides_nothing(tables_of: Callable[[Mapping[str, Any]], dict[str, pd.DataFrame]]) -> None:
    visits = [*pairs((40, MERGED), (32, 10), (40, MERGED), (40, None)), {"target": {"T1": "MERGED WITH T9", "T2": MERGED}}]
    tables = tables_of(course([TUMOUR, SECOND], [OTHER], *({**visit, "nontarget": {"N1": "PRESENT"}} for visit in visits)))
    expected = assess(tables, preset("protocol"))
    for turned in (tables["measurement"].iloc[::-1], tables["measurement"].sort_values("lesion", ascending=False)):
        found = assess(tables | {"measurement": turned.reset_index(drop=True)}, preset("protocol"))
        pd.testing.assert_frame_equal(found.frame, expected.frame, check_categorical=False)
        assert found.findings.counts() == expected.findings.counts()


THREE = [{"id": f"T{n}", "mm": 20, "nodal": False, "organ": f"O{n}"} for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("found", "order", "expected"),
    [
        ({"T1": "MERGED WITH T9", "T2": 20, "T3": 20}, [3, 4, 5], "NE"),
        ({"T1": "MERGED WITH T9", "T2": "MERGED WITH T3", "T3": 20}, [3, 5, 4], "NE"),
        ({"T1": 20, "T2": "MERGED WITH T3", "T3": 40}, [4, 3, 5], "SD"),
        ({"T1": 20, "T2": "MERGED WITH T3", "T3": 40}, [5, 3, 4], "SD"),
    ],
)
def test_a_merged_lesion_is_followed_to_its_own_and_to_no_other(
    tables_of: Callable[[Mapping[str, Any]], dict[str, pd.DataFrame]], found: dict[str, Any], order: list[int], expected: str
) -> None:
    """The visit's records stand first, or its odd one last: where a record stands in the table decides nothing."""
    tables = tables_of(course(THREE, [], {"target": found}))
    first = tables["measurement"].iloc[[*order, 0, 1, 2]]
    last = tables["measurement"].iloc[[0, 1, 2, *order]]
    for turned in (first, last):
        rows = assess(tables | {"measurement": turned.reset_index(drop=True)}, preset("protocol")).frame
        assert rows["overall"].tolist() == [expected]


def test_a_split_lesion_rests_on_the_first_fragment_recorded(tables_of: Callable[[Mapping[str, Any]], dict[str, pd.DataFrame]]) -> None:
    rows = assess(tables_of(course([TUMOUR], [], *sizes([10, 12], [None, 9]))), preset("protocol")).frame
    assert rows["source_sequence"].tolist() == [2, 4]


@pytest.mark.parametrize(("relation", "expected"), [("merged", ["NE", "PR"]), (None, ["NE", "NE"])])
def test_a_lesion_told_to_have_merged_needs_no_record_of_its_own(
    tables_of: Callable[[Mapping[str, Any]], dict[str, pd.DataFrame]], relation: str | None, expected: list[str]
) -> None:
    """T2 is said to have merged into T1, last seen at the first visit as not evaluable."""
    tables = tables_of(course([TUMOUR, SECOND], [], {"target": {"T1": 30, "T2": "NE"}}, {"target": {"T1": 20}}))
    told = pd.Series([None, relation]), pd.Series([None, "T1" if relation else None])
    tables["lesion"] = tables["lesion"].assign(relation=told[0], origin=told[1])
    assert assess(tables, preset("protocol")).frame["overall"].tolist() == expected
