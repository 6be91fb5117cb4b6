"""The digest of a trial's data: what a result rests on, in one line."""

import hashlib
from typing import Any

from fhir_trial.domain.tables import TrialData
from fhir_trial.fhir.json import encode


def data_digest(data: TrialData) -> str:
    """sha256 over every row of every table, whatever the order in which they, and the items of their repeats, were read."""
    digest = hashlib.sha256()
    for entity in sorted(data.tables):
        rows = sorted(encode({name: _ordered(value) for name, value in row.items()}) for row in data.table(entity).to_pylist())
        for row in rows:
            digest.update(entity.encode() + b" " + row + b"\n")
    return digest.hexdigest()


def _ordered(value: Any) -> Any:
    """A repeat with its items in an order of their own; anything else as it is."""
    return sorted(value, key=encode) if isinstance(value, list) else value
