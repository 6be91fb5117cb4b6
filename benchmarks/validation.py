"""Resources validated a second: HL7's definitions compiled, against fhir.resources models, which check less, in one run.

    python benchmarks/validation.py [--repeat 5] [--fhir r4]...

The synthetic cohort's resources, decoded already for ours and given as dicts to the models. Processor time, medians; exit code 1 where
fewer than `TARGET` are validated a second.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from fhir_trial.errors import Findings
from fhir_trial.fhir.json import decode, encode
from fhir_trial.simulate import simulate
from fhir_trial.sources.sdtm.read import read_sdtm
from fhir_trial.sources.study_file import load_study
from fhir_trial.trial.resources import to_resources
from fhir_trial.validate import validate

STUDY = "NCT05189483"
MODELS = {"r4": "fhir.resources.R4B", "r5": "fhir.resources"}
TARGET = 5000


def cohort(fhir: str) -> list[dict[str, Any]]:
    """Every resource of the synthetic cohort, as they are after a journey."""
    study = load_study(STUDY)
    data = read_sdtm(simulate(study), study)
    return [decode(encode(resource)) for resource in to_resources(data, fhir, Findings())]


def seconds(work: Callable[[], object], repeat: int) -> float:
    """The median processor time of a piece of work, run once before to warm it up."""
    work()
    times = []
    for _ in range(repeat):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def rates(fhir: str, repeat: int) -> tuple[int, float, float]:
    """How many resources, and how many a second ours and the models take."""
    resources = cohort(fhir)
    package = import_module(MODELS[fhir])
    plain = [(package.get_fhir_model_class(resource["resourceType"]), resource) for resource in resources]

    def ours() -> None:
        errors = [finding for resource in resources for finding in validate(resource, fhir) if finding.severity == "error"]
        assert not errors

    def models() -> None:
        for model, resource in plain:
            model.model_validate(resource)

    return len(resources), len(resources) / seconds(ours, repeat), len(resources) / seconds(models, repeat)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--fhir", action="append", choices=sorted(MODELS))
    options = parser.parse_args()
    print("|  | resources | validated/s | models/s | ratio |\n|---|--:|--:|--:|--:|")
    missed = False
    for fhir in options.fhir or sorted(MODELS):
        count, ours, models = rates(fhir, options.repeat)
        print(f"| {fhir.upper()} | {count:,} | {ours:,.0f} | {models:,.0f} | {ours / models:.1f} |")
        missed |= ours < TARGET
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
