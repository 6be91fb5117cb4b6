"""Where commands write: a place that cannot be written to is said before any work is done, and by the name that the user gave."""

from collections.abc import Iterator
from pathlib import Path

from fhir_trial.errors import UsageError


def folder_to_write(path: Path) -> Path:
    """The folder that an option names, there already or not; `UsageError` where a file is in its way."""
    for place in _whole(path):
        if place.exists() and not place.is_dir():
            raise UsageError(f"{place} is a file, expected a folder to write into")
    return path


def file_to_write(path: Path | None) -> Path | None:
    """The file that an option names, if it does; `UsageError` where a folder is in its place or a file in its way."""
    if path is None:
        return None
    if path.is_dir():
        raise UsageError(f"{path} is a folder, expected a file to write")
    folder_to_write(path.parent)
    return path


def _whole(path: Path) -> Iterator[Path]:
    """The path and every folder that it lies in."""
    yield path
    yield from path.parents
