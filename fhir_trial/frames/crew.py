"""Worker processes that share a large source: programs on pipes, so that the caller's script, notebook and threads do not matter.

The answers are taken in the order of the pieces, so rows and findings are those of one process.
"""

import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import IO, Protocol

import msgspec
import pyarrow as pa

from fhir_trial.errors import FhirTrialError
from fhir_trial.frames.messages import Answer, Part, Recipe, Task, Text, receive, send
from fhir_trial.frames.reading import Document, Lines, Piece

ALONE_BYTES = 64 << 20
"""What is read before workers are started: a source that ends here is done before they would be ready."""

_PIPE_BYTES = 1 << 20
"""Asked of the pipes, where the system lets: the fewer stops on the way, the better (a tenth of all the time)."""

_PIPE_OF_THE_SYSTEM = -1


class Runner(Protocol):
    """A view that is ready to run."""

    schema: pa.Schema

    @property
    def recipe(self) -> Recipe:
        """What a worker makes the same runner of."""

    def parts(self, piece: Piece) -> Iterator[Part]:
        """The rows of one piece."""


def crew_parts(runner: Runner, source: Iterable[Piece], workers: int) -> Iterator[Part]:
    """The parts of a source in its order: this process begins, and hands over to its workers once they are ready.

    Raises `FhirTrialError` where a worker cannot be started, or ends before its work is done.
    """
    crew: _Crew | None = None
    waiting: deque[Future[list[Part]]] = deque()
    seen = 0
    try:
        for piece in source:
            seen += len(piece.data) if isinstance(piece, Lines | Document) else 0
            if crew is None and seen > ALONE_BYTES:
                crew = _Crew(runner, workers)
            if crew is not None and isinstance(piece, Lines | Document) and crew.is_ready():
                waiting.append(crew.ask(piece))
            else:
                yield from _answers(waiting, 0)
                yield from runner.parts(piece)
            yield from _answers(waiting, 2 * workers)
        yield from _answers(waiting, 0)
    finally:
        if crew is not None:
            crew.close()


def _answers(waiting: "deque[Future[list[Part]]]", most: int) -> Iterator[Part]:
    """The oldest answers, until no more than `most` are waited for: so memory holds a few pieces."""
    while len(waiting) > most:
        yield from waiting.popleft().result()


class _Crew:
    """Workers, each with a thread that speaks to it."""

    def __init__(self, runner: Runner, size: int) -> None:
        self._schema = runner.schema
        self._recipe = runner.recipe
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self._workers: list[_Worker] = []
        self._threads = ThreadPoolExecutor(size, "view-worker")
        self._starts = [self._threads.submit(self._start) for _ in range(size)]

    def _start(self) -> None:
        worker = _Worker()
        self._workers.append(worker)
        worker.ask(self._recipe)
        self._idle.put(worker)

    def is_ready(self) -> bool:
        """Whether a worker can be asked."""
        failed = [start.exception() for start in self._starts if start.done() and start.exception()]
        if failed:
            raise FhirTrialError("worker processes could not be started; workers=1 needs none") from failed[0]
        return any(start.done() for start in self._starts)

    def ask(self, piece: Text) -> "Future[list[Part]]":
        """Have a piece done."""
        return self._threads.submit(self._ask, piece)

    def _ask(self, piece: Text) -> list[Part]:
        worker = self._idle.get()
        try:
            answer, body = worker.ask(Task.of(piece), piece.data)
        finally:
            self._idle.put(worker)
        rest, parts = pa.py_buffer(body), []
        for length, findings in answer.parts:
            rows = pa.ipc.read_record_batch(rest.slice(0, length), self._schema) if length else None
            parts.append(Part(rows, findings))
            rest = rest.slice(length)
        return parts

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        for worker in self._workers:
            worker.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.end()


def _program(pipe_bytes: int) -> "subprocess.Popen[bytes]":
    path = os.pathsep.join(each for each in sys.path if each)
    command = [sys.executable, "-P", "-m", "fhir_trial.frames.worker"]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, pipesize=pipe_bytes)


class _Worker:
    """One process and its two pipes."""

    def __init__(self) -> None:
        try:
            self._process = _program(_PIPE_BYTES)
        except PermissionError:  # a user has so much of pipes, and this one has had it
            self._process = _program(_PIPE_OF_THE_SYSTEM)

    def ask(self, header: msgspec.Struct, body: bytes = b"") -> tuple[Answer, bytes]:
        """Send one message and wait for its answer."""
        try:
            send(self._stream(self._process.stdin), header, [body])
            message = receive(self._stream(self._process.stdout))
        except (OSError, ValueError):
            message = None
        if message is None:
            raise FhirTrialError("a worker process ended before its work was done (out of memory?); workers=1 needs none")
        answer = msgspec.msgpack.decode(message[0], type=Answer)
        if answer.failure:
            raise FhirTrialError(f"a worker process failed: {answer.failure}")
        return answer, message[1]

    @staticmethod
    def _stream(stream: IO[bytes] | None) -> IO[bytes]:
        assert stream is not None
        return stream

    def kill(self) -> None:
        """Stop the process."""
        self._process.kill()

    def end(self) -> None:
        """Close what is left of it."""
        for stream in (self._process.stdin, self._process.stdout):
            try:
                self._stream(stream).close()
            except OSError:  # what it could not be sent any more
                continue
        self._process.wait()
