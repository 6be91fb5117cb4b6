import pytest

from fhir_trial.domain.study import StudyDefinition
from fhir_trial.sources.study_file import load_study


@pytest.fixture(scope="session")
def simulated_study() -> StudyDefinition:
    """The first study."""
    return load_study("NCT05189483")
