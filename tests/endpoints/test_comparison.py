"""Endpoints under several conventions: whose outcome changes, and which parameters are behind each change."""

import pytest

from fhir_trial.domain.entities import Patient, Response, Subject, When
from fhir_trial.domain.study import Sponsor, StudyDefinition
from fhir_trial.domain.tables import TrialData, to_table
from fhir_trial.endpoints import comparison
from fhir_trial.endpoints.comparison import ABSENT, Comparison, compare
from fhir_trial.endpoints.conventions import preset
from fhir_trial.errors import InputError, UsageError

pytestmark = pytest.mark.thorough

STUDY = StudyDefinition(id="X", title="X", status="U", sponsor=Sponsor(id="x", name="x"), arms=(), drugs=(), outcomes=(), endpoints=())
SEEN = {
    "S-late": [("2023-02-12", "SD")],  # and dies after 200 days
    "S-steady": [("2023-02-12", "PR"), ("2023-04-12", "PD")],
    "S-unseen": [],
}


def trial(assessed: bool = True) -> TrialData:
    subjects = [
        Subject(study="X", subject=s, state="enrolled", enrolled_on=When("2023-01-01"), first_dose_on=When("2023-01-02")) for s in SEEN
    ]
    responses = [
        Response(study="X", subject=s, test="overall", evaluator="INVESTIGATOR", visit=f"V{n}", on=When(day), value=value, sequence=n)
        for s, seen in SEEN.items()
        for n, (day, value) in enumerate(seen, 1)
    ]
    tables = {
        "subject": to_table(subjects, Subject),
        "patient": to_table(
            [Patient(study="X", subject=s, death_date=When("2023-08-31") if s == "S-late" else None) for s in SEEN], Patient
        ),
    }
    return TrialData(STUDY, tables | ({"response": to_table(responses, Response)} if assessed else {}))


@pytest.fixture(scope="module")
def compared() -> Comparison:
    slow = preset("protocol").with_settings({"sd_min_days": 200})
    return compare(trial(), ["PFS", "ORR"], [preset("protocol"), preset("ema"), preset("fda-2018"), slow])


def changes(compared: Comparison, number: int) -> dict[tuple[str, str], tuple[str, str, tuple[str, ...]]]:
    mine = [c for c in compared.changes if c.conventions == number]
    return {(c.endpoint, c.subject): (c.before.describe(), c.after.describe(), c.because) for c in mine}


CENSORED = "censored at 42 d on 2023-02-12 (last adequate assessment: death 200 d after)"


def test_one_parameter_is_behind_a_change(compared: Comparison) -> None:
    assert changes(compared, 1) == {("PFS", "S-late"): (CENSORED, "event at 242 d on 2023-08-31 (death)", ("death_window_days",))}


def test_parameters_that_are_needed_together(compared: Comparison) -> None:
    after = "censored at 42 d on 2023-02-12 (last adequate assessment: two missed visits)"
    assert changes(compared, 2) == {("PFS", "S-late"): (CENSORED, after, ("death_window_days", "missed_rule"))}


RESPONDED = " on 2023-02-12 (complete or partial response)"


def test_a_change_of_what_a_rate_rests_on_is_said(compared: Comparison) -> None:
    found = changes(compared, 3)
    assert found["ORR", "S-late"][:2] == tuple(f"N: best response {word}, confirmed {word} (no response)" for word in ("SD", "NE"))
    assert ("PFS", "S-late") not in found
    assert found["ORR", "S-steady"][1:] == (f"Y: best response PR, confirmed PD{RESPONDED}", ("sd_min_days",))


def test_conventions_are_named_apart(compared: Comparison) -> None:
    assert compared.names() == ["protocol", "ema", "fda-2018", "protocol, except sd_min_days=200"]
    same = compare(trial(), ["OS"], [preset("ema"), preset("ema")])
    assert (same.names(), same.changes) == (["ema (1)", "ema (2)"], ())


def test_conventions_that_are_the_same_are_analysed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    whole = comparison.prepare
    monkeypatch.setattr(comparison, "prepare", lambda data, conventions: made.append(conventions) or whole(data, conventions))
    compare(trial(), ["PFS"], [preset("protocol"), preset("ema"), preset("protocol")])
    assert len(made) == 2  # what ema differs in is ema


def test_a_subject_without_a_row_is_not_in_the_analysis() -> None:
    assert ABSENT.describe() == "not in the analysis"
    found = compare(trial(), ["TTR"], [preset("protocol"), preset("protocol").with_settings({"data_cutoff": "2023-01-31"})])
    (change,) = found.changes
    assert (change.subject, change.after.value, change.because) == ("S-steady", None, ("data_cutoff",))


def test_no_subject_stands_in_a_representation(compared: Comparison) -> None:
    assert not [name for name in SEEN if name in repr(compared) + repr(compared.changes)]


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UsageError, match="two conventions"):
        compare(trial(), ["PFS"], [preset("ema")])
    with pytest.raises(UsageError, match="no endpoint is named pfs: did you mean PFS"):
        compare(trial(), ["pfs"], [preset("ema"), preset("protocol")])
    with pytest.raises(InputError) as raised:
        compare(trial(assessed=False), ["PFS"], [preset("ema"), preset("protocol")])
    assert {f.field for f in raised.value.findings} == {"PFS"}
