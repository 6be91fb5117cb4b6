import csv
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests

from fhir_trial.fhir.http import Request, Response
from fhir_trial.store import Store, handle

HERE = Path(__file__).parent


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("contract_probe_table", HERE / "probe_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


table = _load()
with (HERE / "embedded.csv").open(encoding="utf-8", newline="") as lines:
    REFUSED = {row["probe"]: int(row["status"]) for row in csv.DictReader(lines)}


def _over_http(base: str) -> Callable[[Request], Response]:
    def send(request: Request) -> Response:
        url = request.url if request.url.startswith("http") else f"{base}/{request.url}".rstrip("/")
        answer = requests.request(request.method, url, headers=dict(request.headers), data=request.body, timeout=120)
        return Response(answer.status_code, dict(answer.headers), answer.content)

    return send


def _hapi(request: pytest.FixtureRequest, release: str) -> str:
    """The base url of a real HAPI server: from the environment, else from the fixture that starts one."""
    if url := os.environ.get(f"FHIR_TRIAL_HAPI_{release.upper()}"):
        return url.rstrip("/")
    try:
        return str(request.getfixturevalue("hapi_server")(release)).rstrip("/")
    except pytest.FixtureLookupError:
        pytest.skip(f"no HAPI server: FHIR_TRIAL_HAPI_{release.upper()} names none")


SERVERS = [
    pytest.param(("embedded", "r4"), id="embedded-r4"),
    pytest.param(("embedded", "r5"), id="embedded-r5"),
    pytest.param(("hapi", "r4"), id="hapi-r4", marks=pytest.mark.hapi),
    pytest.param(("hapi", "r5"), id="hapi-r5", marks=pytest.mark.hapi),
]


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any]]:
    """The kind of server, and a world on it."""
    kind, release = request.param
    if kind == "embedded":
        store = Store(":memory:", release)
        world = table.World(release, lambda asked: handle(store, asked))
        world.settle()
        yield kind, world
        store.close()
    else:
        world = table.World(release, _over_http(_hapi(request, release)))
        world.settle()
        yield kind, world


@pytest.mark.parametrize("probe", table.PROBES, ids=lambda probe: probe.name)
def test_a_server_answers_as_the_table_says_or_refuses_as_its_own_table_says(server: tuple[str, Any], probe: Any) -> None:
    kind, world = server
    answer = probe.ask(world)
    if kind == "embedded" and probe.name in REFUSED:
        assert answer.status == REFUSED[probe.name]
        assert answer.json()["resourceType"] == "OperationOutcome"
        return
    assert answer.status in probe.statuses, answer.body[:600]
    assert probe.holds(world, answer), answer.body[:600]


def test_the_table_of_refusals_names_probes() -> None:
    names = [probe.name for probe in table.PROBES]
    assert len(set(names)) == len(names)
    assert set(REFUSED) <= set(names)
