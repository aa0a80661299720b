"""Statements of others that wait for a run, such as ALTER TABLE: the run holds the locks of its
snapshot until it ends, and whoever uses the table waits behind that statement.

The run's own sessions do as well, and then both wait for each other. No server sees that: the
session that has the locks waits for nothing. So the run lets go.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from windlass.engines.postgres.lock_waits import Demand, LockWait, end_sessions_named, read_demands
from windlass.engines.postgres.session import Connection
from windlass.errors import GaveWay, WindlassError
from windlass.model.event import Emit, Noticed

# applications wait that long too; a statement with a lock_timeout, which it should have, gives up
# sooner
PATIENCE_SECONDS = 30.0
# while none of our sessions waits, all locks are read only every so many looks
_EVERY = 5
SIDE = "source"


class Demands:
    """What a watch of the source does about such statements. `ours` returns the server process of
    the session that holds the locks (0 if another process holds it) and the names of the run's
    other sessions. `give_way` is called repeatedly until the run has ended."""

    def __init__(
        self,
        ours: Callable[[], tuple[int, Sequence[str]]],
        emit: Emit,
        give_way: Callable[[WindlassError], None],
    ) -> None:
        self._ours, self._emit, self._give_way = ours, emit, give_way
        self._looks = 0
        self._seen: set[int] = set()  # by process
        self._reported: set[tuple[Demand, bool]] = set()
        self._since: dict[int, float] = {}  # since when the run and a demand wait for each other
        self._error: GaveWay | None = None

    def look(self, connection: Connection, waits: Sequence[LockWait]) -> None:
        """`waits` are those of our sessions."""
        holder, names = self._ours()
        self._looks += 1
        if not holder or not (waits or self._seen or self._looks % _EVERY == 0):
            return
        found = read_demands(connection, holder=holder, names=names, side=SIDE)
        behind = {wait.blocker.pid for wait in waits}
        mutual = [one for one in found if one.pid in behind]
        for one in found:
            if one.pid in self._seen:
                self._report(one, is_mutual=one in mutual)
        self._seen = {one.pid for one in found}
        self._since = {one.pid: self._since.get(one.pid, time.monotonic()) for one in mutual}
        self._judge(connection, names, mutual)

    def _report(self, one: Demand, *, is_mutual: bool) -> None:
        if (one, is_mutual) in self._reported:
            return
        self._reported.add((one, is_mutual))
        what = "other sessions that use the table wait behind it"
        if is_mutual:
            seconds = f"{PATIENCE_SECONDS:.0f} s"
            what = f"this run waits behind it, and releases its locks after {seconds}"
        self._emit(Noticed(f"{SIDE}: {one}; {what}"))

    def _judge(
        self, connection: Connection, names: Sequence[str], mutual: Sequence[Demand]
    ) -> None:
        if self._error is None:
            late = time.monotonic() - PATIENCE_SECONDS
            over = [one for one in mutual if self._since[one.pid] <= late]
            if not over:
                return
            self._error = _error(over[0])
        end_sessions_named(connection, names)
        self._give_way(self._error)


def _error(one: Demand) -> GaveWay:
    return GaveWay(
        f"{one}, and this run waits behind it, as do all other sessions that use the table: after"
        f" {PATIENCE_SECONDS:.0f} s the run has released its locks and its snapshot",
        hint="let that statement end first; if it changes the table's definition, the next run says"
        " what that means; postpone such statements until after the run, or set a lock_timeout for"
        " them",
        side=SIDE,
    )
