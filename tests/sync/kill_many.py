"""200 syncs killed at random moments: `python tests/sync/kill_many.py [RUNS]`; the last result is in `kill_many.txt` beside it.

Every fourth run is of 300 resources to a server that gives ids of its own (one POST each); the others are of 2,000 in transactions.
"""

import datetime as dt
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from killing import End, killed

RESULT = Path(__file__).with_suffix(".txt")
FIRST = 1000


def run(seeds: Iterable[int]) -> list[End]:
    """Kill one sync a seed; what is not good is said at once."""
    ends = []
    for seed in seeds:
        hospital = seed % 4 == 0
        with tempfile.TemporaryDirectory() as folder:
            end = killed(Path(folder), seed, 300 if hospital else 2000, hospital)
        ends.append(end)
        if not end.is_good:
            print(f"seed {seed}: {end}", flush=True)
    return ends


def write_result(ends: Sequence[End], seconds: float) -> int:
    """Write down and print what came of it; 1 where a run was not good."""
    bad = sum(not end.is_good for end in ends)
    lines = [
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}: {len(ends)} syncs, {sum(end.count for end in ends)} resources, {seconds:.0f} s",
        f"kills: {sum(end.kills for end in ends)}, of which while writing: {sum(end.kills_while_writing for end in ends)}",
        f"resources lost: {sum(end.count - end.different for end in ends)}",
        f"copies too many: {sum(end.held - end.different for end in ends)}",
        f"writes too many: {sum(end.writes - end.count for end in ends)}",
        f"requests never settled: {sum(end.unanswered for end in ends)}",
        f"broken audit chains: {sum(end.chain_problems > 0 for end in ends)}",
        f"runs that were not good: {bad}",
    ]
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(RESULT.read_text(encoding="utf-8"), end="")
    return 1 if bad else 0


def main(runs: int = 200) -> int:
    """Run them all."""
    started = time.monotonic()
    return write_result(run(range(FIRST, FIRST + runs)), time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
