"""Functions that `windlass load` calls with the batches of an input: orders as text."""

from __future__ import annotations

from typing import Any


def arrow(table: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    kept = table.filter(pc.not_equal(table["note"], "drop"))
    return kept.set_column(1, "total", pc.multiply(kept["total"].cast(pa.int64()), 2))


def pandas(frame: Any) -> Any:
    frame = frame[frame["note"] != "drop"]
    return frame.assign(total=frame["total"].astype("int64") * 2)


def polars(frame: Any) -> Any:
    import polars as pl

    total = pl.col("total").cast(pl.Int64) * 2
    return frame.filter(pl.col("note") != "drop").with_columns(total)


def fails(_: Any) -> Any:
    raise ValueError("secret")


def number(_: Any) -> Any:
    return 3


def nested(_: Any) -> Any:
    import pyarrow as pa

    return pa.table({"id": [1], "total": [[1, 2]], "note": ["a"]})


def precise(_: Any) -> Any:
    """A time whose last digits no database keeps."""
    import pyarrow as pa

    return pa.table({"id": [1], "total": pa.array([1_000_000_001], pa.timestamp("ns"))})
