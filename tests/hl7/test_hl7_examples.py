"""Every example of HL7's R4 and R5 packages and of mCODE, of the types of our entities: a row or a finding, each difference explained."""

import csv
import re
import shutil
from pathlib import Path

import pytest
from hl7.examples import OTHERWISE, TABLE, as_text, kinds, run

CACHE = Path(__file__).resolve().parent / "target"


@pytest.mark.examples
def test_every_example_is_read_and_each_difference_is_explained():
    if shutil.which("npm") is None:
        pytest.skip("npm not found")
    CACHE.mkdir(exist_ok=True)
    table, unexplained = run(CACHE)
    assert unexplained == []
    with TABLE.open(encoding="utf-8", newline="") as file:
        assert as_text(table) == list(csv.DictReader(file))


def test_a_lost_leaf_that_nothing_says_is_unexplained():
    patient = {"resourceType": "Patient", "id": "p", "gender": "female", "photo": [{"title": "x"}]}
    written = [{"resourceType": "Patient", "id": "q", "gender": "female"}]
    assert dict(kinds(patient, written, set(), False))["unexplained"] == "Patient.photo.title"
    assert "unexplained" not in dict(kinds(patient, written, {"Patient.photo"}, False))


def test_a_reason_is_a_pattern_and_words():
    assert all(re.compile(pattern) and len(why) > 15 for pattern, why in OTHERWISE)
