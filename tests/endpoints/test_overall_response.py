"""Which responses of which reader count: of several on a day, of several readers, of those dated back or refused."""

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.overall_response import worst_of_day
from fhir_trial.endpoints.response import Responses, respond
from fhir_trial.endpoints.response_codes import CODES

Build = Callable[[Mapping[str, Any]], dict[str, pd.DataFrame]]
Day = Callable[[int], str]
WORST_FIRST = ("PD", "NON-CR/NON-PD", "SD", "PR", "CR", "NED", "NE")
TUMOUR = {"id": "T1", "mm": 30, "nodal": False, "organ": "LUNG"}


@pytest.mark.parametrize(("worse", "better"), list(combinations(WORST_FIRST, 2)))
def test_of_two_responses_on_a_day_the_worse_counts(worse: str, better: str) -> None:
    for pair in ((worse, better), (better, worse)):
        (at,) = worst_of_day(np.array([CODES[word] for word in pair]), np.array([5, 5]), np.array([0, 0]))
        assert pair[at] == worse


def test_what_counts_is_in_the_order_of_subjects_and_days() -> None:
    stable, day = np.full(5, CODES["SD"]), np.array([9, 5, 7, 5, 3])
    assert worst_of_day(stable, day, np.array([1, 0, 0, 1, 1])).tolist() == [1, 2, 4, 3, 0]
    assert worst_of_day(stable, day, np.array([0, 1, 1, 2, 3])).tolist() == [0, 1, 2, 3, 4]
    assert worst_of_day(stable[:2], np.array([9, 5]), np.array([0, 0])).tolist() == [1, 0]
    assert worst_of_day(stable[:2], np.array([5, 9]), np.array([1, 0])).tolist() == [1, 0]


def reported(on_day: Day, *rows: dict[str, Any]) -> pd.DataFrame:
    common = {"subject": "S1", "evaluator": "INVESTIGATOR", "evaluator_id": None, "test": "overall", "visit": "VISIT 2", "visit_number": 2}
    return pd.DataFrame([common | {"on": on_day(42), "sequence": n} | row for n, row in enumerate(rows, 1)])


def judged(tables: dict[str, pd.DataFrame], **settings: object) -> Responses:
    return respond(tables, preset("protocol").with_settings(settings))


def best(result: Responses) -> dict[str, str]:
    rows = result.of_subjects[result.of_subjects["parameter"] == "BOR"]
    return dict(zip(rows["subject"].astype(str), rows["value"].astype(str), strict=True))


def test_a_progression_that_is_reported_takes_the_date_of_its_equivocal_lesion_and_no_other_response_does(
    tables_of: Build, on_day: Day
) -> None:
    visits = [{"day": 42, "target": {"T1": 30}, "new_lesion": "EQUIVOCAL"}, {"day": 84, "target": {"T1": 30}, "new_lesion": "UNEQUIVOCAL"}]
    tables = tables_of({"baseline": {"target": [TUMOUR]}, "visits": visits})
    third = {"visit": "VISIT 3", "visit_number": 3, "on": on_day(84)}
    for word, expected in (("PD", on_day(42)), ("SD", None)):
        told = reported(on_day, {"value": "SD"}, {**third, "value": word})
        rows = judged(tables | {"response": told}, backdate_equivocal=True).at_visits
        found = rows[(rows["parameter"] == "OVR").to_numpy()]["progression_on"]
        assert [None if pd.isna(on) else str(on)[:10] for on in found] == [None, expected]
    alone = reported(on_day, {"value": "SD"}, {**third, "visit": "VISIT 9", "value": "PD"})
    rows = judged(tables | {"response": alone}, backdate_equivocal=True).at_visits
    assert rows["progression_on"][(rows["parameter"] == "OVR").to_numpy()].isna().all()


def test_who_is_refused_by_the_baseline_is_not_evaluable_whatever_is_reported(tables_of: Build, on_day: Day) -> None:
    built = []
    for name, mm in (("S1", 8), ("S2", 30)):
        tables = tables_of({"baseline": {"target": [{**TUMOUR, "mm": mm}]}, "visits": [{"day": 42, "target": {"T1": 4}}]})
        tables["response"] = reported(on_day, {"value": "PR"})
        built.append({table: frame.assign(subject=name) for table, frame in tables.items()})
    both = {table: pd.concat([b[table] for b in built], ignore_index=True) for table in built[0]}
    result = judged(both, baseline_limits="refuse")
    rows = result.at_visits[(result.at_visits["parameter"] == "OVR").to_numpy()].set_index("subject")
    assert rows["value"].to_dict() == {"S1": "NE", "S2": "PR"}
    assert rows["reason"].to_dict() == {"S1": "refused by baseline limits", "S2": "as reported"}
    assert best(result) == {"S1": "NE", "S2": "PR"}


def test_another_evaluators_accepted_reading_is_none_of_ours(tables_of: Build, on_day: Day) -> None:
    tables = tables_of({"baseline": {}, "visits": []})
    other = {"evaluator": "INDEPENDENT", "evaluator_id": "R9", "value": "CR", "accepted": True}
    told = reported(on_day, {"evaluator_id": "R1", "value": "SD"}, {"evaluator_id": "R2", "value": "PR", "accepted": True}, other)
    assert best(judged(tables | {"response": told})) == {"S1": "PR"}
    unsettled = reported(on_day, {"evaluator_id": "R1", "value": "SD"}, {"evaluator_id": "R2", "value": "PR"}, other)
    result = judged(tables | {"response": unsettled})
    assert (best(result), result.findings.counts()["several-readers"]) == ({"S1": "SD"}, 1)


def test_a_reader_without_an_id_beside_one_with_is_another_reader(tables_of: Build, on_day: Day) -> None:
    told = reported(on_day, {"value": "SD"}, {"evaluator_id": "R2", "value": "PR", "accepted": True})
    assert best(judged(tables_of({"baseline": {}, "visits": []}) | {"response": told})) == {"S1": "PR"}


def test_an_evaluator_of_some_of_the_rows_is_no_unknown_one(tables_of: Build, on_day: Day) -> None:
    told = reported(on_day, {"value": "SD"}, {"evaluator": "INDEPENDENT", "value": "PR"})
    tables = tables_of({"baseline": {}, "visits": []}) | {"response": told}
    assert not judged(tables).findings.counts()
    assert judged(tables, evaluator="NOBODY").findings.counts() == {"no-such-evaluator": 1}


def test_times_to_events_rest_on_the_overall_responses_of_one_evaluator(tables_of: Build, on_day: Day) -> None:
    """Not on what is said of targets, sums or by others."""
    tables = tables_of({"baseline": {"target": [TUMOUR]}, "visits": [{"day": 42, "target": {"T1": 12}}]})
    told = reported(on_day, {"evaluator": "INDEPENDENT", "value": "SD"})
    result = judged(tables | {"response": told})
    at_visits = result.at_visits
    said = {"OVR", "TRGRESP", "SDIAM"}
    assert set(at_visits["parameter"]) >= said, "there is something to leave out"
    assert set(at_visits["evaluator"].dropna()) == {"INVESTIGATOR", "INDEPENDENT"}
    rows = result.of_evaluator()
    rows = rows[rows["parameter"].isin(said).to_numpy()]
    assert rows[["evaluator", "parameter", "value"]].to_numpy().tolist() == [["INVESTIGATOR", "OVR", "PR"]]
