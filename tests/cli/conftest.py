import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from loop_runs import served, small, small_cohort, small_runs

from fhir_trial.cli.main import run

__all__ = ["served", "small", "small_runs"]


@dataclass(frozen=True)
class Said:
    """How a command ended: its exit code, what went to stdout and what to stderr."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`command("to-fhir", folder, ...)` in an empty folder of its own; what it says never holds a traceback."""
    monkeypatch.chdir(tmp_path)

    def go(*arguments: object) -> Said:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Said(code, out, err)

    return go


@pytest.fixture(scope="session")
def sdtm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six subjects of the synthetic cohort as SDTM; nobody changes it."""
    return small_cohort(tmp_path_factory.mktemp("cohort") / "sdtm")


@pytest.fixture
def spoiled(sdtm: Path, tmp_path: Path) -> Path:
    """A copy of the cohort for a test to spoil."""
    return shutil.copytree(sdtm, tmp_path / "spoiled")


@pytest.fixture(scope="session")
def fhir_folders(sdtm: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The cohort as FHIR in each version, as `to-fhir` writes it; nobody changes them."""
    folder = tmp_path_factory.mktemp("fhir")
    for fhir in ("r4", "r5"):
        assert run(["to-fhir", str(sdtm), "--study", "NCT05189483", "--fhir", fhir, "--out", str(folder / fhir)]) == 0
    return {fhir: folder / fhir for fhir in ("r4", "r5")}
