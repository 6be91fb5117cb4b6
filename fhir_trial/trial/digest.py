"""The digest of a trial's data: what a result rests on, in one line."""

import hashlib

from fhir_trial.domain.tables import TrialData
from fhir_trial.fhir.json import encode


def data_digest(data: TrialData) -> str:
    """sha256 over every row of every table, whatever the order in which they were read."""
    digest = hashlib.sha256()
    for entity in sorted(data.tables):
        rows = sorted(encode(row) for row in data.table(entity).to_pylist())
        for row in rows:
            digest.update(entity.encode() + b" " + row + b"\n")
    return digest.hexdigest()
