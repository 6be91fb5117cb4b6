"""The built wheel, installed into a fresh environment and used from another folder."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TRAVELS = ("mappings", "studies", "notebooks")
pytestmark = pytest.mark.wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the wheel; what it depends on is this environment's, never the checkout."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    python = programs / ("python.exe" if os.name == "nt" else "python")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    inside = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True, capture_output=True, text=True
    )
    # Path files of the other environment are not read, so the editable install there stays out of sight.
    (Path(inside.stdout.strip()) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return programs


def test_every_data_file_is_in_the_wheel(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(["git", "ls-files", "fhir_trial", *TRAVELS], cwd=ROOT, check=True, capture_output=True, text=True)
    wanted = {name if name.startswith("fhir_trial/") else f"fhir_trial/_data/{name}" for name in tracked.stdout.splitlines()}
    assert {name for name in wanted if name.endswith((".yaml", ".json", ".json.gz", ".xsd", ".ipynb"))}
    assert wanted - held == set()
    assert {name.partition("/")[0] for name in held} == {"fhir_trial", wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info"}


def test_the_installed_package_is_the_one_that_is_used(environment: Path, tmp_path: Path) -> None:
    program = "import fhir_trial, fhir_trial.data_files as d; print(fhir_trial.__file__); print(d.data_dir('mappings'))"
    said = subprocess.run([environment / "python", "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert all(Path(line).is_relative_to(environment.parent) for line in said.stdout.splitlines())


def test_the_demo_runs_from_another_folder(environment: Path, tmp_path: Path) -> None:
    run = subprocess.run(
        [environment / "fhir-trial", "demo", "--out", "here"], cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert "SYNTHETIC" in run.stdout
    assert list((tmp_path / "here").rglob("*.ndjson"))
    assert list((tmp_path / "here").rglob("results.xml"))
