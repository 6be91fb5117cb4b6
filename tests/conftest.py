from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the project, where it is present."""
    if not SHARED.is_dir():
        pytest.skip("the reference data beside the project is absent")
    return SHARED


pytest_plugins = ["hl7.plugin"]
