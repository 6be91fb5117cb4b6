import copy
import csv
from pathlib import Path

import pytest

from fhir_trial.domain.study import ArmDefinition, Drug, Sponsor, StudyDefinition
from fhir_trial.sources.sdtm import read_sdtm

SMALL_TRIAL = Path(__file__).parent / "small_trial"


def read_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]


DOMAINS = {path.stem: read_rows(path) for path in sorted(SMALL_TRIAL.glob("*.csv"))}


@pytest.fixture
def domains():
    """A small, clean trial: rows by domain, the test's own copy."""
    return copy.deepcopy(DOMAINS)


@pytest.fixture(scope="session")
def small_study():
    return StudyDefinition(
        id="TRIAL-1",
        title="A small trial",
        status="COMPLETED",
        sponsor=Sponsor(id="sponsor", name="Sponsor"),
        arms=(ArmDefinition(name="Treatment", code="T", medications=("DRUG A",)),),
        drugs=(Drug(medication="DRUG A", name="Drug A"),),
        outcomes=(),
        endpoints=(),
    )


def write_folder(folder, domains):
    folder.mkdir(exist_ok=True)
    for name, rows in domains.items():
        header = list(dict.fromkeys(key for row in rows for key in row))
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, header, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return folder


@pytest.fixture
def read(tmp_path, small_study):
    """Write domains as CSV and read them."""

    def go(trial, change_files=None, study=small_study, **more):
        folder = write_folder(tmp_path / "sdtm", trial)
        if change_files is not None:
            change_files(folder)
        return read_sdtm(folder, study, **more)

    return go


@pytest.fixture
def found():
    """Findings as (code, place, row, field), of errors and warnings."""
    return lambda data: [(f.code, f.place, f.row, f.field) for f in data.findings if f.severity != "information"]
