"""The sessions of a run's threads, separate for each thread."""

from __future__ import annotations

import threading

from windlass.engines.postgres.hold import Hold
from windlass.engines.postgres.sessions import Sessions
from windlass.errors import Interrupted


class WorkerSessions:
    """Of all threads; use one from any of them."""

    def __init__(self, hold: Hold) -> None:
        self._hold = hold
        self._mine = threading.local()
        self._all: list[Sessions] = []
        self._lock = threading.Lock()
        self._cancelled = False

    def sessions(self, run: str) -> Sessions:
        """This thread's sessions, named after the run.

        Raises:
            Interrupted: the run has to stop.
        """
        if self._cancelled:
            raise Interrupted("stopped on request")
        mine: Sessions | None = getattr(self._mine, "sessions", None)
        if mine is None:
            source, target = self._hold.reached or (self._hold.source, self._hold.target)
            within = self._hold.target_within
            mine = self._mine.sessions = Sessions(source, target, run, within)
            with self._lock:
                self._all.append(mine)
        return mine

    def leave(self) -> None:
        """Close this thread's sessions; it ends."""
        mine: Sessions | None = getattr(self._mine, "sessions", None)
        if mine is not None:
            mine.close()

    def cancel(self) -> None:
        """Cancel what is in flight in every thread."""
        with self._lock:
            self._cancelled = True
            for sessions in self._all:
                sessions.cancel()

    def drop(self) -> None:
        """Close the sessions of every thread."""
        for sessions in self._all:
            sessions.drop()
