"""The CDISC pilot's published subject, safety and time-to-event figures."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from fhir_trial.domain.study import ArmDefinition, Sponsor, StudyDefinition
from fhir_trial.endpoints import safety, subjects
from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.facts import gather
from fhir_trial.endpoints.logrank import log_rank
from fhir_trial.endpoints.response import respond
from fhir_trial.endpoints.survival import kaplan_meier
from fhir_trial.errors import Findings

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


@pytest.fixture(scope="module")
def analysed(pilot: Any) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    tables = pilot.tables("cdiscpilotsdtm")
    facts = gather(tables, respond(tables, CONVENTIONS).of_evaluator(), CONVENTIONS)
    return tables, subjects.adsl(tables, facts, STUDY, CONVENTIONS)


def test_subjects_by_arm(analysed: tuple[dict[str, pd.DataFrame], pd.DataFrame]) -> None:
    enrolled = analysed[1][analysed[1]["intention_to_treat"].to_numpy()]
    by_arm = enrolled.groupby("arm")
    assert [len(by_arm.get_group(arm)) for arm in ARMS] == [86, 84, 84]
    ages = [by_arm.get_group(arm)["age"].astype(float) for arm in ARMS]
    assert [(round(a.mean(), 2), round(a.std(), 2)) for a in ages] == [(75.21, 8.59), (75.67, 8.29), (74.38, 7.89)]
    assert [int((by_arm.get_group(arm)["sex"] == "F").sum()) for arm in ARMS] == [53, 50, 40]
    assert len(analysed[1]) == 306
    assert int((~analysed[1]["intention_to_treat"]).sum()) == 52


def test_treatment_emergent_events(analysed: tuple[dict[str, pd.DataFrame], pd.DataFrame]) -> None:
    findings = Findings()
    table = safety.table(*analysed, CONVENTIONS, findings).set_index(["arm", "preferred_term"]).sort_index()
    assert [int(table.loc[(arm, safety.ANY), "subjects"].max()) for arm in ARMS] == [65, 77, 76]
    assert [int(table.loc[(arm, "PRURITUS"), "subjects"].max()) for arm in ARMS] == [8, 21, 26]
    assert [int(table.loc[(arm, safety.ANY), "serious"].max()) for arm in ARMS] == [0, 1, 2]
    assert [int(table.loc[(arm, safety.ANY), "n"].max()) for arm in (*ARMS, safety.TOTAL)] == [86, 84, 84, 254]
    assert findings.counts() == {"no-grade": 1}
    assert table["grade3plus"].isna().all()


def test_time_to_the_first_dermatological_event(pilot: Any) -> None:
    adtte = pilot.frame("cdiscpilotadam", "adtte")
    curves = {arm: kaplan_meier(rows["AVAL"], rows["CNSR"] == 0) for arm, rows in adtte.groupby("TRTP")}
    assert [int(curves[arm].events.sum()) for arm in ARMS] == [29, 62, 61]
    np.testing.assert_equal([curves[arm].median for arm in ARMS], [np.nan, 33, 36])
    test = log_rank(adtte["AVAL"], adtte["CNSR"] == 0, adtte["TRTP"])
    assert (round(test.statistic, 2), test.degrees) == (60.27, 2)
