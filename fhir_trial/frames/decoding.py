"""Pieces of a source to resources in the shape that a view's loop reads; what cannot be decoded is named and left out."""

import gc
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from itertools import islice
from typing import Any, Optional

import msgspec
import numpy as np

from fhir_trial.errors import Finding
from fhir_trial.fhirpath.nodes import read
from fhir_trial.frames.reading import GROUP, Decoded, Document, Lines, PassedOver, Piece, Unreadable

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
    entry: list[msgspec.Raw] | None = None


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
        return [] if self.lines is None else list(_filled(self.lines))

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


def _filled(lines: Lines) -> Iterator[tuple[int, bytes]]:
    """The lines that hold something, with their numbers; only asked for where a line's own text is needed."""
    start, number, data = 0, lines.first_line, lines.data
    while start < len(data):
        end = data.find(b"\n", start)
        line = data[start:] if end < 0 else data[start:end]
        if line.strip():
            yield number, line
        start, number = start + len(line) + 1, number + 1


_LINE_FEED = ord("\n")
_SHORTEST = len('{"resourceType":""}')
"""A line that is shorter holds no resource: it may be blank."""


def _count(lines: Lines) -> int:
    """How many lines hold something: the decoder takes what stands on one line for one resource, or for several."""
    ends = np.flatnonzero(np.frombuffer(lines.data, np.uint8) == _LINE_FEED)  # a tenth of what looking for blank lines as text takes
    if (np.diff(ends, prepend=-1) <= _SHORTEST).any():
        return sum(1 for _ in _filled(lines))
    return len(ends) + (not lines.data.endswith(b"\n"))


@dataclass(frozen=True)
class Target:
    """What resources are decoded to: their type, the struct for what a view reads of them, and the members that the version knows."""

    resource_type: str
    struct: Any
    """It has a member `resourceType`."""
    whole: frozenset[str]
    """The members of which some part is any JSON."""
    members: frozenset[str]


_Place = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class _Found:
    """One resource of the wanted type, where it stood, and its text."""

    resource: Any
    place: _Place
    text: bytes | msgspec.Raw


class Decoding:
    """Decodes pieces of sources, each by itself, in whatever order they come."""

    def __init__(self, target: Target) -> None:
        """Make the decoders ready."""
        self.target = target
        self.resource_type = target.resource_type
        self._decoder = msgspec.json.Decoder(target.struct, float_hook=Decimal)
        self._header = msgspec.json.Decoder(_Header)
        self._bundle = msgspec.json.Decoder(_Bundle)
        self._entry: msgspec.json.Decoder[_Entry | None] = msgspec.json.Decoder(Optional[_Entry])  # noqa: UP045  made at run time

    def batches(self, piece: Piece) -> Iterator[Batch]:
        """The resources of a piece, some thousands at a time."""
        match piece:
            case Lines():
                yield from self._lines(piece)
            case Document():
                yield from self._document(piece)
            case Decoded():
                yield self._converted(piece)
            case PassedOver():
                yield Batch(findings=[beside(piece)])
            case Unreadable():
                yield Batch(findings=[Finding("unreadable", piece.place, found=piece.reason, expected="a source that can be read")])

    def _lines(self, piece: Lines) -> Iterator[Batch]:
        try:
            with collector_paused():
                batch = Batch(self._decoder.decode_lines(piece.data), lines=piece)
        except _FAILURES:
            batch = Batch()
        if batch.resources and len(batch.resources) == _count(piece):
            self._look_at_first(batch)
            yield batch
        else:
            each = (found for number, line in _filled(piece) for found in self._found(line, (piece.place, number)))
            yield from self._gathered(each)

    def _look_at_first(self, batch: Batch) -> None:
        first = next((i for i, each in enumerate(batch.resources) if read(each, "resourceType") == self.resource_type), None)
        if first is not None and batch.lines is not None:
            number, line = next(islice(_filled(batch.lines), first, None))
            batch.findings += self._unknown(line, (batch.lines.place, number))

    def _unknown(self, text: bytes | msgspec.Raw, place: _Place) -> Iterator[Finding]:
        """Which members of a resource the version lacks: they are not read, and the whole source may be of another version."""
        return _unknown_members(msgspec.json.decode(text, type=dict[str, msgspec.Raw]), self.target, place)

    def _found(self, text: bytes | msgspec.Raw, place: _Place) -> Iterator[_Found | Finding]:
        """The resource of a text, those of its entries where it is a Bundle, or what is wrong; of another type, nothing."""
        try:
            header = self._header.decode(text).resourceType
            if header == "Bundle" and self.resource_type != "Bundle":
                entries = self._bundle.decode(text).entry or ()
            elif header == self.resource_type:
                yield _Found(self._decoder.decode(text), place, text)
                return
            else:
                return
        except _FAILURES as error:
            yield _finding(error, place)
            return
        name = place[0] if place[1] is None else f"{place[0]} row {place[1]}"
        for number, entry in enumerate(entries, 1):
            yield from self._of_entry(entry, (f"{name} entry", number))

    def _of_entry(self, entry: msgspec.Raw, place: _Place) -> Iterator[_Found | Finding]:
        try:
            inner = self._entry.decode(entry)
        except _FAILURES as error:
            yield _finding(error, place)
            return
        if inner is not None and bytes(memoryview(inner.resource)[:5]) != b"null":
            yield from self._found(inner.resource, place)

    def _gathered(self, found: Iterable[_Found | Finding]) -> Iterator[Batch]:
        """What is found in batches, the first resource of each looked at; a large Bundle never stands in memory decoded."""
        batch = Batch()
        for each in found:
            if isinstance(each, Finding):
                batch.findings.append(each)
                continue
            if not batch.resources:
                batch.findings += self._unknown(each.text, each.place)
            batch.resources.append(each.resource)
            batch.places.append(each.place)
            if len(batch.resources) >= GROUP:
                yield batch
                batch = Batch()
        if batch.resources or batch.findings:
            yield batch

    def _document(self, piece: Document) -> Iterator[Batch]:
        for batch in self._gathered(self._found(piece.data, (piece.place, piece.row))):
            if piece.optional and [(finding.code, finding.place) for finding in batch.findings] == [("not-a-resource", piece.place)]:
                batch.findings = [_passed_over(finding) for finding in batch.findings]
            yield batch

    def _converted(self, piece: Decoded) -> Batch:
        batch = Batch()
        for number, resource in enumerate(piece.resources, piece.first):
            place = (piece.place, number)
            if resource is None:  # an entry without one
                continue
            if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
                batch.findings.append(Finding("not-a-resource", *place, expected="an object with a resourceType"))
            elif resource["resourceType"] == self.resource_type:
                self._convert(resource, place, batch)
        return batch

    def _convert(self, resource: dict[str, Any], place: _Place, batch: Batch) -> None:
        try:
            exact = {name: _exact(resource[name]) for name in self.target.whole & resource.keys()}
            converted = msgspec.convert(resource | exact, self.target.struct)
        except (*_FAILURES, TypeError) as error:
            batch.findings.append(_finding(error, place))
            return
        if not batch.resources:
            batch.findings.extend(_unknown_members(resource, self.target, place))
        batch.resources.append(converted)
        batch.places.append(place)


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


def beside(piece: PassedOver) -> Finding:
    """What a folder holds beside the files that are read."""
    if piece.is_folder:
        effect = "not read: give it by itself, or a glob"
        return Finding("passed-over", piece.place, expected="files, not folders", severity="warning", effect=effect)
    return Finding(
        "passed-over", piece.place, expected="a file that is neither hidden nor a pipe", severity="information", effect="not read"
    )


def _passed_over(finding: Finding) -> Finding:
    return Finding("passed-over", finding.place, expected="a resource or a Bundle", severity="information", effect="the file is not read")


def _finding(error: Exception, place: tuple[str, int | None]) -> Finding:
    describe = next(describe for kind, describe in _REASONS if isinstance(error, kind))
    code, field, found, expected = describe(error)
    return Finding(code, *place, field, found, expected)


_Described = tuple[str, str | None, str | None, str]
"""A finding's code, field, what was found and what was expected."""
_WRONG_TYPE = re.compile(r"Expected `([^`]+)`, got `([^`]+)`(?: - at `\$\.?([^`]*)`)?")
_TYPES = {"str": "text", "int": "a whole number", "float": "a number", "decimal": "a number", "bool": "true or false"} | {
    "array": "an array",
    "object": "an object",
}


def _shape(error: Exception) -> _Described:
    said = _WRONG_TYPE.match(str(error))
    if "resourceType" in str(error) or ("`$`" not in str(error) and " - at" not in str(error)):
        return "not-a-resource", None, None, "an object with a resourceType"
    if said is None:
        return "unexpected-shape", None, None, str(error)
    expected = " or ".join(_TYPES.get(name, name) for name in said[1].split(" | ") if name != "null")
    return "unexpected-shape", said[3] or None, _TYPES.get(said[2], said[2]), expected


def _syntax(error: Exception) -> _Described:
    return ("truncated" if "truncated" in str(error) else "not-json"), None, None, f"JSON in UTF-8 ({error})"


_REASONS: tuple[tuple[type[Exception], Callable[[Exception], _Described]], ...] = (
    (msgspec.ValidationError, _shape),
    (msgspec.DecodeError, _syntax),
    (UnicodeError, lambda _: ("not-utf-8", None, None, "text in UTF-8")),
    (RecursionError, lambda _: ("json-too-deep", None, None, "fewer levels of nesting")),
    (TypeError, lambda _: ("unexpected-shape", None, None, "values that JSON can hold")),
)
"""What a decoder's error means; its own words give a place in the JSON and types, never a value."""
