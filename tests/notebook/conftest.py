from pathlib import Path

import pytest

from fhir_trial.notebook.session import Trial, open_study
from fhir_trial.simulate import simulate, write_cohort
from fhir_trial.sources.study_file import load_study

STUDY = "NCT05189483"


@pytest.fixture(scope="session")
def small_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of SDTM with a few simulated subjects."""
    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(simulate(load_study(STUDY), n=6, seed=3), folder)
    return folder


@pytest.fixture(scope="session")
def read_trial(small_cohort: Path) -> Trial:
    """A trial read from that folder, masked."""
    return open_study(STUDY, folder=small_cohort).pull()


@pytest.fixture(scope="session")
def identifiers(small_cohort: Path) -> list[str]:
    """What identifies the folder's subjects."""
    header, *rows = [line.split(",") for line in (small_cohort / "dm.csv").read_text("utf-8").splitlines()]
    return [row[header.index("USUBJID")] for row in rows]
