"""Environments of the engines that are compared, each apart: they pin versions that this package does not have."""

import hashlib
import os
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path

OURS = tuple(f"{name}=={version(name)}" for name in ("pandas", "pyarrow"))
"""Loops written by hand end in the DataFrame that this package's views end in."""
PACKAGES = {
    "orjson": ("orjson==3.13.0", *OURS),
    "fhir_pyrate": ("fhir-pyrate==0.2.6",),
    "fhiry": ("fhiry==5.2.2",),
    "fhirpy": ("fhirpy==2.3.1",),
    "fhirclient": ("fhirclient==4.4.0",),
    "fhirpathpy": ("fhirpathpy==2.2.4", *OURS),
}
"""What each needs, in the versions that were measured."""


def cache_folder() -> Path:
    """The user's cache folder for these benchmarks."""
    base = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("LOCALAPPDATA") if os.name == "nt" else None) or Path.home() / ".cache"
    return Path(base) / "fhir_trial-benchmarks"


def python_of(name: str) -> str:
    """The Python of an environment, made once; raises `CalledProcessError` where it cannot be."""
    wanted = "\n".join([sys.version, *PACKAGES[name]])
    folder = cache_folder() / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "complete"
    if not stamp.exists():
        print(f"installing {' '.join(PACKAGES[name])} into {folder} (once)", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True, clear=True, symlinks=os.name != "nt")
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *PACKAGES[name]]
        subprocess.run(pip, check=True, stdout=sys.stderr)
        stamp.touch()
    return str(python)
