"""The vectorised derivation against a plain reading of RECIST 1.1, one subject at a time, on generated courses and conventions."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from endpoints.recist_by_hand import Course, best_responses
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.response import respond

Build = Callable[[Mapping[str, Any]], dict[str, pd.DataFrame]]


millimetres = st.sampled_from([0, 3, 4, 4.9, 5, 6, 7, 9, 9.9, 10, 12, 14, 15, 17.5, 20, 21, 24, 25, 30, 30.1, 36, 43, 50])
states = st.sampled_from(["TSTM", "NE", "ABSENT"])
findings = st.one_of(millimetres, millimetres, millimetres, states, st.none(), st.lists(millimetres, min_size=2, max_size=2))


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    sizes = st.sampled_from([10, 15, 16, 20, 30, 43, 60])
    targets = [{"id": f"T{i}", "mm": draw(sizes), "nodal": draw(st.booleans()), "organ": f"O{i}"} for i in range(draw(st.integers(0, 3)))]
    others = [{"id": f"N{i}", "nodal": draw(st.booleans())} for i in range(draw(st.integers(0 if targets else 1, 2)))]
    visits, day, split = [], 0, set()
    for _ in range(draw(st.integers(1, 6))):
        day += draw(st.sampled_from([20, 21, 27, 28, 41, 42, 56]))
        if draw(st.integers(0, 9)) == 0:
            visits.append({"day": day, "not_done": True})
            continue
        found = {x["id"]: draw(findings) for x in targets}
        for name, value in found.items():
            # once split, a lesion is read in fragments or not at all
            found[name] = value if name not in split or isinstance(value, list) else None
            split |= {name} if isinstance(found[name], list) else set()
        if len(targets) > 1 and "T1" not in split and draw(st.integers(0, 7)) == 0:
            found["T1"] = "MERGED WITH T0"
        state = st.sampled_from(["PRESENT", "ABSENT", "ABSENT", "ABSENT", "NE", "PD"])
        seen = {k: v for k, v in found.items() if v is not None}
        visit: dict[str, Any] = {"day": day, "target": seen, "nontarget": {x["id"]: draw(state) for x in others}}
        visit["new_lesion"] = draw(st.sampled_from(["NONE"] * 8 + ["EQUIVOCAL", "UNEQUIVOCAL"]))
        if draw(st.integers(0, 5)) == 0:
            visit["marker"] = draw(st.sampled_from(["NORMAL", "NOT NORMAL"]))
        if visit["target"] or others or visit["new_lesion"] != "NONE":
            visits.append(visit)
    marker = {"marker": "NOT NORMAL"} if draw(st.integers(0, 5)) == 0 else {}
    return {"baseline": {"target": targets, "nontarget": others}, "visits": visits, **marker}


conventions = st.fixed_dictionaries(
    {},
    optional={
        "sd_min_days": st.sampled_from([0, 41, 42, 43]),
        "confirm_days": st.sampled_from([21, 27, 28, 29]),
        "max_ne_between": st.integers(0, 2),
        "sd_between_ok": st.booleans(),
        "pr_sticky": st.sampled_from(["none", "after_first", "after_confirmed"]),
        "cr_relapse": st.sampled_from(["pd", "per_criteria"]),
        "nodal_relapse_after_cr": st.sampled_from(["ge10", "sum_rule"]),
        "normal_nodes_never_pd": st.booleans(),
        "partial_sum_pd": st.booleans(),
        "nontarget_partly_evaluated": st.sampled_from(["NE", "NON-CR/NON-PD"]),
        "markers_required_for_cr": st.booleans(),
        "unconfirmed_cr_label": st.sampled_from(["NE", "NON-CR/NON-PD"]),
        "nontarget_ne_blocks_cr": st.booleans(),
        "nadir_includes_baseline": st.booleans(),
        "tstm_mm": st.sampled_from([4, 5]),
        "no_assessment_bor": st.sampled_from(["NE", "MISSING"]),
    },
)


def renamed(tables: dict[str, pd.DataFrame], name: str) -> dict[str, pd.DataFrame]:
    return {table: frame.assign(subject=name) for table, frame in tables.items()}


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(cases(), min_size=1, max_size=12), conventions)
def test_every_response_is_what_the_paper_gives(tables_of: Build, courses: list[dict[str, Any]], changed: dict[str, Any]) -> None:
    c = preset("protocol").with_settings(changed)
    built = [renamed(tables_of(case), f"S{i}") for i, case in enumerate(courses)]
    tables = {name: pd.concat([b[name] for b in built if len(b[name])] or [built[0][name]], ignore_index=True) for name in built[0]}
    rows = respond(tables, c).table()
    for number, case in enumerate(courses):
        course = Course(case, c)
        expected = [course.visit(visit) for visit in case["visits"]]
        ours = rows[rows["subject"] == f"S{number}"]
        assert ours["value"][ours["parameter"] == "OVR"].tolist() == expected, case
        history = [(v["day"], r) for v, r in zip(case["visits"], expected, strict=True)]
        best = tuple(ours["value"][ours["parameter"] == p].item() for p in ("BOR", "CBOR"))
        assert best == best_responses(history, bool(case["baseline"]["target"]), c), (case, expected)
