"""Syncs that are killed (SIGKILL) at random moments, over real connections and a real journal, and what is true afterwards."""

import random
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

from fhir_trial.config import Server
from fhir_trial.privacy.audit import AuditLog
from fhir_trial.sync.capability import discover
from fhir_trial.sync.client import Client
from fhir_trial.sync.folder import read_folder, write_folder
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.push import push
from fhir_trial.testing.fault_server import FaultServer
from fhir_trial.testing.hospital import HospitalServer

SCRIPT = textwrap.dedent("""
    import sys
    from fhir_trial.config import Server
    from fhir_trial.privacy.audit import AuditLog
    from fhir_trial.sync.capability import discover
    from fhir_trial.sync.client import Client
    from fhir_trial.sync.folder import read_folder
    from fhir_trial.sync.journal import Journal
    from fhir_trial.sync.push import push

    folder, base_url = sys.argv[1:]
    print("ready", flush=True)
    with Journal.of_folder(folder) as journal, Client(Server("s", base_url)) as client, AuditLog.of_folder(folder).doing("sync"):
        info = client.run(discover(base_url, research_store=True))
        client.run(push(read_folder(folder), info, journal))
""")


@dataclass(frozen=True)
class End:
    """How a sync that was killed ended, after the last run was left alone."""

    count: int
    held: int
    """Resources of ours that the server holds, copies counted."""
    different: int
    """Of how many business identifiers."""
    writes: int
    """What changed something on the server: one a resource, and no more."""
    kills: int
    kills_while_writing: int
    is_clean: bool
    written_again: int
    unanswered: int
    chain_problems: int

    @property
    def is_good(self) -> bool:
        """One copy of everything, nothing lost, nothing written twice, the chain intact."""
        once = self.count == self.held == self.different == self.writes
        return once and self.is_clean and not (self.written_again or self.unanswered or self.chain_problems)


def cohort(count: int) -> dict[str, list[dict]]:
    """So many observations, each with a business identifier, of one patient whom the server has."""
    rows = [
        {
            "resourceType": "Observation",
            "id": f"o-{n:05}",
            "identifier": [{"system": "urn:o", "value": str(n)}],
            "status": "final",
            "category": [{"coding": [{"code": "laboratory"}]}],
            "subject": {"reference": "Patient/7"},
            "valueInteger": n,
        }
        for n in range(count)
    ]
    return {"Observation": rows}


def killed(folder: Path, seed: int, count: int, hospital: bool) -> End:
    """Kill a sync up to three times, then let it end; `hospital`: on a server that gives ids of its own, one POST a resource."""
    write_folder(folder, cohort(count), "r4")
    server, draw = FaultServer(None), random.Random(seed)
    if hospital:
        server.memory = HospitalServer(server.base_url)
    server.memory.held["Patient/7"] = {"resourceType": "Patient", "id": "7", "meta": {"versionId": "1"}}
    server.memory.page_size = 1000
    kills = while_writing = 0
    with server.serving():
        for _ in range(draw.choice((1, 1, 2, 3))):
            was_alive, was_writing = _run_and_kill(folder, server, draw)
            kills, while_writing = kills + was_alive, while_writing + was_writing
        with Client(Server("s", server.base_url)) as client, Journal.of_folder(folder) as journal:
            info = client.run(discover(server.base_url, research_store=True))
            report = client.run(push(read_folder(folder), info, journal))
            again = client.run(push(read_folder(folder), info, journal))
            unanswered = len(journal.unanswered(server.base_url))
    ours = [row for row in server.memory.held.values() if row["resourceType"] == "Observation"]
    return End(
        count=count,
        held=len(ours),
        different=len({row["identifier"][0]["value"] for row in ours}),
        writes=server.memory.writes,
        kills=kills,
        kills_while_writing=while_writing,
        is_clean=report.is_clean and again.is_clean,
        written_again=again.written,
        unanswered=unanswered,
        chain_problems=len(AuditLog.of_folder(folder).verify()),
    )


def _run_and_kill(folder: Path, server: FaultServer, draw: random.Random) -> tuple[bool, bool]:
    """Start a sync and kill it at a random moment, mostly while it writes; whether it was still running, and had begun to write."""
    before = sum(request.method in ("POST", "PUT") for request in server.memory.log)
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder), server.base_url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if draw.random() < 0.9:
            while process.poll() is None and sum(r.method in ("POST", "PUT") for r in server.memory.log) == before:
                time.sleep(0.002)
        time.sleep(draw.uniform(0.0, 0.8) ** 2)
        was_alive = process.poll() is None
        process.kill()
    return was_alive, was_alive and sum(r.method in ("POST", "PUT") for r in server.memory.log) > before
