"""Exchanges with a server of the configuration: the transport and the retry loop joined; the only place that sleeps."""

import time
from collections.abc import Callable
from typing import TypeVar

from fhir_trial.config import Server
from fhir_trial.fhir.http import Exchange, Request, Response
from fhir_trial.fhir.http import run as run_with
from fhir_trial.sync.failures import Interrupted
from fhir_trial.sync.retry import Attempt, Attempts, Pause, Policy, attempts
from fhir_trial.sync.transport import LIMIT_BYTES, Transport

T = TypeVar("T")


class Client:
    """Runs exchanges against one server; use it as a context manager, in one thread."""

    def __init__(
        self,
        server: Server,
        policy: Policy | None = None,
        limit_bytes: int = LIMIT_BYTES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Open nothing yet; a wrong base URL is a `ConfigurationError`."""
        self.server = server
        self._policy = policy or Policy(deadline_seconds=server.deadline_seconds)
        self._transport = Transport(server.base_url, server.token.reveal if server.token else None, limit_bytes)
        self._sleep = sleep

    @property
    def base_url(self) -> str:
        """The server's base URL, without a slash at its end."""
        return str(self._transport.origin)

    def run(self, exchange: Exchange[T]) -> T:
        """Drive `exchange` to its end, each of its requests with retries within the server's deadline."""
        return run_with(exchange, self.send)

    def send(self, request: Request) -> Response:
        """The answer to one request, with retries.

        `Unreachable` (4) at the deadline, `Interrupted` where a write's fate is unknown; see `Transport.send` for the rest.
        """
        loop = attempts(request, self._policy, time.monotonic)
        step = next(loop)
        while True:
            try:
                if isinstance(step, Attempt):
                    step = self._attempt(loop, step)
                else:
                    self._sleep(step.seconds)
                    step = next(loop)
            except StopIteration as end:
                answer: Response = end.value
                return answer

    def _attempt(self, loop: Attempts, step: Attempt) -> Attempt | Pause:
        try:
            response = self._transport.send(step.request, step.seconds)
        except Interrupted as error:
            return loop.throw(error)
        return loop.send(response)

    def __enter__(self) -> "Client":
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self._transport.close()

    def __repr__(self) -> str:
        """The server's name and base URL."""
        return f"Client({self.server.name}, {self.base_url})"
