"""A session with a DuckDB file: how it is opened, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from windlass.engines.stopping import Stops
from windlass.errors import ConnectionLost, Interrupted, WindlassError
from windlass.model.text import first_line

_FAULTS = (duckdb.Error, pa.ArrowException)
MEMORY_MB = 128  # limit of a session, besides the rest of the process; it spills to disk
MEMORY = f"{MEMORY_MB}MB"
QUIET = "set enable_progress_bar = false"
"""For every connection: where no script is named (a notebook, `python -c`), DuckDB draws a bar on
the standard output when a statement takes longer than two seconds."""

_TOO_LITTLE = re.compile(
    "out of memory|failed to pin|could not allocate|maximum line size", re.IGNORECASE
)


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
    said = without_values(error)
    if is_locked(error):
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


def is_locked(error: BaseException) -> bool:
    """Whether another process has the file open."""
    return "set lock" in first_line(error)


def has_too_little_memory(error: BaseException | None) -> bool:
    """Whether DuckDB's limit was too low. A stream of Arrow's has no errors but those of files."""
    return isinstance(error, duckdb.Error | OSError) and _TOO_LITTLE.search(str(error)) is not None


def without_values(error: BaseException) -> str:
    """The first line, without the values that DuckDB quotes."""
    quoted = r"(string|value|key:?) (['\"]).*\2"
    return re.sub(quoted, r"\1 …", first_line(error), flags=re.IGNORECASE)
