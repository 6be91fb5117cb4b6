"""Sources of resources as pieces, each with its place: files, folders, globs, gzip, bytes, streams, Bundles, resources."""

import glob
import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

from fhir_trial.errors import UsageError
from fhir_trial.fhir.files import LINES, fhir_files, passed_over, suffix
from fhir_trial.fhir.ndjson import BOM, blocks, chunks, is_lines, is_whole, opened

GROUP = 2000
"""Resources that are run at once where they come one by one."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines of NDJSON, of which the first is `first_line` (1-based) of its place."""

    place: str
    first_line: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON document: a resource or a Bundle of them; `optional` where a folder may hold other JSON as well, `row` of a line."""

    place: str
    data: bytes = field(repr=False)
    optional: bool = False
    row: int | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """Resources that are decoded already, of which the first is the `first`th (1-based) of its source."""

    place: str
    first: int
    resources: list[Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that could not be read to its end, and why."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class PassedOver:
    """What stands in a folder beside its files, and is not read."""

    place: str
    is_folder: bool


Piece = Lines | Document | Decoded | Unreadable | PassedOver


def pieces(source: Any) -> Iterator[Piece]:
    """A source in pieces, read as they are asked for.

    `source` is a path (file, folder or glob; gzip too) or several, JSON as bytes or text (NDJSON, a Bundle or a resource), an open binary
    file, a Bundle or resource as a dict, or an iterable: of resources and Bundles as dicts, or of bytes that end anywhere, as a download
    brings them. Raises `UsageError` for a path where nothing is, and for a source of another kind.
    """
    if isinstance(source, str) and source.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        yield from _text("text", source.encode("utf-8", "surrogatepass"))
    elif isinstance(source, str | Path):
        yield from _of_path(Path(source))
    elif isinstance(source, bytes | bytearray | memoryview):
        yield from _text("bytes", bytes(source))
    elif isinstance(source, Mapping):
        yield from _bundle("bundle", source) if _is_bundle(source) else [Decoded("resource", 1, [source])]
    elif hasattr(source, "read"):
        yield from _content("bytes", blocks(source))
    elif isinstance(source, Iterable):
        yield from _iterable(source)
    else:
        raise UsageError(f"a source of resources is a path, bytes, a Bundle or an iterable of resources, not {type(source).__name__}")


def _iterable(source: Iterable[Any]) -> Iterator[Piece]:
    for kind, group in groupby(enumerate(source, 1), lambda numbered: _kind(numbered[1])):
        if kind == "resource":
            yield from _decoded("resources", group)
        elif kind == "bytes":
            yield from _parts(group)
        else:
            for number, each in group:
                expected = f"a resource expected, not {type(each).__name__}"
                yield from pieces(each) if kind == "source" else [Unreadable(f"resources item {number}", expected)]


def _kind(item: Any) -> str:
    if isinstance(item, Mapping) and not _is_bundle(item):
        return "resource"
    if isinstance(item, bytes | bytearray | memoryview):
        return "bytes"
    return "source" if isinstance(item, str | Path | Mapping) else ""


def _decoded(place: str, numbered: Iterator[tuple[int, Any]]) -> Iterator[Decoded]:
    while group := list(islice(numbered, GROUP)):
        yield Decoded(place, group[0][0], [resource for _, resource in group])


def _bundle(place: str, bundle: Mapping[str, Any]) -> Iterator[Piece]:
    """The resources of a Bundle and of Bundles inside it; never a path or text, whatever stands where a resource should."""
    entries = bundle.get("entry") or []
    if not isinstance(entries, list | tuple):
        yield Unreadable(place, "entry: an array expected")
        return
    held: Iterator[tuple[int, Any]] = (
        (number, entry.get("resource") if isinstance(entry, Mapping) else entry) for number, entry in enumerate(entries, 1)
    )
    for is_bundle, group in groupby(held, lambda numbered: _is_bundle(numbered[1])):
        if is_bundle:
            for number, inner in group:
                yield from _bundle(f"{place} entry {number}", inner)
        else:
            yield from _decoded(place, group)


def _is_bundle(item: Any) -> bool:
    return isinstance(item, Mapping) and item.get("resourceType") == "Bundle"


def _parts(numbered: Iterator[tuple[int, Any]]) -> Iterator[Piece]:
    """Items of bytes: a document of many lines by itself, all others as the text that they are parts of."""
    texts = ((number, bytes(each)) for number, each in numbered)
    for is_document, group in groupby(texts, lambda numbered: _is_document(numbered[1])):
        if is_document:
            yield from (Document(f"bytes {number}", text.removeprefix(BOM)) for number, text in group)
        else:
            number, text = next(group)
            place = "bytes" if number == 1 else f"bytes from item {number}"
            yield from _content(place, _separated(chain([text], (each for _, each in group))))


def _is_document(text: bytes) -> bool:
    return b"\n" in text.strip() and not is_lines(text) and is_whole(text)


def _separated(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Parts of a text, a line feed after each that ends with a whole object: lines come without their ends from some readers."""
    at_start, is_waiting = True, False
    for part in parts:
        if is_waiting and not part.startswith((b"\n", b"\r\n")):
            yield b"\n"
            at_start = True
        yield part
        last = part[part.rfind(b"\n") + 1 :]
        is_waiting = bool(last.strip()) and (at_start or len(last) < len(part)) and is_whole(last)
        at_start = not last and (at_start or bool(part))


def _content(place: str, parts: Iterable[bytes], optional: bool = False) -> Iterator[Piece]:
    """A text that its content tells to be lines or one document."""
    rest, head = iter(parts), []
    for part in rest:
        head.append(part)
        if b"\n" in part and _has_two_lines(b"".join(head)):
            break
    text = b"".join(head).removeprefix(BOM)
    if _has_two_lines(text) and is_lines(text):
        yield from _lines(place, chain([text], rest))
    elif text.strip():
        yield Document(place, text + b"".join(rest), optional)


def _has_two_lines(text: bytes) -> bool:
    return len([line for line in text.removeprefix(BOM).split(b"\n", 64) if line.strip()]) > 1


def _lines(place: str, parts: Iterable[bytes]) -> Iterator[Lines]:
    for first_line, data in chunks(parts):
        yield Lines(place, first_line, data)


def _text(place: str, data: bytes) -> Iterator[Piece]:
    yield from _content(place, [data])


def _of_path(path: Path) -> Iterator[Piece]:
    if path.is_dir():
        yield from _of_folder(path)
    elif path.exists():
        yield from read_file(path, path.name)
    else:
        found = [each for each in map(Path, sorted(glob.glob(str(path), recursive=True))) if each.is_file()]
        if not found:
            raise UsageError(f"nothing to read at {path}")
        for each in found:
            yield from read_file(each, str(each))


def _of_folder(folder: Path) -> Iterator[Piece]:
    files, beside = fhir_files(folder), passed_over(folder)
    if not files:
        inner = next((each.name for each in beside if each.is_dir()), None)
        hint = f"; the folders in it are not read: give one of them ({inner}), or a glob" if inner is not None else ""
        raise UsageError(f"nothing to read at {folder}{hint}")
    for file in files:
        yield from read_file(file, file.name, optional=True)
    yield from (PassedOver(each.name, each.is_dir()) for each in beside)


def read_file(path: Path, place: str, optional: bool = False) -> Iterator[Piece]:
    """A file by its content, but for lines by their ending; one that breaks off gives what stood before."""
    try:
        with opened(path) as stream:
            if suffix(path) in LINES:
                yield from _lines(place, blocks(stream))
            else:
                yield from _content(place, blocks(stream), optional)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        yield Unreadable(place, "a damaged gzip file")
    except OSError as error:
        yield Unreadable(place, error.strerror or type(error).__name__)
