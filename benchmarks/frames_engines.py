"""One engine over one file to a 15-column DataFrame, run as a process of its own: `python frames_engines.py ENGINE FILE [TIMES]`.

It prints the number of rows and the peak memory in MB, that of worker processes included.
"""

import json
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
PLAIN_COLUMNS = COLUMNS | {
    "encounter": "encounter.reference",
    "effective": "effectiveDateTime",
    "value": "valueQuantity.value",
    "unit": "valueQuantity.unit",
}
"""The same for engines that know no FHIR types."""


def view() -> dict[str, Any]:
    """The columns as a ViewDefinition."""
    return {"resource": "Observation", "select": [{"column": [{"name": name, "path": path} for name, path in COLUMNS.items()]}]}


def fhir_trial(path: str, workers: int = 1) -> int:
    """This package to an Arrow-backed DataFrame."""
    import pandas as pd

    from fhir_trial.frames import run_view

    return len(run_view(view(), path, workers=workers).to_pandas(types_mapper=pd.ArrowDtype))


def fhir_trial_2(path: str) -> int:
    """The same with two worker processes."""
    return fhir_trial(path, 2)


def parquet(path: str, times: int = 1, workers: int = 1) -> int:
    """This package, streamed to Parquet, the file as often as asked."""
    from fhir_trial.frames import write_view

    with tempfile.TemporaryDirectory() as folder:
        return write_view(view(), [path] * times, Path(folder) / "out.parquet", workers=workers)


def parquet_2(path: str, times: int = 1) -> int:
    """The same with two worker processes."""
    return parquet(path, times, 2)


def orjson_loop(path: str) -> int:
    """The yardstick: what a programmer writes by hand for these columns."""
    import orjson
    import pandas as pd

    with open(path, "rb") as stream:
        rows = [_hand_row(orjson.loads(line)) for line in stream]
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
    import pandas as pd

    with open(path, "rb") as stream:
        return len(pd.json_normalize([json.loads(line) for line in stream]))


def fhirpathpy(path: str) -> int:
    """Each path compiled once by fhirpathpy, in a loop written by hand."""
    import fhirpathpy as engine
    import pandas as pd

    paths = [engine.compile(path) for path in PLAIN_COLUMNS.values()]
    with open(path, "rb") as stream:
        rows = [[next(iter(each(resource)), None) for each in paths] for resource in map(json.loads, stream)]
    return len(pd.DataFrame(rows, columns=list(COLUMNS)))


def fhir_pyrate(path: str) -> int:
    """FHIR-PYrate's DataFrame of Bundles of 500, as a search brings them, by the paths of the columns."""
    from fhir_pyrate import Pirate
    from fhir_pyrate.util import FHIRObj

    with open(path, "rb") as stream:
        entries = [{"resource": json.loads(line)} for line in stream]
    bundles = [FHIRObj(resourceType="Bundle", entry=entries[i : i + 500]) for i in range(0, len(entries), 500)]
    pirate = Pirate(base_url="http://localhost", auth=None, silence_fhirpath_warning=True)
    return len(pirate.bundles_to_dataframe(bundles, fhir_paths=list(PLAIN_COLUMNS.items())))


def fhiry(path: str) -> int:
    """Fhiry's flattening of an NDJSON file."""
    from fhiry.fhirndjson import Fhirndjson

    reader = Fhirndjson()
    reader.folder = str(Path(path).parent)
    return len(reader.process_file(Path(path).name))


ENGINES: dict[str, Callable[..., int]] = {
    each.__name__: each
    for each in (fhir_trial, fhir_trial_2, parquet, parquet_2, orjson_loop, json_normalize, fhirpathpy, fhir_pyrate, fhiry)
}


def peak_mb(engine: str) -> int:
    """The most memory this process had, with as much for each worker as the largest had.

    Linux counts in a child what the process had from which it came; its own status does not.
    """
    status = Path("/proc/self/status")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if status.exists():
        own = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    workers = 2 if engine.endswith("_2") else 0
    return (own + workers * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) // 1024


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    rows = ENGINES[name](arguments[0], *map(int, arguments[1:]))
    print(rows, peak_mb(name))
