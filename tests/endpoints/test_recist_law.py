"""The vectorised derivation against a plain reading of RECIST 1.1, one subject at a time, on generated courses and conventions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_trial.endpoints.conventions import Conventions, preset
from fhir_trial.endpoints.response import respond

Build = Callable[[Mapping[str, Any]], dict[str, pd.DataFrame]]


@dataclass(frozen=True)
class Size:
    """What a target measured at a visit; gone means absent, or a normal node."""

    mm: Decimal
    gone: bool


def read_target(lesion: Mapping[str, Any], value: Any, c: Conventions) -> Size | None:
    """Section 4.3.2: fragments are added, a lesion too small to measure is 5 mm; None is not evaluated."""
    if isinstance(value, list):
        parts = [read_target(lesion, each, c) for each in value]
        return None if None in parts else Size(sum((p.mm for p in parts if p), Decimal(0)), all(p.gone for p in parts if p))
    if value is None or value == "NE":
        return None
    mm = c.tstm_mm if value == "TSTM" else Decimal(0) if value == "ABSENT" else Decimal(str(value))
    return Size(mm, mm < 10 if lesion["nodal"] else mm == 0)


def read_targets(case: Mapping[str, Any], found: Mapping[str, Any], c: Conventions) -> dict[str, Size | None]:
    """A merged lesion has nothing of its own where the other is evaluated; once merged it stays so."""
    targets = {x["id"]: x for x in case["baseline"].get("target", [])}
    sizes = {name: read_target(x, found.get(name), c) for name, x in targets.items() if not str(found.get(name)).startswith("MERGED")}
    for name in set(targets) - set(sizes):
        other = sizes.get(str(found[name]).removeprefix("MERGED WITH "))
        sizes[name] = Size(Decimal(0), True) if other else None
    return sizes


def non_target_response(case: Mapping[str, Any], found: Mapping[str, Any], raised: bool, c: Conventions) -> str | None:
    """Section 4.3.3: all gone and markers normal is CR, one that grew unequivocally is PD."""
    states = [found.get(x["id"], "NE") for x in case["baseline"].get("nontarget", [])]
    if "PD" in states:
        return "PD"
    if not states or set(states) == {"ABSENT"}:
        return "NON-CR/NON-PD" if raised and c.markers_required_for_cr else "CR" if states else None
    if "PRESENT" not in states:
        return "NE"
    partly = "NE" in states and not case["baseline"].get("target")
    return c.nontarget_partly_evaluated if partly else "NON-CR/NON-PD"


def combine(target: str | None, other: str | None, new: bool, c: Conventions) -> str:
    """Tables 1 and 2."""
    if new or "PD" in (target, other):
        return "PD"
    if target is None:
        return other or "NED"
    if target == "CR" and (other == "NON-CR/NON-PD" or (other == "NE" and c.nontarget_ne_blocks_cr)):
        return "PR"
    return target


class Course:
    """One subject's visits, judged in order."""

    def __init__(self, case: Mapping[str, Any], c: Conventions) -> None:
        self.case, self.c = case, c
        self.targets = case["baseline"].get("target", [])
        self.baseline = sum((Decimal(str(x["mm"])) for x in self.targets), Decimal(0))
        self.sums: list[Decimal] = []
        self.raised = case.get("marker") == "NOT NORMAL"
        self.had_cr = False
        self.history: list[tuple[int, str | None]] = []
        self.merged: dict[str, str] = {}

    def nadir(self) -> Decimal:
        known = [self.baseline, *self.sums] if self.c.nadir_includes_baseline else self.sums
        return min(known, default=self.baseline)

    def target(self, day: int, sizes: dict[str, Size | None]) -> str | None:
        if not self.targets:
            return None
        c, seen, nadir = self.c, [s for s in sizes.values() if s], self.nadir()
        total, complete = sum((s.mm for s in seen), Decimal(0)), None not in sizes.values()
        normal = bool(seen) and all(s.gone for s in seen)
        rose = bool(seen) and total - nadir >= 5 and total * 100 >= nadir * 120 and not (normal and c.normal_nodes_never_pd)
        back = self.had_cr and any(s and not s.gone and self.relapses(x) for x, s in ((x, sizes[x["id"]]) for x in self.targets))
        if (rose or back) and (complete or c.partial_sum_pd):
            return "PD"
        if not complete:
            return "NE"
        if normal:
            return "CR"
        if self.baseline and total * 100 <= self.baseline * 70:
            return "PR"
        return "PR" if self.keeps(day) else "SD"

    def relapses(self, lesion: Mapping[str, Any]) -> bool:
        """Whether this lesion back after CR is progression by itself."""
        return self.c.nodal_relapse_after_cr == "ge10" if lesion["nodal"] else self.c.cr_relapse == "pd"

    def keeps(self, day: int) -> bool:
        if self.c.pr_sticky == "none" or "PD" in [r for _, r in self.history]:
            return False
        if self.c.pr_sticky == "after_first":
            return any(r in ("CR", "PR") for _, r in self.history)
        return any(confirmed(self.history, i, self.c) for i in range(len(self.history)))

    def visit(self, visit: Mapping[str, Any]) -> str:
        c, day = self.c, visit["day"]
        if "marker" in visit:
            self.raised = visit["marker"] == "NOT NORMAL"
        found = {**{k: v for k, v in self.merged.items() if k not in visit.get("target", {})}, **visit.get("target", {})}
        if not visit.get("not_done"):
            self.merged |= {k: v for k, v in found.items() if str(v).startswith("MERGED")}
        sizes = read_targets(self.case, found, c)
        other = non_target_response(self.case, visit.get("nontarget", {}), self.raised, c)
        states = {x["id"]: visit.get("nontarget", {}).get(x["id"]) for x in self.case["baseline"].get("nontarget", [])}
        rule = {x["id"]: self.relapses(x) for x in self.case["baseline"].get("nontarget", [])}
        if self.had_cr and any(state == "PRESENT" and rule[name] for name, state in states.items()):
            other = "PD"
        target = self.target(day, sizes)
        whole = combine(target, other, visit.get("new_lesion") == "UNEQUIVOCAL", c)
        if self.targets and None not in sizes.values():
            self.sums.append(sum((s.mm for s in sizes.values() if s), Decimal(0)))
        self.had_cr |= whole == "CR"
        self.history.append((day, target))
        return whole


def confirmed(history: list[tuple[int, str | None]], first: int, c: Conventions) -> bool:
    """Section 4.6: a response is confirmed by one no less than the set days later, little else between."""
    day, response = history[first]
    between: list[str | None] = []
    for later, value in history[first + 1 :]:
        good = ("CR",) if response == "CR" else ("CR", "PR")
        seen = [*between, value]
        fallen = "CR" in seen and "PR" in seen[seen.index("CR") :]
        allowed = {"CR", "NE"} if response == "CR" else {"CR", "PR", "NE"} | ({"SD"} if c.sd_between_ok else set())
        if response not in ("CR", "PR") or not set(seen) <= allowed or fallen or seen.count("NE") > c.max_ne_between:
            return False
        if value in good and later - day >= c.confirm_days:
            return True
        between = seen
    return False


def best_responses(history: list[tuple[int, str]], measurable: bool, c: Conventions) -> tuple[str, str]:
    """Section 4.4.3 and table 3: best response, and best confirmed response."""
    until = next((i for i, (_, r) in enumerate(history) if r == "PD"), len(history)) + 1
    history = history[:until]
    if not history:
        return c.no_assessment_bor, c.no_assessment_bor
    values = [r for _, r in history]
    long = [r for day, r in history if day >= c.sd_min_days]
    rest = next((r for r in ("NON-CR/NON-PD", "NED") if r in long), "PD" if "PD" in values else "NE")
    bor = next((r for r in ("CR", "PR") if r in values), "SD" if "SD" in long else rest)
    sure = {values[i] for i in range(len(history)) if confirmed(list(history), i, c)}
    if sure:
        return bor, "CR" if "CR" in sure else "PR"
    if "CR" in long and not measurable:
        return bor, c.unconfirmed_cr_label
    return bor, "SD" if {"CR", "PR", "SD"} & set(long) else rest


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


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
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
