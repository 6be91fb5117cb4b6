"""A FHIR server as something that answers requests: one over HTTP, or the embedded store in a file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from fhir_trial.config import Server
from fhir_trial.errors import ConfigurationError
from fhir_trial.fhir.http import Exchange, Request, Response, run
from fhir_trial.fhir.versions import DEFAULT, VERSIONS
from fhir_trial.store import Store, handle
from fhir_trial.sync.capability import ServerInfo, discover
from fhir_trial.sync.client import Client

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

    def run(self, exchange: Exchange[T]) -> T:
        """Drive an exchange to its end."""
        return run(exchange, self.send)

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
    return Connection(server.name, fhir or _version_of(info), info, client.send, lambda: client.__exit__(None, None, None))


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
