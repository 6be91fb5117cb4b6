"""Connections that obey one deadline and one byte limit, whatever the server does: hang, drip, or never end a header line.

A socket's own timeout starts anew at every byte, so a slow drip outlives it. Here every read gets what is left of the whole exchange.
"""

import io
import socket
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPResponse
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

SLOWEST_BYTES_PER_SECOND = 20_000
"""At what pace a file's time does not count against its deadline: large files come, a drip ends as everything else."""
FILE_SECONDS = 3600.0
"""How long one file may take at any pace."""


@dataclass
class Budget:
    """What is left for the exchange under way: seconds until `ends_at` (by `clock`) and `bytes_left` to receive, headers included."""

    ends_at: float = 0.0
    bytes_left: int = 0
    exhausted: bool = field(default=False)
    is_file: bool = False
    flowing: float = 0.0
    """Seconds, of all exchanges, in which a file came at a good pace."""
    _began: float = 0.0
    _heard: float = 0.0

    def clock(self) -> float:
        """Seconds that only grow, those left out in which a file came at a good pace."""
        return time.monotonic() - self.flowing

    def start(self, seconds: float, limit_bytes: int, is_file: bool = False) -> None:
        """Begin an exchange."""
        self.ends_at, self.bytes_left, self.exhausted, self.is_file = self.clock() + seconds, limit_bytes, False, is_file
        self._began = self._heard = time.monotonic()

    def seconds_left(self) -> float:
        """Seconds left, more than none; `TimeoutError` when there are none."""
        left = self.ends_at - self.clock()
        if left <= 0 or (self.is_file and time.monotonic() - self._began > FILE_SECONDS):
            raise TimeoutError
        return left

    def take(self, count: int) -> None:
        """Count received bytes; `ConnectionAbortedError` when they are more than allowed."""
        self.bytes_left -= count
        if self.bytes_left < 0:
            self.exhausted = True
            raise ConnectionAbortedError
        if self.is_file:
            now = time.monotonic()
            self.flowing += min(now - self._heard, count / SLOWEST_BYTES_PER_SECOND)
            self._heard = now


class _Reader(io.RawIOBase):
    """A socket's raw stream that asks the budget before each read and tells it after."""

    def __init__(self, sock: socket.socket, budget: Budget) -> None:
        self._sock, self._raw, self._budget = sock, sock.makefile("rb", buffering=0), budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._budget.seconds_left())
        count = self._raw.readinto(buffer)
        self._budget.take(count or 0)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Socket:
    """A connected socket, plain or TLS, whose sends and reads obey the budget."""

    def __init__(self, sock: socket.socket, budget: Budget) -> None:
        self._sock, self._budget = sock, budget

    def sendall(self, data: Any) -> None:
        self._sock.settimeout(self._budget.seconds_left())
        self._sock.sendall(data)

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._budget))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Answer(HTTPResponse):
    """An answer without the interim ones (102, 103) before it: taken for the answer, they leave the real one to the next request."""

    def begin(self) -> None:
        """Read the status and headers of the final answer."""
        super().begin()
        while 100 < self.status < 200 and self.status != HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment] # begin() reads on only so
            super().begin()


def _connections(budget: Budget) -> dict[str, Any]:
    """Pool classes whose connections obey `budget`, by URL scheme."""

    class Plain(HTTPConnection):
        response_class = _Answer

        def connect(self) -> None:
            super().connect()
            self.sock: Any = _Socket(self.sock, budget)

    class Secure(HTTPSConnection):
        response_class = _Answer

        def connect(self) -> None:
            super().connect()
            self.sock: Any = _Socket(self.sock, budget)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class BudgetAdapter(HTTPAdapter):
    """A requests adapter whose connections obey `budget`; it never retries and keeps one connection a host."""

    def __init__(self, budget: Budget) -> None:
        """Use `budget` for every exchange of the session."""
        self._classes = _connections(budget)
        super().__init__(pool_connections=2, pool_maxsize=1, max_retries=0, pool_block=True)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool manager as requests does, with our connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._classes

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """The manager for a proxy, with our connections; a proxy other than HTTP's is not used."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._classes
        return manager
