"""What every entity is made of: a frozen row, and dates as precise as they were recorded."""

from typing import NewType

from msgspec import Struct

When = NewType("When", str)
"""ISO 8601 date or dateTime as precise as recorded: `2023`, `2023-05`, `2023-05-04`, `2023-05-04T10:30`, with or without zone."""


class Entity(Struct, frozen=True, kw_only=True):
    """A row of an entity's table; `repr` shows no field, since rows are subject data."""

    def __repr__(self) -> str:
        """The class name alone."""
        return f"{type(self).__name__}(...)"
