"""NDJSON as whole lines with their numbers: one way to read it for every room, whatever stands before, between and after the lines."""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import msgspec

CHUNK_BYTES = 2 << 20
"""Read at once: large enough to decode fast, small enough for the processor's caches and for memory to stay flat."""
BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_NOT_JSON = (msgspec.DecodeError, UnicodeError, RecursionError)


def opened(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked where they are gzip, whatever the file is called; of a pipe, which is read only once, as they come."""
    if not path.is_file():
        return path.open("rb")
    with path.open("rb") as stream:
        is_packed = stream.read(2) == _GZIP
    return gzip.open(path, "rb") if is_packed else path.open("rb")  # type: ignore[return-value]


def numbered_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    r"""The lines that hold something, with their numbers from 1, without a byte order mark in front of the first.

    >>> list(numbered_lines([b"\xef\xbb\xbf{}\r\n", b" \n", b"{}"]))
    [(1, b'{}\r\n'), (3, b'{}')]
    """
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(BOM) if number == 1 else line
        if text.strip():
            yield number, text


def blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """A file in blocks of whole lines; a line longer than a block makes its own larger one."""
    while block := stream.read(CHUNK_BYTES):
        yield block if block.endswith(b"\n") else block + stream.readline()


def chunks(parts: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    r"""Whole lines, about `CHUNK_BYTES` of them at a time, with the number of the first, from parts that may end anywhere.

    >>> list(chunks([b"\xef\xbb\xbf{}\n{", b"}\n"]))
    [(1, b'{}\n{}\n')]
    """
    line, held, size = 1, [], 0
    for number, part in enumerate(parts):
        text = part.removeprefix(BOM) if number == 0 else part
        held.append(text)
        size += len(text)
        end = text.rfind(b"\n") + 1
        if size < CHUNK_BYTES or not end:
            continue
        held[-1] = text[:end]
        data = b"".join(held)
        yield line, data
        line += data.count(b"\n")
        held, size = [text[end:]], len(text) - end
    data = b"".join(held)
    if data.strip():
        yield line, data


def is_lines(data: bytes) -> bool:
    """NDJSON, by its first lines: one is a whole object, or two begin one; a single line is the same as a document."""
    lines = [line for line in data[:CHUNK_BYTES].removeprefix(BOM).split(b"\n", 64) if line.strip()][:2]
    if len(lines) < 2:
        return False
    return is_whole(lines[0]) or all(line.lstrip().startswith(b"{") for line in lines)


def is_whole(data: bytes) -> bool:
    """Whether the text is one whole JSON object."""
    try:
        msgspec.json.decode(data.removeprefix(BOM), type=dict[str, msgspec.Raw])
    except _NOT_JSON:
        return False
    return True
