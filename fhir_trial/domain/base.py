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


class SourceColumn(Entity, frozen=True, kw_only=True):
    """A column of the source's row that no field says as it stood there: its `name`, and its text, or no text where the source is blank.

    `record` says which of the rows that make up this one it is of, where there are several (a test, or `DS 3`).
    """

    record: str | None = None
    name: str
    value: str | None = None
