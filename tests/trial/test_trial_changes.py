"""What an edit changed, told in words: events, censoring and their reasons, every parameter, the figures, other files."""

import json

from fhir_trial.trial.changes import Change, Changes, changes

ADTTE = "USUBJID,PARAMCD,ADT,AVAL,CNSR,EVNTDESC,CNSDTDSC\nS1,EFS,2023-03-01,59,{}\n"
ADRS = "USUBJID,PARAMCD,EVAL,EVALID,VISIT,AVALC,AVAL,ADT\nS1,SDIAM,INVESTIGATOR,R1,V1,,{},2023-02-01\nS1,DCR,{}\n"


def _summary(median: float | None, findings: int) -> str:
    rates = [{"at": 4, "unit": "months", "estimate": 0.5}]
    return json.dumps({"study": "X", "PFS": {"n": 2, "median": median, "rates": rates}, "findings": {"odd": findings}})


def test_times_are_told_with_event_or_censoring_and_why() -> None:
    before, after = (ADTTE.format(row) for row in ("0,progression,", "1,last adequate assessment,last adequate assessment: before cutoff"))
    (found,) = changes({"adtte.csv": before}, {"adtte.csv": after}).subjects
    assert found.describe() == (
        "S1 EFS: 59 days, event (progression), 2023-03-01 -> 59 days, censored (last adequate assessment: before cutoff), 2023-03-01"
    )


def test_every_parameter_of_responses_is_told() -> None:
    found = changes({"adrs.csv": ADRS.format(40, "INVESTIGATOR,R1,V1,Y,1,2023-02-01")}, {"adrs.csv": ADRS.format(50.5, ",,,N,0,")})
    assert [change.describe() for change in found.subjects] == [
        "S1 DCR: Y 2023-02-01 -> N",
        "S1 SDIAM at V1 by INVESTIGATOR R1: 40 mm 2023-02-01 -> 50.5 mm 2023-02-01",
    ]


def test_figures_and_other_files_are_told() -> None:
    before = {"summary.json": _summary(40.5, 1), "safety.csv": "a", "adsl.csv": "a", "new.csv": "a"}
    found = changes(before, {"summary.json": _summary(None, 2), "safety.csv": "b", "adsl.csv": "a", "other.csv": "b"})
    assert found == Changes((), (Change(None, "PFS", None, "median 40.5", "median none"),), ("safety.csv",))
    assert found.figures[0].describe() == "PFS: median 40.5 -> median none"


def test_a_first_run_changes_nothing() -> None:
    assert changes({}, {"summary.json": _summary(1, 0), "safety.csv": "b"}) == Changes()
