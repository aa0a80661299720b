"""A session with a DuckDB file: how it is opened, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from windlass.errors import ConnectionLost, WindlassError

MEMORY = "128MB"  # what a session may take, beside the rest of the process; it spills to disk


@contextmanager
def explaining(place: str, doing: str) -> Iterator[None]:
    """DuckDB's errors as ours.

    Raises:
        ConnectionLost: another process has the file open; it can be tried again.
    """
    try:
        yield
    except duckdb.IOException as error:
        said = first_line(error)
        if "lock" in said:
            raise ConnectionLost(
                f"{place} is open in another process", hint="wait until it is closed"
            ) from error
        raise WindlassError(f"{place}: {doing}: {said}", hint="see the file") from error
    except duckdb.Error as error:
        raise WindlassError(f"{place}: {doing}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """Without the values that DuckDB quotes."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return re.sub(r"(string|value|key:) (['\"]).*\2", r"\1 …", line, flags=re.IGNORECASE)
