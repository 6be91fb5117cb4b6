"""The CDISC pilot's own analysis data sets against ours: flags and dates of every subject, Table 1, and each count of adverse events."""

from typing import Any

import pandas as pd
import pytest

from fhir_trial.domain.study import ArmDefinition, Sponsor, StudyDefinition
from fhir_trial.endpoints import baseline_table, participant_flow, safety, safety_overview, subjects
from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.facts import gather
from fhir_trial.endpoints.response import respond
from fhir_trial.errors import Findings

pytestmark = pytest.mark.pilot

ARMS = ("Placebo", "Xanomeline Low Dose", "Xanomeline High Dose")
STUDY = StudyDefinition(
    id="CDISCPILOT01",
    title="CDISC pilot",
    status="COMPLETED",
    sponsor=Sponsor(id="x", name="x"),
    arms=tuple(ArmDefinition(name=name, type="EXPERIMENTAL") for name in ARMS),
    drugs=(),
    outcomes=(),
    endpoints=(),
)
CONVENTIONS = preset("protocol")
Analysed = tuple[dict[str, pd.DataFrame], pd.DataFrame, pd.DataFrame]

OPEN_EXPOSURE = {"01-704-1233", "01-705-1031", "01-705-1303", "01-705-1377"}
"""The last exposure record has no end: the pilot took the end of participation, we say that the last dose is not known."""
DM_DISAGREES = {"01-705-1018"}
"""DM's RFXENDTC is a week before the date that the pilot's adsl has."""


@pytest.fixture(scope="module")
def analysed(pilot: Any) -> Analysed:
    """Our tables, our adsl, and the pilot's of the same subjects."""
    tables = pilot.tables("cdiscpilotsdtm")
    facts = gather(tables, respond(tables, CONVENTIONS).of_evaluator(), CONVENTIONS)
    return tables, subjects.adsl(tables, facts, STUDY, CONVENTIONS), pilot.frame("cdiscpilotadam", "adsl").set_index("USUBJID")


def test_every_subject_has_the_pilot_s_flags_and_dates(analysed: Analysed) -> None:
    _, adsl, theirs = analysed
    ours = adsl.set_index("subject").loc[theirs.index]
    for flag, variable in (("intention_to_treat", "ITTFL"), ("safety", "SAFFL"), ("died", "DTHFL")):
        assert (ours[flag] == (theirs[variable] == "Y")).all(), flag
    for name, variable in (("arm", "TRT01P"), ("sex", "SEX"), ("arm_planned", "ARM")):
        assert (ours[name] == theirs[variable].astype(object)).all(), name
    assert (ours["age"].astype(float) == theirs["AGE"]).all()
    assert (ours["first_dose_on"] == pd.to_datetime(theirs["TRTSDT"])).all()
    last = ours["last_dose_on"] == pd.to_datetime(theirs["TRTEDT"])
    assert set(theirs.index[~last]) == OPEN_EXPOSURE | DM_DISAGREES


def test_the_efficacy_population_is_of_those_assessed(analysed: Analysed, pilot: Any) -> None:
    """79, 81 and 74: treated, with an ADAS-Cog and a CIBIC+ after baseline. Our own flag is of tumour assessments: the pilot has none."""
    _, adsl, theirs = analysed
    cog, cibic = pilot.frame("cdiscpilotsdtm", "qsco"), pilot.frame("cdiscpilotsdtm", "qsgi")
    after = [
        set(q["USUBJID"][(q["QSTESTCD"] == test) & q["QSSTRESN"].notna() & (q["VISITNUM"] > 3)])
        for q, test in ((cog, "ACTOT"), (cibic, "CIBIC"))
    ]
    found = adsl[adsl["safety"] & adsl["subject"].isin(after[0] & after[1])]
    assert [int((found["arm"] == arm).sum()) for arm in ARMS] == [79, 81, 74]
    assert set(found["subject"]) == set(theirs.index[theirs["EFFFL"] == "Y"])
    assert not adsl["efficacy"].any()


def test_table_1(analysed: Analysed) -> None:
    tables, adsl, theirs = analysed
    findings = Findings()
    rows = baseline_table.table(tables, adsl, findings).set_index(["arm", "characteristic", "category"])
    age = [rows.loc[(arm, "Age (years)", "")] for arm in ARMS]
    assert [(round(r["mean"], 2), round(r["sd"], 2)) for r in age] == [(75.21, 8.59), (75.67, 8.29), (74.38, 7.89)]
    assert [int(rows.loc[(arm, "Sex", "F"), "subjects"]) for arm in ARMS] == [53, 50, 40]
    assert [int(rows.loc[(arm, "Sex", "F"), "n"]) for arm in (*ARMS, safety.TOTAL)] == [86, 84, 84, 254]
    groups = theirs.groupby("TRT01P")["AGE"]
    for arm in ARMS:
        ages = groups.get_group(arm)
        row = rows.loc[(arm, "Age (years)", "")]
        assert row[["median", "minimum", "maximum"]].tolist() == [ages.median(), ages.min(), ages.max()]
    assert len(findings) == 0


def test_participant_flow(analysed: Analysed) -> None:
    tables, adsl, theirs = analysed
    rows = participant_flow.table(tables, adsl, CONVENTIONS).set_index(["arm", "stage", "category"])["subjects"]
    assert rows[safety.TOTAL, "screened", ""] == 306
    assert rows[safety.TOTAL, "screen failure", ""] == 52
    assert [rows[arm, "enrolled", ""] for arm in ARMS] == [86, 84, 84]
    for arm in ARMS:
        own = theirs[theirs["TRT01P"] == arm]
        assert rows[arm, "study completed", ""] == (own["DCDECOD"] == "COMPLETED").sum()
        assert rows[arm, "study discontinued", ""] == (own["DISCONFL"] == "Y").sum()
        assert rows[arm, "study discontinued", "ADVERSE EVENT"] == (own["DSRAEFL"] == "Y").sum()
        assert rows[arm, "died", ""] == (own["DTHFL"] == "Y").sum()


def test_every_count_of_subjects_with_an_event(analysed: Analysed, pilot: Any) -> None:
    """The pilot's adae holds the repeats (1,191 records) that its ae of 961 records has not: subjects are comparable, events are not."""
    tables, adsl, theirs = analysed
    adae = pilot.frame("cdiscpilotadam", "adae")
    emergent = adae[adae["TRTEMFL"] == "Y"].assign(arm=adae["USUBJID"].map(theirs["TRT01P"]))
    found = safety.table(tables, adsl, CONVENTIONS, Findings())
    of_arms = found[(found["arm"] != safety.TOTAL) & (found["preferred_term"] != safety.ANY)].set_index(["arm", "preferred_term"])
    for column, wanted in (
        ("subjects", emergent.groupby(["arm", "AEDECOD"])["USUBJID"].nunique()),
        ("serious", emergent[emergent["AESER"] == "Y"].groupby(["arm", "AEDECOD"])["USUBJID"].nunique()),
    ):
        counted = of_arms[column][of_arms[column] > 0]
        assert counted.to_dict() == wanted.to_dict(), column
    assert len(of_arms) == 690


def test_the_overview_and_the_listings(analysed: Analysed) -> None:
    tables, adsl, theirs = analysed
    rows = safety_overview.overview(tables, adsl, CONVENTIONS).set_index(["arm", "category"])
    assert [int(rows.loc[(arm, "any"), "subjects"]) for arm in ARMS] == [65, 77, 76]
    assert [int(rows.loc[(arm, "serious"), "subjects"]) for arm in ARMS] == [0, 1, 2]
    assert rows.loc[(ARMS[0], "grade 3 or higher")].drop("n").isna().all()
    listed = safety_overview.serious_events(tables, adsl, CONVENTIONS)
    assert listed["subject"].nunique() == 3
    deaths = safety_overview.deaths(tables, adsl, CONVENTIONS)
    assert set(deaths["subject"]) == set(theirs.index[theirs["DTHFL"] == "Y"])
    assert deaths["on_treatment"].all()


def test_by_actual_arm(pilot: Any) -> None:
    conventions = CONVENTIONS.with_settings({"arm": "actual"})
    tables = pilot.tables("cdiscpilotsdtm")
    facts = gather(tables, respond(tables, conventions).of_evaluator(), conventions)
    adsl = subjects.adsl(tables, facts, STUDY, conventions)
    rows = safety_overview.overview(tables, adsl, conventions).set_index(["arm", "category"])
    assert [int(rows.loc[(arm, "any"), "subjects"]) for arm in ARMS] == [65, 84, 69]
