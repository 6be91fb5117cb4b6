"""Sources of resources as documents and chunks of lines, each with its place: files, folders, globs, gzip, bytes, Bundles, resources."""

import glob
import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

from fhir_trial.errors import UsageError

CHUNK_BYTES = 2 << 20
"""Read at once: large enough to decode fast, small enough for the processor's caches and for memory to stay flat."""
_BOM = b"\xef\xbb\xbf"
_LINES = (".ndjson", ".jsonl")
_DOCUMENTS = (".json",)


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines of NDJSON, of which the first is `first_line` (1-based) of its place."""

    place: str
    first_line: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON document: a resource or a Bundle of them; `optional` where a folder may hold other JSON as well, `row` of a line."""

    place: str
    data: bytes
    optional: bool = False
    row: int | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """A resource that is decoded already, the `number`th (1-based) of its source."""

    place: str
    number: int
    resource: Any


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that could not be read to its end, and why."""

    place: str
    reason: str


Piece = Lines | Document | Decoded | Unreadable


def pieces(source: Any) -> Iterator[Piece]:
    """A source in pieces, read as they are asked for.

    `source` is a path (file, folder or glob; .gz too) or several, bytes (NDJSON, a Bundle or a resource), a Bundle or resource as a dict,
    or an iterable of resources, as dicts or bytes. Raises `UsageError` for a path where nothing is, and for a source of another kind.
    """
    if isinstance(source, str | Path):
        for path in _files(source):
            yield from _file(path, optional=Path(source).is_dir())
    elif isinstance(source, bytes | bytearray | memoryview):
        yield from _text("bytes", bytes(source))
    elif isinstance(source, Mapping):
        yield from _decoded("bundle" if source.get("resourceType") == "Bundle" else "resource", _entries(source))
    elif isinstance(source, Iterable):
        yield from _iterable(source)
    else:
        raise UsageError(f"a source of resources is a path, bytes, a Bundle or an iterable of resources, not {type(source).__name__}")


def _iterable(source: Iterable[Any]) -> Iterator[Piece]:
    for number, each in enumerate(source, 1):
        if isinstance(each, Mapping) and each.get("resourceType") != "Bundle":
            yield Decoded("resources", number, each)
        elif isinstance(each, bytes | bytearray | memoryview):
            yield from _text(f"bytes {number}", bytes(each))
        elif isinstance(each, str | Path | Mapping):
            yield from pieces(each)
        else:
            yield Unreadable(f"resources item {number}", f"a resource expected, not {type(each).__name__}")


def _decoded(place: str, resources: Iterable[Any]) -> Iterator[Piece]:
    for number, resource in enumerate(resources, 1):
        yield Decoded(place, number, resource)


def _entries(source: Mapping[str, Any]) -> Iterable[Any]:
    if source.get("resourceType") != "Bundle":
        return [source]
    entries = source.get("entry") or []
    return [entry["resource"] for entry in entries if isinstance(entry, Mapping) and entry.get("resource") is not None]


def _files(source: str | Path) -> list[Path]:
    path = Path(source)
    if path.is_dir():
        return sorted(each for each in path.iterdir() if each.is_file() and _suffix(each) in _LINES + _DOCUMENTS)
    if path.exists():
        return [path]
    found = sorted(Path(each) for each in glob.glob(str(source), recursive=True) if Path(each).is_file())
    if not found:
        raise UsageError(f"nothing to read at {source}")
    return found


def _suffix(path: Path) -> str:
    return Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


def _file(path: Path, optional: bool) -> Iterator[Piece]:
    try:
        with _open(path) as stream:
            if _suffix(path) in _DOCUMENTS:
                yield Document(path.name, stream.read().removeprefix(_BOM), optional)
            elif _suffix(path) in _LINES:
                yield from _chunks(path.name, stream)
            else:
                yield from _text(path.name, stream.read())
    except (OSError, EOFError, zlib.error) as error:
        yield Unreadable(
            path.name, "a damaged gzip file" if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile) else type(error).__name__
        )


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _chunks(place: str, stream: IO[bytes]) -> Iterator[Lines]:
    """Chunks that end with a line, so each holds whole resources; a line longer than a chunk makes its own larger one."""
    line, rest, is_first = 1, b"", True
    while block := stream.read(CHUNK_BYTES):
        block = block.removeprefix(_BOM) if is_first else block
        is_first = False
        end = block.rfind(b"\n") + 1
        if not end:
            rest += block
            continue
        data, rest = rest + block[:end], block[end:]
        yield Lines(place, line, data)
        line += data.count(b"\n")
    if rest.strip():
        yield Lines(place, line, rest)


def _text(place: str, data: bytes) -> Iterator[Piece]:
    data = data.removeprefix(_BOM)
    if data.strip():
        yield Lines(place, 1, data) if _is_lines(data) else Document(place, data)


def _is_lines(data: bytes) -> bool:
    """NDJSON, by its first lines: one is a whole object, or two begin one; a single line is the same as a document."""
    lines = [line for line in data[:CHUNK_BYTES].splitlines() if line.strip()][:2]
    if len(lines) < 2:
        return False
    try:
        msgspec.json.decode(lines[0], type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return all(line.lstrip().startswith(b"{") for line in lines)
    return True
