"""Runs of the loop that tests share: the synthetic cohort, six subjects for what changes the folder, and a store served over HTTP."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from fhir_trial.config import Secret, Server
from fhir_trial.simulate import simulate, write_cohort
from fhir_trial.sources.study_file import load_study
from fhir_trial.store import Store, server
from fhir_trial.trial.demo import COHORTS, Demo, demo

STUDY = COHORTS["a"]
TOKEN = "a-token-of-the-tests"
VERSIONS = ("r4", "r5")


@dataclass(frozen=True)
class Ran:
    """A run of the loop on a synthetic cohort, and the folder it left."""

    out: Path
    fhir: str
    done: Demo

    @property
    def folder(self) -> Path:
        return self.out / STUDY

    def again(self) -> Demo:
        """The same command once more."""
        return demo(self.out, "a", self.fhir)


def small_cohort(folder: Path) -> Path:
    """Six subjects of the study as SDTM."""
    write_cohort(simulate(load_study(STUDY), n=6), folder)
    return folder


@pytest.fixture(scope="session", params=VERSIONS)
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The loop on the whole cohort, run once a version; nobody changes its folder."""
    out = tmp_path_factory.mktemp("demo") / "out"
    return Ran(out, request.param, demo(out, "a", request.param))


@pytest.fixture(scope="session")
def small_runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ran]:
    """The loop on six subjects, run once a version."""

    @cache
    def run(fhir: str) -> Ran:
        out = tmp_path_factory.mktemp("small") / "out"
        small_cohort(out / STUDY / "sdtm")
        return Ran(out, fhir, demo(out, "a", fhir))

    return run


@pytest.fixture
def small(small_runs: Callable[[str], Ran], tmp_path: Path) -> Callable[[str], Ran]:
    """A copy of the run on six subjects in a version: the test's own, store and all."""

    def copy(fhir: str) -> Ran:
        before = small_runs(fhir)
        return Ran(shutil.copytree(before.out, tmp_path / "out"), fhir, before.done)

    return copy


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """An empty R4 server at an address of this machine; only who has `TOKEN` gets in."""
    store = Store(tmp_path / "server.sqlite", "r4")
    running, listening, url = server(store, TOKEN)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield url
    running.should_exit = True
    thread.join(10)
    listening.close()
    store.close()


@pytest.fixture
def named_server(served: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], Server]:
    """The served store as a configuration names it, declared a research store or not."""
    monkeypatch.setenv("TESTS_TOKEN", TOKEN)
    return lambda research_store: Server("served", served, Secret.parse("env:TESTS_TOKEN"), research_store=research_store)
