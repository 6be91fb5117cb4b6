"""TS, the trial summary: the data cutoff, and whether the data are synthetic."""

from dataclasses import dataclass

from fhir_trial.domain.entities import When
from fhir_trial.sources.sdtm.files import RawDomain
from fhir_trial.sources.sdtm.rows import Reading
from fhir_trial.sources.sdtm.values import DATE, parse_date


@dataclass(frozen=True)
class Parameters:
    """What TS says of the data as a whole."""

    data_cutoff: When | None = None
    synthetic: bool = False


CUTOFF, SYNTHETIC = "DCUTDTC", "SYNTH"
"""TSPARMCD of the data cutoff, and ours that marks synthetic data."""


def parameters(raw: RawDomain | None, reading: Reading) -> Parameters:
    """The parameters of TS; a cutoff that is no date is a finding."""
    if raw is None:
        return Parameters()
    told: dict[str, tuple[str, int]] = {}
    for index, (name, value) in enumerate(zip(raw.column("TSPARMCD"), raw.column("TSVAL"), strict=True)):
        if name is not None and value is not None:
            told.setdefault(name.upper(), (value, raw.rows[index]))
    cutoff = None
    if CUTOFF in told:
        value, row = told[CUTOFF]
        try:
            cutoff = parse_date(value)
        except ValueError:
            reading.report(DATE.finding, raw, row, "TSVAL", found=value, expected=DATE.expected, effect="no cutoff is known")
    return Parameters(cutoff, told.get(SYNTHETIC, ("N", 0))[0].upper() == "Y")
