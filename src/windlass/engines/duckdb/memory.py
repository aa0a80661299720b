"""How much memory DuckDB gets for a call: little at first, and more if that was not enough.

DuckDB compresses the rows of a table in groups of 122,880, each of which has to fit. So what it
needs depends on how long the rows are, not on how many there are.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from windlass.engines.duckdb.session import MEMORY_MB, has_too_little_memory
from windlass.errors import WindlassError

Result = TypeVar("Result")

STAGING_MB = 32
ADDING_MB = 48
STEPS_MB = (128, 512, 2048, None)
"""None is DuckDB's own limit: most of the machine's memory."""
LEAST_MB = 32
CLOSE_STEPS_MB = (LEAST_MB, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, None)
"""For work that takes less time than memory is worth: DuckDB keeps what it has read, up to the
limit."""
_MACHINE_MB = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
_LINES_MB = {128: 2, 512: 32, 2048: 128, None: 1024}  # 2 is DuckDB's own limit


def limit(limit_mb: int | None) -> str:
    """A statement."""
    return "reset memory_limit" if limit_mb is None else f"set memory_limit = '{limit_mb}MB'"


class Memory:
    """The memory for one file. Each thread's call has its own limit, as several threads may be
    working."""

    def __init__(self) -> None:
        self._call = threading.local()

    @property
    def settings(self) -> str:
        """For a session. One thread needs half of the memory of two, and takes a tenth longer."""
        return f"set threads = 1; {limit(getattr(self._call, 'limit_mb', MEMORY_MB))}"

    def at_least(self, limit_mb: int) -> str:
        """A statement that gives a session this much, if its call has less; never more than
        DuckDB's own limit. If that is too little, the call is repeated with more."""
        now = getattr(self._call, "limit_mb", MEMORY_MB)
        is_most = now is None or limit_mb > _MACHINE_MB * 0.8
        self._call.limit_mb = None if is_most else max(now, limit_mb)
        return limit(self._call.limit_mb)

    @property
    def settings_of_export(self) -> str:
        """Settings for an export: all threads, until that turns out to need too much memory."""
        limit_mb = getattr(self._call, "limit_mb", MEMORY_MB)
        threads = "reset threads" if limit_mb == MEMORY_MB else "set threads = 1"
        return f"{threads}; {limit(limit_mb)}"

    @property
    def line_mb(self) -> int:
        """How long a line of a CSV file may be; DuckDB holds two lines or more."""
        return _LINES_MB[getattr(self._call, "limit_mb", MEMORY_MB)]

    def enough(
        self,
        call: Callable[[], Result],
        least_mb: int,
        steps_mb: Sequence[int | None] = STEPS_MB,
    ) -> Result:
        """The result of the call. The call works in a transaction, and is repeated with more memory
        as long as DuckDB reports that it has too little."""
        limit_mb: int | None = least_mb
        try:
            while True:
                self._call.limit_mb = limit_mb
                try:
                    return call()
                except WindlassError as error:
                    had_mb: int | None = self._call.limit_mb
                    if had_mb is None or not has_too_little_memory(error.__cause__):
                        raise
                    limit_mb = next(one for one in steps_mb if one is None or one > had_mb)
        finally:
            del self._call.limit_mb


class Growing:
    """The memory for a file that several sessions of this process only read."""

    def __init__(self) -> None:
        self._lock, self._steps = threading.Lock(), list(STEPS_MB[1:])

    def more(self, session: Any) -> bool:
        """Give the session more memory; returns False if there is no more to give."""
        with self._lock:
            if not self._steps:
                return False
            session.execute(limit(self._steps.pop(0)))
            return True
