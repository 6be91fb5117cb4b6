"""Time and memory from NDJSON to a DataFrame: this engine against a loop written by hand and others, each a whole process, medians.

    python benchmarks/frames.py [--rows 69000] [--many 690000] [--repeat 3] [--folder DIR]

The sets are made once, in the folder for temporary files. Peers run in environments of their own, made once in the user's cache folder; one
that cannot be made is left out with a line that says so. The slow ones get the first part of the smaller set, and their time is scaled
without what they need for no rows at all. Wall time depends on what else the machine does, the ratios less so; exit code 1 where a target
is missed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

from frames_data import write_observations
from frames_environments import PACKAGES, python_of

YARDSTICK = "orjson_loop"
SLOW = {"fhirpathpy": 6_900, "fhir_pyrate": 3_450, "fhiry": 690}
"""How many rows of the smaller set the slow ones get."""
FLAT_MB = 500
FEW_ROWS = 10


@dataclass(frozen=True)
class Took:
    """What one process took, or the median of several."""

    rows: int
    wall_seconds: float
    processor_seconds: float
    memory_mb: int
    scaled_from: int | None = None


@dataclass(frozen=True)
class Target:
    """At most this ratio of an engine's wall time to another's."""

    engine: str
    other: str
    ratio: float


TARGETS = {
    "smaller": [Target("fhir_trial", YARDSTICK, 1.0), Target("fhir_trial", "fhir_pyrate", 1 / 50)],
    "larger": [Target("fhir_trial", YARDSTICK, 0.8), Target("fhir_trial_2", YARDSTICK, 0.6)],
}


@cache
def python_for(engine: str) -> str | None:
    """The Python that has the engine; None where its environment cannot be made."""
    name = "orjson" if engine == YARDSTICK else engine
    if name not in PACKAGES:
        return sys.executable
    try:
        return python_of(name)
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"{engine} is left out: its environment could not be made ({type(error).__name__})")
        return None


def run(engine: str, path: Path, *arguments: int) -> Took | None:
    """One process; None where the engine could not be run."""
    python = python_for(engine)
    if python is None:
        return None
    command = [python, str(Path(__file__).with_name("frames_engines.py")), engine, str(path), *map(str, arguments)]
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, os.times()
    if done.returncode:
        print(f"{engine} is left out: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
        return None
    used = after.children_user + after.children_system - before.children_user - before.children_system
    rows, memory = map(int, done.stdout.split()[-2:])
    return Took(rows, wall, used, memory)


def medians(engines: list[str], path: Path, repeat: int) -> dict[str, Took]:
    """The engines in turns, so that what else the machine does falls on all of them; the median of each measure."""
    found: dict[str, list[Took]] = {engine: [] for engine in engines}
    for _ in range(repeat):
        for engine in list(found):
            took = run(engine, path)
            if took is None:
                del found[engine]
            else:
                found[engine].append(took)
    return {engine: median(all_taken) for engine, all_taken in found.items()}


def median(taken: list[Took]) -> Took:
    """The middle of each measure."""
    return Took(
        taken[0].rows,
        statistics.median(each.wall_seconds for each in taken),
        statistics.median(each.processor_seconds for each in taken),
        int(statistics.median(each.memory_mb for each in taken)),
    )


def scaled(engine: str, part: Path, few: Path, rows: int) -> Took | None:
    """A slow engine over a part of the set: what grows with the rows is scaled, what it needs to start is not."""
    took, start = run(engine, part), run(engine, few)
    if took is None or start is None:
        return None
    factor = (rows - start.rows) / (took.rows - start.rows)
    wall, processor = (
        at_start + factor * (at_end - at_start)
        for at_start, at_end in (
            (start.wall_seconds, took.wall_seconds),
            (start.processor_seconds, took.processor_seconds),
        )
    )
    return Took(rows, wall, processor, took.memory_mb, took.rows)


def first_lines(path: Path, count: int) -> Path:
    """The first lines of a set, in a folder of its own: one engine reads folders."""
    part = path.parent / f"first-{count}" / path.name
    part.parent.mkdir(exist_ok=True)
    with path.open("rb") as stream:
        part.write_bytes(b"".join(islice(stream, count)))
    return part


def report(title: str, results: dict[str, Took], path: Path) -> None:
    """One line an engine, with its ratio to the loop written by hand."""
    megabytes = path.stat().st_size / 1e6
    yardstick = results.get(YARDSTICK)
    print(f"\n{title}, {megabytes:.0f} MB\n")
    print("| engine | wall s | cpu s | rows/s | MB/s | peak MB | wall ratio | cpu ratio |\n|---|--:|--:|--:|--:|--:|--:|--:|")
    for engine, each in sorted(results.items(), key=lambda item: item[1].wall_seconds):
        note = f" (scaled from {each.scaled_from:,} rows)" if each.scaled_from else ""
        ratios = ("", "")
        if yardstick:
            wall, processor = each.wall_seconds / yardstick.wall_seconds, each.processor_seconds / yardstick.processor_seconds
            ratios = (f"{wall:.2f}", f"{processor:.2f}")
        cells = (
            f"{engine}{note}",
            f"{each.wall_seconds:.2f}",
            f"{each.processor_seconds:.2f}",
            f"{each.rows / each.wall_seconds:,.0f}",
            f"{megabytes / each.wall_seconds:.0f}",
            f"{each.memory_mb}{' (of the part)' if each.scaled_from else ''}",
            *ratios,
        )
        print(f"| {' | '.join(cells)} |", flush=True)


def missed(targets: list[Target], results: dict[str, Took]) -> int:
    """How many targets are missed, each said."""
    count = 0
    for target in targets:
        if target.engine not in results or target.other not in results:
            continue
        ratio = results[target.engine].wall_seconds / results[target.other].wall_seconds
        verdict = "met" if ratio <= target.ratio else "missed"
        count += verdict == "missed"
        print(f"{verdict}: {target.engine} / {target.other} = {ratio:.3f}, at most {target.ratio:.3f}")
    return count


def flat_memory(path: Path) -> int:
    """Peak memory streaming to Parquet, the set once, twice and four times; 1 where it is not flat."""
    print("\npeak MB streaming to Parquet\n\n| engine | once | twice | four times |\n|---|--:|--:|--:|")
    count = 0
    for engine in ("parquet", "parquet_2"):
        peaks = [took.memory_mb for times in (1, 2, 4) if (took := run(engine, path, times))]
        print(f"| {engine} | {' | '.join(map(str, peaks))} |", flush=True)
        count += max(peaks) > FLAT_MB or peaks[-1] > 1.25 * peaks[0]
    print(f"{'missed' if count else 'met'}: at most {FLAT_MB} MB, and flat")
    return count


def main() -> int:
    """Make the data, run every engine in turn, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=69_000)
    parser.add_argument("--many", type=int, default=690_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "fhir_trial_benchmark")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    smaller, larger = (write_observations(options.folder / f"observations-{n}.ndjson", n) for n in (options.rows, options.many))
    results = medians(["fhir_trial", YARDSTICK], smaller, options.repeat) | medians(["json_normalize"], smaller, 1)
    few = first_lines(smaller, FEW_ROWS)
    for engine, rows in SLOW.items():
        if took := scaled(engine, first_lines(smaller, rows), few, options.rows):
            results[engine] = took
    report(f"{options.rows:,} Observations", results, smaller)
    count = missed(TARGETS["smaller"], results)
    results = medians(["fhir_trial", "fhir_trial_2", YARDSTICK], larger, options.repeat)
    report(f"{options.many:,} Observations", results, larger)
    count += missed(TARGETS["larger"], results)
    count += flat_memory(smaller)
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
