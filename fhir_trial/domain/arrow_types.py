"""Arrow types that tables and views share, without what tables need beside them."""

import pyarrow as pa

DECIMAL = pa.decimal128(38, 12)
"""Every decimal column: exact, 26 digits before the point and 12 after it."""
