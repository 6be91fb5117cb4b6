"""The mutation run's own parts: what it changes, what it puts in, and that every survivor has its reason."""

import csv
import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fhir_trial.endpoints.confirmation import confirming
from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.response_codes import PR

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def mutation() -> Any:
    spec = importlib.util.spec_from_file_location("endpoints_mutation", HERE / "mutation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_survivor_has_a_reason() -> None:
    with (HERE / "mutation.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [
        row for row in rows if row["result"] not in ("caught", "survived") or (row["result"] == "survived") != bool(row["reason"])
    ] == []


def test_files_and_tests_of_the_run_exist(mutation: Any) -> None:
    assert all((mutation.ROOM / file).exists() for file in mutation.TESTS)
    assert all((HERE / test).exists() for tests in mutation.TESTS.values() for test in tests)


def test_a_threshold_a_clause_and_a_case_are_changed(mutation: Any) -> None:
    changes = {mutant.change for mutant in mutation.mutants("target_response.py")}
    assert "increase >= LEAST_INCREASE -> increase > LEAST_INCREASE" in changes
    assert "rose & complete -> complete" in changes
    assert "5 * PER_MM -> 6 * PER_MM" not in changes
    assert "5 -> 6" in changes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a mutant lives in a fork")
def test_a_mutant_is_put_into_a_fork_alone(mutation: Any) -> None:
    """A least time that must be exceeded no longer confirms on its day: in the fork, and nowhere else."""
    change = "day[start + step] - day[start] >= conventions.confirm_days -> day[start + step] - day[start] > conventions.confirm_days"
    mutant = next(m for m in mutation.mutants("confirmation.py") if m.change == change)

    def confirmed() -> bool:
        return bool(confirming(np.array([PR, PR]), np.zeros(2, int), np.array([0, 28]), preset("protocol"))[0] == 1)

    child = os.fork()
    if child == 0:
        mutation.install(mutant)
        os._exit(int(confirmed()))
    assert os.waitpid(child, 0)[1] == 0
    assert confirmed()
