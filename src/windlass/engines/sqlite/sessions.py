"""Sessions with an SQLite file that all read in one snapshot: read transactions without a commit
between their beginnings."""

from __future__ import annotations

import queue
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from windlass.engines.sqlite.session import BUSY_SECONDS, File
from windlass.engines.stopping import Stops
from windlass.errors import Interrupted

SESSIONS = 4  # that read in parallel
_ATTEMPTS = 5  # to begin all of them in the same state while others write


class Sessions:
    """Lent to one thread at a time."""

    def __init__(self, file: File, stops: Stops) -> None:
        self._file, self._stops = file, stops
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._all: list[sqlite3.Connection] = []
        self.blocks_writers = False  # others cannot commit while these are open

    def begin(self) -> None:
        """Begin the transactions; called once. If others commit all the time, only one session is
        used."""
        if self._all:
            return
        watch = self._file.connect()
        try:
            mode = watch.execute("pragma journal_mode").fetchone()[0]
            self.blocks_writers = mode != b"wal" and not self._file.immutable
            for _ in range(_ATTEMPTS):
                before = _version(watch)
                self._all = self._begun_together()
                # in WAL mode every commit of another session changes the version
                if self.blocks_writers or _version(watch) == before:
                    break
                self.close()
            else:
                self._all = [self._begun(BUSY_SECONDS)]
        finally:
            watch.close()
        for session in self._all:
            self._idle.put(session)

    def _begun_together(self) -> list[sqlite3.Connection]:
        sessions = [self._begun(BUSY_SECONDS)]
        while len(sessions) < SESSIONS:
            try:
                sessions.append(self._begun(0))
            # a writer waits for the first session, and lets no other one in
            except sqlite3.OperationalError:
                break
        return sessions

    def _begun(self, busy_seconds: float) -> sqlite3.Connection:
        session = self._file.connect(busy_seconds)
        try:
            session.execute("begin")
            session.execute("select count(*) from sqlite_schema").fetchone()
        except sqlite3.Error:
            session.close()
            raise
        return session

    @property
    def count(self) -> int:
        return len(self._all)

    @contextmanager
    def one(self) -> Iterator[sqlite3.Connection]:
        """A session that no other thread has, until the context is left.

        Raises:
            Interrupted: the source was cancelled.
        """
        with self._lent(self._next()) as session:
            yield session

    @contextmanager
    def some(self, most: int) -> Iterator[Sequence[sqlite3.Connection]]:
        """One session, and others that are not in use; each is for one thread.

        Raises:
            Interrupted: the source was cancelled.
        """
        with ExitStack() as lent, self.one() as first:
            found = [first]
            while len(found) < most:
                try:
                    found.append(lent.enter_context(self._lent(self._idle.get_nowait())))
                except queue.Empty:
                    break
            yield found

    @contextmanager
    def _lent(self, session: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        try:
            with self._stops.during(session.interrupt):
                yield session
        finally:
            self._idle.put(session)

    def _next(self) -> sqlite3.Connection:
        while not self._stops.cancelled:
            try:
                return self._idle.get(timeout=0.2)
            except queue.Empty:
                continue
        raise Interrupted("stopped on request")

    def close(self) -> None:
        _close(self._all)
        self._all = []


def _version(watch: sqlite3.Connection) -> int:
    return int(watch.execute("pragma data_version").fetchone()[0])


def _close(sessions: Sequence[sqlite3.Connection]) -> None:
    for session in sessions:
        session.close()
