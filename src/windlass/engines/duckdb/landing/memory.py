"""How much memory DuckDB gets for a call: little at first, and more if that was too little.

DuckDB compresses the rows of a table in groups of 122,880, each of which has to fit. So what it
needs depends on how long the rows are, not on how many there are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from windlass.engines.duckdb.session import MEMORY_MB, has_too_little_memory
from windlass.engines.embedded.file import Result
from windlass.errors import WindlassError

STAGING_MB = 32
ADDING_MB = 48
STEPS_MB = (128, 512, 2048, None)
"""None is what DuckDB takes by itself: most of the machine's memory."""


class Memory:
    """Of one file. A limit is that of a thread's call, as several threads may be at work."""

    def __init__(self) -> None:
        self._call = threading.local()

    @property
    def settings(self) -> str:
        """For a session. One thread needs half of the memory of two, and takes a tenth longer."""
        limit_mb = getattr(self._call, "limit_mb", MEMORY_MB)
        limit = "reset memory_limit" if limit_mb is None else f"set memory_limit = '{limit_mb}MB'"
        return f"set threads = 1; {limit}"

    def enough(self, call: Callable[[], Result], least_mb: int) -> Result:
        """What the call returns. It works in a transaction, and is repeated with more memory as
        long as DuckDB says that it has too little."""
        try:
            for limit_mb in (least_mb, *STEPS_MB):
                self._call.limit_mb = limit_mb
                try:
                    return call()
                except WindlassError as error:
                    if limit_mb is None or not has_too_little_memory(error.__cause__):
                        raise
        finally:
            del self._call.limit_mb
        raise AssertionError("the last limit returns or raises")
