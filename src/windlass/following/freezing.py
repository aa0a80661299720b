"""The freeze of a cutover: from the first writer that is stopped until the other side is opened.

One process does it, step by step, with a time limit. If a step fails or takes too long before the
deciding row is written, everything is undone at once; after that row, nothing is.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from windlass.errors import TakenBack
from windlass.following.fence import Before, Fence, WriterLock
from windlass.following.limit import Limit
from windlass.following.order import Order, Pairing, Session
from windlass.following.reopening import (
    LEADS,
    OPENING,
    OPENING_SECONDS,
    UNLED,
    announce,
    forget_late,
    go_back,
    note_opened,
    open_side,
)
from windlass.following.seals import await_marker, put_marker
from windlass.following.sequences import copy_sequences
from windlass.journal.following import change_phase, read_phase
from windlass.model.following import Purpose
from windlass.model.relation import Name
from windlass.spec.choices import Fencing

PAUSE_SECONDS = 2.0  # how long open transactions of a pool may take


class Recopy(Protocol):
    """Copies what no stream carries."""

    @property
    def left(self) -> Sequence[Name]:
        """Tables of the closed side for which nothing would show a late write."""

    def again(self, limit: Limit) -> None: ...

    def confirm(self, limit: Limit) -> None:
        """Raises:
        TakenBack: somebody has written since to what no lock protects.
        """


@dataclass
class Freeze:
    """One attempt at a cutover. `another` opens one more session on the side that is closed;
    `look_for_new` raises if something was created there that is not followed."""

    order: Order
    pair: Pairing
    limit: Limit
    another: Callable[[], Session]
    recopy: Recopy | None = None
    look_for_new: Callable[[], None] | None = None
    parts_ms: dict[str, float] = field(default_factory=dict)
    sessions: int = 0  # that were ended
    sequences: int = 0  # that were set
    # whether the deciding row is written; False may also mean that the target's answer was lost
    is_decided: bool = False
    _before: Before = field(default_factory=Before)
    _lock: WriterLock | None = None

    def until_decided(self) -> None:
        """Do everything up to the deciding row.

        Raises:
            TakenBack: in time; the caller undoes what was done.
            WindlassError: the same.
        """
        with self.part("fence"):
            begin(self)
            stop_writers(self)
        with self.part("drain"):
            seal(self, "applying what was written before the freeze")
        with self.part("close"):
            close_for_good(self)
        with self.part("sequences"):
            set_sequences(self)
        if self.recopy is not None:
            with self.part("recopy"):
                hold_still(self, self.recopy.left)
                self.recopy.again(self.limit)
        with self.part("seal"):
            seal(self, "looking for late writes")
            look_once_more(self)
        if self.recopy is not None:
            with self.part("recopy_check"):
                self.recopy.confirm(self.limit)
        with self.part("decide"):
            decide(self)

    def open(self) -> None:
        """Open the other side. Called again after an error, it resumes."""
        with self.part("open"):
            _, detail = _read(self)
            open_side(
                self.pair.opened, self.order.run, self.order.way, detail, Limit(OPENING_SECONDS)
            )
            if self._lock is not None and self.order.closes:
                self._fence.end_waiting(self._lock.pid)
            self.release()

    def release(self) -> None:
        """Release those who still wait for a lock."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def let_clients_continue(self) -> None:
        """Let the clients of a pool continue, and journal that nothing is left to do."""
        with self.part("clients"):
            if self.order.pool is not None:
                self.order.pool.reload()
                self.order.pool.resume()
            note_opened(self.order.run, self.order.way, self.pair.journal)

    def undo(self) -> None:
        """Reopen what was closed, as it was before."""
        self.release()
        if self.order.closes:
            self._fence.restore(self._before, Limit(OPENING_SECONDS))
        if self._before.pool and self.order.pool is not None:
            self.order.pool.resume()
        go_back(self.order.run, self.order.way, self.pair.journal, self.pair.opened)

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measure a part of the freeze."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.parts_ms[name] = round((time.monotonic() - started) * 1000, 3)

    @property
    def _fence(self) -> Fence:
        return self.pair.fence(self.order)


# Each of these can be the last thing that a process does. What it leaves is undone or completed by
# `windlass.following.reopening`.


def begin(freeze: Freeze) -> None:
    """Journal what is about to be closed, and its state before."""
    order, pair = freeze.order, freeze.pair
    pool = str(order.pool) if order.pool is not None else ""
    freeze._before = before = freeze._fence.read_before(pool)
    kept = {order.way.closes.value: before.to_json(), UNLED: None, LEADS: order.leads}
    with pair.journal.transaction():
        if not change_phase(pair.journal, order.run, order.way.begins, order.way.freezes, kept):
            raise TakenBack("another process has changed the phase of the run")
        announce(pair.journal, order.run)
    forget_late(pair.opened, order.run, order.way.direction)


def stop_writers(freeze: Freeze) -> None:
    """Make writers wait, or end their sessions."""
    order, limit = freeze.order, freeze.limit
    if order.pool is not None:
        seconds = min(PAUSE_SECONDS, limit.left_seconds)
        if not order.pool.pause(seconds, lambda: limit.check("pausing the pool")):
            raise TakenBack(
                f"{order.pool} could not be paused: transactions in it do not end",
                hint="a pool in session mode is never paused while its clients stay connected",
                stopped_by="time",
            )
    if order.fencing is Fencing.LOCK:
        freeze._lock = WriterLock(freeze.another())
        freeze._lock.take(order.relations, limit)
    elif order.closes:
        freeze.sessions = freeze._fence.close(limit)


def close_for_good(freeze: Freeze) -> None:
    """End sessions that wait for our locks: once these are released they would write."""
    if freeze._lock is not None:
        freeze.sessions = freeze._fence.close(freeze.limit)


def seal(freeze: Freeze, doing: str) -> None:
    """Wait until everything written so far has arrived, and check that nothing of others came after
    a seal."""
    order, pair = freeze.order, freeze.pair
    direction = order.way.direction
    number = put_marker(pair.closed, order.run, direction, Purpose.SEAL)
    await_marker(pair.opened, order.run, direction, number, freeze.limit, doing)


def hold_still(freeze: Freeze, relations: Sequence[Name]) -> None:
    """From the copy of what no stream carries on, nobody may write to it: nothing would show
    that."""
    if relations and freeze._lock is None:  # otherwise all are locked
        freeze._lock = WriterLock(freeze.another())
        freeze._lock.take(relations, freeze.limit)


def set_sequences(freeze: Freeze) -> None:
    freeze.sequences = copy_sequences(
        freeze.pair.closed, freeze.pair.opened, freeze.order.sequences
    )


def look_once_more(freeze: Freeze) -> None:
    """Check for sessions that were set to write and have not committed yet: they would commit after
    the decision."""
    if freeze.order.closes:
        freeze._fence.check_quiet(freeze.limit)
    if freeze.look_for_new is not None:
        freeze.look_for_new()
    freeze.limit.check("the freeze")


def decide(freeze: Freeze) -> None:
    """Write the deciding row into the target's journal, on disk. This is the point of no return."""
    order, pair = freeze.order, freeze.pair
    kept = {OPENING: freeze._before.pool}
    with pair.journal.transaction():
        if not change_phase(pair.journal, order.run, order.way.freezes, order.way.ends, kept):
            raise TakenBack("another process has changed the phase of the run")
        announce(pair.journal, order.run)
    freeze.is_decided = True


def _read(freeze: Freeze) -> tuple[object, dict[str, object]]:
    found = read_phase(freeze.pair.journal, freeze.order.run)
    assert found is not None, "a run that was decided has a phase"
    return found
