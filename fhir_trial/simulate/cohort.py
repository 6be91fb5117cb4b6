"""The synthetic cohort of a study as SDTM domains, and its files."""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from fhir_trial.domain.study import StudyDefinition
from fhir_trial.errors import UsageError
from fhir_trial.simulate.course import course
from fhir_trial.simulate.parameters import parameters
from fhir_trial.simulate.person import enrol
from fhir_trial.simulate.sdtm import Tables
from fhir_trial.simulate.subject_rows import write_condition, write_demographics, write_disposition, write_study, write_therapy
from fhir_trial.simulate.treatment import cycles
from fhir_trial.simulate.treatment_rows import write_doses, write_events
from fhir_trial.simulate.tumour_rows import write_tumour


def simulate(study: StudyDefinition, n: int = 28, seed: int = 1) -> dict[str, pd.DataFrame]:
    """A fictional cohort of `n` subjects: a frame of text columns for each SDTM domain, the same for one `seed` on every platform.

    TS says SYNTH = Y, and every subject is a SYN-. Raises `UsageError` for fewer than one subject, a negative seed, or a study that plans
    no repeated dose.
    """
    if n < 1 or seed < 0:
        raise UsageError("a cohort needs at least one subject, and a seed that is not negative")
    of, days = parameters(), _cycle_days(study)
    tables = Tables(study.id)
    write_study(tables, study, seed, of)
    for person in enrol(study, n, seed, of):
        story = course(person, seed, of)
        given = cycles(story, days, seed, of)
        write_demographics(tables, story, given, of)
        write_disposition(tables, story)
        write_condition(tables, story, given)
        write_doses(tables, story, given, study, seed)
        write_events(tables, story, of)
        write_tumour(tables, story, seed, of)
        write_therapy(tables, story, study)
    return tables.frames()


def _cycle_days(study: StudyDefinition) -> int:
    planned = [drug.planned.cycle_days for drug in study.drugs if drug.planned is not None and drug.planned.cycle_days is not None]
    if not planned:
        raise UsageError(f"study {study.id} plans no dose by cycles (drugs: planned: cycle_days), so no cohort can be simulated")
    return min(planned)


def write_cohort(frames: Mapping[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Write each domain to `<domain>.csv` in `folder` and return the paths; each file is replaced as a whole."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(frame, folder / f"{domain}.csv") for domain, frame in frames.items()]


def _write(frame: pd.DataFrame, path: Path) -> Path:
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(frame.to_csv(index=False, lineterminator="\n").encode())
    os.replace(part, path)
    return path
