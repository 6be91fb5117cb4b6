"""Which files of a folder are FHIR, told by their names: every room takes the same ones, and what it passes over has a name."""

from collections.abc import Iterator
from pathlib import Path

LINES = (".ndjson", ".jsonl")
DOCUMENTS = (".json",)


def suffix(path: Path) -> str:
    """The ending of a file's name in lower case, of a packed file the one before `.gz`.

    >>> suffix(Path("Patient.NDJSON")), suffix(Path("Patient.ndjson.gz"))
    ('.ndjson', '.ndjson')
    """
    return Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


def fhir_files(folder: Path) -> list[Path]:
    """The files of a folder that are FHIR by their names, and folders with such names; hidden ones, which systems leave there, are not.

    Raises `OSError` where the folder cannot be read.
    """
    return sorted(path for path in folder.iterdir() if _is_fhir(path) and not path.name.startswith(".") and not _is_pipe(path))


def passed_over(folder: Path) -> Iterator[Path]:
    """What of a folder's FHIR is not read: hidden files, pipes (which would never end), and the folders in it that hold FHIR."""
    for path in sorted(folder.iterdir()):
        is_hidden = path.name.startswith(".")
        if (is_hidden or _is_pipe(path)) if _is_fhir(path) else (not is_hidden and path.is_dir() and _holds_fhir(path)):
            yield path


def _is_fhir(path: Path) -> bool:
    return suffix(path) in LINES + DOCUMENTS


def _is_pipe(path: Path) -> bool:
    return path.is_fifo() or path.is_socket() or path.is_char_device()


def _holds_fhir(folder: Path) -> bool:
    try:
        return any(_is_fhir(path) for path in folder.iterdir())
    except OSError:
        return True
