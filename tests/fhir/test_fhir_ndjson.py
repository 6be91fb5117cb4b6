"""Lines keep their numbers and whole resources stay whole, wherever a text is cut into parts."""

import gzip
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_trial.fhir import ndjson

LINES = st.lists(st.sampled_from([b"{}", b'{"a": 1}', b"", b" ", b"\r", b"x" * 30, "ü".encode()]), max_size=12)


def numbered(chunks: Iterator[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    return [(first + i, line) for first, data in chunks for i, line in enumerate(data.split(b"\n")) if line.strip()]


@given(lines=LINES, cuts=st.lists(st.integers(0, 300), max_size=8), size=st.integers(1, 60), mark=st.booleans(), last=st.booleans())
def test_chunks_of_parts_hold_the_lines_with_their_numbers(lines: list[bytes], cuts: list[int], size: int, mark: bool, last: bool) -> None:
    text = (ndjson.BOM if mark else b"") + b"\n".join(lines) + (b"\n" if last else b"")
    edges = [0, *sorted({cut for cut in cuts if 2 < cut < len(text)}), len(text)]
    parts = [text[start:end] for start, end in pairwise(edges)]
    expected = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    was, ndjson.CHUNK_BYTES = ndjson.CHUNK_BYTES, size
    try:
        assert numbered(ndjson.chunks(parts)) == expected
        assert numbered(ndjson.chunks(ndjson.blocks(BytesIO(text)))) == expected
    finally:
        ndjson.CHUNK_BYTES = was
    stripped = [(number, line.rstrip(b"\n")) for number, line in ndjson.numbered_lines(BytesIO(text))]
    assert stripped == expected


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
@pytest.mark.parametrize("name", ["a.ndjson", "a.ndjson.gz"])
def test_what_is_packed_is_known_by_its_bytes(pack: Callable[[bytes], bytes], name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(pack(b"{}\n"))
    with ndjson.opened(tmp_path / name) as stream:
        assert stream.read() == b"{}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"{}\n{}", True),
        (b"\xef\xbb\xbf{}\n{}", True),
        (b'{"a": 1\n{"b": 2}', True),
        (b'{\n"a": 1}', False),
        (b"{}", False),
        (b"[\n{}\n]", False),
        (b"", False),
    ],
)
def test_lines_are_told_from_a_document(text: bytes, expected: bool) -> None:
    assert ndjson.is_lines(text) is expected
