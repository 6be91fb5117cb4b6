"""One measurement of `sync.py`, as a line of JSON: `rates SERVER FOLDER COUNT`, `pull FOLDER COUNT`, and of syncs
`folder FOLDER COUNT` once, then `sync FOLDER` again and again: the first one writes, the next ones find everything unchanged."""

import json
import resource
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fhir_trial.config import Server
from fhir_trial.fhir import bundles
from fhir_trial.fhir.http import Request, Response, run
from fhir_trial.fhir.json import encode
from fhir_trial.store import Store, handle
from fhir_trial.sync.capability import ServerInfo, discover
from fhir_trial.sync.client import Client
from fhir_trial.sync.folder import FolderWriter, read_folder
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.pull import pull
from fhir_trial.sync.push import push, push_spooled
from fhir_trial.sync.spool import Spool
from fhir_trial.trial.connection import connect_embedded

Send = Callable[[Request], Response]
SYSTEM = "urn:fhir-trial:bench/"
BASE = "http://localhost/fhir"
EACH = 50
"""Observations of one patient."""


def resources(count: int, study: str) -> Iterator[dict[str, Any]]:
    """Patients and their measurements, `count` in all."""

    def made(kind: str, key: str, **more: object) -> dict[str, Any]:
        identifier = {"system": SYSTEM + kind.lower(), "value": key}
        return {"resourceType": kind, "id": str(uuid.uuid5(uuid.NAMESPACE_URL, SYSTEM + kind + key)), "identifier": [identifier], **more}

    person: dict[str, Any] = {}
    for number in range(count):
        if number % EACH == 0:
            person = made("Patient", f"{study}/{number // EACH}", gender="female", birthDate="1960")
            yield person
            continue
        code = {"coding": [{"system": "http://loinc.org", "code": "21889-1"}], "text": "longest diameter"}
        subject = {"reference": f"Patient/{person['id']}", "identifier": person["identifier"][0]}
        value = {"value": number % 90, "unit": "mm", "system": "http://unitsofmeasure.org", "code": "mm"}
        yield made(
            "Observation",
            f"{study}/{number}",
            status="final",
            code=code,
            subject=subject,
            effectiveDateTime="2025-03-01",
            valueQuantity=value,
        )


class Timed:
    """A server whose time is taken."""

    def __init__(self, send: Send) -> None:
        """Nothing is taken yet."""
        self.send, self.seconds = send, 0.0

    def __call__(self, request: Request) -> Response:
        """The answer; the time until it is there."""
        started = time.perf_counter()
        try:
            return self.send(request)
        finally:
            self.seconds += time.perf_counter() - started


def rates(server: str, folder: str, count: int) -> dict[str, Any]:
    """Push and pull through one sender."""
    if server == "embedded":
        store = Store(Path(folder) / "store.sqlite", "r4")
        return _rates(lambda request: handle(store, request, BASE), BASE, count)
    with Client(Server("bench", server, research_store=True, deadline_seconds=300)) as client:
        return _rates(client.send, client.base_url, count)


def _rates(send: Send, base_url: str, count: int) -> dict[str, Any]:
    info, study = run(discover(base_url, research_store=True), send), uuid.uuid4().hex
    rows, found = list(resources(count, study)), dict[str, Any]()
    with Journal(":memory:") as journal:
        found["push"] = _taken(Timed(send), lambda timed: run(push(rows, info, journal), timed).created)
    found["pull"] = _taken(Timed(send), lambda timed: sum(run(pull(["Patient", "Observation"], lambda *_: None), timed).counts.values()))
    return found


def _taken(timed: Timed, act: Callable[[Timed], int]) -> dict[str, Any]:
    started = time.perf_counter()
    count = act(timed)
    seconds = time.perf_counter() - started
    return {"count": count, "seconds": seconds, "waiting": timed.seconds, "own": seconds - timed.seconds}


def filled(folder: str, count: int) -> tuple[Store, ServerInfo]:
    """A store that holds so many resources, put there outside of what is measured."""
    store = Store(Path(folder) / "store.sqlite", "r4", validate=None)
    rows = resources(count, "many")
    while batch := [row for _, row in zip(range(1000), rows, strict=False)]:
        body = encode(bundles.bundle("transaction", [bundles.update(row) for row in batch]))
        answer = handle(store, Request("POST", "", {"Content-Type": "application/fhir+json"}, body), BASE)
        assert answer.is_success, answer.body[:500]
    return store, run(discover(BASE, research_store=True), lambda request: handle(store, request, BASE))


def folder_of(folder: str, count: int) -> dict[str, Any]:
    """The resources as a folder, `FOLDER/in`."""
    with FolderWriter(Path(folder) / "in") as writer:
        for row in resources(count, "many"):
            writer.take(row["resourceType"], [row])
        writer.finish("r4")
    return {}


def synced(folder: str) -> dict[str, Any]:
    """A sync of a folder with an embedded store in this process, as the command does it."""
    started, source = time.perf_counter(), Path(folder) / "in"
    connection = connect_embedded(Path(folder) / "store.sqlite", "r4")
    with connection, Journal.of_folder(source) as journal, Spool.of(read_folder(source)) as ours:
        report = connection.run(push_spooled(ours, connection.info, journal))
    assert report.is_clean
    return {"seconds": time.perf_counter() - started, "processor": time.process_time(), "written": report.written}


def pulled(folder: str, count: int) -> dict[str, Any]:
    """A pull into a folder, and the folder read again."""
    store, _ = filled(folder, count)
    started = time.perf_counter()
    with FolderWriter(Path(folder) / "out") as writer:
        run(pull(["Patient", "Observation"], writer.take), lambda request: handle(store, request, BASE))
        writer.finish("r4")
    assert sum(1 for _ in read_folder(Path(folder) / "out")) == count
    return {"seconds": time.perf_counter() - started}


def main(what: str, *arguments: str) -> None:
    """Measure, and say it with the peak of this process's memory."""
    if what == "rates":
        found = rates(arguments[0], arguments[1], int(arguments[2]))
    elif what == "sync":
        found = synced(arguments[0])
    else:
        found = {"pull": pulled, "folder": folder_of}[what](arguments[0], int(arguments[1]))
    found["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
