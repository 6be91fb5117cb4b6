"""What this program stored in a folder, and its removal: files of a folder of FHIR, journals, stores; never what it did not write."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fhir_trial.errors import ConfigurationError, no_folder
from fhir_trial.privacy.audit import FILE_NAME as AUDIT
from fhir_trial.sync.folder import MANIFEST, read_manifest
from fhir_trial.sync.journal import FOLDER as STATE
from fhir_trial.sync.journal import Journal
from fhir_trial.trial.deidentified import REPORT

_BESIDE = (MANIFEST, "loss.json", REPORT)


@dataclass(frozen=True)
class Stored:
    """What stands in a folder: ours, which a purge removes; the audit log, which it keeps; and what others put there."""

    folder: Path
    ours: tuple[Path, ...]
    kept: tuple[Path, ...]
    others: tuple[Path, ...]


def stored(folder: Path) -> Stored:
    """What stands in a folder, looked at file by file; UsageError for no folder, InputError for a manifest that cannot be read."""
    if not folder.is_dir():
        raise no_folder(folder, "a folder of data that fhir-trial wrote")
    everything = sorted(path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    ours = set(_ours(folder)) & set(everything)
    kept = tuple(path for path in everything if path.parent.name == STATE and path.name.startswith(AUDIT))
    mine = tuple(sorted(ours - set(kept)))
    return Stored(folder, mine, kept, tuple(path for path in everything if path not in ours and path not in kept))


def _ours(folder: Path) -> Iterator[Path]:
    """Files that this program wrote."""
    for manifest in folder.rglob(MANIFEST):
        held = read_manifest(manifest.parent)
        names = [entry.name for entry in held.files] if held else []
        yield from (manifest.parent / name for name in names if Path(name).name == name)
        yield from (manifest.parent / name for name in _BESIDE)
    yield from folder.rglob("*.ndjson.part")
    yield from (path for state in folder.rglob(STATE) for path in state.iterdir())
    for database in folder.rglob("*.sqlite"):
        if _is_store(database):
            yield from (database.with_name(database.name + end) for end in ("", "-wal", "-shm"))


def _is_store(path: Path) -> bool:
    """Whether a file is a database of the embedded server."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            return {"about", "versions"} <= {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error:
        return False


def purge(found: Stored) -> None:
    """Remove what is ours; `ConfigurationError` (exit 3), before anything goes, while a sync works in the folder.

    Files are removed as the system removes files: what a disk keeps of them after that is the disk's encryption to guard.
    """
    for journal in (path for path in found.ours if path.parent.name == STATE and path.suffix == ".sqlite"):
        Journal(journal).close()
    for path in found.ours:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be removed ({error.strerror or type(error).__name__})") from None
    for folder in sorted({path.parent for path in found.ours}, reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
