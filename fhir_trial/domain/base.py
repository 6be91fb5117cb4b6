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


class SourceDataset(Entity, frozen=True, kw_only=True):
    """A file that the data came in: its variables in their order, with spaces between, none where there was no such file.

    `without` are the variables that its rows would be written with from their facts, and that the file has not.
    """

    name: str
    variables: str | None = None
    without: str | None = None


class SourceQualifier(Entity, frozen=True, kw_only=True):
    """What a file says of one supplemental qualifier (SDTM SUPP--): its label, its origin, and who evaluated it."""

    dataset: str
    name: str
    label: str | None = None
    origin: str | None = None
    evaluator: str | None = None
