"""The course of `test_contract_course.py` with every resource of the pilot study, on real HAPI: long, so it is run by hand.

    python tests/contract/course_whole.py --fhir r4 jdbc:postgresql://127.0.0.1:5432/hapi_r4

It needs Java, Maven and an empty PostgreSQL database that a role `sa` owns: HAPI looks up the places of a transaction all at once, and
H2 goes through the whole table for it. The last result of each version is kept in `course_whole.md`. Here HAPI checks references; validity
is for `tests/hl7/pilot_whole.py`.
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
from hl7.plugin import LONG_RUNNING, running

from fhir_trial.config import Server
from fhir_trial.trial.connection import connect

RESULT = Path(__file__).with_suffix(".md")


def told(version: str, database: str) -> list[str]:
    """The steps that held, with the seconds since the beginning."""
    lines: list[str] = []
    resources = whole(version)
    main = ["trial.HapiServer", version, "0", database]
    with tempfile.TemporaryDirectory() as folder, running("hapi-server", main, *LONG_RUNNING) as process:
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
    """Take the course, and keep what held beside what the other version's last one did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fhir", choices=("r4", "r5"), required=True)
    parser.add_argument("database")
    asked = parser.parse_args()
    made = f"## {asked.fhir.upper()}, {dt.date.today().isoformat()}\n\n" + "\n".join(told(asked.fhir, asked.database)) + "\n"
    before = RESULT.read_text(encoding="utf-8").split("\n## ")[1:] if RESULT.exists() else []
    parts = [made, *(f"## {part.rstrip()}\n" for part in before if not part.startswith(asked.fhir.upper()))]
    RESULT.write_text(
        "# The pilot study on HAPI\n\nMade by `python tests/contract/course_whole.py`.\n\n" + "\n".join(sorted(parts)), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
