"""SDTMIG 3.4's variables of the domains that are written: type, core designation, whether they are timing, label. Data: `variables.csv`."""

import csv
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fhir_trial.sources.sdtm.values import format_decimal, parse_decimal

LABELS = {
    "dm": "Demographics",
    "ds": "Disposition",
    "ex": "Exposure",
    "cm": "Concomitant/Prior Medications",
    "ae": "Adverse Events",
    "vs": "Vital Signs",
    "lb": "Laboratory Test Results",
    "qs": "Questionnaires",
    "tu": "Tumor/Lesion Identification",
    "tr": "Tumor/Lesion Results",
    "rs": "Disease Response and Clin Classification",
    "sv": "Subject Visits",
    "ts": "Trial Summary",
    "relrec": "Related Records",
}
"""The domains' labels."""


class Variable(NamedTuple):
    """One variable of a domain, as the guide has it."""

    domain: str
    variable: str
    type: str
    """text or number."""
    core: str
    """required, expected or permissible."""
    timing: str
    """yes or no."""
    label: str


@cache
def variables() -> dict[tuple[str, str], Variable]:
    """Every variable by domain and name.

    >>> variables()["ae", "AESEQ"].core, variables()["vs", "VSSTRESN"].type
    ('required', 'number')
    """
    with Path(__file__).with_name("variables.csv").open(encoding="utf-8", newline="") as file:
        known = [Variable(**row) for row in csv.DictReader(file)]
    return {(variable.domain, variable.variable): variable for variable in known}


def dataset_label(dataset: str) -> str:
    """The label of a data set.

    >>> dataset_label("suppae")
    'Supplemental Qualifiers for AE'
    """
    if dataset.startswith("supp"):
        return f"Supplemental Qualifiers for {dataset[4:].upper()}"
    return LABELS.get(dataset, dataset.upper())


def variable_label(dataset: str, variable: str) -> str:
    """The label of a variable, its name where the guide has none.

    >>> variable_label("suppae", "QNAM"), variable_label("dm", "BSA")
    ('Qualifier Variable Name', 'BSA')
    """
    known = _known(dataset, variable)
    return known.label if known else variable


def _known(dataset: str, variable: str) -> Variable | None:
    """The guide's variable; those of timing that every domain may have are taken from VS where the domain's own list lacks them."""
    return variables().get((_domain(dataset), variable)) or variables().get(("vs", variable))


def is_number(dataset: str, variable: str, texts: Iterable[str]) -> bool:
    """Whether a column is numeric: the guide says so, or it is a measure that DM brings, and every text is a number.

    >>> is_number("ae", "AESEQ", ["1", ""]), is_number("ae", "AETERM", ["1"]), is_number("dm", "BSA", ["1.7"])
    (True, False, True)
    >>> is_number("ae", "AESEQ", ["x"])
    False
    """
    known = _known(dataset, variable)
    if known is None and variable not in _MEASURES_OF_DM:
        return False
    return (known is None or known.type == "number") and all(_is_decimal(text) for text in texts if text)


def as_number(dataset: str, variable: str, text: str | None) -> str | None:
    """A number as every format gives it back; any other text as it is.

    >>> as_number("vs", "VSSTRESN", "1E2"), as_number("vs", "VSSTRESC", "1E2")
    ('100', '1E2')
    """
    return format_decimal(parse_decimal(text)) if text is not None and is_number(dataset, variable, [text]) else text


_MEASURES_OF_DM = frozenset({"BSA", "WEIGHT", "HEIGHT"})


def _is_decimal(text: str) -> bool:
    try:
        parse_decimal(text)
    except ValueError:
        return False
    return True


WITHHELD = frozenset({"INVID", "INVNAM"})
"""Variables that identify people beside the subject."""

_TIMING = re.compile(
    r"VISIT|VISITNUM|VISITDY|TAETORD|EPOCH"
    r"|[A-Z]{2}(DTC|STDTC|ENDTC|DY|STDY|ENDY|DUR|TPT|TPTNUM|ELTM|TPTREF|RFTDTC|STRF|ENRF|EVLINT|EVINTX|STRTPT|STTPT|ENRTPT|ENTPT)"
)


def is_carried(domain: str, variable: str) -> bool:
    """Whether a domain's variable is kept where no field says it.

    >>> is_carried("ae", "AELLT"), is_carried("ae", "AEDY"), is_carried("ae", "AEXYZ"), is_carried("dm", "INVNAM")
    (True, True, False, False)
    >>> is_carried("suppae", "QORIG")
    True
    """
    if variable in WITHHELD:
        return False
    general = _TIMING.fullmatch(variable) is not None and (variable[:2] == domain.upper() or not variable.startswith(domain.upper()))
    return (_domain(domain), variable) in variables() or general


def _domain(dataset: str) -> str:
    """The domain whose variables a data set has: all SUPP-- have the same."""
    return "supp--" if dataset.startswith("supp") else dataset
