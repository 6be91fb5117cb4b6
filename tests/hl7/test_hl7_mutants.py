"""Our validator against HL7's on resources with one fault each: what both say, and every difference in a table with its reason."""

import csv
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hl7.mutants import Mutant, mutants
from hl7.test_hl7_cohort import errors

from fhir_trial.fhir.json import decode
from fhir_trial.validate import validate

HERE = Path(__file__).parent
TABLE = HERE / "mutants.csv"
COLUMNS = ("version", "kind", "mutants", "both", "hl7_alone", "ours_alone", "neither", "reason")

REASONS: dict[str, str] = {
    "reference of nothing": "Reference.type names a type that the element does not allow; HL7's validator looks at the reference alone",
    "end before start": "HL7's own invariant per-1; in R5 its validator compares the boundaries of the two dates and finds no answer",
}
"""Why a kind of fault is judged otherwise here than by HL7's validator."""


def whole(version: str) -> list[dict]:
    """Valid resources of the synthetic cohort, one of every entity and set of members; kept, so that the table is about the same faults."""
    return [decode(line) for line in (HERE / "to_break" / f"{version}.ndjson").read_bytes().splitlines()]


def verdicts(listed: list[Mutant], version: str, hl7: Callable) -> list[tuple[Mutant, bool, bool]]:
    """Each mutant with whether HL7's validator and ours call it an error."""
    bad = {int(issue["file"].partition("-")[0]) for issue in errors(hl7(mutant.resource for mutant in listed))}
    ours = [any(finding.severity == "error" for finding in validate(mutant.resource, version)) for mutant in listed]
    return [(mutant, number in bad, ours[number]) for number, mutant in enumerate(listed)]


def table_of(version: str, judged: list[tuple[Mutant, bool, bool]]) -> list[dict[str, str]]:
    rows = []
    for kind in sorted({mutant.kind for mutant, _, _ in judged}):
        counts = Counter((theirs, ours) for mutant, theirs, ours in judged if mutant.kind == kind)
        figures = [counts[True, True], counts[True, False], counts[False, True], counts[False, False]]
        reason = REASONS.get(kind, "") if figures[1] or figures[2] else ""
        rows.append(dict(zip(COLUMNS, (version, kind, sum(figures), *figures, reason), strict=True)))
    return [{name: str(value) for name, value in row.items()} for row in rows]


def text(rows: list[dict[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@pytest.mark.validator
@pytest.mark.parametrize("version", ["r4", "r5"])
def test_we_catch_what_hl7_catches_and_every_difference_is_in_the_table(version: str, hl7_validator: Callable, tmp_path: Path) -> None:
    listed = mutants(whole(version), version)
    assert len(listed) >= 500
    judged = verdicts(listed, version, hl7_validator(version))
    caught = [ours for _, theirs, ours in judged if theirs]
    assert sum(caught) / len(caught) >= 0.95
    rows = table_of(version, judged)
    (tmp_path / "mutants.csv").write_text(text(rows), "utf-8")
    unexplained = [row for row in rows if (int(row["hl7_alone"]) or int(row["ours_alone"])) and not row["reason"]]
    assert unexplained == []
    with TABLE.open(encoding="utf-8", newline="") as file:
        stated = [row for row in csv.DictReader(file) if row["version"] == version]
    assert rows == stated, f"the table differs from {tmp_path / 'mutants.csv'}"
