"""Patients and observations to push, and the server's facts that tests of pushing share."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fhir_trial.sync.capability import ServerInfo

STORE = ServerInfo("http://127.0.0.1:1/fhir", "4.0.1", research_store=True)


def patient(name: str) -> dict:
    return {"resourceType": "Patient", "id": f"p-{name}", "identifier": [{"system": "urn:s", "value": name}], "gender": "female"}


def observation(name: str, number: int, value: int = 5, **more: object) -> dict:
    return {
        "resourceType": "Observation",
        "id": f"o-{name}-{number}",
        "identifier": [{"system": "urn:o", "value": f"{name}/{number}"}],
        "status": "final",
        "subject": {"reference": f"Patient/p-{name}", "identifier": {"system": "urn:s", "value": name}},
        "valueQuantity": {"value": value, "unit": "mm"},
        **more,
    }


def cohort(subjects: int = 3, each: int = 4) -> list[dict]:
    observations = [observation(str(s), n) for s in range(subjects) for n in range(each)]
    return [*observations, *(patient(str(s)) for s in range(subjects))]


@contextmanager
def pieces_of(size: int) -> Iterator[None]:
    """Syncs go on in pieces of so many resources."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("fhir_trial.sync.plan.PIECE", size)
        yield
