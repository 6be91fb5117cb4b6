"""Domain rows to FHIR JSON and back, findings collected: the rules of `mappings/` against fhir.resources models, in one run.

    python benchmarks/mapping.py [--rows 5000] [--yardstick-rows 1000] [--repeat 3] [--fhir r4]...
    python benchmarks/mapping.py --memory-rows 1000000     peak memory over that many doses written and read one after the other

Writing: row to bytes, against building a model from a dict that is ready-made and dumping it as JSON; filling that dict from the row, which
a user of models writes by hand, is not charged. Reading: bytes to row with every check of the rules, against validating the JSON into a
model and picking the same facts by hand. Processor time, medians of runs that each have subjects of their own, so that no run finds ids
or keys remembered from the one before; exit code 1 where a target is missed.
"""

import argparse
import importlib
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import Any

from msgspec.structs import replace

from fhir_trial.errors import Findings
from fhir_trial.fhir.json import decode, encode
from fhir_trial.mapping import EntityMap, load
from fhir_trial.simulate import simulate
from fhir_trial.sources.sdtm.read import read_sdtm
from fhir_trial.sources.study_file import load_study

STUDY = "NCT05189483"
ENTITIES = {"adverse_event": "AdverseEvent", "measurement": "Observation", "dose": "MedicationAdministration"}
MODELS = {"r4": "fhir.resources.R4B", "r5": "fhir.resources"}
"""Where the models of a version are; those of R4B are the package's nearest to R4."""
TARGETS = {"write": 20.0, "read": 10.0}


Work = Callable[[], object]


@dataclass(frozen=True)
class Task:
    """One direction of one entity: a piece of work a run, ours and the yardstick's, and over how many rows each."""

    name: str
    direction: str
    ours: list[Work]
    theirs: list[Work]
    rows: int
    yardstick_rows: int


def many_rows(rows: list[Any], count: int, run: int) -> list[Any]:
    """`count` rows: the cohort's over and over, each round of them of other subjects."""
    return [replace(row, subject=f"{row.subject}-{run}-{number // len(rows)}") for number, row in enumerate(islice(cycle(rows), count))]


def by_hand(model: Any) -> tuple[object, ...]:
    """The facts of a resource as a user of models picks them."""
    identifiers = model.identifier if isinstance(model.identifier, list) else [model.identifier]
    found = [identifiers[0].value.split("/"), model.subject.identifier.value, {e.url: _value(e) for e in model.extension or ()}]
    for name in ("code", "event", "seriousness", "severity", "outcome", "method", "valueCodeableConcept"):
        if (concept := getattr(model, name, None)) is not None and not isinstance(concept, list):
            found.append((concept.text, [coding.code for coding in concept.coding or ()]))
    for name in ("status", "date", "effectiveDateTime", "recordedDate"):
        found.append(getattr(model, name, None))
    for name in ("effectivePeriod", "occurencePeriod", "occurrencePeriod"):
        if (period := getattr(model, name, None)) is not None:
            found.append((period.start, period.end))
    found.extend((part.code.coding[0].code, part.valueQuantity) for part in getattr(model, "component", None) or ())
    if (dosage := getattr(model, "dosage", None)) is not None:
        found.append((dosage.dose and dosage.dose.value, dosage.route and dosage.route.text))
    return tuple(found)


def _value(extension: Any) -> object:
    inner = {e.url: _value(e) for e in extension.extension or ()}
    names = ("valueString", "valueCode", "valueDecimal", "valueInteger", "valueBoolean", "valueDateTime", "valueQuantity")
    return inner or next((value for name in names if (value := getattr(extension, name)) is not None), extension.valueCodeableConcept)


def tasks(fhir: str, count: int, yardstick_count: int, repeat: int) -> Iterable[Task]:
    """Both directions of each entity; that ours gives the rows back without a finding is checked before anything is timed."""
    study = load_study(STUDY)
    data, mapping, findings = read_sdtm(simulate(study), study), load(fhir, study), Findings()
    for entity, resource_type in ENTITIES.items():
        rules = mapping[entity]
        runs = [many_rows(data.rows(entity), count, run) for run in range(repeat + 1)]

        def write(rows: list[Any], rules: EntityMap[Any] = rules) -> list[bytes]:
            return [encode(rules.write(row, findings)) for row in rows]

        def read(documents: list[bytes], rules: EntityMap[Any] = rules) -> list[Any]:
            return [rules.read(decode(document), findings) for document in documents]

        checked = runs.pop()
        documents = write(checked)
        if read(documents) != checked or len(findings):
            sys.exit(f"{fhir} {entity}: the rows did not come back")
        model = getattr(importlib.import_module(f"{MODELS[fhir]}.{resource_type.lower()}"), resource_type)
        ready = [decode(document) for document in documents[:yardstick_count]]
        theirs: list[Work] = [partial(_models_written, model, ready)] * repeat
        yield Task(entity, "write", [partial(write, rows) for rows in runs], theirs, count, len(ready))
        written = [write(rows) for rows in runs]
        theirs = [partial(_models_read, model, run[:yardstick_count]) for run in written]
        yield Task(entity, "read", [partial(read, run) for run in written], theirs, count, len(ready))


def _models_written(model: Any, ready: list[dict[str, Any]]) -> object:
    return [model(**facts).model_dump_json().encode() for facts in ready]


def _models_read(model: Any, documents: list[bytes]) -> object:
    return [by_hand(model.model_validate_json(document)) for document in documents]


def rate(works: list[Work], rows: int) -> float:
    """Rows a second of processor time, the median of several runs."""
    took = []
    for work in works:
        start = time.process_time()
        work()
        took.append(time.process_time() - start)
    return rows / statistics.median(took)


def memory(fhir: str, count: int) -> int:
    """Write and read `count` doses one after the other; the peak of memory after each tenth, 1 where it grows after the first two."""
    study = load_study(STUDY)
    rules, findings = load(fhir, study)["dose"], Findings()
    rows = read_sdtm(simulate(study), study).rows("dose")
    peaks, start = [], time.process_time()
    for number, row in enumerate(islice(cycle(rows), count), 1):
        made = replace(row, subject=f"{row.subject}-{number // len(rows)}")
        if rules.read(decode(encode(rules.write(made, findings))), findings) != made:
            sys.exit(f"{fhir}: a row did not come back")
        if number % (count // 10) == 0:
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            took = time.process_time() - start
            print(f"{fhir} {number:>9,} rows  {peaks[-1]:6.1f} MiB at most  {number / took:8,.0f} rows/s there and back", flush=True)
    return 1 if peaks[-1] > peaks[1] * 1.02 else 0


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--yardstick-rows", type=int, default=1_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--fhir", action="append", choices=MODELS)
    parser.add_argument("--memory-rows", type=int)
    options = parser.parse_args()
    if options.memory_rows:
        return max(memory(fhir, options.memory_rows) for fhir in options.fhir or ["r4"])
    missed = False
    print(f"{'':3}{'entity':15}{'':7}{'rows/s':>10}{'models/s':>10}{'ratio':>8}{'target':>8}")
    for fhir in options.fhir or MODELS:
        for task in tasks(fhir, options.rows, options.yardstick_rows, options.repeat):
            ours = rate(task.ours, task.rows)
            theirs = rate(task.theirs, task.yardstick_rows)
            target = TARGETS[task.direction]
            missed |= ours / theirs < target
            print(f"{fhir:3}{task.name:15}{task.direction:7}{ours:10,.0f}{theirs:10,.0f}{ours / theirs:7.1f}x{target:7.0f}x", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
