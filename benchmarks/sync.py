"""Pushing and pulling: resources a second, the share of time in our own code, and time and memory of syncs and pulls as the data grow.

`python benchmarks/sync.py` on the embedded store; `--hapi` a real HAPI server too (Java and Maven; built by tests/hl7). Each measurement
is a process of its own, so that its peak memory is its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

PART = Path(__file__).with_name("sync_measure.py")
UNCHANGED = 100_000
UNCHANGED_SECONDS = 60.0
OWN_SHARE = 0.15


def main() -> int:
    """Print the tables; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5_000, help="resources pushed and pulled")
    parser.add_argument(
        "--syncs", type=int, nargs="*", default=[10_000, UNCHANGED], help="resources of the syncs; a million takes half an hour"
    )
    parser.add_argument("--pulls", type=int, nargs="*", default=[50_000, 100_000, 200_000], help="resources of the pulls")
    parser.add_argument("--hapi", action="store_true", help="a real HAPI server too")
    asked = parser.parse_args()
    targets: list[bool] = []
    rates(asked.count, asked.hapi, targets)
    if asked.syncs:
        syncs(asked.syncs, targets)
    if asked.pulls:
        pulls(asked.pulls)
    return 0 if all(targets) else 1


def measure(what: str, *arguments: object) -> dict[str, Any]:
    """One measurement, in a process of its own."""
    done = subprocess.run([sys.executable, str(PART), what, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{what} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def rates(count: int, hapi: bool, targets: list[bool]) -> None:
    """Resources a second and whose time it is."""
    print(f"| server | {count:,} resources | resources/s | seconds | waiting for the server | our own code |\n|---|---|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        _rates("embedded store, in process", measure("rates", "embedded", folder, count))
    if hapi:
        from hl7.plugin import running

        with running("hapi-server", ["trial.HapiServer", "r4", "0", "mem"]) as process:
            assert process.stdout is not None
            ready = next(line for line in process.stdout if line.startswith("READY "))
            measure("rates", ready.split()[1], "-", 400)  # a cold JVM is no yardstick
            found = measure("rates", ready.split()[1], "-", count)
        _rates("HAPI FHIR 8.8.0, R4", found)
        targets.extend(found[act]["own"] / found[act]["seconds"] < OWN_SHARE for act in ("push", "pull"))


def _rates(name: str, found: dict[str, Any]) -> None:
    for act in ("push", "pull"):
        part = found[act]
        share = part["own"] / part["seconds"]
        row = (name, act, f"{part['count'] / part['seconds']:,.0f}", f"{part['seconds']:.1f}", f"{part['waiting']:.1f} s", f"{share:.1%}")
        print(f"| {' | '.join(row)} |", flush=True)


def syncs(sizes: Sequence[int], targets: list[bool]) -> None:
    """A first push of a folder, and a sync that finds everything unchanged, as the data grow."""
    print("\n| resources | sync | seconds | of which processor | written | peak MB |\n|--:|---|--:|--:|--:|--:|")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            measure("folder", folder, size)
            first, again = measure("sync", folder), measure("sync", folder)
        targets.append(first["written"] == size and again["written"] == 0)
        targets.append(again["seconds"] < UNCHANGED_SECONDS * max(size, UNCHANGED) / UNCHANGED)
        for name, found in (("first push", first), ("unchanged", again)):
            seconds = f"{found['seconds']:.1f} | {found['processor']:.1f}"
            print(f"| {size:,} | {name} | {seconds} | {found['written']:,} | {found['megabytes']} |", flush=True)


def pulls(sizes: Sequence[int]) -> None:
    """Peak memory of a pull into a folder as the data grow."""
    print("\n| resources | pull into a folder: peak MB | seconds |\n|--:|--:|--:|")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            found = measure("pull", folder, size)
        print(f"| {size:,} | {found['megabytes']} | {found['seconds']:.1f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
