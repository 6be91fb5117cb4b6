"""Tables of dated facts: one row a fact with its subject's place, its day and its source record."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from fhir_trial.endpoints import columns as col
from fhir_trial.endpoints.columns import NO_DAY, Ints


def no_facts() -> pd.DataFrame:
    """An empty table of facts."""
    return dated(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), None, None)


def dated(subject: Ints, on: Ints, domain: Any, variable: Any, sequence: Any = None) -> pd.DataFrame:
    """A table of facts, those without a subject or a day left out; its index says which row each came from.

    Rows stand by their source's sequence, so that the order in which a server gives records back decides nothing.
    """
    size = len(subject)
    frame = pd.DataFrame(
        {
            "subject": subject,
            "on": on,
            "domain": labels(domain, size),
            "variable": labels(variable, size),
            "sequence": np.full(size, np.nan) if sequence is None else np.asarray(sequence, dtype=float),
        },
        copy=False,
    )
    known = col.rows_where(frame, (subject >= 0) & (on != NO_DAY))
    return known if sequence is None else known.iloc[np.argsort(known["sequence"].to_numpy(), kind="stable")]


def labels(value: Any, size: int) -> Any:
    """One word for all rows, or one a row, as categories: a byte a row, where an object is eight and a hash."""
    if value is None or isinstance(value, str):
        return col.constant(value, size)
    return col.categories(pd.Series(value))


def on_days(values: "pd.Series[Any]", partial: str) -> Ints:
    """A column of dates, as text or as datetimes, as days since 1970-01-01."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        days = values.to_numpy(dtype="datetime64[D]")
        return np.where(np.isnat(days), NO_DAY, days.astype(np.int64))
    return col.days(values, partial)


def locate(frame: pd.DataFrame, place: "pd.Index[Any]") -> Ints:
    """The subject's place of each row, -1 for those not enrolled."""
    return col.places(frame["subject"], place)


def nested(frame: pd.DataFrame, name: str, place: "pd.Index[Any]") -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The items of a repeat with their subject's row."""
    if name not in frame:
        return
    for row, items in zip(locate(frame, place).tolist(), frame[name], strict=True):
        if row >= 0 and items is not None and items is not pd.NA:
            yield from ((row, item) for item in items)


def word(value: object) -> str:
    """A coded word in capitals without hyphens, since sources differ in both; nothing where there is none.

    >>> word("Subsequent anti-cancer therapy")
    'SUBSEQUENT ANTICANCER THERAPY'
    """
    return value.upper().replace("-", "").strip() if isinstance(value, str) else ""


def first_days(facts: pd.DataFrame, size: int) -> Ints:
    """The first day of the facts for each of `size` subjects, else `NO_DAY`."""
    days = np.full(size, NO_DAY)
    np.minimum.at(days, facts["subject"].to_numpy(), facts["on"].to_numpy())
    return days


def last_days(facts: pd.DataFrame, size: int, absent: int) -> Ints:
    """The last day of the facts for each of `size` subjects, else `absent`."""
    days = np.full(size, absent)
    np.maximum.at(days, facts["subject"].to_numpy(), facts["on"].to_numpy())
    return days
