"""Time and memory from NDJSON to a DataFrame: this engine against a hand-written loop and others, each a whole process, medians.

    python benchmarks/frames.py [--rows 69000] [--repeat 3] [--python orjson_loop=/path/to/python] [--folder DIR]

An engine that the given Python lacks is left out with a line that says so; `--python` names the Python of an environment that has it. Wall
time depends on what else the machine does; processor time less so.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from frames_data import write_observations
from frames_engines import ENGINES

YARDSTICK = "orjson_loop"


@dataclass(frozen=True)
class Run:
    """What one process took."""

    wall_seconds: float
    processor_seconds: float
    memory_mb: int


def run(engine: str, python: str, path: Path) -> Run | None:
    """One process; None where the engine is not installed there."""
    before, start = os.times(), time.perf_counter()
    command = [python, str(Path(__file__).with_name("frames_engines.py")), engine, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, os.times()
    if done.returncode:
        print(f"{engine:20} left out: {done.stderr.strip().splitlines()[-1]}")
        return None
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(wall, used, int(done.stdout.split()[1]))


def median(runs: list[Run]) -> Run:
    """The middle of each measure."""
    return Run(
        statistics.median(each.wall_seconds for each in runs),
        statistics.median(each.processor_seconds for each in runs),
        int(statistics.median(each.memory_mb for each in runs)),
    )


def main() -> None:
    """Make the data, run every engine in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=69_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--python", action="append", default=[], metavar="ENGINE=PYTHON")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "fhir_trial_benchmark")
    parser.add_argument("engines", nargs="*", default=list(ENGINES))
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    path = write_observations(options.folder / f"observations-{options.rows}.ndjson", options.rows)
    megabytes = path.stat().st_size / 1e6
    pythons = dict(each.split("=", 1) for each in options.python)
    # In turns, so that what else the machine does falls on all of them.
    found = {engine: [] for engine in options.engines}
    for _ in range(options.repeat):
        for engine in list(found):
            result = run(engine, pythons.get(engine, sys.executable), path)
            if result is None:
                del found[engine]
            else:
                found[engine].append(result)
    report({engine: median(runs) for engine, runs in found.items()}, options.rows, megabytes)


def report(results: dict[str, Run], rows: int, megabytes: float) -> None:
    """Print one line an engine, with its ratio to the hand-written loop."""
    yardstick = results.get(YARDSTICK)
    print(f"{rows} rows, {megabytes:.0f} MB")
    print(f"{'engine':20} {'wall s':>7} {'cpu s':>7} {'rows/s':>9} {'MB/s':>6} {'RSS MB':>7} {'wall ratio':>10} {'cpu ratio':>9}")
    for engine, each in sorted(results.items(), key=lambda item: item[1].wall_seconds):
        ratios = (
            f"{each.wall_seconds / yardstick.wall_seconds:10.2f} {each.processor_seconds / yardstick.processor_seconds:9.2f}"
            if yardstick
            else ""
        )
        rate = f"{rows / each.wall_seconds:9.0f} {megabytes / each.wall_seconds:6.0f}"
        print(f"{engine:20} {each.wall_seconds:7.2f} {each.processor_seconds:7.2f} {rate} {each.memory_mb:7} {ratios}")


if __name__ == "__main__":
    main()
