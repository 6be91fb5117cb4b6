"""A view's table as a DataFrame of pandas or polars."""

from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import pyarrow as pa

from fhir_trial.errors import UsageError, require

if TYPE_CHECKING:
    import polars

Backing = Literal["arrow", "numpy"]


def to_pandas(table: pa.Table, backing: Backing = "arrow") -> pd.DataFrame:
    """The table with the types it has (Arrow-backed, nothing copied or changed), or as numpy holds it.

    numpy has no exact decimals and no missing integers or truth values: there decimals are floats, integers with gaps floats too, and
    truth values with gaps objects. Text with gaps and lists are what pandas makes of them.

    >>> table = pa.table({"dose": pa.array([1, None], pa.int64())})
    >>> to_pandas(table).dtypes["dose"], to_pandas(table, "numpy").dtypes["dose"]
    (int64[pyarrow], dtype('float64'))
    """
    if backing == "arrow":
        arrow: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
        return arrow
    if backing != "numpy":
        raise UsageError(f"backing={backing!r} is not known: arrow, numpy")
    floats = [pa.field(field.name, pa.float64()) if pa.types.is_decimal(field.type) else field for field in table.schema]
    plain: pd.DataFrame = table.cast(pa.schema(floats)).to_pandas()
    return plain


def to_polars(table: pa.Table) -> "polars.DataFrame":
    """The table with the types it has, where polars is installed (`pip install "fhir_trial[polars]"`): decimals exact, lists as lists.

    Raises `MissingExtra` without polars.

    >>> to_polars(pa.table({"given": ["Anna", None]})).rows()
    [('Anna',), (None,)]
    """
    module: Any = require("polars", "polars")
    frame: polars.DataFrame = module.from_arrow(table)
    return frame
