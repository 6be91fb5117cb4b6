"""A process that runs a view over the pieces it is given: `python -m fhir_trial.frames.worker`, spoken to on its standard streams."""

import os
import signal
import sys
from typing import IO, Any

import msgspec

from fhir_trial.fhir.json import decode
from fhir_trial.frames.messages import Answer, Part, Recipe, Task, receive, send
from fhir_trial.frames.run import ViewRunner


def main() -> None:
    """Answer pieces until the other side ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that was asked to stop ends this one
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever prints must not speak between the answers
        serve(sys.stdin.buffer, answers)


def serve(tasks: IO[bytes], answers: IO[bytes]) -> None:
    """The first message is the view, which is answered when it is ready; each further one is a piece."""
    first = receive(tasks)
    if first is None:
        return
    recipe = msgspec.msgpack.decode(first[0], type=Recipe)
    runner = ViewRunner(decode(recipe.definition), recipe.fhir, lineage=recipe.lineage)
    send(answers, Answer([]))
    while message := receive(tasks):
        try:
            parts = list(runner.parts(msgspec.msgpack.decode(message[0], type=Task).piece(message[1])))
        except Exception as error:  # its text may hold subject data: the type alone is told
            send(answers, Answer([], failure=type(error).__name__))
            continue
        _answer(answers, parts)


def _answer(answers: IO[bytes], parts: list[Part]) -> None:
    body: list[Any] = [b"" if part.rows is None else part.rows.serialize() for part in parts]
    send(answers, Answer([(len(rows), part.findings) for rows, part in zip(body, parts, strict=True)]), body)


if __name__ == "__main__":
    main()
