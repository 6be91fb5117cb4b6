"""SECURITY.md says what is there: the scopes that the program asks for, and tests that exist."""

import re
from pathlib import Path

from fhir_trial.sync.sign_in import SCOPE

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "SECURITY.md").read_text("utf-8")


def test_the_scopes_are_those_that_the_program_asks_for() -> None:
    block = re.search(r"<!-- scopes:.*?-->\n```\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    assert block[1].split() == SCOPE.split(), f"the block is to hold:\n{SCOPE}"


def test_what_holds_a_measure_is_there() -> None:
    named = re.findall(r"`((?:tests|fhir_trial|\.ci)/[\w./]+)`", PAGE)
    assert len(named) > 15
    assert [name for name in named if name != "build/sbom.cdx.json" and not (ROOT / name).exists()] == []
