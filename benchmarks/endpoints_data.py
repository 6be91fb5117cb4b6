"""A trial to measure with: one target lesion, a baseline and eight visits a subject, deaths, the same for the same seed."""

import numpy as np
import pandas as pd
import pyarrow as pa

from fhir_trial.domain.tables import DECIMAL

SEED, VISITS, EVERY_DAYS = 1, 8, 42
ENROLLED = np.datetime64("2023-01-02")
NANO = 10**11
"""Units of the tables' decimals in a tenth of a millimetre."""


def trial(subjects: int) -> dict[str, pd.DataFrame]:
    """The tables subject, patient, lesion and measurement of so many subjects, as they come from a source: Arrow-backed."""
    chance = np.random.default_rng(SEED)
    names = pa.array([f"S{i:07d}" for i in range(subjects)])
    who, visit = np.repeat(np.arange(subjects), VISITS + 1), np.tile(np.arange(VISITS + 1), subjects)
    day = np.where(visit == 0, -7, visit * EVERY_DAYS + chance.integers(-3, 4, len(visit)))
    growth = np.cumsum(chance.normal(-0.05, 0.15, (subjects, VISITS + 1)), axis=1).ravel()
    tenths = np.rint(chance.integers(200, 800, subjects)[who] * np.exp(growth)).astype(np.int64)
    died = np.where(chance.random(subjects) < 0.3, chance.integers(350, 500, subjects), -1)
    fixed = {"study": "X", "evaluator": "INVESTIGATOR"}
    measurement = {
        "subject": names.take(pa.array(who)),
        "lesion": _one("T01", len(who)),
        "evaluator": _one("INVESTIGATOR", len(who)),
        "visit": pa.array(["SCREENING", *(f"WEEK {6 * i}" for i in range(1, VISITS + 1))]).take(pa.array(visit)),
        "visit_number": pa.array(visit + 1),
        "on": _dates(day),
        "role": _one("target", len(who)),
        "longest_mm": _millimetres(tenths),
        "longest_sequence": pa.array(visit + 1),
    }
    people = {"subject": names, "state": _one("enrolled", subjects), "enrolled_on": _one(str(ENROLLED), subjects)}
    lesion = {"subject": names, "lesion": _one("T01", subjects), "role": _one("target", subjects), "organ": _one("LUNG", subjects)}
    dead = pa.compute.if_else(pa.array(died >= 0), _dates(np.maximum(died, 0)), pa.scalar(None, pa.string()))
    return {
        "subject": _frame(people).assign(study=fixed["study"], enrolled_source="ENROLLED"),
        "patient": _frame({"subject": names, "death_date": dead}),
        "lesion": _frame(lesion).assign(evaluator=fixed["evaluator"], nodal=False),
        "measurement": _frame(measurement),
    }


def times(subjects: int) -> tuple[np.ndarray, np.ndarray]:
    """Times in days and whether they are events, for one curve."""
    chance = np.random.default_rng(SEED)
    return np.rint(chance.exponential(300, subjects)), chance.random(subjects) < 0.7


def _one(word: str, size: int) -> pa.Array:
    return pa.array([word]).take(pa.array(np.zeros(size, dtype=np.int64)))


def _dates(days: np.ndarray) -> pa.Array:
    known, place = np.unique(days, return_inverse=True)
    return pa.array([str(ENROLLED + np.timedelta64(int(day), "D")) for day in known]).take(pa.array(place))


def _millimetres(tenths: np.ndarray) -> pa.Array:
    pairs = np.column_stack((tenths * NANO, np.zeros_like(tenths)))  # 128 bits, the high ones 0
    return pa.Array.from_buffers(DECIMAL, len(tenths), [None, pa.py_buffer(pairs)])


def _frame(columns: dict[str, pa.Array]) -> pd.DataFrame:
    frame: pd.DataFrame = pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype)
    return frame
