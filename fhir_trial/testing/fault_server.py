"""A FHIR server on loopback that plays one fault, and another beside it that must never hear of anything."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fhir_trial.fhir.http import Request, Response
from fhir_trial.testing.acts import abort
from fhir_trial.testing.faults import Fault
from fhir_trial.testing.memory_server import MemoryServer, Resource

PAGE_SIZE = 10


class FaultServer:
    """A running server: `base_url` is where it is, `memory` what it holds, `heard` what came to the host beside it."""

    def __init__(self, fault: Fault | None, transactions: bool = True) -> None:
        """Bind both to free ports; they serve once `serving` is entered."""
        self.fault, self.heard = fault, list[tuple[str, dict[str, str], bytes]]()
        self.over = threading.Event()
        self._left = fault.times if fault else 0
        self._main, self._other = _Http(_Main, self), _Http(_Elsewhere, self)
        self.base_url = f"http://127.0.0.1:{self._main.server_port}/fhir"
        self.elsewhere = f"http://127.0.0.1:{self._other.server_port}/fhir"
        self.memory = MemoryServer(self.base_url, PAGE_SIZE, transactions)
        self._answers = 0

    def hold(self, resources: Sequence[Resource]) -> None:
        """Put resources on the server before anything is broken."""
        for resource in resources:
            self.memory.held[f"{resource['resourceType']}/{resource['id']}"] = resource

    def strikes(self, request: Request) -> bool:
        """Whether the fault happens to this request, which uses up one of its times."""
        fault = self.fault
        if fault is None or self._left == 0 or not self._concerns(fault, request):
            return False
        if self._left is not None:
            self._left -= 1
        return True

    def _concerns(self, fault: Fault, request: Request) -> bool:
        if fault.where == "write":
            return request.method != "GET"
        is_search = request.method == "GET" and "/Observation?" in request.url
        return is_search and ("_offset=10" in request.url if fault.where == "page" else "_offset" not in request.url)

    @contextmanager
    def serving(self) -> Iterator["FaultServer"]:
        """Serve until the block ends, in threads that end with it."""
        for http in (self._main, self._other):
            threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield self
        finally:
            self.over.set()
            for http in (self._main, self._other):
                http.shutdown()
                http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, handler: type[BaseHTTPRequestHandler], owner: FaultServer) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.owner = owner

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up on a broken server does right."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def log_message(self, *_: Any) -> None:
        pass

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))


class _Elsewhere(_Handler):
    """Takes note of whatever reaches it and answers as a helpful server would."""

    def _note(self) -> None:
        self.server.owner.heard.append((self.path, dict(self.headers), self._body()))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = do_PUT = do_DELETE = _note  # noqa: N815 - the names that http.server calls


class _Main(_Handler):
    """Answers from the memory server, or plays the fault; it is the `Answer` that acts are given."""

    @property
    def elsewhere(self) -> str:
        return self.server.owner.elsewhere

    @property
    def base_url(self) -> str:
        return self.server.owner.base_url

    def _serve(self) -> None:
        owner = self.server.owner
        url = f"http://{self.headers['Host']}{self.path}"
        self.request_seen = Request(self.command, url, dict(self.headers), self._body() or None)
        with suppress(OSError, ValueError):
            if owner.fault is not None and owner.strikes(self.request_seen):
                owner.fault.act(self)
            else:
                self.send(self.normal())
            self.wfile.flush()

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the names that http.server calls

    def normal(self) -> Response:
        return self.server.owner.memory.handle(self.request_seen)

    def send(self, response: Response) -> None:
        self.send_response_only(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.header("Date") is None:
            self.send_header("Date", self.date_time_string())
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    def raw(self, data: bytes) -> None:
        if self.server.owner.over.is_set():
            raise OSError
        self.close_connection = True
        self.wfile.write(data)

    def close(self, reset: bool = False) -> None:
        self.close_connection = True
        self.wfile.flush()
        if reset:
            abort(self.connection)

    def wait(self) -> None:
        self.close_connection = True
        self.server.owner.over.wait(60)
