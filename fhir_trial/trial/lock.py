"""Locks: the results of a trial frozen in one file, with cutoff, data digest, conventions and versions; read back only as they were made.

The file's own digest shows that it was changed, by accident or without care; it is no signature.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

from fhir_trial.domain.entities import When
from fhir_trial.endpoints.analyse import analyse, with_subgroups
from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.errors import Finding, Findings, InputError, UsageError, no_folder
from fhir_trial.fhir.json import decode, encode
from fhir_trial.trial.derived import INPUTS, LOCK, found_source, pretty, read_inputs, refuse_locked, text_digest, write_endpoints
from fhir_trial.trial.digest import data_digest
from fhir_trial.trial.opened import read_source

SUMMARY = "summary.json"
SCHEMA = 1
"""The version of a lock's shape."""

HEAD = ("lock", "study", "synthetic", "cutoff", "snapshot", "conventions", "departures", "versions")
"""What a lock says before its files."""


@dataclass(frozen=True)
class Lock:
    """A lock that was read: its file, what it says (`head`), and the text of each file of results."""

    path: Path
    head: Mapping[str, Any]
    texts: Mapping[str, str] = field(repr=False)
    digest: str

    @property
    def summary(self) -> Any:
        """The figures that are locked."""
        return decode(self.texts[SUMMARY], SUMMARY)


def lock(folder: Path, cutoff: str | None = None, out: Path | None = None) -> Lock:
    """Freeze the results in `folder`, as `endpoints` wrote them, in one file (None: `LOCK` in the folder).

    With a `cutoff` other than the one they stand at, they are derived anew from the same data first, and written. `UsageError` where those
    data are no longer there; `InputError` where a file is missing or was changed, the data are others, or another lock stands in the place.
    """
    told = _checked_inputs(folder)
    stated = decode((folder / SUMMARY).read_bytes(), SUMMARY)["conventions"]
    path = out or folder / LOCK
    if cutoff is not None and When(cutoff) != stated["data_cutoff"]:
        refuse_locked({place for place in (path, folder / LOCK) if place.exists()})
        _derive_anew(folder, told, Conventions.from_dict(stated), cutoff)
        told = _checked_inputs(folder)
    written = _written(folder, told)
    refuse_locked([path] if path.exists() and path.read_bytes() != written else [])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(written)
    return read_lock(path)


def _checked_inputs(folder: Path) -> Any:
    """What the folder's results were derived from; every file must be as it was written."""
    if not folder.is_dir():
        raise no_folder(folder, "a folder that `endpoints` wrote")
    told = read_inputs(folder)
    if not isinstance(told, dict) or not {"schema", "study", "snapshot", "versions", "files"} <= told.keys():
        expected = f"a folder that `endpoints` wrote, with {INPUTS}"
        raise InputError([Finding("no-endpoints", str(folder), expected=expected, effect="nothing is locked")])
    findings = Findings(_of_files(folder, told["files"]))
    findings.raise_errors()
    return told


def _of_files(folder: Path, digests: Mapping[str, str]) -> list[Finding]:
    """Findings on files of results that are missing or are not as they were written."""
    found = []
    for name, digest in digests.items():
        path = folder / name
        if not path.is_file():
            found.append(Finding("file-missing", str(path), expected="the file that `endpoints` wrote"))
        elif sha256(path.read_bytes()).hexdigest() != digest:
            found.append(Finding("file-changed", str(path), expected="the file as `endpoints` wrote it"))
    return found


def _derive_anew(folder: Path, told: Mapping[str, Any], conventions: Conventions, cutoff: str) -> None:
    """Derive and write the results at another cutoff, from the data that they were derived from."""
    conventions = conventions.with_settings({"data_cutoff": cutoff})
    source = found_source(folder, told["source"]) if told.get("source") else None
    if source is None or not source.folder.is_dir():
        where = f" at {told['source']['folder']}" if source else ""
        raise UsageError(
            f"the results do not stand at cutoff {cutoff}, and their data are not{where}: run endpoints --set data_cutoff={cutoff}"
        )
    data = read_source(source.folder, source.study or told["study"]["id"], source.fhir, dict(source.domains))
    if data_digest(data) != told["snapshot"]["sha256"]:
        raise InputError([Finding("data-changed", str(source.folder), expected="the data that the results were derived from")])
    write_endpoints(folder, with_subgroups(analyse(data, conventions), source.by, source.strata), data, source)


def _written(folder: Path, told: Mapping[str, Any]) -> bytes:
    """The lock of a folder as bytes: what it says, each file line by line, and last its own digest."""
    texts = {name: (folder / name).read_bytes().decode() for name in sorted(told["files"])}
    summary = decode(texts[SUMMARY], SUMMARY)
    document = {
        "lock": SCHEMA,
        **{name: told[name] for name in ("study", "synthetic")},
        "cutoff": summary["conventions"]["data_cutoff"],
        "snapshot": told["snapshot"],
        **{name: summary[name] for name in ("conventions", "departures")},
        "versions": told["versions"],
        "files": {name: {"sha256": text_digest(text), "lines": text.split("\n")} for name, text in texts.items()},
    }
    return pretty(document | {"sha256": _digest(document)})


def _digest(document: Mapping[str, Any]) -> str:
    """The digest of a lock without its own: of its shortest JSON."""
    return sha256(encode(decode(encode(document)))).hexdigest()


def read_lock(path: Path) -> Lock:
    """The lock in a file, or in a folder, whose files must then be as they were locked.

    `UsageError` where there is none; `InputError` where it is no lock, of a version that is not known, or not as it was made.
    """
    file = path / LOCK if path.is_dir() else path
    if not file.is_file():
        raise UsageError(f"there is no lock {file}")
    document = decode(file.read_bytes(), str(file))
    findings = Findings(_shape(document, file))
    findings.raise_errors()
    digest = document.pop("sha256")
    texts = {name: "\n".join(held["lines"]) for name, held in document["files"].items()}
    changed = [name for name, text in texts.items() if text_digest(text) != document["files"][name]["sha256"]]
    if changed or _digest(document) != digest:
        expected = "a lock as it was made: its digest is another"
        findings.extend(Finding("lock-changed", str(file), field=name, expected=expected) for name in changed or [None])
    if path.is_dir():
        findings.extend(_of_files(path, {name: held["sha256"] for name, held in document["files"].items()}))
    findings.raise_errors()
    return Lock(file, {name: _plain(document[name]) for name in HEAD}, texts, digest)


def _plain(value: Any) -> Any:
    """A value of JSON with its decimals as the numbers that they were written from."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return float(value) if isinstance(value, Decimal) else value


def _shape(document: Any, file: Path) -> list[Finding]:
    """Findings on what is no lock, or one whose shape is of another version."""
    if not isinstance(document, dict) or "lock" not in document:
        return [Finding("no-lock", str(file), expected="a lock as `fhir-trial lock` makes it")]
    if document["lock"] != SCHEMA:
        expected = f"a lock of schema {SCHEMA}: read it with the version of fhir_trial that made it"
        return [Finding("lock-version", str(file), field="lock", found=str(document["lock"])[:12], expected=expected)]
    files, missing = document.get("files"), [name for name in (*HEAD, "files", "sha256") if name not in document]
    whole = isinstance(files, dict) and SUMMARY in files and all(_is_text(held) for held in files.values())
    if missing or not whole:
        return [Finding("lock-changed", str(file), field=", ".join(missing) or "files", expected="a lock as it was made")]
    return []


def _is_text(held: Any) -> bool:
    """Whether this is a file as a lock holds it."""
    lines = held.get("lines") if isinstance(held, dict) else None
    return isinstance(lines, list) and all(isinstance(line, str) for line in lines) and isinstance(held.get("sha256"), str)
