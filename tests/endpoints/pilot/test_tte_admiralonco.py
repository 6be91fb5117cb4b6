"""Progression-free and overall survival as admiralonco derives them from pharmaverse's data."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.facts import gather
from fhir_trial.endpoints.response import respond
from fhir_trial.endpoints.time_to_event import derive
from fhir_trial.endpoints.time_to_event_rules import ENDPOINTS

pytestmark = pytest.mark.thorough

NAMES = {"OS": "OS", "PFS": "PFS", "DOR": "RSD"}


@pytest.mark.parametrize("responses", ["rs_onco", "rs_onco_recist"])
def test_as_admiralonco(responses: str, pilot: Any, shared: Path) -> None:
    expected = pd.read_csv(shared / "data" / "admiralonco" / f"expected_tte_{responses}_inv_conf28.csv").set_index(["PARAMCD", "USUBJID"])
    conventions = preset("admiralonco")
    tables = pilot.tables("pharmaversesdtm", responses)
    facts = gather(tables, respond(tables, conventions).of_evaluator(), conventions)
    for name, shipped in NAMES.items():
        rows = derive(ENDPOINTS[name], facts, conventions)
        found = {r.subject: (f"{r.start:%Y-%m-%d}", f"{r.on:%Y-%m-%d}", r.censored, r.days) for r in rows.itertuples()}
        wanted = {str(r.Index): (r.STARTDT, r.ADT, r.CNSR, r.AVAL) for r in expected.loc[shipped].itertuples()}
        assert set(found) == set(wanted)
        assert {n: (found[n], w) for n, w in wanted.items() if found[n] != w} == {}
