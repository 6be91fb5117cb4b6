"""RECIST 1.1 read plainly, one subject at a time and in exact decimals: what the vectorised derivation is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhir_trial.endpoints.conventions import Conventions


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
    """A merged lesion has nothing of its own where the other is evaluated; once merged it stays so until it is measured apart."""
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
        self.why = ""
        self.rows: list[dict[str, Any]] = []
        """What each visit gives besides its response: target and non-target response, sums, changes, and the reason."""

    def nadir(self) -> Decimal:
        known = [self.baseline, *self.sums] if self.c.nadir_includes_baseline else self.sums
        return min(known, default=self.baseline)

    def target(self, day: int, sizes: dict[str, Size | None]) -> str | None:
        if not self.targets:
            self.why = "no target lesion"
            return None
        c, seen, nadir = self.c, [s for s in sizes.values() if s], self.nadir()
        total, complete = sum((s.mm for s in seen), Decimal(0)), None not in sizes.values()
        normal = bool(seen) and all(s.gone for s in seen)
        rose = bool(seen) and total - nadir >= 5 and total * 100 >= nadir * 120 and not (normal and c.normal_nodes_never_pd)
        back = self.had_cr and any(s and not s.gone and self.relapses(x) for x, s in ((x, sizes[x["id"]]) for x in self.targets))
        response, self.why = self.judged(rose, back, complete, normal, total)
        if response == "SD" and self.keeps(day):
            response, self.why = "PR", "response kept until progression"
        return response

    def judged(self, rose: bool, back: bool, complete: bool, normal: bool, total: Decimal) -> tuple[str, str]:
        sure = complete or self.c.partial_sum_pd
        cases = (
            (rose and complete, "PD", "sum 20 % and 5 mm above nadir"),
            (rose and sure, "PD", "measured targets alone 20 % and 5 mm above nadir"),
            (back and sure, "PD", "target lesion back after complete response"),
            (not complete, "NE", "target lesion not evaluated"),
            (normal, "CR", "target lesions gone"),
            (self.baseline and total * 100 <= self.baseline * 70, "PR", "sum 30 % below baseline"),
            (True, "SD", "neither response nor progression"),
        )
        return next((response, why) for true, response, why in cases if true)

    def reason(self, visit: Mapping[str, Any], target: str | None, other: str | None, back: bool, whole: str) -> str:
        """Why a visit has its response, in the words of the table."""
        unread = "non-target lesions not evaluated"
        there = "non-target lesions not complete response"
        words = {"NED": "no disease at baseline", "CR": "non-target lesions gone", "NON-CR/NON-PD": there}
        cases = (
            (visit.get("not_done") and whole == "NE", "assessment not done"),
            (visit.get("new_lesion") == "UNEQUIVOCAL", "new lesion"),
            (target == "PD", self.why),
            (other == "PD" and back, "non-target lesion back after complete response"),
            (other == "PD", "unequivocal progression of non-target lesions"),
            (target == "CR" and whole == "PR", unread if other == "NE" else there),
            (target is not None, self.why),
            (True, words.get(whole, unread)),
        )
        return next(why for true, why in cases if true)

    def figures(self, sizes: dict[str, Size | None]) -> dict[str, Any]:
        """Sums in mm and changes in per cent, None where there is none."""
        seen = [s.mm for s in sizes.values() if s]
        complete, total, nadir = bool(self.targets) and None not in sizes.values(), sum(seen, Decimal(0)), self.nadir()

        def change(reference: Decimal) -> Decimal | None:
            return 100 * (total - reference) / reference if complete and reference else None

        return {
            "sum_mm": total if complete else None,
            "partial_sum_mm": total if seen and not complete else None,
            "baseline_mm": self.baseline if self.targets else None,
            "nadir_mm": nadir if self.targets else None,
            "change_pct": change(self.baseline),
            "nadir_change_pct": change(nadir),
            "measurable": bool(self.targets),
        }

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
        apart = {k for k, v in visit.get("target", {}).items() if not str(v).startswith("MERGED") and sizes.get(k)}
        self.merged = {k: v for k, v in self.merged.items() if k not in apart}
        other = non_target_response(self.case, visit.get("nontarget", {}), self.raised, c)
        states = {x["id"]: visit.get("nontarget", {}).get(x["id"]) for x in self.case["baseline"].get("nontarget", [])}
        rule = {x["id"]: self.relapses(x) for x in self.case["baseline"].get("nontarget", [])}
        back = other != "PD" and self.had_cr and any(state == "PRESENT" and rule[name] for name, state in states.items())
        other = "PD" if back else other
        target = self.target(day, sizes)
        whole = combine(target, other, visit.get("new_lesion") == "UNEQUIVOCAL", c)
        told = {"target": target, "non_target": other, "new_lesion": visit.get("new_lesion", "NONE"), "overall": whole}
        self.rows.append(self.figures(sizes) | told | {"reason": self.reason(visit, target, other, back, whole)})
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
