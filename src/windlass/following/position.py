"""How far a stream is applied: the row of `windlass.applied` that moves in each transaction that
applies changes, before anything else of it."""

from __future__ import annotations

from typing import Any

import psycopg

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.replication.lsn import NOWHERE, Lsn, text
from windlass.engines.postgres.session import Connection
from windlass.errors import RunLost
from windlass.following.changes import Batch
from windlass.journal import following as journal
from windlass.model.following import Applied

_AWAITED = ("seal", "proof")


class Position:
    """The position of one stream, in the session that applies it; begins and ends its
    transactions."""

    def __init__(self, session: Connection, applied: Applied, *, side: str) -> None:
        """`applied` is the position that the session has taken over."""
        self._session, self._applied, self._side = session, applied, side
        self.commit_lsn, self.end_lsn = Lsn(applied.commit_lsn), Lsn(applied.end_lsn)
        self.transactions, self.changes = applied.transactions, applied.changes
        self.marker = applied.marker
        self._moving: tuple[Lsn, Lsn] | None = None  # to where the open transaction moves it
        self._more = (0, 0, 0)  # transactions, changes and marker of it

    @property
    def is_moving(self) -> bool:
        """Whether a transaction is open."""
        return self._moving is not None

    def begin(self, batch: Batch, lag_ms: float | None = None) -> None:
        """Begin a transaction, and move the position to the end of `batch` in it.

        Raises:
            RunLost: another process has moved it.
        """
        self._move(batch, lag_ms, begins=True)

    def extend(self, batch: Batch, lag_ms: float | None = None) -> None:
        """Count one more batch of the open transaction."""
        if batch.closes or batch.rows:
            self._move(batch, lag_ms, begins=False)

    def commit(self) -> None:
        """Commit the open transaction, with what was applied in it."""
        assert self._moving is not None
        with explaining("committing changes", side=self._side):
            self._session.execute("commit")
        self.commit_lsn, self.end_lsn = self._moving
        transactions, changes, marker = self._more
        self.transactions += transactions
        self.changes += changes
        self.marker = max(self.marker, marker)
        self._forget()

    def roll_back(self) -> None:
        """Roll back the open transaction."""
        self._forget()
        with explaining("rolling back changes", side=self._side):
            self._session.execute("rollback")

    def pass_over(self, end_lsn: Lsn) -> None:
        """Move to `end_lsn`, in a separate transaction: there is nothing left to apply before
        it."""
        empty = Batch()
        empty.commit_lsn, empty.end_lsn = self.commit_lsn, end_lsn
        self._move(empty, None, begins=True)
        self.commit()

    def begin_at(self, lsn: Lsn) -> None:
        """Let changes count from `lsn` on, as at the beginning of a stream: both sides have what
        was committed before. Also forgets, in the same transaction, that others wrote some of
        it."""
        applied, empty = self._applied, Batch()
        empty.commit_lsn, empty.end_lsn = Lsn(lsn - 1), lsn
        self._move(empty, None, begins=True)
        with explaining("moving the position", side=self._side):
            self._session.execute("set local synchronous_commit = on")
            journal.note_late(self._session, applied.run, applied.direction, None)
        self.commit()

    def note_late(self, late: dict[str, Any] | None) -> None:
        """Note on disk what others wrote after a seal; None forgets that."""
        applied = self._applied
        with explaining("noting late writes", side=self._side), self._session.transaction():
            self._session.execute("set local synchronous_commit = on")
            journal.note_late(self._session, applied.run, applied.direction, late)

    def _move(self, batch: Batch, lag_ms: float | None, *, begins: bool) -> None:
        is_awaited = any(marker.purpose in _AWAITED for marker in batch.markers)
        previous = self._moving[0] if self._moving else self.commit_lsn
        end_lsn = batch.end_lsn if batch.end_lsn != NOWHERE else self.end_lsn
        marker = max((one.number for one in batch.markers), default=0)
        given = {
            "run": self._applied.run,
            "direction": self._applied.direction,
            "epoch": self._applied.epoch,
            "previous": previous,
            "commit_lsn": batch.commit_lsn,
            "end_lsn": end_lsn,
            "transactions": batch.transactions,
            "changes": batch.rows,
            "marker": marker,
            "lag_ms": lag_ms,
        }
        with explaining("moving the position", side=self._side):
            moved = self._execute(given, begins, is_awaited)
        if moved != 1:
            raise RunLost(
                f"another process follows: the position of run {self._applied.run}"
                f" {self._applied.direction} is no longer {text(previous)}",
                side=self._side,
            )
        self._moving = (batch.commit_lsn, end_lsn)
        transactions, changes, highest = self._more
        self._more = (
            transactions + batch.transactions,
            changes + batch.rows,
            max(highest, marker),
        )

    def _execute(self, given: dict[str, Any], begins: bool, is_synchronous: bool) -> int:
        """Execute the move in one round trip, as every transaction begins with it."""
        with self._session.pipeline():
            if begins:
                self._session.execute("begin")
            if is_synchronous:
                self._session.execute("set local synchronous_commit = on")
            moved = self._session.execute(journal.ADVANCE, given)
        return moved.rowcount

    def _forget(self) -> None:
        self._moving, self._more = None, (0, 0, 0)


def take(session: Connection, run: str, direction: Any, epoch: int | None, *, side: str) -> Applied:
    """Take over a stream in this session. Its previous owner can no longer move the position.

    Raises:
        RunLost: the run is over, or another process has taken it since `epoch`.
    """
    try:
        return journal.take_stream(session, run, direction, epoch)
    except psycopg.errors.UndefinedTable:
        raise RunLost(f"run {run} follows nothing {direction} any more", side=side) from None
