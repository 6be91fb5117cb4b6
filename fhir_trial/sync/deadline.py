"""Connections that obey one deadline and one byte limit, whatever the server does: hang, drip, or never end a header line.

A socket's own timeout starts anew at every byte, so a slow drip outlives it. Here every read gets what is left of the whole exchange.
"""

import io
import socket
import time
from dataclasses import dataclass, field
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


@dataclass
class Budget:
    """What is left for the exchange under way: seconds until `ends_at` (monotonic) and `bytes_left` to receive, headers included."""

    ends_at: float = 0.0
    bytes_left: int = 0
    exhausted: bool = field(default=False)

    def start(self, seconds: float, limit_bytes: int) -> None:
        """Begin an exchange."""
        self.ends_at, self.bytes_left, self.exhausted = time.monotonic() + seconds, limit_bytes, False

    def seconds_left(self) -> float:
        """Seconds left, more than none; `TimeoutError` when there are none."""
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def take(self, count: int) -> None:
        """Count received bytes; `ConnectionAbortedError` when they are more than allowed."""
        self.bytes_left -= count
        if self.bytes_left < 0:
            self.exhausted = True
            raise ConnectionAbortedError


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


def _connections(budget: Budget) -> dict[str, Any]:
    """Pool classes whose connections obey `budget`, by URL scheme."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            self.sock: Any = _Socket(self.sock, budget)

    class Secure(HTTPSConnection):
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
