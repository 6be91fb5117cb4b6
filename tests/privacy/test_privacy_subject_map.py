"""The map of record numbers: one to one, its owner's alone."""

import os
import stat
from pathlib import Path

import pytest

from fhir_trial.errors import ConfigurationError, InputError
from fhir_trial.privacy.subject_map import read_subject_map, write_subject_map


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "subjects.csv"


def written(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    path.chmod(0o600)
    return path


def test_what_is_written_is_read(path: Path) -> None:
    write_subject_map({"MRN 1": "S-001", "MRN,2": "S-002"}, path)
    read = read_subject_map(path)
    assert (read.subject("MRN 1"), read.record("S-002"), read.subject("other"), len(read)) == ("S-001", "MRN,2", None, 2)
    assert "S-001" not in repr(read)
    assert "MRN" not in repr(read)


@pytest.mark.skipif(os.name != "posix", reason="modes of files are of POSIX systems")
def test_others_cannot_read_it(path: Path) -> None:
    write_subject_map({"1": "S-001"}, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="0640"):
        read_subject_map(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("record,subject\n1,S-001\n2,\n", [("map-line", 2)]),
        ("record,subject\n1,S-001,more\n", [("map-line", 1)]),
        ("mrn,subject\n1,S-001\n", [("map-line", 1)]),
        ("record,subject\n1,S-001\n1,S-002\n", [("map-twice", 1), ("map-twice", 2)]),
        ("record,subject\n1,S-001\n2,S-001\n", [("map-twice", 1), ("map-twice", 2)]),
    ],
)
def test_lines_that_are_no_pair_are_named_without_what_they_hold(path: Path, text: str, found: list[tuple[str, int]]) -> None:
    with pytest.raises(InputError) as caught:
        read_subject_map(written(path, text))
    assert [(finding.code, finding.row) for finding in caught.value.findings] == found
    assert "S-001" not in str(caught.value)


def test_a_map_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"subjects\.csv"):
        read_subject_map(path)
