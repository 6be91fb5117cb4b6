"""The digest of a trial's data: what a result rests on, in one line."""

import hashlib
from typing import Any

from fhir_trial.domain.tables import TrialData
from fhir_trial.fhir.json import encode


def data_digest(data: TrialData) -> str:
    """sha256 over every value of every table, whatever the order in which rows, and the items of their repeats, were read.

    What is absent says nothing: a column without values, or a repeat without items, is the same as none.
    """
    digest = hashlib.sha256()
    for entity in sorted(data.tables):
        rows = sorted(encode(_plain(row)) for row in data.table(entity).to_pylist())
        for row in rows:
            digest.update(entity.encode() + b" " + row + b"\n")
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """A value with what is absent left out, and its repeats in an order of their own."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if item is not None and item != []}
    return sorted(map(_plain, value), key=encode) if isinstance(value, list) else value
