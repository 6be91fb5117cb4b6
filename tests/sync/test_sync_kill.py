"""kill -9 at random moments of a sync over real connections: the next run finds out and finishes, one copy of everything."""

import random
import subprocess
import sys
import textwrap
import time

import pytest

from fhir_trial.config import Server
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.client import Client
from fhir_trial.sync.folder import read_folder, write_folder
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.push import push
from fhir_trial.testing.fault_server import FaultServer

COUNT = 60
SCRIPT = textwrap.dedent("""
    import sys
    from fhir_trial.config import Server
    from fhir_trial.sync import push
    from fhir_trial.sync.capability import ServerInfo
    from fhir_trial.sync.client import Client
    from fhir_trial.sync.folder import read_folder
    from fhir_trial.sync.journal import Journal

    push.ENTRIES_AT_ONCE = 3
    folder, base_url = sys.argv[1:]
    print("ready", flush=True)
    with Journal.of_folder(folder) as journal, Client(Server("s", base_url, research_store=True)) as client:
        client.run(push.push(read_folder(folder), ServerInfo(base_url, "4.0.1", research_store=True), journal))
""")


@pytest.mark.parametrize("seed", range(3))
def test_one_copy_after_kills(tmp_path, seed: int):
    rows = [{"resourceType": "Observation", "id": f"o-{n:03}", "status": "final"} for n in range(COUNT)]
    write_folder(tmp_path, {"Observation": rows}, "r4")
    server, draw = FaultServer(None), random.Random(seed)
    with server.serving():
        _run_and_kill(tmp_path, server, draw.uniform(0.0, 0.25))
        info = ServerInfo(server.base_url, "4.0.1", research_store=True)
        with Journal.of_folder(tmp_path) as journal, Client(Server("s", server.base_url, research_store=True)) as client:
            report = client.run(push(read_folder(tmp_path), info, journal))
            assert report.is_clean
            assert report.created + report.unchanged == COUNT
            assert client.run(push(read_folder(tmp_path), info, journal)).written == 0
            assert journal.unanswered(server.base_url) == []
    assert len(server.memory.held) == server.memory.writes == COUNT


def _run_and_kill(folder, server: FaultServer, after_seconds: float) -> None:
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder), server.base_url], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "ready\n"
        while process.poll() is None and not any(request.method == "POST" for request in server.memory.log):
            time.sleep(0.001)
        time.sleep(after_seconds)
        process.kill()
