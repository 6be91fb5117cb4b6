"""A cohort of generated courses judged at once against a plain reading of RECIST 1.1, under each of the conventions that matter to it."""

import random
from decimal import Decimal
from functools import cache
from typing import Any

import pandas as pd
import pytest
from endpoints.conftest import build_tables
from endpoints.conftest import day as day_of
from endpoints.recist_by_hand import Course, best_responses

from fhir_trial.endpoints.columns import with_codes
from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.facts import gather
from fhir_trial.endpoints.response import Responses, respond
from fhir_trial.endpoints.time_to_event import derive
from fhir_trial.endpoints.time_to_event_rules import ENDPOINTS

pytestmark = pytest.mark.thorough

SUBJECTS = 250
SIZES = (0, 3, 4, 4.9, 5, 6, 7, 9, 9.9, 10, 12, 14, 15, 17.5, 20, 21, 24, 25, 30, 30.1, 36, 43, 50)
BASELINES = (10, 15, 16, 20, 30, 43, 60)
CHANGES: list[dict[str, Any]] = [
    {},
    {"sd_min_days": 43, "confirm_days": 29, "nadir_includes_baseline": False, "tstm_mm": 4},
    {"max_ne_between": 0, "cr_relapse": "per_criteria", "partial_sum_pd": False, "no_assessment_bor": "MISSING"},
    {"max_ne_between": 2, "sd_between_ok": True, "nodal_relapse_after_cr": "sum_rule", "normal_nodes_never_pd": False},
    {"pr_sticky": "after_first", "nontarget_partly_evaluated": "NON-CR/NON-PD", "markers_required_for_cr": False},
    {"pr_sticky": "after_confirmed", "nontarget_ne_blocks_cr": False, "unconfirmed_cr_label": "NE", "confirm_days": 21},
]


def course(chance: random.Random) -> dict[str, Any]:
    """A subject's baseline and visits: lesions mostly shrink, so that every response comes up."""

    def node(share: float) -> bool:
        return chance.random() < share

    targets = [{"id": f"T{i}", "mm": chance.choice(BASELINES), "nodal": node(0.4), "organ": f"O{i}"} for i in range(chance.randint(0, 3))]
    others = [{"id": f"N{i}", "nodal": node(0.5)} for i in range(chance.randint(0 if targets else 1, 2))]
    visits, day, split, good = [], 0, set(), chance.random() < 0.5
    for _ in range(chance.randint(0, 6)):
        day += chance.choice((20, 21, 27, 28, 41, 42, 56))
        if chance.random() < 0.1:
            visits.append({"day": day, "not_done": True})
            continue
        found = {x["id"]: finding(chance, good, x["id"] in split) for x in targets}
        split |= {name for name, value in found.items() if isinstance(value, list)}
        if len(targets) > 1 and "T1" not in split and chance.random() < 0.1:
            found["T1"] = "MERGED WITH T0"
        states = ("PRESENT", "ABSENT", "ABSENT", "ABSENT", "NE", "PD") if not good else ("ABSENT",) * 6 + ("NE", "PRESENT")
        visit: dict[str, Any] = {"day": day, "target": {k: v for k, v in found.items() if v is not None}}
        visit["nontarget"] = {x["id"]: chance.choice(states) for x in others}
        visit["new_lesion"] = chance.choice(["NONE"] * 12 + ["EQUIVOCAL", "UNEQUIVOCAL"])
        if chance.random() < 0.2:
            visit["marker"] = chance.choice(("NORMAL", "NOT NORMAL"))
        if visit["target"] or others or visit["new_lesion"] != "NONE":
            visits.append(visit)
    marker = {"marker": "NOT NORMAL"} if chance.random() < 0.2 else {}
    return {"baseline": {"target": targets, "nontarget": others}, "visits": visits, **marker}


def finding(chance: random.Random, good: bool, split: bool) -> Any:
    """What is recorded of a target at a visit; once split, a lesion is read in fragments or not at all."""
    size = chance.choice(SIZES[:10] if good else SIZES)
    if split or chance.random() < 0.05:
        return [size, chance.choice(SIZES[:6])] if chance.random() < 0.9 else None
    return chance.choice([size] * 12 + ["TSTM", "NE", "ABSENT", None, size, "ABSENT"])


@cache
def cohort() -> tuple[list[dict[str, Any]], dict[str, pd.DataFrame]]:
    """The courses, and the tables of all of them."""
    chance = random.Random(1917)
    courses = [course(chance) for _ in range(SUBJECTS)]
    built = [{name: frame.assign(subject=f"S{i}") for name, frame in build_tables(case).items()} for i, case in enumerate(courses)]
    return courses, {name: pd.concat([b[name] for b in built if len(b[name])], ignore_index=True) for name in built[0]}


@cache
def by_hand(number: int) -> tuple[list[list[str]], list[tuple[str, str]], list[dict[str, Any]]]:
    """Every subject's overall responses, best responses, and the rows of all visits under the conventions of that number."""
    c = preset("protocol").with_settings(CHANGES[number])
    responses, best, rows = [], [], []
    for case in cohort()[0]:
        judge = Course(case, c)
        responses.append([judge.visit(visit) for visit in case["visits"]])
        history = [(v["day"], r) for v, r in zip(case["visits"], responses[-1], strict=True)]
        best.append(best_responses(history, bool(case["baseline"]["target"]), c))
        rows += [row | {"subject": f"S{len(best) - 1}", "day": v["day"]} for v, row in zip(case["visits"], judge.rows, strict=True)]
    return responses, best, rows


def judged(number: int) -> Responses:
    """What is tested; not remembered, so that a mutation run asks anew."""
    return respond(cohort()[1], preset("protocol").with_settings(CHANGES[number]))


def record_behind(reason: str, records: pd.DataFrame) -> float:
    """The record that a reason rests on: of the new lesion, of the non-target that grew, else the first of the targets or non-targets."""
    if reason == "new lesion":
        behind = records[(records["role"] == "new") & (records["state"] == "unequivocal")]
    elif reason == "unequivocal progression of non-target lesions":
        behind = records[records["state"] == "unequivocal-progression"]
    else:
        first = [records[records["role"] == role] for role in ("target", "non-target")]
        behind = first[0] if len(first[0]) else first[1]
    return float(behind["record"].min())


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_each_visit_has_the_figures_and_the_reason_by_hand(number: int) -> None:
    ours = judged(number).assessments.frame
    start = pd.Timestamp(day_of(0))
    found = {(row["subject"], (row["on"] - start).days): row for row in ours.to_dict("records") if not pd.isna(row["on"])}
    undone = iter([row for row in ours.to_dict("records") if pd.isna(row["on"])])
    for expected in by_hand(number)[2]:
        row = found.get((expected["subject"], expected["day"])) or next(undone)
        for name, value in expected.items():
            if name in row and isinstance(value, Decimal):
                assert row[name] == pytest.approx(float(value), rel=1e-12), (name, expected)
            elif name in row:
                assert (None if pd.isna(row[name]) else row[name]) == value, (name, expected)


def test_each_visit_names_the_record_that_decided() -> None:
    visits = cohort()[1]["measurement"].groupby(["subject", "on"])
    records = {key: rows for key, rows in visits}
    named = 0
    for row in judged(0).assessments.frame.to_dict("records"):
        at = records.get((row["subject"], str(row["on"])[:10]))
        if at is not None:
            assert row["source_sequence"] == pytest.approx(record_behind(row["reason"], at), nan_ok=True), row
            assert (row["source_domain"] == "TR") == (not pd.isna(row["source_sequence"]))
            named += not pd.isna(row["source_sequence"])
    assert named > 500


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_a_cohort_is_judged_as_each_of_its_subjects(number: int) -> None:
    rows = judged(number).table()
    responses, best, _ = by_hand(number)
    ours = rows[rows["parameter"] == "OVR"].groupby("subject", observed=True)["value"].agg(list).to_dict()
    of = {name: rows[(rows["parameter"] == name).to_numpy()].set_index("subject")["value"].to_dict() for name in ("BOR", "CBOR")}
    for i, (expected, of_subject) in enumerate(zip(responses, best, strict=True)):
        assert ours.get(f"S{i}", []) == expected, cohort()[0][i]
        assert (of["BOR"][f"S{i}"], of["CBOR"][f"S{i}"]) == of_subject, (cohort()[0][i], expected)


def test_the_cohort_has_every_response() -> None:
    responses, best, _ = by_hand(0)
    assert {value for each in responses for value in each} == {"CR", "PR", "SD", "PD", "NE", "NON-CR/NON-PD"}
    assert {value for pair in best for value in pair} == {"CR", "PR", "SD", "PD", "NE", "NON-CR/NON-PD"}


def test_words_that_are_codes_already_change_nothing() -> None:
    tables, conventions = cohort()[1], preset("protocol")
    found = []
    for given in (tables, with_codes(tables)):
        responses = respond(given, conventions)
        times = derive(ENDPOINTS["PFS"], gather(given, responses.of_evaluator(), conventions), conventions)
        found.append([frame.astype(object).where(frame.notna(), None).to_dict("records") for frame in (responses.table(), times)])
        found[-1].append([(f.code, f.place, f.effect) for f in responses.findings])
    assert found[0] == found[1]
    assert [len(found[0][0]) > SUBJECTS, len(found[0][1])] == [True, SUBJECTS]
