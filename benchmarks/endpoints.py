"""Endpoints of a million subjects: RECIST with best responses and PFS against a loop over subjects, Kaplan-Meier against lifelines.

    python benchmarks/endpoints.py [--subjects 1000000] [--loop 2000] [--folder DIR]

Each measurement is a process of its own on one core, in processor time. lifelines gets an environment of its own, made in `--folder` on the
first run, since it needs an older pandas. The loop runs on a part of the subjects, is scaled to all of them, and must give the same figures
as we do on that part. Targets: a minute for RECIST, best responses and PFS, two seconds for the curve, twice the subjects at most 2.6 times
the time; a run that misses one exits with 1.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

ENGINES = Path(__file__).with_name("endpoints_engines.py")
LONGEST_SECONDS, LONGEST_CURVE_SECONDS, LARGEST_GROWTH = 60, 2, 2.6
LIFELINES = "lifelines==0.30.0"


def measured(engine: str, subjects: int, python: str = sys.executable) -> dict[str, Any]:
    """One engine on so many subjects."""
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS")}
    command = [python, str(ENGINES), engine, str(subjects)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | threads)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{engine:16} {subjects:>9,} subjects {found['seconds']:8.2f} s {found['memory_mb']:>6} MB", flush=True)
    return found


def lifelines_python(folder: Path) -> str:
    """The Python of an environment with lifelines, made where there is none."""
    place = folder / "lifelines"
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", LIFELINES], check=True)
    return str(python)


def main() -> int:
    """Measure, print the table, say what missed its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=1_000_000)
    parser.add_argument("--loop", type=int, default=2_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "fhir_trial_benchmark")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    sizes = [options.subjects // 4, options.subjects // 2, options.subjects]
    runs = [measured("ours", size)["seconds"] for size in sizes]
    part, plain = measured("ours", options.loop), measured("loop", options.loop)
    curve = measured("our_curve", options.subjects)
    peer = measured("lifelines_curve", options.subjects, lifelines_python(options.folder))
    scaled = plain["seconds"] * options.subjects / options.loop
    missed = {
        f"{runs[-1]:.1f} s for RECIST, best responses and PFS": runs[-1] > LONGEST_SECONDS * options.subjects / 1_000_000,
        f"{curve['seconds']:.2f} s for the curve": curve["seconds"] > LONGEST_CURVE_SECONDS,
        "not linear in subjects": any(after > LARGEST_GROWTH * before for before, after in itertools.pairwise(runs)),
        "the loop gives other figures": part["digest"] != plain["digest"],
        "lifelines has another median": curve["digest"] != peer["digest"],
    }
    print(f"\n| {'what':44} | ours, s | the other, s | ratio |\n|---|--:|--:|--:|")
    print(f"| RECIST, best responses, PFS: pandas loop, scaled | {runs[-1]:.1f} | {scaled:,.0f} | {scaled / runs[-1]:.0f} |")
    print(f"| Kaplan-Meier: lifelines' fit | {curve['seconds']:.2f} | {peer['seconds']:.2f} | {peer['seconds'] / curve['seconds']:.1f} |")
    for text in (text for text, failed in missed.items() if failed):
        print(f"missed: {text}", file=sys.stderr)
    return int(any(missed.values()))


if __name__ == "__main__":
    sys.exit(main())
