"""What is odd about the records of responses: before the start, twice on a day, at visits out of order; each said with its record."""

from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import Bools, Ints
from fhir_trial.errors import Finding, Findings


def place_of(row: "dict[Any, Any]", table: str = "response") -> str:
    """Where a response or a sum stands, in words: table, subject, evaluator, visit, sequence."""
    reader = row.get("evaluator_id")
    parts = [f"{table}: subject {row['subject']}", f"{row['evaluator']} {reader}" if _is_told(reader) else str(row["evaluator"])]
    parts += [f"visit {row['visit']}"] if _is_told(row["visit"]) else []
    parts += [f"sequence {row['source_sequence']:.0f}"] if pd.notna(row["source_sequence"]) else []
    return ", ".join(parts)


def _is_told(word: object) -> bool:
    return isinstance(word, str) and word != ""


def report(rows: pd.DataFrame, finding: Finding, findings: Findings) -> None:
    """One finding like `finding` for each of `rows`."""
    for row in rows.to_dict("records") if len(rows) else ():
        findings.add(Finding(finding.code, place_of(row), field=finding.field, severity=finding.severity, effect=finding.effect))


def report_records(rows: pd.DataFrame, findings: Findings) -> None:
    """Findings for one evaluator's records: repeated on a day, at a visit that returns, at visits whose numbers do not follow the dates.

    Of responses that lesions give, the lesions' own findings say so.
    """
    rows = rows[(rows["source_domain"] == "RS").to_numpy(dtype=bool)]
    if rows.empty:
        return
    who = col.combined([col.coded(rows[name])[0] for name in ("subject", "evaluator_id")])
    order = np.lexsort((rows["visit_number"].to_numpy(), rows["day"].to_numpy(), who))
    rows, who = rows.iloc[order], who[order]
    day, number = rows["day"].to_numpy(), rows["visit_number"].to_numpy()
    same = np.append(False, np.diff(who) == 0)
    again = same & np.append(False, np.diff(day) == 0)
    effect = "of several records on a day the worst response counts"
    report(rows[again], Finding("duplicate-response", "", field="on", severity="warning", effect=effect), findings)
    back = same & np.append(False, np.diff(number) < 0)
    effect = "responses are taken in the order of their dates"
    report(rows[back], Finding("unordered-visits", "", field="visit_number", severity="warning", effect=effect), findings)
    effect = "each date is taken as an assessment of its own"
    returns = _returning(rows, who) & ~again
    report(rows[returns], Finding("repeated-visit", "", field="visit", severity="warning", effect=effect), findings)


def _returning(rows: pd.DataFrame, who: Ints) -> Bools:
    """Which rows have the visit, by name and number, of an earlier row of their reader."""
    numbers = pd.factorize(rows["visit_number"])[0].astype(np.int64)
    visit = col.coded(rows["visit"])[0]
    returning: Bools = pd.Series(col.combined([who, visit, numbers])).duplicated().to_numpy() & (visit >= 0)
    return returning
