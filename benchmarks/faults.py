"""This client and others against the same broken server: who loses rows, repeats them, waits for ever, or tells a stranger.

`python benchmarks/faults.py`; each client runs in an environment of its own, made once, and each fault in a process of its own.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from faults_client import TOKEN
from frames_environments import python_of

from fhir_trial.testing.fault_server import FaultServer
from fhir_trial.testing.faults import READ_FAULTS, WRITE_FAULTS, Fault

CLIENTS: dict[str, Callable[[], str]] = {
    "fhir_trial": lambda: sys.executable,
    "fhirpy": lambda: python_of("fhirpy"),
    "fhirclient": lambda: python_of("fhirclient"),
    "fhir_pyrate": lambda: python_of("fhir_pyrate"),
}
ROWS = 25
SECONDS = 20
"""After which a client is taken to wait for ever: fhir_trial's own deadline in these runs is 4."""
READ = (
    *("no fault", "429 once", "503 once", "502 once", "503 for ever", "reset before the answer, once", "body cut with a length, once"),
    *(
        "hang for ever",
        "slow drip of the body",
        "gzip bomb",
        "HTML with 200",
        "empty 200",
        "not a Bundle",
        "an error among the rows",
        "a row missing",
    ),
    *("a total too high", "next link on another host", "next link with the base URL in its query", "next link with the host as user"),
    *("next link to itself", "next link back to the first page", "pages without end", "a page repeated", "307 to another host"),
)
WRITE = ("504 after the server acted", "reset after the server acted", "307 of a write to another host")
ONLY_READS = frozenset({"fhir_pyrate"})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", action="append", choices=CLIENTS, help="only these")
    names = parser.parse_args().client or list(CLIENTS)
    pythons = {name: CLIENTS[name]() for name in names}
    print(f"| fault | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for mode, faults in (("read", READ), ("write", WRITE)):
        for fault in faults:
            with ThreadPoolExecutor(2) as pool:  # most of them wait
                cells = list(pool.map(lambda name, m=mode, f=fault: one(name, pythons[name], m, f), names))
            print(f"| {fault} | {' | '.join(cells)} |", flush=True)


def one(name: str, python: str, mode: str, fault: str) -> str:
    """What one client makes of one fault, in words."""
    if mode == "write" and name in ONLY_READS:
        return "-"
    server = FaultServer(_fault(mode, fault))
    server.hold([{"resourceType": "Observation", "id": f"o-{n:03}", "status": "final", "code": {"text": "size"}} for n in range(ROWS)])
    with server.serving():
        said = run(python, name, server.base_url, mode)
    return "; ".join(filter(None, (_strangers(server), _memory(said), _copies(server, said) if mode == "write" else _rows(said))))


def _fault(mode: str, name: str) -> Fault | None:
    known = READ_FAULTS if mode == "read" else WRITE_FAULTS
    if name == "no fault":
        return None
    return known[name]


def run(python: str, name: str, url: str, mode: str) -> dict[str, Any]:
    """The client's own words; none where it had to be ended."""
    script = Path(__file__).with_name("faults_client.py")
    try:
        done = subprocess.run([python, str(script), name, url, mode], capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return {}
    for line in reversed(done.stdout.splitlines()):
        with suppress(ValueError):
            said = json.loads(line)
            if isinstance(said, dict):
                return said
    return {"error": "the process ended"}


def _strangers(server: FaultServer) -> str:
    """What reached the host beside the server."""
    if not server.heard:
        return ""
    told = [
        name
        for name, was in (("token", any(TOKEN in str(h) for _, h, _ in server.heard)), ("data", any(b for _, _, b in server.heard)))
        if was
    ]
    return f"**{' and '.join(told)} sent elsewhere**" if told else "asks elsewhere"


def _memory(said: dict[str, Any]) -> str:
    return f"**{said['megabytes']} MB**" if said.get("megabytes", 0) > 300 else ""


def _rows(said: dict[str, Any]) -> str:
    if not said:
        return f"**> {SECONDS} s**"
    if "error" in said:
        return f"raises {said['error']}"
    rows = said["rows"]
    if len(set(rows)) != len(rows):
        return f"**{len(rows)} rows, {len(set(rows))} unique**"
    return "ok" if len(rows) == ROWS else f"**{len(rows)} of {ROWS} rows, silently**"


def _copies(server: FaultServer, said: dict[str, Any]) -> str:
    if not said:
        return f"**> {SECONDS} s**"
    copies = len(server.memory.held) - ROWS
    words = f"raises {said['error']}" if "error" in said else "ok"
    return f"**{copies} copies**" if copies > 1 else words if copies == 1 or "error" in said else "**nothing written, silently**"


if __name__ == "__main__":
    main()
