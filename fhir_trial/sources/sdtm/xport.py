"""SAS transport version 5: its limits, what goes to SUPP-- because of them, and reading and writing by pyreadstat."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from fhir_trial.errors import Finding, Findings, InputError, require
from fhir_trial.sources.sdtm.long_text import CUT_INSIDE, LIMIT, split
from fhir_trial.sources.sdtm.variables import dataset_label, is_number, variable_label

Line = dict[str, str]
Table = tuple[list[str], list[Line]]

_MEMBER = b"HEADER RECORD*******MEMBER  HEADER RECORD!!!!!!!"
_LIBRARY = (b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!", b"HEADER RECORD*******LIBV8   HEADER RECORD!!!!!!!")
_DIGITS = 15
"""As many decimal digits as SAS's numbers are sure to keep."""
_LABEL_BYTES = 40


def read_xport(path: Path, findings: Findings) -> pd.DataFrame | None:
    """The data set of a file; None with a finding where it is no SAS transport file or holds several data sets."""
    pyreadstat = require("pyreadstat", "sdtm")
    problem = _problem(path.read_bytes())
    if problem is None:
        try:
            frame: pd.DataFrame = pyreadstat.read_xport(str(path), disable_datetime_conversion=True)[0]
        except UnicodeDecodeError as error:
            problem = ("wrong-encoding", f"byte 0x{error.object[error.start]:02X}", "UTF-8")
        except pyreadstat.ReadstatError as error:
            problem = ("not-xpt", None, f"SAS transport, version 5 or 8 ({type(error).__name__})")
        else:
            return frame
    code, found, expected = problem
    findings.add(Finding(code, path.name, found=found, expected=expected, effect="the file is not read"))
    return None


def _problem(data: bytes) -> tuple[str, str | None, str] | None:
    if not data.startswith(_LIBRARY):
        return "not-xpt", None, "SAS transport, version 5 or 8 (the file does not begin as one; CPORT files are none)"
    # A second member's records would be read as rows of the first.
    if (members := data.count(_MEMBER)) > 1:
        return "several-data-sets", f"{members} data sets", "one data set a file"
    return None


def write_xport(path: Path, study: str, header: Sequence[str], lines: Sequence[Line]) -> None:
    """Write one data set that `fitted` has gone over: character variables of at most 200 bytes, numbers as SAS has them."""
    pyreadstat = require("pyreadstat", "sdtm")
    dataset = path.stem
    frame = pd.DataFrame({name: _column(dataset, name, [line.get(name, "") for line in lines]) for name in header})
    labels = [_cut(variable_label(dataset, name)) for name in header]
    pyreadstat.write_xport(
        frame, str(path), file_label=_cut(dataset_label(dataset)), column_labels=labels, table_name=dataset.upper(), file_format_version=5
    )


def _column(dataset: str, name: str, texts: list[str]) -> "pd.Series[Any]":
    if _is_number(dataset, name, texts):
        return pd.Series([float(text) if text else None for text in texts], dtype="float64")
    return pd.Series(texts, dtype="object")


def _is_number(dataset: str, name: str, texts: list[str]) -> bool:
    """Whether a column is numeric and its numbers survive as SAS has them; else they stand as text, nothing is rounded."""
    return is_number(dataset, name, texts) and all(len(Decimal(text).as_tuple().digits) <= _DIGITS for text in texts if text)


def _cut(label: str) -> str:
    return label.encode("utf-8")[:_LABEL_BYTES].decode("utf-8", "ignore")


def fitted(tables: Mapping[str, Table], study: str) -> dict[str, Table]:
    """The data sets with texts of more than 200 bytes carried on in SUPP-- (AETERM, then AETERM1, AETERM2...), as SDTMIG 4.5.3 has it.

    Raises `InputError` for what has no place: a long text without a sequence number of its own to refer to, or in a SUPP-- itself.
    """
    whole = {name: (list(header), [dict(line) for line in lines]) for name, (header, lines) in tables.items()}
    findings = Findings()
    for name, (header, lines) in tables.items():
        often = Counter(_row_key(name, line) for line in lines)
        for number, line in enumerate(lines, 1):
            alone = often[_row_key(name, line)] == 1
            for variable in [v for v in header if len(line.get(v, "").encode("utf-8")) > LIMIT]:
                pieces = split(line[variable])
                more = list(_supplements(name, line, variable, (study, pieces or []))) if alone else []
                if not pieces or not more:
                    expected = f"at most {LIMIT} bytes, or a row with a sequence number of its own whose text can go on in SUPP--"
                    found = f"{len(line[variable])} letters"
                    findings.add(Finding("too-long", name, row=number, field=variable, found=found, expected=expected))
                    continue
                whole[name][1][number - 1][variable] = pieces[0][0]
                supplement = whole.setdefault(f"supp{name}", (list(more[0]), []))
                supplement[1].extend(more)
    if findings.errors():
        raise InputError(findings.errors())
    return whole


def _row_key(dataset: str, line: Line) -> tuple[str, str]:
    """What a SUPP-- row names its row by."""
    return line.get("USUBJID", ""), line.get(f"{dataset.upper()}SEQ", "")


def _supplements(dataset: str, line: Line, variable: str, text: tuple[str, list[tuple[str, str]]]) -> Iterator[Line]:
    key = f"{dataset.upper()}SEQ"
    if dataset.startswith("supp") or (dataset != "dm" and not line.get(key)):
        return
    study, pieces = text
    label = variable_label(dataset, variable)
    for number, (piece, glue) in enumerate(pieces[1:], 1):
        yield {
            "STUDYID": study,
            "RDOMAIN": dataset.upper(),
            "USUBJID": line["USUBJID"],
            "IDVAR": "" if dataset == "dm" else key,
            "IDVARVAL": "" if dataset == "dm" else line[key],
            "QNAM": f"{variable[:7]}{number}",
            "QLABEL": _cut(f"{'Continued' if glue else CUT_INSIDE}: {label}"),
            "QVAL": piece,
        }
