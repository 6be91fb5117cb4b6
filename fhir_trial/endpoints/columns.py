"""Columns of domain tables as numpy arrays: shared codes, days, exact lengths, and steps along groups.

Missing codes are -1, a missing day is `NO_DAY`. Lengths are whole numbers of 1e-12 mm, the precision of the tables' decimals, so that -30 %
and +20 % are compared exactly.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fhir_trial.domain.arrow_types import DECIMAL
from fhir_trial.domain.dates import first_day, last_day, parse_when

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Strings = npt.NDArray[np.object_]

NO_DAY = int(np.iinfo(np.int64).max)
"""A day that is not known: it sorts after every day."""
PER_MM = 10**DECIMAL.scale
"""Units of length in a millimetre."""

_EPOCH = dt.date(1970, 1, 1).toordinal()


def column(frame: pd.DataFrame, name: str) -> "pd.Series[Any]":
    """The column, or nothing but nulls where the table lacks it."""
    return frame[name] if name in frame else pd.Series(np.full(len(frame), np.nan), index=frame.index)


def numbers(frame: pd.DataFrame, name: str) -> Floats:
    """A column of numbers or truth values as floats, NaN where there is none.

    >>> numbers(pd.DataFrame({"n": [Decimal(1), None]}), "n").tolist(), numbers(pd.DataFrame({"n": [True]}), "n").tolist()
    ([1.0, nan], [1.0])
    """
    if name not in frame:
        return np.full(len(frame), np.nan)
    values = frame[name]
    if isinstance(values.dtype, pd.ArrowDtype):
        return np.asarray(values.astype(pd.ArrowDtype(pa.float64())).to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)
    return np.asarray(values.astype("float64"), dtype=np.float64)


def whole_numbers(frame: pd.DataFrame, name: str) -> Ints:
    """A column of whole numbers, -1 where there is none."""
    found = numbers(frame, name)
    return np.where(np.isnan(found), -1, found).astype(np.int64)


def stacked(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all tables that have any; categories stay categories."""
    filled = [part.reset_index(drop=True) for part in parts if len(part)] or list(parts[:1])
    if len(filled) == 1:
        return filled[0]
    coded = [name for name in filled[0] if all(name in f and isinstance(f[name].dtype, pd.CategoricalDtype) for f in filled)]
    rest = pd.concat([part.drop(columns=coded) for part in filled], ignore_index=True)
    joined = rest.assign(**{str(name): _joined([part[name] for part in filled]) for name in coded})
    return joined[[name for name in filled[0]] + [name for name in rest if name not in filled[0]]]


def _joined(parts: Sequence["pd.Series[Any]"]) -> Any:
    words = parts[0].cat.categories
    for part in parts[1:]:
        words = words if part.cat.categories is words else words.union(part.cat.categories, sort=False)
    return pd.Categorical.from_codes(np.concatenate([_codes_among(words, part) for part in parts]), words)


def _codes_among(words: "pd.Index[Any]", part: "pd.Series[Any]") -> Any:
    codes, theirs = part.cat.codes.to_numpy(), part.cat.categories
    return codes if theirs is words else np.append(words.get_indexer(theirs), -1)[codes]


def rows_where(frame: pd.DataFrame, chosen: Bools) -> pd.DataFrame:
    """The rows that are chosen; the table itself where all are, since copying millions of rows costs more than judging them."""
    return frame if chosen.all() else frame.loc[chosen]


def constant(value: str | None, size: int) -> Any:
    """A column of one word."""
    return labelled(np.full(size, 0 if value is not None else -1), [value] if value is not None else [])


def categories(words: "pd.Series[Any]") -> Any:
    """A column of words as categories, if it is not one already."""
    if isinstance(words.dtype, pd.CategoricalDtype):
        return words
    codes, names = coded(words)
    return labelled(codes, list(names))


def labelled(codes: Ints, names: "Sequence[Any] | pd.Index[Any]") -> Any:
    """A column of words from their codes; names may repeat."""
    index = pd.Index(names, dtype=object)
    if index.is_unique:
        return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(index))
    place, known = pd.factorize(index)
    return pd.Categorical.from_codes(np.append(place, -1)[codes], pd.Index(known, dtype=object))


def first_places(codes: Ints) -> Ints:
    """Where each code, of those from 0 to the largest, stands first.

    >>> first_places(np.array([0, 1, 0, 2, 1])).tolist()
    [0, 1, 3]
    """
    first = np.zeros(int(codes.max(initial=-1)) + 1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return first


def shared_codes(frames: Sequence[pd.DataFrame], name: str) -> tuple[list[Ints], Strings]:
    """One column of several tables as codes into one list of its values: in the order they are met, or the list that they share already.

    >>> a, b = pd.DataFrame({"x": ["p", None, "q"]}), pd.DataFrame({"x": ["q", "r"]})
    >>> codes, values = shared_codes([a, b], "x")
    >>> [c.tolist() for c in codes], values.tolist()
    ([[0, -1, 1], [1, 2]], ['p', 'q', 'r'])
    """
    columns = [column(f, name) for f in frames]
    parts = [coded(values) for values in columns]
    if _one_list([values for values, (_, words) in zip(columns, parts, strict=True) if len(words)]):
        return [codes for codes, _ in parts], max((words for _, words in parts), key=len)
    places, values = pd.factorize(np.concatenate([np.zeros(0, dtype=object), *(words for _, words in parts)]))
    known = np.split(np.asarray(places, dtype=np.int64), np.cumsum([len(words) for _, words in parts])[:-1])
    return [np.append(place, -1)[codes] for place, (codes, _) in zip(known, parts, strict=True)], np.asarray(values, dtype=object)


def _one_list(columns: Sequence["pd.Series[Any]"]) -> bool:
    """Whether the columns are categories of one and the same list."""
    lists = [values.cat.categories for values in columns if isinstance(values.dtype, pd.CategoricalDtype)]
    return len(lists) == len(columns) > 0 and all(known is lists[0] for known in lists)


REPEATED = ("evaluator", "evaluator_id", "visit", "lesion", "role", "on")
"""Columns that several steps look up, of few words each."""


def with_codes(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables with their subjects as categories of one list, and `REPEATED` as categories: millions of words are read once.

    For `respond` and `gather`: categories are in the order they are met, so to sort by them is not to sort by the words.
    """
    named = [name for name, table in tables.items() if "subject" in table]
    codes, subjects = shared_codes([tables[name] for name in named], "subject")
    kind = pd.CategoricalDtype(pd.Index(subjects, dtype=object))
    shared = {n: tables[n].assign(subject=pd.Categorical.from_codes(c, dtype=kind)) for n, c in zip(named, codes, strict=True)}
    return {n: t.assign(**{name: categories(t[name]) for name in REPEATED if name in t}) for n, t in (dict(tables) | shared).items()}


def coded(values: "pd.Series[Any]") -> tuple[Ints, Strings]:
    """A column as codes into its distinct values, -1 where there is none; categories are taken as they are, used or not.

    >>> codes, words = coded(pd.Series(["b", None, "a", "b"]))
    >>> codes.tolist(), words.tolist()
    ([0, -1, 1, 0], ['b', 'a'])
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.codes.to_numpy().astype(np.int64), values.cat.categories.to_numpy(dtype=object)
    if isinstance(values.dtype, pd.ArrowDtype):
        array = pa.chunked_array(values.array.__arrow_array__()).combine_chunks().dictionary_encode()
        array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
        codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        return codes, np.array([*array.dictionary.to_pylist(), None], dtype=object)[:-1]
    codes, words = pd.factorize(values)
    return codes.astype(np.int64), np.asarray(words, dtype=object)


def places(values: "pd.Series[Any]", among: "pd.Index[Any]") -> Ints:
    """Where each value stands among distinct ones, -1 where it does not.

    >>> places(pd.Series(["b", None, "c"]), pd.Index(["a", "b"])).tolist()
    [1, -1, -1]
    """
    codes, words = coded(values)
    place: Ints = np.append(among.get_indexer(pd.Index(words, dtype=object)), -1)[codes].astype(np.int64)
    return place


def combined(parts: Sequence[Ints]) -> Ints:
    """One code for each combination of codes, numbered as they are met.

    >>> combined([np.array([0, 0, 1, 0]), np.array([-1, 2, -1, -1])]).tolist()
    [0, 1, 2, 0]
    """
    whole, size = np.zeros(len(parts[0]), dtype=np.int64), 1
    for part in parts:
        width = int(part.max(initial=-1)) + 2
        if size * width > 4 * len(part):
            whole = _as_met(whole, size)
            size = int(whole.max(initial=-1)) + 1
        whole, size = whole * width + part + 1, size * width
    return _as_met(whole, size)


def _as_met(codes: Ints, size: int) -> Ints:
    """Codes below `size` numbered anew in the order they are met: by a table of them all where that is short; hashing is slower."""
    if size > 4 * len(codes):
        return pd.factorize(codes)[0].astype(np.int64)
    first = np.full(size, NO_DAY)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    met = np.flatnonzero(first != NO_DAY)
    rank = np.empty(size, dtype=np.int64)
    rank[met[np.argsort(first[met])]] = np.arange(len(met))
    return rank[codes]


def words(frame: pd.DataFrame, name: str, meaning: dict[str, int], default: int = -1) -> Ints:
    """A column of coded words as numbers; a word without a meaning is `default`."""
    codes, values = coded(column(frame, name))
    table = np.array([meaning.get(str(value), default) for value in values] + [default], dtype=np.int64)
    return table[codes]


def day_number(when: object, partial: str) -> int:
    """Days since 1970-01-01 of a date; one without a day is its first, mid (15th, or July the 1st) or last.

    >>> [day_number("1970-02", how) for how in ("first", "mid", "last")], day_number("soon", "mid") == NO_DAY
    ([31, 45, 58], True)
    """
    text = parse_when(str(when)[:10])
    if text is None:
        return NO_DAY
    first, last = first_day(text), last_day(text)
    middle = first if first == last else dt.date(first.year, 7, 1) if len(text) == 4 else first.replace(day=15)
    return {"first": first, "mid": middle, "last": last}[partial].toordinal() - _EPOCH


def days(values: "pd.Series[Any]", partial: str = "mid") -> Ints:
    """A column of dates as days since 1970-01-01."""
    codes, found = coded(values)
    table = np.array([day_number(value, partial) for value in found] + [NO_DAY], dtype=np.int64)
    return table[codes]


def to_dates(numbers: Ints) -> "pd.Series[Any]":
    """Days since 1970-01-01 as a column of datetimes, NaT where there is none."""
    known = numbers != NO_DAY
    return pd.Series(np.where(known, numbers, 0).astype("datetime64[D]").astype("datetime64[s]")).where(known)


def lengths(values: "pd.Series[Any]") -> tuple[Ints, Bools]:
    """A column of millimetres as whole units of length, and where there is a value; what does not fit is the largest number.

    >>> lengths(pd.Series([Decimal("30.1"), None, Decimal("-1")]))[0].tolist()
    [30100000000000, 0, -1000000000000]
    """
    present = values.notna().to_numpy(dtype=bool)
    if isinstance(values.dtype, pd.ArrowDtype) and values.dtype.pyarrow_dtype == DECIMAL:
        units = _unscaled(pa.chunked_array(values.array.__arrow_array__()))
    elif isinstance(values.dtype, np.dtype) and values.dtype.kind in "iuf":
        # floats are read to 1e-6 mm: below what is measured, above their noise
        micro = np.rint(np.where(present, values, 0).astype(float) * 1e6)
        units = np.clip(micro, -9e12, 9e12).astype(np.int64) * (PER_MM // 10**6)
    else:
        codes, found = pd.factorize(values)
        units = np.array([_units(value) for value in found] + [0], dtype=np.int64)[codes]
    return np.where(present, units, 0), present


def _units(value: object) -> int:
    whole = int(Decimal(str(value)).scaleb(DECIMAL.scale).to_integral_value())
    return max(-(2**63 - 1), min(2**63 - 1, whole))


def _unscaled(decimals: pa.ChunkedArray) -> Ints:
    """The integers behind a decimal column: their low 64 bits, where the high ones are nothing but the sign."""
    array = decimals.combine_chunks()
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    pairs = np.frombuffer(array.buffers()[1], dtype=np.int64).reshape(-1, 2)[array.offset : array.offset + len(array)]
    low, high = pairs[:, 0], pairs[:, 1]
    return np.where(high == low >> 63, low, np.where(high < 0, -(2**63 - 1), 2**63 - 1))


def sums(values: Ints, at: Ints, size: int) -> Ints:
    """Exact sums of whole numbers by the place they belong to.

    >>> sums(np.array([5, 2, 1]), np.array([1, 0, 1]), 3).tolist()
    [2, 6, 0]
    """
    total = np.zeros(size, dtype=np.int64)
    np.add.at(total, at, values)
    return total


def earlier_minimum(values: Ints, group: Ints) -> Ints:
    """At each row the smallest value of the group's earlier rows, `NO_DAY` (the largest number) at its first; rows are sorted by group.

    >>> earlier_minimum(np.array([4, 7, 3, 9]), np.array([0, 0, 0, 1])).tolist() == [NO_DAY, 4, 4, NO_DAY]
    True
    """
    lowest = pd.Series(values).groupby(group).cummin().to_numpy()
    before = np.empty_like(lowest)
    before[:1], before[1:] = NO_DAY, lowest[:-1]
    return np.where(first_of_group(group), NO_DAY, before)


def earlier_any(flags: Bools, group: Ints) -> Bools:
    """At each row whether an earlier row of its group has the flag; rows are sorted by group."""
    earlier: Bools = earlier_minimum(np.where(flags, 0, 1), group) == 0
    return earlier


def first_of_group(group: Ints) -> Bools:
    """Which rows begin a group; rows are sorted by group."""
    return np.concatenate((np.ones(min(1, len(group)), dtype=bool), group[1:] != group[:-1]))
