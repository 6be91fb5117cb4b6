"""HL7's own examples, which nobody here wrote: none of their valid resources may be called wrong."""

from pathlib import Path

import pytest

from fhir_trial.fhir import json
from fhir_trial.validate import validate

EXAMPLES = Path(__file__).resolve().parents[1] / "data" / "hl7"
FILES = sorted(EXAMPLES.glob("*/*.json"))
# References without a type: HL7's own slip, in an example that holds little else.
KNOWN = {"ResearchSubject-example-crossover-placebo-to-drug.json": {"ResearchSubject.study.reference", "ResearchSubject.subject.reference"}}


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_an_example_is_valid(file: Path) -> None:
    findings = validate(json.decode(file.read_bytes()), file.parent.name)
    wrong = [f.describe() for f in findings if f.severity == "error" and f.field not in KNOWN.get(file.name, ())]
    assert wrong == []


def test_the_examples_are_there() -> None:
    assert len(FILES) > 25


def test_hl7s_slip_is_found() -> None:
    (name,) = KNOWN
    findings = validate(json.decode((EXAMPLES / "r5" / name).read_bytes()), "r5")
    assert {f.field for f in findings} == KNOWN[name]
    assert {f.code for f in findings} == {"invalid-reference"}
