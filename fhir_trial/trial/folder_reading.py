"""Every resource of a folder of FHIR: lines, Bundles and single resources, packed or not; what cannot be read is a finding."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from fhir_trial.errors import Finding, Findings, InputError
from fhir_trial.fhir.files import DOCUMENTS, fhir_files, passed_over, suffix
from fhir_trial.fhir.json import ambiguities, decode
from fhir_trial.frames.decoding import beside
from fhir_trial.frames.reading import Document, Lines, PassedOver, Unreadable, read_file
from fhir_trial.mapping.plain import is_deep, renamed
from fhir_trial.sync.folder import NOT_RESOURCES, Manifest, read_folder, read_manifest

Resource = dict[str, Any]


def is_fhir_folder(folder: Path) -> bool:
    """Whether a folder holds FHIR (NDJSON as `pull` and `to-fhir` write it, or Bundles in .json), rather than SDTM (which has a DM)."""
    if read_manifest(folder) is not None:
        return True
    return bool(_files(folder)) and not any(path.stem.lower() == "dm" for path in folder.iterdir())


def _files(folder: Path) -> list[Path]:
    return [path for path in fhir_files(folder) if path.name not in NOT_RESOURCES]


def read_resources(folder: Path, findings: Findings) -> Iterator[Resource]:
    """Every resource of a folder of FHIR: those of its lines, its Bundles and the Bundles in them; the rest goes to `findings`.

    Where the folder has a manifest, its files must be what that says: an `InputError` for one that is not.
    """
    manifest = read_manifest(folder)
    files = _files(folder)
    if manifest is not None:
        yield from read_folder(folder)
        files = _beside_manifest(files, manifest, findings)
    for path in files:
        for piece in read_file(path, path.name):
            if isinstance(piece, Lines):
                for number, line in enumerate(piece.data.split(b"\n"), piece.first_line):
                    if line.strip():
                        yield from _of_text(line, piece.place, number, findings)
            elif isinstance(piece, Document):
                yield from _of_text(piece.data, piece.place, None, findings)
            elif isinstance(piece, Unreadable):
                findings.add(Finding("unreadable", piece.place, found=piece.reason, expected="a file that can be read to its end"))
    findings.extend(beside(PassedOver(path.name, path.is_dir())) for path in passed_over(folder))


def _beside_manifest(files: list[Path], manifest: Manifest, findings: Findings) -> list[Path]:
    """The files that are read beside those of the manifest: documents that somebody put there; lines that it does not name are not."""
    others = [path for path in files if path.name not in {entry.name for entry in manifest.files}]
    for path in others:
        if suffix(path) not in DOCUMENTS:
            expected = "a file that the manifest names"
            findings.add(Finding("passed-over", path.name, expected=expected, severity="warning", effect="not read"))
    return [path for path in others if suffix(path) in DOCUMENTS]


def _of_text(data: bytes, place: str, row: int | None, findings: Findings) -> Iterator[Resource]:
    """The resources of a document or a line."""
    try:
        value = decode(data, place)
    except InputError as error:
        findings.extend(replace(finding, row=row) for finding in error.findings)
        return
    findings.extend(replace(finding, row=row) for finding in ambiguities(data, value, place))
    if not _is_resource(value):
        findings.add(Finding("not-a-resource", place, row, expected="a Bundle or a resource", effect="not read"))
    elif value["resourceType"] != "Bundle":
        yield value
    else:
        yield from _of_bundle(value, place if row is None else f"{place} row {row} entry", findings)


def _of_bundle(bundle: Resource, place: str, findings: Findings) -> Iterator[Resource]:
    """The resources of a Bundle and of those in it; a finding for each entry that is no object, or holds no resource where it should."""
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        findings.add(Finding("not-a-resource", place, field="entry", expected="an array", effect="no entry is read"))
        return
    names = dict(_names(entries))
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or not ("resource" not in entry or _is_resource(entry["resource"])):
            expected, effect = "an entry with a resource", "the entry is not read"
            findings.add(Finding("not-a-resource", place, number, "entry", expected=expected, effect=effect))
        elif "resource" in entry and entry["resource"]["resourceType"] == "Bundle":
            yield from _of_bundle(entry["resource"], f"{place} row {number} entry", findings)
        elif "resource" in entry:
            resource = _named(entry["resource"], entry.get("fullUrl"))
            yield renamed(resource, names) if names and not is_deep(resource) else resource


_URN = "urn:uuid:"


def _named(resource: Resource, url: Any) -> Resource:
    """The resource, with an id if it has none but stands under a `urn:uuid:`, by which others refer to it."""
    if "id" not in resource and isinstance(url, str) and url.startswith(_URN):
        return resource | {"id": url.removeprefix(_URN)}
    return resource


def _names(entries: list[Any]) -> Iterator[tuple[str, str]]:
    """Each `urn:uuid:` under which a resource stands that has an id of its own, with its place: others refer to it by either."""
    for entry in entries:
        resource, url = (entry.get("resource"), entry.get("fullUrl")) if isinstance(entry, dict) else (None, None)
        if isinstance(resource, dict) and isinstance(resource.get("id"), str) and isinstance(url, str) and url.startswith(_URN):
            yield url, f"{resource.get('resourceType')}/{resource['id']}"


def _is_resource(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("resourceType"), str)
