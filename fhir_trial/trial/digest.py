"""The digest of a trial's data: what a result rests on, in one line."""

import hashlib
from typing import Any

from fhir_trial.domain.tables import TrialData
from fhir_trial.fhir.json import encode
from fhir_trial.sources.sdtm.whole_rows import is_whole_row


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
    return sorted(map(_plain, _unnumbered(value)), key=encode) if isinstance(value, list) else value


def _unnumbered(items: list[Any]) -> list[Any]:
    """The items; cells of rows that are kept whole go by what their row says, and not by the row's number in the file."""
    rows: dict[str, list[tuple[str, Any]]] = {}
    for item in items:
        if isinstance(item, dict) and is_whole_row(str(item.get("record"))):
            rows.setdefault(str(item["record"]), []).append((str(item["name"]), item["value"]))
    if not rows:
        return items
    names = {record: record.partition(" ")[0] + encode(sorted(cells)).decode() for record, cells in rows.items()}
    return [item | {"record": names.get(str(item.get("record")), item.get("record"))} for item in items]
