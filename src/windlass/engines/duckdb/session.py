"""A session with a DuckDB file: how it is opened, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from windlass.engines.stopping import Stops
from windlass.errors import ConnectionLost, Interrupted, WindlassError

_FAULTS = (duckdb.Error, pa.ArrowException)
MEMORY = "128MB"  # memory limit of a session, besides the rest of the process; it spills to disk


@contextmanager
def explaining(place: str, doing: str, stops: Stops | None = None) -> Iterator[None]:
    """Map DuckDB's errors, and those of the Arrow stream it reads into, to ours.

    Raises:
        ConnectionLost: another process has the file open; retryable.
        Interrupted: the call was stopped.
    """
    try:
        yield
    except _FAULTS as error:
        if stops is not None and stops.cancelled:
            raise Interrupted("stopped on request") from error
        raise _explained(error, place, doing) from error


def _explained(error: Exception, place: str, doing: str) -> WindlassError:
    said = first_line(error)
    if "set lock" in said:
        return ConnectionLost(f"{place} is open in another process", hint="wait until it is closed")
    if "different configuration" in said:
        hint = "give the warehouse another file than the source"
        return WindlassError(f"{place} is open here already", hint=hint)
    if "ncrypt" in said:
        hint = "export a copy that is not encrypted"
        return WindlassError(f"{place} is encrypted, and windlass has no key for it", hint=hint)
    if isinstance(error, duckdb.IOException):
        return WindlassError(f"{place}: {doing}: {said}", hint="see the file")
    return WindlassError(f"{place}: {doing}: {said}")


def first_line(error: BaseException) -> str:
    """Without the values that DuckDB quotes."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return re.sub(r"(string|value|key:) (['\"]).*\2", r"\1 …", line, flags=re.IGNORECASE)
