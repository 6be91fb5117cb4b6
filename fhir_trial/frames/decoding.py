"""Pieces of a source to resources in the shape that a view's loop reads; what cannot be decoded is named and left out."""

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

import msgspec

from fhir_trial.errors import Finding
from fhir_trial.fhirpath.nodes import read
from fhir_trial.frames.reading import Decoded, Document, Lines, Piece, Unreadable

_BATCH = 2000
"""Resources that are run at once where they do not come in chunks."""
_FAILURES = (msgspec.DecodeError, UnicodeError, RecursionError)


@contextmanager
def collector_paused() -> Iterator[None]:
    """No search for reference cycles meanwhile: decoded JSON has none, and looking through all of it takes a seventh of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Header(msgspec.Struct):
    resourceType: str  # noqa: N815  FHIR's own spelling


_NOTHING = msgspec.Raw(b"null")


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = _NOTHING


class _Bundle(msgspec.Struct):
    entry: list[_Entry | None] | None = None


@dataclass
class Batch:
    """Resources, of which those of other types are still to be passed over, with what could not be decoded."""

    resources: list[Any] = field(default_factory=list, repr=False)
    findings: list[Finding] = field(default_factory=list)
    places: list[tuple[str, int | None]] = field(default_factory=list)
    lines: Lines | None = field(default=None, repr=False)
    """The text that the resources were decoded from, where it is one of lines."""

    @cached_property
    def _filled(self) -> list[tuple[int, bytes]]:
        return [] if self.lines is None else _filled(self.lines)

    def place(self, index: int) -> tuple[str, int | None]:
        """Where a resource stands: file and line, or source and number."""
        if self.lines is None:
            return self.places[index]
        return self.lines.place, self._filled[index][0]

    def inner(self, index: int) -> Document | None:
        """The text of what is no resource of the wanted type: a Bundle, it may be."""
        if self.lines is None:
            return None
        number, text = self._filled[index]
        return Document(self.lines.place, text, row=number)


def _filled(lines: Lines) -> list[tuple[int, bytes]]:
    """The lines that hold something, with their numbers; only asked for where something is wrong."""
    return [(number, line) for number, line in enumerate(lines.data.split(b"\n"), lines.first_line) if line.strip()]


@dataclass(frozen=True)
class Target:
    """What resources are decoded to: their type, the struct for what a view reads of them, and the members that the version knows."""

    resource_type: str
    struct: Any
    """It has a member `resourceType`."""
    has_whole: bool
    """Whether parts of it are any JSON."""
    members: frozenset[str]


class Decoding:
    """Decodes the pieces of one source."""

    def __init__(self, target: Target) -> None:
        """Make the decoders ready."""
        self.target = target
        self.resource_type = target.resource_type
        self._looked_at: set[str] = set()
        self._decoder = msgspec.json.Decoder(target.struct, float_hook=Decimal)
        self._header = msgspec.json.Decoder(_Header)
        self._bundle = msgspec.json.Decoder(_Bundle)

    def batches(self, pieces: Iterable[Piece]) -> Iterator[Batch]:
        """The batches of a source, in its order."""
        waiting = Batch()
        for piece in pieces:
            if isinstance(piece, Decoded):
                self._convert(piece, waiting)
                if len(waiting.resources) + len(waiting.findings) < _BATCH:
                    continue
            yield waiting
            waiting = Batch()
            if not isinstance(piece, Decoded):
                yield self.piece(piece)
        yield waiting

    def piece(self, piece: Lines | Document | Unreadable) -> Batch:
        """One batch from a chunk of lines or a document."""
        if isinstance(piece, Unreadable):
            return Batch(findings=[Finding("unreadable", piece.place, found=piece.reason, expected="a source that can be read")])
        return self._lines(piece) if isinstance(piece, Lines) else self._document(piece)

    def _lines(self, piece: Lines) -> Batch:
        try:
            with collector_paused():
                batch = Batch(self._decoder.decode_lines(piece.data), lines=piece)
            self._look_at_first(batch)
            return batch
        except _FAILURES:
            batch = Batch()
            for number, line in _filled(piece):
                self._text(line, (piece.place, number), batch)
            return batch

    def other(self, piece: Document) -> Batch:
        """A line that is no resource of the wanted type: a Bundle's entries, or nothing."""
        return self._document(piece)

    def _text(self, text: bytes | msgspec.Raw, place: tuple[str, int | None], batch: Batch) -> None:
        """One resource from its text; a Bundle gives its entries, a resource of another type nothing."""
        try:
            header = self._header.decode(text).resourceType
            if header == "Bundle" and self.resource_type != "Bundle":
                self._entries(text, place, batch)
            elif header == self.resource_type:
                batch.resources.append(self._decoder.decode(text))
                batch.places.append(place)
                self._look_at(text, place, batch)
        except _FAILURES as error:
            batch.findings.append(_finding(error, place))

    def _look_at_first(self, batch: Batch) -> None:
        if batch.lines is None or batch.lines.place in self._looked_at:
            return
        first = next((i for i, each in enumerate(batch.resources) if read(each, "resourceType") == self.resource_type), None)
        if first is not None and (piece := batch.inner(first)) is not None:
            self._look_at(piece.data, (piece.place, piece.row), batch)

    def _look_at(self, text: bytes | msgspec.Raw, place: tuple[str, int | None], batch: Batch) -> None:
        """Say which members of a source's first resource the version lacks: they are not read, and all may be of another version."""
        if place[0] in self._looked_at:
            return
        self._looked_at.add(place[0])
        names = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        batch.findings.extend(_unknown_members(names, self.target, place))

    def _entries(self, text: bytes | msgspec.Raw, place: tuple[str, int | None], batch: Batch) -> None:
        name = place[0] if place[1] is None else f"{place[0]} row {place[1]}"
        for number, entry in enumerate(self._bundle.decode(text).entry or (), 1):
            if entry is not None and bytes(entry.resource) != b"null":
                self._text(entry.resource, (f"{name} entry", number), batch)

    def _document(self, piece: Document) -> Batch:
        batch = Batch()
        self._text(piece.data, (piece.place, piece.row), batch)
        if piece.optional and [finding.code for finding in batch.findings] == ["not-a-resource"]:
            batch.findings = [_passed_over(finding) for finding in batch.findings]
        return batch

    def _convert(self, piece: Decoded, batch: Batch) -> None:
        place = (piece.place, piece.number)
        resource = piece.resource
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            batch.findings.append(Finding("not-a-resource", *place, expected="an object with a resourceType"))
        elif resource["resourceType"] == self.resource_type:
            try:
                exact = _exact(resource) if self.target.has_whole else resource
                batch.resources.append(msgspec.convert(exact, self.target.struct))
                batch.places.append(place)
                if place[0] not in self._looked_at:
                    self._looked_at.add(place[0])
                    batch.findings.extend(_unknown_members(resource, self.target, place))
            except (*_FAILURES, TypeError) as error:
                batch.findings.append(_finding(error, place))


def _unknown_members(names: Iterable[str], target: Target, place: tuple[str, int | None]) -> Iterator[Finding]:
    unknown = sorted(name for name in names if name.removeprefix("_") not in target.members)
    if unknown:
        effect = "they are not read; the source may be of another FHIR version"
        yield Finding(
            "unknown-elements",
            *place,
            ", ".join(unknown[:5]),
            expected=f"elements of {target.resource_type}",
            severity="warning",
            effect=effect,
        )


def _exact(value: Any) -> Any:
    """Floats as the decimals that they were written as: parts that no struct describes are not converted by one."""
    if isinstance(value, dict):
        return {key: _exact(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    return Decimal(repr(value)) if isinstance(value, float) else value


def _passed_over(finding: Finding) -> Finding:
    return Finding("passed-over", finding.place, expected="a resource or a Bundle", severity="information", effect="the file is not read")


def _finding(error: Exception, place: tuple[str, int | None]) -> Finding:
    code, expected = next(describe(error) for kind, describe in _REASONS if isinstance(error, kind))
    return Finding(code, *place, expected=expected)


def _shape(error: Exception) -> tuple[str, str]:
    if "resourceType" in str(error) or ("`$`" not in str(error) and " - at" not in str(error)):
        return "not-a-resource", "an object with a resourceType"
    return "unexpected-shape", str(error)


def _syntax(error: Exception) -> tuple[str, str]:
    return ("truncated" if "truncated" in str(error) else "not-json"), str(error)


_REASONS: tuple[tuple[type[Exception], Callable[[Exception], tuple[str, str]]], ...] = (
    (msgspec.ValidationError, _shape),
    (msgspec.DecodeError, _syntax),
    (UnicodeError, lambda _: ("not-utf-8", "text in UTF-8")),
    (RecursionError, lambda _: ("json-too-deep", "fewer levels of nesting")),
    (TypeError, lambda _: ("unexpected-shape", "values that JSON can hold")),
)
"""What a decoder's error means; its own words give a place in the JSON and types, never a value."""
