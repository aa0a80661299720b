"""What a run holds until it ends: the source's snapshot and the target's lock."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import psycopg

from windlass.engines.postgres.lock import (
    PATIENCE_SECONDS,
    control_name,
    end_sessions,
    name_session,
    read_holder,
    try_lock,
)
from windlass.engines.postgres.locks import read_lock_room
from windlass.engines.postgres.session import Address, Connection, Role, cancel_active
from windlass.engines.postgres.snapshot import SnapshotHolder
from windlass.engines.starting import when_up
from windlass.errors import (
    ConnectionLost,
    Refused,
    RunLost,
    SnapshotLost,
    Unreachable,
    WindlassError,
)
from windlass.model.report import Problem
from windlass.model.snapshot import Snapshot

if TYPE_CHECKING:  # it is slow to load, and nothing here makes one
    from windlass.model.relation import Name


class Hold:
    """A source session that keeps a snapshot and a target session that holds the lock; either may
    be missing. Owned by the main thread; other threads only cancel."""

    def __init__(
        self,
        source: Address,
        target: Address,
        *,
        within: str = "",
        holder: SnapshotHolder | None = None,
    ) -> None:
        """Connects to nothing yet. `within` is another session's snapshot to read in; `holder`
        comes from an earlier attempt."""
        self.source, self.target = source, target
        self.snapshot = Snapshot(0, "", "", "")
        self.is_locked = False  # by this process
        self.target_within = ""  # the snapshot that a moving target is read in
        self._within = within
        self._holder = holder
        self._control: Connection | None = None
        self._reached: tuple[Address, Address] | None = None
        self._gave_way: WindlassError | None = None

    @property
    def reached(self) -> tuple[Address, Address] | None:
        """The servers in use, out of several hosts; None until both sides have answered."""
        return self._reached

    @property
    def has_target(self) -> bool:
        """Whether there is a target session."""
        return self._control is not None

    @property
    def control(self) -> Connection:
        """The target session that has the lock; only for the main thread."""
        assert self._control is not None, "the target is not connected"
        return self._control

    @property
    def reader(self) -> Connection:
        """The source session that keeps the snapshot; only for the main thread."""
        return self._kept.connection

    @property
    def _kept(self) -> SnapshotHolder:
        assert self._holder is not None, "the source is not connected"
        return self._holder

    @property
    def reader_pid(self) -> int:
        """The server's process of the source session; 0: this process has none."""
        return self._holder.pid if self._holder else 0

    @property
    def gave_way(self) -> WindlassError | None:
        """Why the run has to let go, if it has to."""
        return self._gave_way

    def give_way(self, error: WindlassError) -> None:
        """Let `check` end the run, from any thread."""
        self._gave_way = error

    # to get hold of it

    def connect(self, *, patient: bool = False) -> None:
        """Connect to both sides, so that two faults are both reported. `patient` if they were
        reached before.

        Raises:
            ConnectionLost: `patient`, and retrying may help.
            Unreachable: retrying may help.
            Refused: retrying does not help.
        """
        faults: dict[str, WindlassError] = {}
        for side, connect in (("source", self._connect_source), ("target", self._connect_target)):
            try:
                connect()
            except WindlassError as error:
                faults[side] = error
        if not faults:
            self._reached = self._where()
            return
        problems = [
            Problem(side, str(error).removeprefix(f"{side} "), error.hint)
            for side, error in faults.items()
        ]
        if not all(error.retryable for error in faults.values()):
            raise Refused(problems)
        if patient:
            raise ConnectionLost("; ".join(one.text for one in problems))
        raise Unreachable(problems)

    def _where(self) -> tuple[Address, Address]:
        """The hosts that answered, out of several."""
        return self.source.at(self.reader), self.target.at(self.control)

    def _connect_source(self) -> None:
        if self._holder is None:
            self._holder = when_up(
                lambda: SnapshotHolder(self.source, "windlass snapshot", self._within)
            )

    def _connect_target(self) -> None:
        if self._control is None:
            self._control = when_up(lambda: self.target.connect(Role.TARGET, "windlass control"))

    def look_on(self, purpose: str) -> None:
        """Connect only to the target, for a run that another process holds."""
        if self._control is None:
            self._control = self.target.connect(Role.TARGET, purpose)

    def take_snapshot(self, number: int = 1) -> None:
        """Use the snapshot that the source session keeps, under this number."""
        self.snapshot = self._kept.numbered(number)

    def read_within(self, snapshot: str, lsn: str) -> None:
        """Replace our own snapshot by one that another session has exported, at this position of
        the log. That session may end."""
        holder = SnapshotHolder(self.source, "windlass snapshot", snapshot)
        holder.lsn = lsn
        self.leave_source()
        self._holder = holder

    def leave_source(self) -> None:
        """Close the source session, and with it the snapshot: nothing is read any more."""
        if self._holder is not None:
            self._holder.close()
        self._holder = None

    @property
    def snapshot_id(self) -> str:
        """The id of the kept snapshot, even before the run uses it."""
        return self._kept.id

    def lock_relations(self, names: Collection[Name]) -> None:
        """Keep source relations from being dropped, truncated or rewritten."""
        self._kept.lock(names)

    @contextlib.contextmanager
    def room_for_locks(self, beside: Connection, names: Collection[Name]) -> Iterator[None]:
        """While pg_dump locks the source's relations, release ours if the lock table is small and
        this process holds them."""
        room = read_lock_room(beside)
        if self._holder is None or 2 * len(names) <= room.locks:
            yield
            return
        self._holder.unlock()
        try:
            yield
        finally:
            self.lock_relations(names)

    # the target's lock

    def try_lock(self, patience_seconds: float = PATIENCE_SECONDS) -> bool:
        self.is_locked = try_lock(self.control, patience_seconds=patience_seconds)
        return self.is_locked

    def who_has_lock(self) -> str:
        """Who holds the lock, for a message; "" for nobody."""
        return read_holder(self.control)

    def is_held_for(self, run: str) -> bool:
        """Whether a process holds the lock for this run."""
        return self.who_has_lock().startswith(f"{control_name(run)} ")

    def take_lock_of(self, run: str) -> None:
        """Take the lock from an earlier process of this run that its scheduler believes to be dead.

        Raises:
            RunLost: another process was faster.
        """
        end_sessions(self.control, control_name(run))
        if not self.try_lock():
            raise RunLost(f"run {run} has been taken over by another process")

    def name_after(self, run: str) -> None:
        """Name the session, so that others see which run holds the lock."""
        name_session(self.control, control_name(run))

    # while it lasts, and afterwards

    def check(self) -> None:
        """Raises:
        SnapshotLost: the source has ended the session that held it.
        RunLost: the target has ended the session that held its lock.
        WindlassError: it has to let go.
        """
        if self._gave_way is not None:
            raise self._gave_way
        if self._holder is not None and not self._holder.alive:
            raise SnapshotLost("the session that held the snapshot is gone", side="source")
        self.check_lock()

    def check_lock(self) -> None:
        """Raises:
        RunLost: the target has ended the session that held its lock.
        """
        try:
            self.control.execute("select 1")
        except psycopg.Error as error:
            message = "the session that holds the target's lock is gone"
            raise RunLost(message, side="target") from error

    def hand_over(self) -> SnapshotHolder | None:
        """The snapshot's holder, if it lives, for the process's next attempt at this run."""
        holder, self._holder = self._holder, None
        if holder is not None and not holder.alive:
            holder.close()
            return None
        return holder

    def let_go(self) -> None:
        """Close the target's session, and the source's if it is dead: the next attempt connects
        again."""
        if self._control is not None:
            self._control.close()
        self._control, self.is_locked = None, False
        self._holder = self.hand_over()

    def cancel(self) -> None:
        """Cancel the running statement of either session, from any thread."""
        for connection in (self._holder.connection if self._holder else None, self._control):
            if connection is not None:
                cancel_active(connection)

    def close(self) -> None:
        if self._holder is not None:
            self._holder.close()
        if self._control is not None:
            self._control.close()
