"""What a run of a view sends to a worker process and gets back: lengths, a header in MessagePack, and a body of plain bytes."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

import msgspec
import pyarrow as pa

from fhir_trial.errors import Finding
from fhir_trial.frames.reading import Document, Lines

_LENGTHS = struct.Struct("<QQ")
Text = Lines | Document
"""The pieces that travel: their text does, as it is."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows, none where nothing came of the resources, and what was noticed."""

    rows: pa.RecordBatch | None
    findings: list[Finding]


class Recipe(msgspec.Struct, frozen=True):
    """What a worker makes its runner of."""

    definition: bytes
    """The ViewDefinition as JSON."""
    fhir: str
    lineage: bool


class Task(msgspec.Struct, frozen=True):
    """A piece of a source without its text, which is the message's body."""

    place: str
    first_line: int | None
    """None for one document."""
    optional: bool = False
    row: int | None = None

    @classmethod
    def of(cls, piece: Text) -> "Task":
        """The header of a piece."""
        if isinstance(piece, Lines):
            return cls(piece.place, piece.first_line)
        return cls(piece.place, None, piece.optional, piece.row)

    def piece(self, text: bytes) -> Text:
        """The piece again."""
        if self.first_line is None:
            return Document(self.place, text, self.optional, self.row)
        return Lines(self.place, self.first_line, text)


class Answer(msgspec.Struct, frozen=True):
    """The parts of a piece: how long each batch is in the body (0: no rows) and the findings; or which exception stopped the worker."""

    parts: list[tuple[int, list[Finding]]]
    failure: str = ""


def send(stream: IO[bytes], header: msgspec.Struct, body: Iterable[bytes | pa.Buffer] = ()) -> None:
    """Write one message."""
    head, parts = msgspec.msgpack.encode(header), list(body)
    stream.write(_LENGTHS.pack(len(head), sum(map(len, parts))) + head)
    for part in parts:
        stream.write(part)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[bytes, bytes] | None:
    """Read one message's header and body; None where the other side has ended."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    head, body = _LENGTHS.unpack(lengths)
    message = stream.read(head), stream.read(body)
    return message if len(message[1]) == body else None
