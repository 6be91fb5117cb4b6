"""TS, the trial summary: the data cutoff, and whether the data are synthetic; its other rows are kept whole."""

from collections.abc import Iterable
from dataclasses import dataclass

from fhir_trial.domain.entities import When
from fhir_trial.domain.tables import TrialData
from fhir_trial.sources.sdtm.datasets import Line
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


def summary_lines(data: TrialData, kept: Iterable[Line]) -> list[Line]:
    """The lines of TS: those that are kept, with what the data say now, and after them what no line says."""
    told = {
        code: {"STUDYID": data.study.id, "DOMAIN": "TS", "TSSEQ": "1", "TSPARMCD": code, "TSPARM": name, "TSVAL": value}
        for code, name, value in (
            (SYNTHETIC, "Synthetic Data", "Y" if data.synthetic else None),
            (CUTOFF, "Data Cutoff Date", data.data_cutoff),
        )
        if value is not None
    }
    lines = []
    for line in kept:
        now = told.pop(line.get("TSPARMCD", "").upper(), None)
        lines.append(line if now is None else line | {"TSVAL": now["TSVAL"]})
    return lines + list(told.values())
