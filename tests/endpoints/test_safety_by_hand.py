"""Adverse events of four subjects, counted by hand."""

import pandas as pd
import pytest

from fhir_trial.endpoints import safety
from fhir_trial.endpoints.conventions import preset
from fhir_trial.errors import Findings

DATES = ["first_dose_on", "last_dose_on"]
SUBJECTS = pd.DataFrame(
    [
        ("A1", "A", True, "2023-01-10", "2023-02-10"),
        ("A2", "A", True, "2023-01-10", None),
        ("B1", "B", True, "2023-01-10", "2023-02-10"),
        ("B2", "B", False, None, None),
    ],
    columns=["subject", "arm", "safety", *DATES],
).assign(**{name: lambda f, name=name: pd.to_datetime(f[name]).astype("datetime64[s]") for name in DATES})

COLUMNS = ["subject", "sequence", "term", "preferred_term", "organ_class", "grade", "serious", "related", "start", "end"]
EVENTS = pd.DataFrame(
    [
        ("A1", 1, "Nausea", "Nausea", "Gastro", 1, None, "RELATED", "2023-01-10", None),
        ("A1", 2, "Nausea again", "Nausea", "Gastro", 3, True, "NOT RELATED", "2023-01-20", None),
        ("A1", 3, "Headache", "Headache", "Nervous", 2, False, "NOT RELATED", "2023-01-09", None),  # before the first dose
        ("A1", 4, "Vomiting", "Vomiting", "Gastro", None, False, None, "2023-03-12", None),  # day 30 after the last dose
        ("A1", 5, "Rash", "Rash", "Skin", 4, True, None, "2023-03-13", None),  # day 31
        ("A2", 1, "Vomiting", "Vomiting", "Gastro", 5, True, "possible", "2024-01-01", None),  # treatment goes on
        ("B1", 1, "Odd feeling", None, None, 2, False, "UNRELATED", "2023", None),  # some day of 2023 is on treatment
        ("B1", 2, "Old pain", "Pain", "General", 2, False, "RELATED", None, "2023-01-09"),  # ended before
        ("B2", 1, "Nausea", "Nausea", "Gastro", 3, True, "RELATED", "2023-01-20", None),  # never treated
    ],
    columns=COLUMNS,
)


def table(**settings: object) -> pd.DataFrame:
    found = safety.table({"adverse_event": EVENTS}, SUBJECTS, preset("protocol").with_settings(settings), Findings())
    assert tuple(found.columns) == safety.COLUMNS
    return found.set_index(safety.KEY)


ROWS = [
    (("A", "*ANY*", "*ANY*"), (2, 2, 4, 0, 0, 1, 0, 1, 2, 2, 2)),
    (("A", "Gastro", "Nausea"), (2, 1, 2, 0, 0, 1, 0, 0, 1, 1, 1)),
    (("A", "Gastro", "Vomiting"), (2, 2, 2, 0, 0, 0, 0, 1, 1, 1, 2)),
    (("B", "Gastro", "*ANY*"), (1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)),
    (("B", "UNCODED", "ODD FEELING"), (1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0)),
    (("TOTAL", "*ANY*", "*ANY*"), (3, 3, 5, 0, 1, 1, 0, 1, 2, 2, 2)),
]


@pytest.mark.parametrize(("key", "expected"), ROWS, ids=["/".join(r[0]) for r in ROWS])
def test_counts(key: tuple[str, str, str], expected: tuple[int, ...]) -> None:
    assert tuple(table().loc[key])[: len(expected)] == expected


def test_what_ended_treatment_or_life_and_how_severe_it_was() -> None:
    events = EVENTS.assign(
        action=["DOSE NOT CHANGED", "Drug Withdrawn", *[None] * 7],
        outcome=[None, None, None, "FATAL", *[None] * 5],
        severity=["MODERATE", "MILD", *[None] * 7],
        suspects=[*[None] * 6, [{"medication": "D", "action": "DRUG WITHDRAWN"}], None, None],
        criteria=[[{"criterion": "death", "present": False}], [{"criterion": "death", "present": True}], *[None] * 7],
    )
    found = safety.table({"adverse_event": events}, SUBJECTS, preset("protocol"), Findings()).set_index(safety.KEY)
    columns = ["subjects", "discontinued", "fatal", "mild", "moderate", "severe", "percent"]
    assert tuple(found.loc[("A", "Gastro", "Nausea"), columns]) == (1, 1, 1, 0, 1, 0, 50)
    assert tuple(found.loc[("A", "*ANY*", "*ANY*"), columns]) == (2, 1, 2, 0, 1, 0, 100)  # A2's event is of grade 5
    assert tuple(found.loc[("B", "UNCODED", "ODD FEELING"), columns]) == (1, 1, 0, 0, 0, 0, 100)


def test_nothing_after_the_cutoff_is_seen() -> None:
    found = table(data_cutoff="2023-01-15")
    assert [found.loc[(arm, "*ANY*", "*ANY*"), "events"] for arm in ("A", "B")] == [1, 1]


def test_order_and_whole_grid() -> None:
    found = table()
    assert list(found.index[:6]) == [
        ("A", *t) for t in [("*ANY*", "*ANY*"), ("Gastro", "*ANY*"), ("Gastro", "Nausea"), ("Gastro", "Vomiting")]
    ] + [
        ("A", "UNCODED", "*ANY*"),
        ("A", "UNCODED", "ODD FEELING"),
    ]
    assert list(found.index.get_level_values("arm").unique()) == ["A", "B", "TOTAL"]
    assert len(found) == 18


@pytest.mark.parametrize(
    ("settings", "key", "column", "expected"),
    [
        ({"ae_count": "events"}, ("A", "Gastro", "Nausea"), "grade1", 1),
        ({"te_window_days": 31}, ("A", "*ANY*", "*ANY*"), "grade4", 1),
        ({"te_window_days": 29}, ("A", "Gastro", "Vomiting"), "subjects", 1),
        ({"related_missing": "not_related"}, ("A", "Gastro", "Vomiting"), "related", 1),
        ({"related_values": "RELATED"}, ("A", "*ANY*", "*ANY*"), "related", 1),
    ],
)
def test_conventions(settings: dict[str, object], key: tuple[str, str, str], column: str, expected: int) -> None:
    assert table(**settings).loc[key, column] == expected


def test_nobody_and_nothing() -> None:
    nobody = safety.table({}, SUBJECTS, preset("protocol"), Findings())
    assert nobody[["arm", "preferred_term", "n", "subjects"]].to_numpy().tolist() == [
        ["A", "*ANY*", 2, 0],
        ["B", "*ANY*", 1, 0],
        ["TOTAL", "*ANY*", 3, 0],
    ]


@pytest.mark.parametrize(
    ("missing", "effect"), [("related", "every event counts as related"), ("not_related", "every event counts as not related")]
)
def test_events_without_any_causality_are_a_finding(missing: str, effect: str) -> None:
    findings, conventions = Findings(), preset("protocol").with_settings({"related_missing": missing})
    safety.table({"adverse_event": EVENTS.assign(related=None)}, SUBJECTS, conventions, findings)
    assert [(f.code, f.field, f.effect) for f in findings] == [("no-causality", "related", effect)]
