"""Functions that a mapping calls with batches of a table: how it should be done, and how not."""

from __future__ import annotations

import os
import random
import time
from itertools import count
from typing import Any

_COUNTED = count()


def phone(frame: Any) -> Any:
    """The first digits, and how many there were."""
    return frame[["phone"]].assign(
        phone=[None if one is None else f"{one[:2]}…{len(one)}" for one in _values(frame)]
    )


def phone_of_arrow(table: Any) -> Any:
    import pyarrow as pa

    values = table.column("phone").to_pylist()
    made = [None if one is None else f"{one[:2]}…{len(one)}" for one in values]
    return pa.table({"phone": pa.array(made, pa.string()), "windlass_row": table["windlass_row"]})


def phone_of_polars(frame: Any) -> Any:
    import polars as pl

    made = pl.col("phone").str.slice(0, 2) + "…" + pl.col("phone").str.len_chars().cast(pl.String)
    return frame.select(made, "windlass_row")


def note(frame: Any) -> Any:
    return frame[["note"]].assign(note=frame["note"].str.upper())


def next_year(frame: Any) -> Any:
    """A number, from a number of another column."""
    return frame[["age"]].assign(age=frame["age"] + 1)


def _values(frame: Any) -> list[Any]:
    import pandas as pd

    return [None if pd.isna(one) else one for one in frame["phone"]]


def _each(frame: Any, make: Any) -> Any:
    return frame[["phone"]].assign(phone=[make(one) for one in frame["phone"].astype(str)])


def at_random(frame: Any) -> Any:
    return _each(frame, lambda _: str(random.random()))


def by_hash(frame: Any) -> Any:
    """The same for every call of one process."""
    return _each(frame, lambda one: str(hash(one)))


def by_batch(frame: Any) -> Any:
    return _each(frame, lambda one: f"{one} of {len(frame)}")


def by_process(frame: Any) -> Any:
    return _each(frame, lambda one: f"{one} {os.getpid()}")


def by_moment(frame: Any) -> Any:
    return _each(frame, lambda one: f"{one} {time.monotonic_ns()}")


def late_at_random(frame: Any) -> Any:
    """Steady for the rows that a plan tries, and not for those after them."""
    made = [
        f"{one} {random.random()}" if int(at) > 100 else one
        for at, one in zip(frame["id"], frame["phone"].astype(str), strict=True)
    ]
    return frame[["phone"]].assign(phone=made)


def fails(_: Any) -> Any:
    raise ValueError("secret")


def other_column(frame: Any) -> Any:
    return frame[["phone", "name"]].assign(name="x")


def nothing(frame: Any) -> Any:
    return frame[["name"]]


def other_order(frame: Any) -> Any:
    return frame[["phone"]].sort_index(ascending=False)


def without_value(frame: Any) -> Any:
    return frame[["phone"]].assign(phone=None)


def precise(frame: Any) -> Any:
    """More digits than numeric(10, 2) keeps."""
    return frame[["total"]].assign(total="1.239")


constant = 3
