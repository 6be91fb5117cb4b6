"""Candidate grades at the numbers that CTCAE has, in both versions, and where they cannot be told."""

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fhir_trial.endpoints import ctcae
from fhir_trial.fhir.ucum import is_unit
from fhir_trial.fhir.units import convert

LIMITS: dict[str, tuple[float | None, float | None, str]] = {
    "ALT": (None, 40, "U/L"),
    "ALP": (None, 100, "U/L"),
    "BILI": (None, 17, "umol/L"),
    "CREAT": (None, 100, "umol/L"),
    "HGB": (12, 16, "g/dL"),
    "PLAT": (150, 400, "10*9/L"),
    "NEUT": (2, 7, "10*9/L"),
    "K": (3.5, 5.0, "mmol/L"),
    "SODIUM": (135, 145, "mmol/L"),
    "CA": (2.15, 2.55, "mmol/L"),
    "GLUC": (3.9, 5.6, "mmol/L"),
    "INR": (0.8, 1.2, "1"),
    "EOS": (0, 0.5, "10*9/L"),
    "MG": (0.7, 1.0, "mmol/L"),
    "GFRE": (90, None, "mL/min/{1.73_m2}"),
}
VERSIONS = ("4.03", "5.0")


def steps_of(test: str, values: list[float], version: str) -> pd.DataFrame:
    low, high, unit = LIMITS[test]
    return ctcae.grades(pd.DataFrame({"test": test, "value": values, "low": low, "high": high, "unit": unit, "base": None}), version)


def grade(test: str, value: float, version: str = "4.03", **more: Any) -> tuple[Any, Any]:
    low, high, unit = LIMITS[test]
    row = {"test": test, "value": value, "low": low, "high": high, "unit": unit, "base": None} | more
    found = ctcae.grades(pd.DataFrame([row]), version).iloc[0]
    return tuple(None if pd.isna(found[f"grade_{d}"]) else int(found[f"grade_{d}"]) for d in ctcae.DIRECTIONS)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("test", "steps", "versions"),
    [
        ("ALT", [(40, 0), (40.1, 1), (120, 1), (120.1, 2), (200, 2), (200.1, 3), (800, 3), (800.1, 4)], VERSIONS),
        ("ALP", [(100, 0), (250, 1), (250.1, 2), (500.1, 3), (2000.1, 4)], VERSIONS),
        ("BILI", [(17, 0), (25.5, 1), (25.6, 2), (51.1, 3), (170.1, 4)], VERSIONS),
        ("CREAT", [(100, 0), (150, 1), (150.1, 2), (300.1, 3), (600.1, 4)], VERSIONS),
        ("HGB", [(16, 0), (16.1, 1), (18, 1), (18.1, 2), (20, 2), (20.1, 3)], VERSIONS),
        ("K", [(5, 0), (5.1, 1), (5.6, 2), (6.1, 3), (7.1, 4)], VERSIONS),
        ("SODIUM", [(145, 0), (150, 1), (151, 2), (156, 3), (161, 4)], VERSIONS),
        ("CA", [(2.55, 0), (2.6, 1), (2.95, 2), (3.15, 3), (3.45, 4)], VERSIONS),
        ("MG", [(1.0, 0), (1.1, 1), (1.24, 3), (3.31, 4)], VERSIONS),
        ("INR", [(1.2, 0), (1.3, 1), (1.8, 1), (1.9, 2), (3.1, 3)], ("4.03",)),
        ("INR", [(1.2, 0), (1.3, 1), (1.5, 1), (1.6, 2), (2.6, 3)], ("5.0",)),
        ("EOS", [(0.5, 0), (0.6, 1)], ("5.0",)),
    ],
)
def test_high(test: str, steps: list[tuple[float, int]], versions: tuple[str, ...]) -> None:
    for version in versions:
        assert steps_of(test, [value for value, _ in steps], version)["grade_high"].tolist() == [wanted for _, wanted in steps]


@pytest.mark.parametrize(
    ("test", "steps", "versions"),
    [
        ("HGB", [(12, 0), (11.9, 1), (10, 1), (9.9, 2), (8, 2), (7.9, 3), (2, 3)], VERSIONS),
        ("PLAT", [(150, 0), (149, 1), (75, 1), (74, 2), (49, 3), (25, 3), (24, 4)], VERSIONS),
        ("NEUT", [(2, 0), (1.9, 1), (1.4, 2), (0.9, 3), (0.5, 3), (0.4, 4)], VERSIONS),
        ("K", [(3.5, 0), (3.4, 1), (3.0, 1), (2.9, 3), (2.4, 4)], VERSIONS),
        ("SODIUM", [(135, 0), (134, 1), (130, 1), (129, 3), (120, 3), (119, 4)], ("4.03",)),
        ("SODIUM", [(135, 0), (134, 1), (129, 2), (125, 2), (124, 3), (119, 4)], ("5.0",)),
        ("GLUC", [(3.9, 0), (3.5, 1), (2.9, 2), (2.1, 3), (1.6, 4)], VERSIONS),
        ("GFRE", [(90, 0), (89, 1), (59, 2), (29, 3), (14, 4)], VERSIONS),
    ],
)
def test_low(test: str, steps: list[tuple[float, int]], versions: tuple[str, ...]) -> None:
    for version in versions:
        assert steps_of(test, [value for value, _ in steps], version)["grade_low"].tolist() == [wanted for _, wanted in steps]


@pytest.mark.parametrize(
    ("test", "value", "base", "version", "wanted"),
    [
        ("ALT", 100, 60, "5.0", 1),  # an abnormal baseline: 1.5 times of it is grade 1
        ("ALT", 89, 60, "5.0", 0),
        ("ALT", 181, 60, "5.0", 2),
        ("ALT", 130, 40, "5.0", 2),  # a normal one: by the limit
        ("ALT", 130, 60, "4.03", 2),
        ("ALP", 240, 120, "5.0", 1),
        ("ALP", 239, 120, "5.0", 0),
        ("CREAT", 90, 50, "4.03", 2),
        ("CREAT", 60, 50, "4.03", 1),
        ("CREAT", 60, 50, "5.0", 0),
        ("CREAT", 151, 50, "5.0", 3),
        ("HGB", 18.5, 17, "4.03", 1),  # 1.5 above a baseline that was above the limit
        ("EOS", 0.6, 0.7, "5.0", 0),
    ],
)
def test_baseline(test: str, value: float, base: float, version: str, wanted: int) -> None:
    assert grade(test, value, version, base=base)[1] == wanted


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"test": "PLAT", "value": 49, "low": None}, (3, None)),  # by number, whatever the limit
        ({"test": "PLAT", "value": 140, "low": None}, (None, None)),
        ({"test": "PLAT", "value": 49_000, "unit": "/mm3"}, (3, None)),
        ({"test": "PLAT", "value": 49, "unit": "THOU/uL"}, (3, None)),
        ({"test": "PLAT", "value": 49, "unit": "k/ul"}, (3, None)),
        ({"test": "PLAT", "value": 49, "unit": "furlongs"}, (None, None)),
        ({"test": "PLAT", "value": 49, "unit": None}, (None, None)),
        ({"test": "PLAT", "value": -1}, (None, None)),
        ({"test": "PLAT", "value": None}, (None, None)),
        ({"test": "K", "value": 6.5, "unit": "mEq/L"}, (0, 3)),
        ({"test": "HGB", "value": 75, "low": 120, "high": 160, "unit": "g/L"}, (3, 0)),
        ({"test": "ALT", "value": 1000, "unit": None}, (None, 4)),  # multiples of the limit need no unit
        ({"test": "GLUC", "value": 9.5}, (0, 0)),  # not known to be fasting
        ({"test": "GLUC", "value": 9.5, "fasting": True}, (0, 2)),
        ({"test": "GLUC", "value": 14}, (0, 3)),
        ({"test": "GLUC", "value": 14, "category": "Urinalysis"}, (None, None)),
        ({"test": "GLUC", "value": 14, "specimen": "URINE"}, (None, None)),
        ({"test": "GLUC", "value": 14, "specimen": "Serum", "category": "CHEMISTRY"}, (0, 3)),
        ({"test": "GLUC", "value": 3.0, "comparator": "<"}, (2, 0)),  # below 3.0 is beyond it
        ({"test": "GLUC", "value": 3.0, "comparator": "<="}, (1, 0)),
        ({"test": "PLAT", "value": 100, "comparator": ">"}, (None, None)),  # how far above is not known
        ({"test": "ALT", "value": 200, "comparator": ">"}, (None, 3)),
        ({"test": "ALT", "value": 41, "comparator": "<"}, (None, None)),
    ],
)
def test_units_specimens_and_what_is_missing(row: dict[str, Any], wanted: tuple[int | None, int | None]) -> None:
    assert grade(**row) == wanted


def test_a_result_without_criteria_has_no_term() -> None:
    found = ctcae.grades(pd.DataFrame([{"test": "TSH", "value": 3.0}]), "5.0").iloc[0]
    assert found.isna().all()


def test_limits_are_compared_as_they_are_written() -> None:
    """3 times 0.1 is 0.30000000000000004 in binary; 0.3 is not above 3 times a limit of 0.1, nor below it."""
    assert grade("ALT", 0.3, high=0.1)[1] == 1
    assert grade("HGB", 18.3, high=16.3)[1] == 1


def test_grades_rise_with_their_numbers_in_every_term() -> None:
    for version in VERSIONS:
        for term in ctcae.criteria(version).terms:
            sign = 1 if term.direction == "high" else -1
            for kind in {(c.of, c.condition) for clauses in term.grades.values() for c in clauses}:
                bounds = [c.bound for _, clauses in sorted(term.grades.items()) for c in clauses if (c.of, c.condition) == kind]
                assert all(np.diff(bounds) * sign > 0), (version, term.name, kind)
            assert all(c.comparison[0] == (">" if sign > 0 else "<") for clauses in term.grades.values() for c in clauses)


def test_a_test_has_one_term_in_a_direction() -> None:
    for version in VERSIONS:
        found = [(test, term.direction) for term in ctcae.criteria(version).terms for test in term.tests]
        assert len(found) == len(set(found))


UCUM = (
    "g/L",
    "g/dL",
    "mg/dL",
    "mg/L",
    "mg/mL",
    "ug/mL",
    "mmol/L",
    "umol/L",
    "nmol/L",
    "mol/L",
    "10*9/L",
    "10*3/uL",
    "10*12/L",
    "/uL",
    "mL/min",
)


@pytest.mark.thorough
def test_factors_are_those_of_ucum_s_library() -> None:
    compared = 0
    for unit in UCUM:
        for spelling, factor in ctcae.unit_factors(unit).items():
            if is_unit(spelling) and (exact := convert(Decimal(1), spelling, unit)) is not None:
                assert factor == pytest.approx(float(exact), rel=1e-12), (spelling, unit)
                compared += 1
    assert compared > 60


@pytest.mark.parametrize(
    ("grading", "version"),
    [
        ("CTCAE 4.03", "4.03"),
        ("NCI CTCAE Version 4.0", "4.03"),
        ("CTCAE v5.0", "5.0"),
        ("CTCAE", "5.0"),
        (None, "5.0"),
        ("CTCAE 3.0", "5.0"),
    ],
)
def test_the_version_is_the_study_s(grading: str | None, version: str) -> None:
    assert ctcae.version_of(grading) == version
    assert ctcae.criteria(version).source.startswith("National Cancer Institute")
