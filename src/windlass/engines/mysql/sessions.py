"""Sessions with a MySQL or MariaDB server that all read in one snapshot.

They all begin while a lock keeps others from committing. Without the right to lock, there is only
one session. The first session also touches every table, so that DDL of others waits until it ends.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from windlass.engines.mysql.address import Address
from windlass.engines.mysql.errors import LOCKED, NO_RIGHT, number_of
from windlass.engines.mysql.quoting import Whole, listed, part, table
from windlass.engines.mysql.session import Session, stop
from windlass.engines.stopping import Stops
from windlass.errors import ConnectionLost, Interrupted, SnapshotLost, WindlassError
from windlass.model.relation import Name

SESSIONS = 4  # that read in parallel
LOCK_SECONDS = 10  # how long the lock may wait for others, who queue behind it
_BEGIN = "start transaction with consistent snapshot, read only"


class Sessions:
    """Lent to one thread at a time."""

    def __init__(self, address: Address, stops: Stops, count: int = SESSIONS) -> None:
        self._address, self._stops, self._wanted = address, stops, count
        self._idle: queue.LifoQueue[Session] = queue.LifoQueue()
        self._all: list[Session] = []
        self.why_one = ""  # why there is only one session, for people

    def begin(self, tables: Sequence[Name]) -> str:
        """Called once. `tables` are all that is read. Returns the time, as ISO 8601."""
        if self._all:
            raise WindlassError("the snapshot is held already")
        locker = Session(self._address)
        try:
            together = self._wanted > 1 and self._lock(locker, tables)
            self._all = [locker if not together else Session(self._address)]
            while together and len(self._all) < self._wanted:
                self._all.append(Session(self._address))
            for session in self._all:
                session.run("set session transaction isolation level repeatable read")
                session.run(_BEGIN)
            taken_at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
            self._touch(self._all[0], tables)
        except BaseException:
            self.close()
            locker.close()
            raise
        if together:
            locker.close()  # closing it unlocks
        for session in self._all:
            self._idle.put(session)
        return taken_at

    def _lock(self, locker: Session, tables: Sequence[Name]) -> bool:
        """Lock the tables, so that nobody can commit to them. Needs fewer rights than locking the
        server, and does not affect other databases."""
        locker.run(part("set session lock_wait_timeout = {}", Whole(LOCK_SECONDS)))
        each = listed([part("{} read", table(one)) for one in tables])
        ways = [part("lock tables {}", each)] if tables else []
        why = "the user may neither LOCK TABLES nor RELOAD"
        for way in [*ways, part("flush tables with read lock")]:
            try:
                locker.run(way)
                return True
            except WindlassError as error:
                number = number_of(error.__cause__) if error.__cause__ else 0
                if number == LOCKED:
                    why = f"others kept tables locked for {LOCK_SECONDS} seconds"
                    break  # locking the server would wait for the same
                if number not in NO_RIGHT:
                    raise
        self.why_one = why
        return False

    def _touch(self, session: Session, tables: Sequence[Name]) -> None:
        """Keep each table's definition unchanged until the transaction ends."""
        for one in tables:
            session.run(part("select 1 from {} limit 0", table(one)))

    @property
    def count(self) -> int:
        return len(self._all)

    @property
    def alive(self) -> int:
        return sum(not one.is_dead for one in self._all)

    @contextmanager
    def one(self) -> Iterator[Session]:
        """A session that no other thread has, until the context is left.

        Raises:
            Interrupted: it was cancelled.
            SnapshotLost: no session is left.
        """
        session = self._next()
        try:
            with self._stops.during(lambda: stop(self._address, [session.number])):
                yield session
        finally:
            if not session.is_dead:
                self._idle.put(session)

    def _next(self) -> Session:
        while not self._stops.cancelled:
            with suppress(queue.Empty):
                return self._idle.get(timeout=0.2)
            if not self.alive:
                raise SnapshotLost(
                    f"{self._address.place}: all sessions that held the snapshot are gone",
                    hint="run the same command again",
                    side="source",
                )
        raise Interrupted("stopped on request")

    def check(self) -> None:
        """Raises:
        SnapshotLost: the session that keeps others' DDL waiting is gone, or all are.
        """
        taken: list[Session] = []
        with suppress(queue.Empty):
            while True:
                taken.append(self._idle.get_nowait())
        for session in taken:
            with suppress(ConnectionLost):
                session.run("select 1")
            if not session.is_dead:
                self._idle.put(session)
        if self._all and not self._all[0].is_dead:
            return
        raise SnapshotLost(
            f"{self._address.place}: the session that held the snapshot is gone",
            hint="run the same command again",
            side="source",
        )

    def close(self) -> None:
        for session in self._all:
            session.close()
        self._all, self._idle, self.why_one = [], queue.LifoQueue(), ""
