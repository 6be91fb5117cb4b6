"""SDTM data sets: files or frames to the trial's tables, and back."""

from fhir_trial.sources.sdtm.read import read_sdtm
from fhir_trial.sources.sdtm.write import write_sdtm

__all__ = ["read_sdtm", "write_sdtm"]
