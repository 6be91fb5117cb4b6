"""Observations to measure with: NDJSON of a chosen length, about 1.3 kB a line, the same for the same seed."""

import json
import random
from pathlib import Path
from typing import Any

SEED = 1
_LOINC, _SNOMED, _UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"


def write_observations(path: Path, count: int) -> Path:
    """Write `count` Observations to `path`, unless they stand there already."""
    if not path.exists():
        chance = random.Random(SEED)
        with path.open("w") as stream:
            stream.writelines(json.dumps(observation(i, chance), separators=(",", ":")) + "\n" for i in range(count))
    return path


def observation(number: int, chance: random.Random) -> dict[str, Any]:
    """One measurement of a lesion, as rich as servers send it."""
    subject = number % 997
    category = "http://terminology.hl7.org/CodeSystem/observation-category"
    return {
        "resourceType": "Observation",
        "id": f"obs-{number}",
        "meta": {"versionId": "1", "lastUpdated": "2024-01-01T00:00:00Z", "profile": ["https://example.org/StructureDefinition/size"]},
        "identifier": [{"system": "https://example.org/sid/measurement", "value": f"M-{number}"}],
        "status": "final",
        "category": [{"coding": [_coding(category, "imaging", "Imaging")]}],
        "code": {"coding": [_coding(_LOINC, "21889-1", "Size Tumor"), _coding(_SNOMED, "246120007", "Nodule size")], "text": "Tumour size"},
        "subject": {
            "reference": f"Patient/p{subject}",
            "identifier": {"system": "https://example.org/sid/subject", "value": f"S-{subject}"},
        },
        "encounter": {"reference": f"Encounter/e{number}"},
        "effectiveDateTime": f"2024-{number % 12 + 1:02d}-{number % 28 + 1:02d}T10:00:00+01:00",
        "issued": "2024-02-01T10:00:00.000Z",
        "performer": [{"reference": "Practitioner/dr1", "display": "Reader 1"}],
        "valueQuantity": {"value": round(chance.random() * 100, 2), "unit": "mm", "system": _UCUM, "code": "mm"},
        "interpretation": [{"coding": [_coding("http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "N", "Normal")]}],
        "bodySite": {"coding": [_coding(_SNOMED, "39607008", "Lung")]},
        "method": {"coding": [_coding(_SNOMED, "77477000", "CT")]},
        "component": [
            {"code": {"coding": [_coding(_LOINC, "33728-7", "Size")]}, "valueQuantity": {"value": number % 50 + 0.5, "unit": "mm"}}
        ],
    }


def _coding(system: str, code: str, display: str) -> dict[str, str]:
    return {"system": system, "code": code, "display": display}
