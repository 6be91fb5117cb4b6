"""A folder of resources: `<ResourceType>.ndjson` and a `manifest.json` that proves it is whole.

Files are written as `.part` beside what was there, which stays whole until all is read; then the manifest goes first, the files are
renamed, and the manifest comes back last, so a folder without one is unfinished.
File names are our own: a type that is no FHIR type name never becomes one.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

from fhir_trial.errors import Finding, Findings, InputError, PartlyDone, UsageError
from fhir_trial.fhir import json
from fhir_trial.fhir.files import fhir_files
from fhir_trial.fhir.ndjson import numbered_lines
from fhir_trial.fhir.versions import DEFAULT

Resource = dict[str, Any]

MANIFEST = "manifest.json"
NOT_RESOURCES = frozenset({MANIFEST, "loss.json", "deidentification.json"})
"""JSON that we write beside resources."""
SCHEMA = 1
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a folder: what it must hold."""

    type: str
    name: str
    count: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder holds; its presence says that the folder is complete."""

    schema: int
    fhir: str
    """r4, r5."""
    study: str | None = None
    source: str | None = None
    """The base URL that the resources were pulled from."""
    files: tuple[FileEntry, ...] = ()
    empty: tuple[str, ...] = ()
    """Types that were read to their end and have no resource."""
    taken: str | None = None
    """The server's time when reading began: what changed since then is not here."""


@dataclass
class _Open:
    """A file that is being written."""

    stream: IO[bytes]
    count: int = 0
    hash: Any = field(default_factory=hashlib.sha256)


class FolderWriter:
    """Writes resources to a folder, in the order given; leaving the block without `finish` leaves the folder as it was."""

    def __init__(self, folder: Path | str) -> None:
        """Make the folder; nothing in it changes before `finish`."""
        self.folder = Path(folder)
        self._open: dict[str, _Open] = {}
        self._seen: set[str] = set()
        self._old = _old_files(self.folder)
        with disk(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def take(self, resource_type: str, rows: Sequence[Resource]) -> None:
        """Append rows of one type; a type of which no row ever comes is named in the manifest and has no file."""
        if not _TYPE.fullmatch(resource_type):
            raise InputError([Finding("no-resource-type", str(self.folder), expected="the name of a FHIR resource type")])
        self._seen.add(resource_type)
        with disk(self.folder):
            if rows and resource_type not in self._open:
                self._open[resource_type] = _Open(_private(self.folder / f"{resource_type}.ndjson.part"))
            for row in rows:
                file = self._open[resource_type]
                line = json.encode(row) + b"\n"
                file.stream.write(line)
                file.hash.update(line)
                file.count += 1

    def finish(self, fhir: str, study: str | None = None, source: str | None = None, taken: str | None = None) -> Manifest:
        """Rename the files, remove those of the manifest before that are no more, and write the manifest."""
        with disk(self.folder):
            for file in self._open.values():
                _to_disk(file.stream)
                file.stream.close()
            entries = tuple(_entry(resource_type, self._open[resource_type]) for resource_type in sorted(self._open))
            empty = tuple(sorted(self._seen - set(self._open)))
            manifest = Manifest(schema=SCHEMA, fhir=fhir, study=study, source=source, files=entries, empty=empty, taken=taken)
            # All that needs room on the disk comes before anything that was there is touched.
            with (self.folder / f"{MANIFEST}.part").open("wb") as stream:
                stream.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
                _to_disk(stream)
            self._put_in_place(entries)
        self._open = {}
        return manifest

    def _put_in_place(self, entries: Sequence[FileEntry]) -> None:
        (self.folder / MANIFEST).unlink(missing_ok=True)
        for name in [entry.name for entry in entries]:
            (self.folder / f"{name}.part").replace(self.folder / name)
        for name in self._old - {entry.name for entry in entries}:
            (self.folder / name).unlink(missing_ok=True)
        (self.folder / f"{MANIFEST}.part").replace(self.folder / MANIFEST)

    def __enter__(self) -> "FolderWriter":
        """The writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take away what was not finished."""
        for resource_type, file in self._open.items():
            with suppress(OSError):  # on a full disk, closing writes what is left and fails anew
                file.stream.close()
            (self.folder / f"{resource_type}.ndjson.part").unlink(missing_ok=True)
        (self.folder / f"{MANIFEST}.part").unlink(missing_ok=True)


def write_folder(folder: Path | str, resources: Mapping[str, Iterable[Resource]], fhir: str, study: str | None = None) -> Manifest:
    """Write resources, by type, as a complete folder."""
    with FolderWriter(folder) as writer:
        for resource_type, rows in resources.items():
            writer.take(resource_type, list(rows))
        return writer.finish(fhir, study)


def read_manifest(folder: Path | str) -> Manifest | None:
    """The folder's manifest, None where it has none; `InputError` for one that is not ours or from a later version."""
    path = Path(folder) / MANIFEST
    if not path.exists():
        return None
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, UnicodeError, RecursionError, msgspec.DecodeError):
        raise InputError([Finding("not-a-manifest", str(path), expected="a manifest as pull and to-fhir write it")]) from None
    if manifest.schema > SCHEMA:
        raise InputError([Finding("later-manifest", str(path), found=str(manifest.schema), expected=f"schema {SCHEMA} or earlier")])
    return manifest


def folder_version(folder: Path, asked: str | None) -> str:
    """The FHIR version of a folder: the one asked for, else its manifest's; a `UsageError` where neither says."""
    manifest = read_manifest(folder)
    if asked is None and manifest is None:
        raise UsageError(f"{folder} has no manifest that says its FHIR version: give --fhir r4 or r5")
    return asked or (manifest.fhir if manifest else DEFAULT)


def read_folder(folder: Path | str) -> Iterator[Resource]:
    """All resources of a folder; where it has a manifest, each file's count and sha256 must be what it says.

    `InputError` for what is short, changed, not JSON or no resource, with file and line; raised after the last file, for all of them.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    names = [entry.name for entry in manifest.files] if manifest else sorted(path.name for path in folder.glob("*.ndjson"))
    stated = {entry.name: entry for entry in manifest.files} if manifest else {}
    if not names and manifest is None:
        raise InputError([Finding("nothing-to-read", str(folder), expected="files named <ResourceType>.ndjson")])
    findings = Findings()
    if manifest is None:
        findings.extend(_other_forms(folder))
    for name in names:
        if Path(name).name != name:
            raise InputError([Finding("strange-file-name", str(folder / MANIFEST), expected="names of files in the folder")])
        try:
            yield from _read_file(folder / name, stated.get(name))
        except InputError as error:
            findings.extend(error.findings)
    findings.raise_errors()


def _other_forms(folder: Path) -> Iterator[Finding]:
    """Findings for FHIR in a form that a folder's files do not have: passed over, it would count as gone from the source."""
    for path in fhir_files(folder):
        if path.suffix != ".ndjson" and path.name not in NOT_RESOURCES:
            yield Finding("other-form", str(path), expected="NDJSON, not packed, named <ResourceType>.ndjson")


def _read_file(path: Path, stated: FileEntry | None) -> Iterator[Resource]:
    digest, count, findings = hashlib.sha256(), 0, Findings()
    try:
        stream = path.open("rb")
    except OSError:
        raise InputError([Finding("missing-file", str(path), expected="the file that the manifest names")]) from None
    with stream:
        for number, line in numbered_lines(_digested(stream, digest)):
            count += 1
            try:
                resource = json.decode(line, f"{path} line {number}")
            except InputError as error:
                findings.extend(error.findings)
                continue
            findings.extend(json.ambiguities(line, resource, f"{path} line {number}"))
            if isinstance(resource, dict) and isinstance(resource.get("resourceType"), str):
                yield resource
            else:
                findings.add(Finding("not-a-resource", str(path), row=number, expected="a FHIR resource a line"))
    findings.raise_errors()
    if stated is not None and (count, digest.hexdigest()) != (stated.count, stated.sha256):
        raise InputError([Finding("incomplete-file", str(path), expected=f"{stated.count} resources with the sha256 of the manifest")])


def _digested(lines: Iterable[bytes], digest: Any) -> Iterator[bytes]:
    """The lines as they are, the digest fed with each."""
    for line in lines:
        digest.update(line)
        yield line


def _entry(resource_type: str, file: _Open) -> FileEntry:
    return FileEntry(type=resource_type, name=f"{resource_type}.ndjson", count=file.count, sha256=file.hash.hexdigest())


def _old_files(folder: Path) -> set[str]:
    try:
        manifest = read_manifest(folder)
    except InputError:
        return set()
    return {entry.name for entry in manifest.files if Path(entry.name).name == entry.name} if manifest else set()


def _private(path: Path) -> IO[bytes]:
    """A new file that only its owner reads: what stands in it is about people."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb")


def _to_disk(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


class disk:  # noqa: N801 - reads as a clause: with disk(folder)
    """Turns a full or read-only disk into an error that names the folder."""

    def __init__(self, folder: Path) -> None:
        """Watch over writing to `folder`."""
        self._folder = folder

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """`PartlyDone` for an `OSError`."""
        if isinstance(error, OSError):
            raise PartlyDone(f"{self._folder}: cannot be written ({error.strerror or type(error).__name__}); run again to resume") from None
