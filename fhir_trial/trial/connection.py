"""A FHIR server as something that answers requests: one over HTTP, or the embedded store in a file."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from fhir_trial.config import Server
from fhir_trial.errors import ConfigurationError
from fhir_trial.fhir.http import Exchange, Request, Response, run
from fhir_trial.fhir.versions import DEFAULT, VERSIONS
from fhir_trial.store import Store, handle
from fhir_trial.sync.bulk import NDJSON, Download, Exported, Steps
from fhir_trial.sync.capability import ServerInfo, discover
from fhir_trial.sync.client import Client, drive_steps, save_answer

T = TypeVar("T")

EMBEDDED = "embedded:"
"""A base URL that begins so names the file of an embedded store."""


@dataclass(frozen=True)
class Connection:
    """An open server: `run` drives an exchange with it, `info` is what it says it can do."""

    name: str
    fhir: str
    info: ServerInfo
    send: Callable[[Request], Response]
    close: Callable[[], None]
    client: Client | None = None
    """What talks to it over HTTP; None for a store in this process."""

    def run(self, exchange: Exchange[T]) -> T:
        """Drive an exchange to its end."""
        return run(exchange, self.send)

    def run_all(self, exchanges: Iterable[Exchange[T]]) -> Iterator[T]:
        """Drive several exchanges, over HTTP several at once; their results in order."""
        return self.client.run_all(exchanges) if self.client else map(self.run, exchanges)

    def run_steps(self, steps: Steps) -> Exported:
        """Drive a bulk export to its end."""
        if self.client:
            return self.client.run_steps(steps)

        def fetch(step: Download) -> Response:
            return save_answer(self.send(Request("GET", step.url, {"Accept": NDJSON})), step.path)

        return drive_steps(steps, lambda step: self.send(step.request), time.sleep, fetch)

    def __enter__(self) -> "Connection":
        """The connection itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close it."""
        self.close()


def connect(server: Server, fhir: str | None = None) -> Connection:
    """Open `server` and ask what it can do; a `ConfigurationError` where it does not speak `fhir` (None: a version of ours)."""
    if server.base_url.startswith(EMBEDDED):
        return connect_embedded(Path(server.base_url.removeprefix(EMBEDDED)), fhir or DEFAULT)
    client = Client(server)
    info = client.run(discover(client.base_url, server.research_store, fhir, server.profile))
    return Connection(server.name, fhir or _version_of(info), info, client.send, lambda: client.__exit__(None, None, None), client)


def _version_of(info: ServerInfo) -> str:
    for known in VERSIONS.values():
        if known.number == info.fhir_version:
            return known.name
    raise ConfigurationError(
        f"the server speaks FHIR {info.fhir_version[:12] or '?'}, expected {' or '.join(v.number for v in VERSIONS.values())}"
    )


def connect_embedded(path: Path, fhir: str) -> Connection:
    """Open the embedded store in the file at `path`: a research store, of one study."""
    store = Store(path, fhir)

    # A name, not an address: what is remembered of a sync is kept by it.
    base = f"http://localhost/{path.stem}"

    def send(request: Request) -> Response:
        return handle(store, request, base)

    info = run(discover(base, research_store=True, fhir=fhir), send)
    return Connection("embedded", fhir, info, send, store.close)
