"""Run a task of the project in an environment of its own: `python3 dev.py demo`, `python3 dev.py test`.

Makes `.venv` from the hashed lock where it is absent or out of date, then runs the task there; arguments after the task are passed on.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

if sys.version_info < (3, 11):  # before anything that an older Python would stumble over
    sys.exit("fhir_trial needs Python 3.11 or newer, and this is " + sys.version.split()[0])

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
PROGRAMS = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
PYTHON = PROGRAMS / ("python.exe" if os.name == "nt" else "python")
LOCK = ROOT / "requirements.lock"
STAMP = ENVIRONMENT / "installed-from"
SLOW = ("thorough", "examples", "kill", "hapi", "validator", "notebook", "wheel", "pilot", "r", "spark")
USAGE = """usage: python3 dev.py TASK [ARGUMENT...]

  demo [ARGUMENT...]   the whole loop on the first study; arguments of `fhir-trial demo`
  test [ARGUMENT...]   the tests that need nothing but Python; arguments of pytest
  bench [NAME]         the benchmarks, or one of them
  run PROGRAM ...      any program of the environment
"""


def main(arguments: list[str]) -> int:
    """Run the task that the arguments name; its exit code."""
    tasks = {"demo": demo, "test": test, "bench": bench, "run": run}
    if not arguments or arguments[0] not in tasks:
        print(USAGE, file=sys.stderr)
        return 2
    try:
        install()
        return tasks[arguments[0]](arguments[1:])
    except subprocess.CalledProcessError as error:
        print(f"setting up {ENVIRONMENT} failed: {' '.join(map(str, error.cmd))}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130


def demo(arguments: list[str]) -> int:
    """The whole loop on the first study."""
    return run(["fhir-trial", "demo", *arguments])


def test(arguments: list[str]) -> int:
    """The tests that need no Java, browser or second environment, on every core."""
    return run(
        ["python", "-m", "pytest", "-n", "auto", "--dist", "worksteal", "-m", " and ".join(f"not {name}" for name in SLOW), *arguments],
        ROOT,
    )


def bench(arguments: list[str]) -> int:
    """Each benchmark in turn, or those that are named."""
    scripts = sorted(script for script in (ROOT / "benchmarks").glob("*.py") if "_" not in script.stem)  # the others are their parts
    chosen = [script for script in scripts if not arguments or script.stem in arguments]
    if not chosen:
        print(f"no such benchmark; there are {', '.join(script.stem for script in scripts)}", file=sys.stderr)
        return 2
    return max(run(["python", str(script)], ROOT) for script in chosen)


def run(arguments: list[str], folder: Path | None = None) -> int:
    """A program of the environment, in `folder` or where we are."""
    if not arguments:
        print(USAGE, file=sys.stderr)
        return 2
    program = PROGRAMS / arguments[0]
    return subprocess.run([program, *arguments[1:]], cwd=folder, check=False).returncode


def install() -> None:
    """Bring the environment to what the lock says, unless it is there already."""
    wanted = _digest(LOCK, ROOT / "pyproject.toml")
    if PYTHON.exists() and STAMP.exists() and STAMP.read_text(encoding="utf-8") == wanted:
        return
    print(f"installing into {ENVIRONMENT} (once; a minute or two)", file=sys.stderr, flush=True)
    if not PYTHON.exists():
        venv.create(ENVIRONMENT, with_pip=True, symlinks=os.name != "nt")
    pip: list[str | Path] = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    # The lock is whole, so nothing is resolved: with an extra in some package's needs, older pips look past the lock to the newest release.
    subprocess.run([*pip, "--no-deps", "--require-hashes", "--requirement", LOCK], check=True, stdout=sys.stderr)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--editable", ROOT], check=True, stdout=sys.stderr)
    STAMP.write_text(wanted, encoding="utf-8")


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
