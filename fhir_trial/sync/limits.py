"""How much of a server's answer is taken: bytes, and values, since two bytes of JSON can be a hundred in memory."""

FILE_LIMIT_BYTES = 8 * 1024 * 1024 * 1024
"""How large a file of a bulk export may be once unpacked."""
LIMIT_BYTES = 16 * 1024 * 1024
"""How large an answer, or a line of such a file, may be once unpacked: a page of 1,000 resources is about 3 MB."""
LIMIT_VALUES = 500_000
"""How many JSON values it may hold; 1,000 resources have about 150,000."""
_MARKS = (b",", b"[", b"{")


def is_too_full(text: bytes) -> bool:
    """Whether JSON holds more values than we take, told without decoding it.

    >>> is_too_full(b"[" * 500_001), is_too_full(b'{"resourceType":"Bundle"}')
    (True, False)
    """
    return len(text) > LIMIT_VALUES and sum(map(text.count, _MARKS)) > LIMIT_VALUES
