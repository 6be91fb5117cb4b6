"""One measurement in a process of its own: `endpoints_engines.py ENGINE SUBJECTS` prints processor seconds and a digest as JSON."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

Engine = Callable[[int], tuple[float, Any]]
BACK, LONG, WINDOW = 30, 42, 63
"""Percent below baseline, least days of stable disease, days that a death counts."""


def ours(subjects: int) -> tuple[float, Any]:
    """RECIST, best responses and progression-free survival, from lesions to rows."""
    from endpoints_data import trial

    from fhir_trial.endpoints.columns import with_codes
    from fhir_trial.endpoints.conventions import preset
    from fhir_trial.endpoints.facts import gather
    from fhir_trial.endpoints.response import respond
    from fhir_trial.endpoints.time_to_event import derive
    from fhir_trial.endpoints.time_to_event_rules import ENDPOINTS

    tables, conventions = trial(subjects), preset("protocol")
    start = time.process_time()
    tables = with_codes(tables)
    responses = respond(tables, conventions)
    rows = derive(ENDPOINTS["PFS"], gather(tables, responses.of_evaluator(), conventions), conventions)
    used = time.process_time() - start
    best = responses.of_subjects[(responses.of_subjects["parameter"] == "BOR").to_numpy()]["value"]
    return used, digest(best, rows["days"], rows["censored"])


def loop(subjects: int) -> tuple[float, Any]:
    """The same with pandas, a subject at a time, in floats, one target and no clause beyond what these data need."""
    import pandas as pd
    from endpoints_data import ENROLLED, trial

    tables = trial(subjects)
    died = dict(zip(tables["patient"]["subject"], tables["patient"]["death_date"], strict=True))
    start, best, days, censored = time.process_time(), [], [], []
    measured = tables["measurement"]
    measured = measured.assign(on=pd.to_datetime(measured["on"]), mm=measured["longest_mm"].astype(float))
    for subject, found in measured.groupby("subject", sort=True):
        rows = found.sort_values("on")
        day = ((rows["on"] - pd.Timestamp(ENROLLED)).dt.days).tolist()
        sizes = rows["mm"].tolist()
        baseline, nadir, seen = sizes[0], sizes[0], []
        for at, size in list(zip(day, sizes, strict=True))[1:]:
            rose = size - nadir >= 5 and size >= 1.2 * nadir - 1e-9
            seen.append((at, "CR" if size == 0 else "PD" if rose else "PR" if size <= (100 - BACK) / 100 * baseline + 1e-9 else "SD"))
            nadir = min(nadir, size)
        progressed = next((at for at, response in seen if response == "PD"), None)
        counted = [(at, response) for at, response in seen if progressed is None or at <= progressed]
        values = [response for _, response in counted]
        long = any(response == "SD" and at >= LONG for at, response in counted)
        best.append("CR" if "CR" in values else "PR" if "PR" in values else "SD" if long else "PD" if progressed is not None else "NE")
        death = None if pd.isna(died[subject]) else (pd.Timestamp(died[subject]) - pd.Timestamp(ENROLLED)).days
        last = max(at for at, _ in seen)
        event = progressed if progressed is not None else death if death is not None and death - last <= WINDOW else None
        days.append(last if event is None else event)
        censored.append(int(event is None))
    return time.process_time() - start, digest(best, days, censored)


def our_curve(subjects: int) -> tuple[float, Any]:
    """Our Kaplan-Meier with its median."""
    from endpoints_data import times

    from fhir_trial.endpoints.survival import kaplan_meier

    time_, event = times(subjects)
    start = time.process_time()
    median = kaplan_meier(time_, event).median
    return time.process_time() - start, median


def lifelines_curve(subjects: int) -> tuple[float, Any]:
    """Lifelines' fit with its median."""
    import numpy as np
    from lifelines import KaplanMeierFitter

    chance = np.random.default_rng(1)  # as `endpoints_data.times`, which needs this package
    time_, event = np.rint(chance.exponential(300, subjects)), chance.random(subjects) < 0.7
    start = time.process_time()
    median = KaplanMeierFitter().fit(time_, event).median_survival_time_
    return time.process_time() - start, float(median)


def digest(best: Any, days: Any, censored: Any) -> dict[str, Any]:
    """What two engines must agree in: responses counted, and the sum of days and of censored times."""
    import pandas as pd

    counts = pd.Series(list(best)).value_counts()
    return {"best": {str(k): int(v) for k, v in sorted(counts.items())}, "days": int(sum(days)), "censored": int(sum(censored))}


ENGINES: dict[str, Engine] = {"ours": ours, "loop": loop, "our_curve": our_curve, "lifelines_curve": lifelines_curve}

if __name__ == "__main__":
    seconds, found = ENGINES[sys.argv[1]](int(sys.argv[2]))
    import resource

    print(json.dumps({"seconds": seconds, "digest": found, "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
