"""Rows of SDTM domains: the columns of each, sequence numbers, and the frame they make. Every value is text; what is absent is null."""

from collections import defaultdict
from collections.abc import Mapping

import pandas as pd

_TUMOUR_TIMING = "{0}METHOD {0}EVAL VISITNUM VISIT {0}DTC"

COLUMNS: dict[str, tuple[str, ...]] = {
    domain: tuple(text.split())
    for domain, text in {
        "TS": "STUDYID DOMAIN TSSEQ TSPARMCD TSPARM TSVAL",
        "DM": "STUDYID DOMAIN USUBJID SUBJID RFSTDTC RFENDTC RFXSTDTC RFXENDTC RFICDTC RFPENDTC DTHDTC DTHFL SITEID AGE AGEU SEX RACE "
        "ARMCD ARM ACTARMCD ACTARM COUNTRY LSTALVDT",
        "DS": "STUDYID DOMAIN USUBJID DSSEQ DSTERM DSDECOD DSCAT DSSCAT DSSTDTC",
        "EX": "STUDYID DOMAIN USUBJID EXSEQ EXTRT EXSTAT EXREASND EXDOSE EXDOSU EXDOSFRM EXDOSFRQ EXROUTE EXADJ "
        "VISITNUM VISIT EXSTDTC EXENDTC",
        "AE": "STUDYID DOMAIN USUBJID AESEQ AETERM AEDECOD AEBODSYS AESER AEACN AEREL AEOUT AESHOSP AETOXGR AESTDTC AEENDTC",
        "CM": "STUDYID DOMAIN USUBJID CMSEQ CMTRT CMCAT CMINDC CMSTDTC",
        "VS": "STUDYID DOMAIN USUBJID VSSEQ VSTESTCD VSTEST VSORRES VSORRESU VSSTRESC VSSTRESN VSSTRESU VISITNUM VISIT VSDTC",
        "QS": "STUDYID DOMAIN USUBJID QSSEQ QSTESTCD QSTEST QSCAT QSORRES QSSTRESC QSSTRESN VISITNUM VISIT QSDTC",
        "TU": "STUDYID DOMAIN USUBJID TUSEQ TULNKID TUTESTCD TUTEST TUORRES TUSTRESC TULOC " + _TUMOUR_TIMING.format("TU"),
        "TR": "STUDYID DOMAIN USUBJID TRSEQ TRGRPID TRLNKID TRTESTCD TRTEST TRORRES TRORRESU TRSTRESC TRSTRESN TRSTRESU TRSTAT TRREASND "
        + _TUMOUR_TIMING.format("TR"),
        "RS": "STUDYID DOMAIN USUBJID RSSEQ RSTESTCD RSTEST RSCAT RSORRES RSSTRESC RSSTAT RSREASND RSEVAL RSEVALID RSACPTFL "
        "VISITNUM VISIT RSDTC",
        "SUPPEX": "STUDYID RDOMAIN USUBJID IDVAR IDVARVAL QNAM QLABEL QVAL QORIG",
        "SUPPAE": "STUDYID RDOMAIN USUBJID IDVAR IDVARVAL QNAM QLABEL QVAL QORIG",
    }.items()
}
"""The columns of each domain, in the order of the files."""


class Tables:
    """The rows of all domains of one study, in the order they are added."""

    def __init__(self, study: str) -> None:
        """Start with no rows."""
        self._study = study
        self._rows: dict[str, list[dict[str, str]]] = {domain: [] for domain in COLUMNS}
        self._last: dict[tuple[str, str | None], int] = defaultdict(int)

    def add(self, domain: str, subject: str | None = None, /, **values: str | None) -> str:
        """Add a row of a subject and return its sequence number, which counts within subject and domain."""
        row = {"STUDYID": self._study} | {name: value for name, value in values.items() if value is not None}
        if subject is not None:
            row["USUBJID"] = subject
        self._last[domain, subject] += 1
        sequence = str(self._last[domain, subject])
        if not domain.startswith("SUPP"):
            row["DOMAIN"] = domain
        if f"{domain}SEQ" in COLUMNS[domain]:
            row[f"{domain}SEQ"] = sequence
        self._rows[domain].append(row)
        return sequence

    def supplement(self, domain: str, subject: str, sequence: str, qualifiers: Mapping[str, tuple[str, str]]) -> None:
        """Add the supplemental qualifiers (name to label and value) of one row of `domain`."""
        for name, (label, value) in qualifiers.items():
            self.add(
                f"SUPP{domain}", subject, RDOMAIN=domain, IDVAR=f"{domain}SEQ", IDVARVAL=sequence,
                QNAM=name, QLABEL=label, QVAL=value, QORIG="CRF",
            )  # fmt: skip

    def frames(self) -> dict[str, pd.DataFrame]:
        """A frame of text columns for each domain, named in lower case."""
        return {
            domain.lower(): pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype="str") for name in COLUMNS[domain]})
            for domain, rows in self._rows.items()
        }
