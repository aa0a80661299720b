"""Which process works on a run: an advisory lock of a session that stays open, shared by the
processes of one run, exclusive while it is taken over or undone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.landing.sessions import Sessions
from windlass.engines.postgres.session import Connection
from windlass.errors import Refused
from windlass.model.report import Problem

PATIENCE_SECONDS = 3.0  # for the lock of a client that was killed just now
_POLL_SECONDS = 0.05


class RunHold:
    """Of one process; shared by its threads."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._held: dict[str, int] = {}  # by run, how often

    def take(self, run: str) -> None:
        """Claim a run, which no other process may work on until it is released.

        Raises:
            Refused: another process is at work on it.
        """
        with self._lock:
            if not self._held.get(run):
                self._alone(run)
                self._call("pg_advisory_lock_shared", run)
                self._call("pg_advisory_unlock", run)
                self._held[run] = 1

    def release(self, run: str) -> None:
        with self._lock:
            held = self._held.pop(run, 0)
            if held and self._connection is not None and not self._connection.closed:
                self._call("pg_advisory_unlock_shared", run)

    @contextmanager
    def sharing(self, run: str) -> Iterator[None]:
        """Work on a run beside other processes of it."""
        with self._lock:
            if not self._held.get(run):
                self._call("pg_advisory_lock_shared", run)
            self._held[run] = self._held.get(run, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                left = self._held.get(run, 1) - 1
                self._held[run] = left
                if not left and self._connection is not None and not self._connection.closed:
                    self._call("pg_advisory_unlock_shared", run)

    def is_taken(self, connection: Connection, run: str) -> bool:
        """Whether any process works on a run, this one included."""
        with self._lock:
            if self._held.get(run):
                return True
        words = (f"windlass run {run}",)
        row = connection.execute(_CALLS["pg_try_advisory_lock"], words).fetchone()
        if row and row[0]:
            connection.execute(_CALLS["pg_advisory_unlock"], words)
            return False
        return True

    @contextmanager
    def alone(self, run: str) -> Iterator[None]:
        """While it is open, no other process works on the run.

        Raises:
            Refused: another process does.
        """
        with self._lock:
            if self._held.pop(run, 0):
                self._call("pg_advisory_unlock_shared", run)
            self._alone(run)
        try:
            yield
        finally:
            with self._lock:
                if self._connection is not None and not self._connection.closed:
                    self._call("pg_advisory_unlock", run)

    def _alone(self, run: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._call("pg_try_advisory_lock", run):
            if time.monotonic() > deadline:
                message = "another process is at work on it"
                raise Refused([Problem(f"run {run}", message, "wait for it")])
            time.sleep(_POLL_SECONDS)

    def _call(self, function: str, run: str) -> object:
        with explaining(f"locking run {run}", side="target"):
            connection = self._connection
            if connection is None or connection.closed:
                connection = self._connection = self._sessions.connect(f"windlass load {run}")
            row = connection.execute(_CALLS[function], (f"windlass run {run}",)).fetchone()
        return row[0] if row else None

    def leave(self) -> None:
        with self._lock:
            self._held.clear()
            if self._connection is not None:
                self._connection.close()
                self._connection = None


_CALLS = {
    name: f"select pg_catalog.{name}(pg_catalog.hashtextextended(%s, 0))".encode()
    for name in (
        "pg_advisory_lock_shared",
        "pg_advisory_unlock",
        "pg_advisory_unlock_shared",
        "pg_try_advisory_lock",
    )
}
