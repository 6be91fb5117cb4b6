"""From a cell to its resource: on a server in the version that was read, in a folder, and where there is nothing to open."""

from collections.abc import Callable
from pathlib import Path

import pytest
from loop_runs import STUDY, Ran

from fhir_trial.config import Server
from fhir_trial.errors import UsageError
from fhir_trial.fhir.http import Request
from fhir_trial.fhir.json import encode
from fhir_trial.notebook.session import Trial, open_study
from fhir_trial.sync.locate import read_one
from fhir_trial.trial.connection import EMBEDDED, connect_embedded
from fhir_trial.trial.demo import store_file
from fhir_trial.trial.opened import OpenTrial

UNMASKED = "a test of the package"


def opened(ran: Ran, unmasked: str | None = UNMASKED) -> Trial:
    """The study on the store that the loop left, read."""
    server = Server("demo", f"{EMBEDDED}{store_file(ran.folder, STUDY, ran.fhir)}")
    return Trial(OpenTrial(ran.done.study, server, None, ran.fhir), unmasked).pull()


@pytest.mark.parametrize("fhir", ["r4", "r5"])
def test_a_cell_is_opened_to_the_version_that_was_read(small: Callable[[str], Ran], fhir: str) -> None:
    ran = small(fhir)
    trial = opened(ran)
    row = trial.adverse_events(lineage=True).iloc[0]
    assert row["version"] == "1"
    held = trial.resource(row)
    assert f"{held['resourceType']}/{held['id']}" == row["resource"]
    with connect_embedded(store_file(ran.folder, STUDY, fhir), fhir) as connection:
        changed = connection.run(read_one(row["resource"])) | {"language": "en"}
        answer = connection.send(Request("PUT", row["resource"], {"Content-Type": "application/fhir+json"}, encode(changed)))
    assert answer.status == 200
    assert trial.resource(row) == held
    assert "language" not in held
    assert trial.resource(row["resource"])["language"] == "en"
    assert opened(ran).adverse_events(lineage=True).iloc[0]["version"] == "2"


def test_a_cell_is_opened_from_a_folder(small: Callable[[str], Ran]) -> None:
    ran = small("r5")
    folder = ran.done.paths["FHIR"]
    trial = open_study(STUDY, folder=folder if folder.is_dir() else folder.parent, fhir="r5", unmasked=UNMASKED).pull()
    row = trial.doses(lineage=True).iloc[3]
    assert trial.resource(row)["resourceType"] == "MedicationAdministration"
    assert f"MedicationAdministration/{trial.resource(row)['id']}" == row["resource"]
    with pytest.raises(UsageError, match="MedicationAdministration/no-such is not there any more"):
        trial.resource("MedicationAdministration/no-such")


def test_a_masked_trial_names_the_place_and_opens_nothing(small: Callable[[str], Ran]) -> None:
    trial = opened(small("r4"), unmasked=None)
    row = trial.responses(lineage=True).iloc[0]
    assert row["resource"].startswith("Observation/")
    with pytest.raises(UsageError, match="a resource names its subject"):
        trial.resource(row)


def test_where_there_is_nothing_to_open_it_is_said(small: Callable[[str], Ran]) -> None:
    ran = small("r4")
    trial = opened(ran)
    with pytest.raises(UsageError, match="ask for the table with lineage=True"):
        trial.resource(trial.doses().iloc[0])
    from_sdtm = open_study(STUDY, folder=Path(ran.folder) / "sdtm", unmasked=UNMASKED).pull()
    assert from_sdtm.doses(lineage=True)["resource"].isna().all()
    with pytest.raises(UsageError, match="the data came from no FHIR"):
        from_sdtm.resource("Patient/1")


def test_every_table_of_a_trial_is_shown_by_its_method_or_its_name(small: Callable[[str], Ran]) -> None:
    trial = opened(small("r4"), unmasked=None)
    assert list(trial.therapies().columns) == list(trial.table("therapy").columns)
    assert (trial.performance_status()["day"] == 1).any()
    assert trial.vital_signs().empty
    with pytest.raises(UsageError, match="subject_source_columns may name its subjects"):
        trial.table("subject_source_columns")
    milestones = trial.table("subject_dispositions")
    assert set(milestones["subject"]) <= set(trial.subjects()["subject"])
    assert not [name for name in milestones if milestones[name].astype(str).str.contains("SYN-").any()]
