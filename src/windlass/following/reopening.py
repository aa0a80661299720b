"""Undoes or completes what a dead cutover has left, according to the phase in the journal.

Only one process at a time cuts over, under a lock on the target. Whoever gets that lock and finds a
run in the middle of a cutover knows that its process is dead. Before the point of no return, the
side that was to be closed is reopened; after it, the other side is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import psycopg
from psycopg import Connection

from windlass.engines.postgres.fencing import write_regardless
from windlass.engines.postgres.lock import read_holder, try_lock
from windlass.engines.postgres.pgbouncer import Pool
from windlass.errors import Refused
from windlass.following.fence import Before, Fence
from windlass.following.limit import Limit
from windlass.journal.following import change_phase, channel, note_late, read_phase
from windlass.model.following import Direction, Phase
from windlass.model.report import Problem

Session = Connection[Any]
LOCK = int.from_bytes(b"wcutover", "big", signed=True)
PATIENCE_SECONDS = 2.0  # for the lock of a process that was killed just now
OPENING_SECONDS = 60.0
OPENING = "opening"
"""A key of a run's details, set from the decision until the other side is open: the paused pool."""
LEADS = "leads"
"""A key of a run's details, set when a cutover begins: whether its command redirects
applications."""
LOST = "lost"
"""A key of a run's details, set after a cutover: why the source cannot be followed again without a
comparison; empty if it can."""
UNLED = "unled"
"""A key of a run's details, set if the other side was opened after such a command crashed, until
another command has redirected applications."""


class Side(StrEnum):
    """A side of a pair, with the key under which the journal keeps its state before the fence."""

    SOURCE = "fence_source"
    TARGET = "fence_target"


@dataclass(frozen=True, slots=True)
class Leaving:
    """A cutover in one direction: which side it closes, which it opens, and its phases."""

    direction: Direction
    closes: Side
    opens: Side
    begins: Phase
    freezes: Phase
    ends: Phase


FORTH = Leaving(
    Direction.FORWARD, Side.SOURCE, Side.TARGET, Phase.FOLLOWING, Phase.FREEZING, Phase.SWITCHED
)
BACK = Leaving(
    Direction.BACK, Side.TARGET, Side.SOURCE, Phase.SWITCHED, Phase.FREEZING_BACK, Phase.FOLLOWING
)
WAYS = (FORTH, BACK)


@contextmanager
def cutting_over(target: Session) -> Iterator[None]:
    """Hold the lock of cutovers in this database.

    Raises:
        Refused: another process cuts over.
    """
    if not try_lock(target, LOCK, PATIENCE_SECONDS):
        message = f"another cutover is in progress: {read_holder(target, LOCK)}"
        raise Refused([Problem("target", message, "wait for it")])
    try:
        yield
    finally:
        if not target.closed and not target.broken:
            target.execute("select pg_advisory_unlock(%s)", (LOCK,))


def reopen(
    run: str,
    target: Session,
    source: Callable[[], Session],
    notice: Callable[[str], None],
    *,
    pool: Pool | None = None,
) -> Phase | None:
    """Undo or complete what a dead cutover left. Returns the phase of the run, or None if it does
    not follow. The caller holds the lock of `cutting_over`. `source` opens a session there, which
    is closed again.

    Does nothing, and opens nothing, in the usual case.
    """
    found = read_phase(target, run)
    if found is None:
        return None
    phase, detail = found
    left = _Left(run, target, source, notice, pool)
    if phase in {way.freezes for way in WAYS} or detail.get(OPENING) is not None:
        write_regardless(target)
    for way in WAYS:
        if phase is way.freezes:
            left.take_back(way, detail)
            return way.begins
        if phase is way.ends and detail.get(OPENING) is not None:
            left.complete(way, detail)
    return phase


@dataclass(frozen=True, slots=True)
class _Left:
    """What a process that died has left."""

    run: str
    target: Session
    source: Callable[[], Session]
    notice: Callable[[str], None]
    pool: Pool | None

    @contextmanager
    def session(self, side: Side) -> Iterator[Session]:
        session = self.target if side is Side.TARGET else self.source()
        try:
            write_regardless(session)
            yield session
        finally:
            if side is not Side.TARGET:
                session.close()

    def take_back(self, way: Leaving, detail: Mapping[str, Any]) -> None:
        """Before the point of no return: writers continue where they were."""
        before = Before.from_json(detail.get(way.closes) or {})
        with self.session(way.closes) as closed:
            Fence(closed, self.run).restore(before, Limit(OPENING_SECONDS))
        self.let_go(before.pool)
        with self.session(way.opens) as applied:
            go_back(self.run, way, self.target, applied)
        side = way.closes.name.lower()
        self.notice(f"a cutover had died before it was decided: the {side} is open again")

    def complete(self, way: Leaving, detail: Mapping[str, Any]) -> None:
        """After it: writers continue on the other side."""
        with self.session(way.opens) as opened:
            open_side(opened, self.run, way, detail, Limit(OPENING_SECONDS))
        self.let_go(detail[OPENING])
        note_opened(self.run, way, self.target, is_led=not detail.get(LEADS, True))
        side = way.opens.name.lower()
        self.notice(f"a cutover had died once it was decided: the {side} is open")

    def let_go(self, pool: str) -> None:
        """Let the clients of a pool continue, if we know how."""
        if pool and self.pool is not None and pool == str(self.pool):
            self.pool.reload()
            self.pool.resume()
        elif pool:
            self.notice(f"{pool} may still be paused: RESUME it by its console")


def go_back(run: str, way: Leaving, target: Session, applied: Session) -> None:
    """Journal that a cutover was taken back and its fence undone. What came after the seal is
    applied again. `applied` is a session on the side that the changes of this direction go to."""
    with target.transaction():
        change_phase(target, run, way.freezes, way.begins, {way.closes.value: None})
        announce(target, run)
    forget_late(applied, run, way.direction)


def forget_late(applied: Session, run: str, direction: Direction) -> None:
    """Forget what came after an earlier seal. The process that follows does that as well when it
    resumes, but it may have ended, or be in the middle of a large transaction; we do not wait for
    that."""
    with suppress(psycopg.errors.LockNotAvailable), applied.transaction():
        applied.execute("set local lock_timeout to '1s'")
        note_late(applied, run, direction, None)


def open_side(
    session: Session, run: str, way: Leaving, detail: Mapping[str, Any], limit: Limit
) -> None:
    """Open the side that a cutover leads to, using a session on it."""
    fence = Fence(session, run)
    kept = detail.get(way.opens)
    fence.open(Before.from_json(kept) if kept else fence.read_before(), limit)


def note_opened(run: str, way: Leaving, target: Session, *, is_led: bool = True) -> None:
    """Journal that nothing is left to do, except perhaps to redirect applications."""
    kept = {way.opens.value: None, OPENING: None, UNLED: None if is_led else True}
    with target.transaction():
        change_phase(target, run, way.ends, way.ends, kept)


def announce(target: Session, run: str) -> None:
    """Make the process that follows look at the phase, in the caller's transaction."""
    target.execute("select pg_catalog.pg_notify(%s, 'phase')", (channel(run),))
