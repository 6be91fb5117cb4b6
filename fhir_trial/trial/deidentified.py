"""A folder of trial data without what identifies its subjects, in the form the data came in, with the report of what was done."""

from pathlib import Path

import msgspec

from fhir_trial.domain.tables import TrialData
from fhir_trial.errors import ConfigurationError, Findings, UsageError
from fhir_trial.fhir import json
from fhir_trial.privacy.deidentify import Report
from fhir_trial.sources.sdtm.write import write_sdtm
from fhir_trial.sync.folder import write_folder
from fhir_trial.trial.apart import by_type
from fhir_trial.trial.resources import to_resources

REPORT = "deidentification.json"


def write_deidentified(data: TrialData, report: Report, out: Path, fhir: str | None) -> Findings:
    """Write de-identified data to an empty folder, as FHIR where `fhir` names a version, else as SDTM; what FHIR cannot hold is found.

    UsageError for a folder with something in it: what was there before would look de-identified too.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: expected a folder that is empty, or not there yet")
    findings = Findings(data.findings)
    if fhir is None:
        write_sdtm(data, out)
    else:
        write_folder(out, by_type(to_resources(data, fhir, findings)), fhir, data.study.id)
    try:
        (out / REPORT).write_bytes(msgspec.json.format(json.encode(report.to_json()), indent=2) + b"\n")
    except OSError as error:
        raise ConfigurationError(f"{out / REPORT}: cannot be written ({type(error).__name__})") from None
    return findings
