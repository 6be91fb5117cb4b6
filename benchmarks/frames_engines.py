"""One engine over one file to a 15-column DataFrame, run as a process of its own: `python frames_engines.py ENGINE FILE`."""

import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

COLUMNS = {
    "id": "id",
    "status": "status",
    "code": "code.coding.first().code",
    "code_text": "code.text",
    "category": "category.first().coding.first().code",
    "subject": "subject.reference",
    "subject_id": "subject.identifier.value",
    "encounter": "encounter.getReferenceKey()",
    "effective": "effective.ofType(dateTime)",
    "issued": "issued",
    "value": "value.ofType(Quantity).value",
    "unit": "value.ofType(Quantity).unit",
    "loinc": "code.coding.where(system = 'http://loinc.org').code.first()",
    "body_site": "bodySite.coding.first().code",
    "identifier": "identifier.first().value",
}


def view() -> dict[str, Any]:
    """The columns as a ViewDefinition."""
    return {"resource": "Observation", "select": [{"column": [{"name": name, "path": path} for name, path in COLUMNS.items()]}]}


def fhir_trial(path: str) -> int:
    """This package to an Arrow-backed DataFrame."""
    import pandas as pd

    from fhir_trial.frames import run_view

    return len(run_view(view(), path).to_pandas(types_mapper=pd.ArrowDtype))


def fhir_trial_parquet(path: str) -> int:
    """This package, streamed to Parquet."""
    from fhir_trial.frames import write_view

    with tempfile.TemporaryDirectory() as folder:
        return write_view(view(), path, Path(folder) / "out.parquet")


def orjson_loop(path: str) -> int:
    """The yardstick: what a programmer writes by hand for these columns."""
    import orjson

    return _hand_loop(path, orjson.loads)


def json_loop(path: str) -> int:
    """The same by hand, with the standard library's JSON."""
    import json

    return _hand_loop(path, json.loads)


def _hand_loop(path: str, loads: Callable[[bytes], Any]) -> int:
    import pandas as pd

    with open(path, "rb") as stream:
        rows = [_hand_row(loads(line)) for line in stream]
    return len(pd.DataFrame(rows, columns=list(COLUMNS)))


def _hand_row(resource: dict[str, Any]) -> tuple[Any, ...]:
    code, quantity, subject = resource.get("code") or {}, resource.get("valueQuantity") or {}, resource.get("subject") or {}
    codings = code.get("coding") or []
    return (
        resource.get("id"),
        resource.get("status"),
        _first(codings).get("code"),
        code.get("text"),
        _first(_first(resource.get("category")).get("coding")).get("code"),
        subject.get("reference"),
        (subject.get("identifier") or {}).get("value"),
        (resource.get("encounter") or {}).get("reference", "").rpartition("/")[2],
        resource.get("effectiveDateTime"),
        resource.get("issued"),
        quantity.get("value"),
        quantity.get("unit"),
        next((coding.get("code") for coding in codings if coding.get("system") == "http://loinc.org"), None),
        _first((resource.get("bodySite") or {}).get("coding")).get("code"),
        _first(resource.get("identifier")).get("value"),
    )


def _first(items: list[dict[str, Any]] | None) -> dict[str, Any]:
    return items[0] if items else {}


def json_normalize(path: str) -> int:
    """Pandas' own flattening."""
    import json

    import pandas as pd

    with open(path, "rb") as stream:
        return len(pd.json_normalize([json.loads(line) for line in stream]))


ENGINES: dict[str, Callable[[str], int]] = {
    "fhir_trial": fhir_trial,
    "fhir_trial_parquet": fhir_trial_parquet,
    "orjson_loop": orjson_loop,
    "json_loop": json_loop,
    "json_normalize": json_normalize,
}

if __name__ == "__main__":
    rows = ENGINES[sys.argv[1]](sys.argv[2])
    print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
