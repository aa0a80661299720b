"""A DuckDB file that stays open between calls, but is closed often enough for other processes.

Opening and closing a file takes longer than loading a small table. But while it is open here, no
other process can open it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from windlass.engines.duckdb.session import MEMORY, QUIET, has_too_little_memory, is_locked

IDLE_SECONDS = 0.5  # it is closed after this time without a call
LONGEST_SECONDS = 2.0  # after this time it is closed for others, even if the next call is waiting
PAUSE_SECONDS = 0.1
PATIENCE_SECONDS = 10.0  # how long to wait for another process to close it
_LOOK_SECONDS = 0.02
_ONE_AT_A_TIME = threading.Lock()  # in this process; another process finds the file locked


class KeptFile:
    """One connection, lent to one call at a time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: Any = None
        self._opened_at = self._free_until = 0.0
        self._calls = 0
        self._timer: threading.Timer | None = None
        self._stopped = threading.Event()

    def cancel(self) -> None:
        """Stop the running call."""
        self._stopped.set()
        connection = self._connection
        if connection is not None:
            connection.interrupt()

    @contextmanager
    def session(self, settings: str = "") -> Iterator[Any]:
        """The connection, without an open transaction, and with these statements executed as
        settings. An error rolls back and closes it.

        Raises:
            duckdb.Error: the file cannot be opened; another process may have it open.
        """
        with _ONE_AT_A_TIME:
            self._forget_timer()
            self._calls += 1
            if self._connection is None:
                self._connection = self._open()
                self._opened_at = time.monotonic()
            try:
                if settings:
                    self._connection.execute(settings)
                yield self._connection
            except BaseException:
                self._let_go()
                raise
            if time.monotonic() - self._opened_at > LONGEST_SECONDS:
                self._let_go()
                self._free_until = time.monotonic() + PAUSE_SECONDS
            else:
                self._timer = threading.Timer(IDLE_SECONDS, self._close_idle, (self._calls,))
                self._timer.daemon = True
                self._timer.start()

    def close(self) -> None:
        with _ONE_AT_A_TIME:
            self._forget_timer()
            self._let_go()

    def _open(self) -> Any:
        time.sleep(max(self._free_until - time.monotonic(), 0))
        until, is_settled = time.monotonic() + PATIENCE_SECONDS, False
        while True:
            try:
                connection = duckdb.connect(self._path, config={"memory_limit": MEMORY})
                break
            except duckdb.Error as error:
                if has_too_little_memory(error) and not is_settled:
                    _settle(self._path)
                    is_settled = True
                    continue
                if not is_locked(error) or time.monotonic() > until or self._stopped.is_set():
                    raise
                self._stopped.wait(_LOOK_SECONDS)
        connection.execute(f"{QUIET}; set timezone = 'UTC'; set preserve_insertion_order = false")
        return connection

    def _close_idle(self, calls: int) -> None:
        with _ONE_AT_A_TIME:
            if calls == self._calls:  # no call has begun since
                self._let_go()

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _settle(path: str) -> None:
    """Write the file's log into the file: it would be read at once whenever the file is opened."""
    with duckdb.connect(path) as connection:
        connection.execute(f"{QUIET}; checkpoint")
