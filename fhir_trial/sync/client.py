"""Exchanges with a server of the configuration: the transport and the retry loop joined; the only place that sleeps."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from fhir_trial.config import Server
from fhir_trial.errors import Unreachable
from fhir_trial.fhir.http import Exchange, Request, Response
from fhir_trial.fhir.http import run as run_with
from fhir_trial.sync.bulk import BUSY, NDJSON, Ask, Download, Exported, Steps, Wait
from fhir_trial.sync.failures import ForeignLink, Interrupted
from fhir_trial.sync.limits import LIMIT_BYTES
from fhir_trial.sync.retry import Attempt, Attempts, Pause, Policy, attempts
from fhir_trial.sync.sign_in import SignIn, sign_in_for
from fhir_trial.sync.transport import Transport

T = TypeVar("T")
Send = Callable[[Request, float], Response]
WORKERS = 8
"""Searches at once; one search reads its pages one after the other."""


class Client:
    """Runs exchanges against one server; use it as a context manager, in one thread (`run_all` uses threads of its own)."""

    def __init__(
        self,
        server: Server,
        policy: Policy | None = None,
        limit_bytes: int = LIMIT_BYTES,
        sleep: Callable[[float], None] = time.sleep,
        sign_in: SignIn | None = None,
    ) -> None:
        """Open nothing yet; a wrong base URL is a `ConfigurationError`. `sign_in` None is what the configuration says."""
        self.server = server
        self._policy = policy or Policy(deadline_seconds=server.deadline_seconds)
        self._limit_bytes, self._sleep = limit_bytes, sleep
        self._sign_in = sign_in or sign_in_for(server)
        self._transport = Transport(server.base_url, self._sign_in.authorization, limit_bytes)

    @property
    def base_url(self) -> str:
        """The server's base URL, without a slash at its end."""
        return str(self._transport.origin)

    def run(self, exchange: Exchange[T]) -> T:
        """Drive `exchange` to its end, each of its requests with retries within the server's deadline."""
        return run_with(exchange, self.send)

    def run_all(self, exchanges: Iterable[Exchange[T]], workers: int = WORKERS) -> Iterator[T]:
        """Drive several exchanges at once; their results in the order given, whatever the order in which they end.

        The first failure ends all: those under way stop before their next request.
        """
        stop, failures = threading.Event(), list[Exception]()

        def drive(exchange: Exchange[T]) -> T:
            try:
                return self._run_apart(exchange, stop)
            except Exception as error:
                failures.append(error)
                stop.set()
                raise failures[0] from None

        with ThreadPoolExecutor(workers) as pool:
            waiting: deque[Future[T]] = deque()
            try:
                for exchange in exchanges:
                    waiting.append(pool.submit(drive, exchange))
                    if len(waiting) >= 2 * workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                stop.set()
                for future in waiting:
                    future.cancel()

    def _run_apart(self, exchange: Exchange[T], stop: threading.Event) -> T:
        """Drive an exchange over a connection of its own."""

        def go_on() -> None:
            if stop.is_set():
                raise Unreachable("another search ended first")

        def sleep(seconds: float) -> None:
            go_on()
            self._sleep(seconds)

        with Client(self.server, self._policy, self._limit_bytes, sleep, self._sign_in) as client:
            client._transport.share(stop.is_set)

            def send(request: Request) -> Response:
                go_on()
                return client.send(request)

            return run_with(exchange, send)

    def run_steps(self, steps: Steps) -> Exported:
        """Drive a bulk export to its end: requests, waits and files."""
        return drive_steps(steps, self._ask, self._sleep, self.download)

    def _ask(self, step: Ask) -> Response:
        if step.seconds is None:
            return self.send(step.request)
        policy = replace(self._policy, deadline_seconds=min(step.seconds, self._policy.deadline_seconds), handed_over=BUSY)
        return self._drive(step.request, policy, self._signed)

    def download(self, step: Download) -> Response:
        """Bring a file here, with retries; one on another host only where the configuration allows that, and without the token."""
        transport = self._transport_for(step)
        request = Request("GET", step.url, {"Accept": NDJSON})
        try:
            return self._drive(request, self._policy, lambda asked, seconds: transport.download(asked, seconds, step.path), transport.clock)
        finally:
            if transport is not self._transport:
                transport.close()

    def _transport_for(self, step: Download) -> Transport:
        """The connection that may fetch a file; `ForeignLink` where none may."""
        try:
            self._transport.origin.resolve(step.url)
        except ForeignLink:
            for base_url in self.server.file_hosts:
                transport = Transport(base_url)
                try:
                    transport.origin.resolve(step.url)
                except ForeignLink:
                    continue
                return transport
            raise
        return self._transport if step.signed else Transport(self.server.base_url)

    def send(self, request: Request) -> Response:
        """The answer to one request, with retries.

        `Unreachable` (4) at the deadline, `Interrupted` where a write's fate is unknown; see `Transport.send` for the rest.
        """
        return self._drive(request, self._policy, self._signed)

    def _signed(self, request: Request, seconds: float) -> Response:
        """The answer; after a 401, which means that the server did not act, once more with another token if there is one."""
        ends_at, used = time.monotonic() + seconds, self._sign_in.authorization()
        response = self._transport.send(request, seconds)
        if response.status != 401 or not self._sign_in.renew(used):
            return response
        return self._transport.send(request, max(ends_at - time.monotonic(), 0.001))

    def _drive(self, request: Request, policy: Policy, send: Send, clock: Callable[[], float] = time.monotonic) -> Response:
        loop = attempts(request, policy, clock)
        step = next(loop)
        while True:
            try:
                if isinstance(step, Attempt):
                    step = _attempt(loop, step, send)
                else:
                    self._sleep(step.seconds)
                    step = next(loop)
            except StopIteration as end:
                answer: Response = end.value
                return answer

    def __enter__(self) -> "Client":
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self._transport.close()

    def __repr__(self) -> str:
        """The server's name and base URL."""
        return f"Client({self.server.name}, {self.base_url})"


def _attempt(loop: Attempts, step: Attempt, send: Send) -> Attempt | Pause:
    try:
        response = send(step.request, step.seconds)
    except Interrupted as error:
        return loop.throw(error)
    return loop.send(response)


def drive_steps(
    steps: Steps, ask: Callable[[Ask], Response], sleep: Callable[[float], None], download: Callable[[Download], Response]
) -> Exported:
    """Drive a bulk export: what a step raises is raised where the generator stands, which may go on."""
    try:
        step = next(steps)
        while True:
            if isinstance(step, Wait):
                sleep(step.seconds)
                step = next(steps)
                continue
            try:
                response = ask(step) if isinstance(step, Ask) else download(step)
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(response)
    except StopIteration as end:
        exported: Exported = end.value
        return exported


def save_answer(response: Response, path: Path) -> Response:
    """Write a good answer's body to `path`: how a server in this process gives a file."""
    if response.is_success:
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(response.body)
        part.replace(path)
    return response
