"""The course of `test_contract_course.py` with every resource of the pilot study, on real HAPI: long, so it is run by hand.

    python tests/contract/course_whole.py [--fhir r4]...

Its last result is kept in `course_whole.md`. Needs Java and Maven. Validity is `tests/hl7/pilot_whole.py`'s; here HAPI checks references.
"""

import argparse
import datetime as dt
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from contract.course import run
from hl7.pilot_sample import whole
from hl7.plugin import running

from fhir_trial.config import Server
from fhir_trial.trial.connection import connect

RESULT = Path(__file__).with_suffix(".md")
LONG = ("-XX:TieredStopAtLevel=4", "-Xmx8g")
"""HAPI looks the places of a transaction up by a scan of its table: what is scanned so often is compiled well, and held in memory."""


def told(version: str) -> list[str]:
    """The steps that held, with the seconds since the beginning."""
    lines: list[str] = []
    resources = whole(version)
    with tempfile.TemporaryDirectory() as folder, running("hapi-server", ["trial.HapiServer", version, "0", "mem"], *LONG) as process:
        assert process.stdout is not None
        url = next(line for line in process.stdout if line.startswith("READY ")).split()[1]
        start = time.monotonic()

        def note(step: str) -> None:
            lines.append(f"- {time.monotonic() - start:,.0f} s: {step}")
            print(version, lines[-1], file=sys.stderr, flush=True)

        with connect(Server("hapi", url, research_store=True, deadline_seconds=900), version) as connection:
            run(connection, resources, Path(folder), note)
    return lines


def main() -> None:
    """Take the course, and keep what held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fhir", action="append", choices=("r4", "r5"))
    lines = ["# The pilot study on HAPI", "", "Made by `python tests/contract/course_whole.py`.", ""]
    for version in parser.parse_args().fhir or ("r4", "r5"):
        lines += [f"## {version.upper()}, {dt.date.today().isoformat()}", "", *told(version), ""]
    RESULT.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
