"""Reports, while a command runs, who blocks its sessions."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from windlass.engines.postgres.lock_waits import (
    OTHER_SESSIONS,
    Blocker,
    LockWait,
    read_lock_waits,
    read_room,
)
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.errors import WindlassError
from windlass.flows.demands import Demands
from windlass.model.event import Emit, Noticed

log = logging.getLogger(__name__)

# a wait seen in two checks in a row is reported: after one to two seconds
LOOK_SECONDS = 1.0
# in a task beside the one that holds the run: most tasks have ended before
LATE_SECONDS = 10.0
# time between checks, and before reconnecting after an error
PATIENCE_SECONDS = 10.0
_LEAVE_SECONDS = 1.0
Place = Callable[[], Address | None]  # None: the command has no session yet


@contextmanager
def watching_locks(
    reached: Callable[[], tuple[Address, Address] | None],
    jobs: int,
    emit: Emit,
    demands: Demands | None = None,
    *,
    late: bool = False,
) -> Iterator[None]:
    """Emit a notice for each session that blocks one of the run's, in any process, on either side.
    Uses one session on each side, unless the run may need that session. Never affects the outcome,
    except through `demands`. `reached` returns source and target once both have answered. `late`:
    another process watches all the time; this one looks only now and then, and keeps no session."""

    def at(side: int) -> Address | None:
        found = reached()
        return found[side] if found else None

    needed = 2 * jobs + OTHER_SESSIONS
    source = _Watch(Role.SOURCE, lambda: at(0), emit, needed, demands, late=late)
    target = _Watch(Role.TARGET, lambda: at(1), emit, needed, late=late)
    with source.running(), target.running():
        yield


@contextmanager
def watching_target(address: Address, emit: Emit) -> Iterator[None]:
    """As `watching_locks`, for a command that works in one session, on the target."""
    watch = _Watch(Role.TARGET, lambda: address, emit, needed=2)
    with watch.running():
        yield


@contextmanager
def watching_source(place: Place, jobs: int, emit: Emit, demands: Demands) -> Iterator[None]:
    """As `watching_locks`, for a command that only reads a source."""
    watch = _Watch(Role.SOURCE, place, emit, 2 * jobs + 2, demands)
    with watch.running():
        yield


class _Watch:
    """Watches one side in a thread, so that an unresponsive server does not stop the watch of the
    other."""

    def __init__(
        self,
        role: Role,
        place: Place,
        emit: Emit,
        needed: int,
        demands: Demands | None = None,
        *,
        late: bool = False,
    ) -> None:
        self._role, self._side, self._place, self._emit = role, role.value, place, emit
        self._demands, self._late = demands, late
        self._needed = needed  # sessions of the run, including this one
        self._over = threading.Event()
        self._connection: Connection | None = None
        self._before: set[LockWait] = set()
        self._reported: set[Blocker] = set()

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(
            target=self._look_on, name=f"windlass-locks-{self._side}", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join(_LEAVE_SECONDS)  # one that hangs ends with the process

    def _look_on(self) -> None:
        pause = LATE_SECONDS if self._late else LOOK_SECONDS
        while not self._over.wait(pause):
            try:
                self._look()
                pause = LOOK_SECONDS
                if self._late and not self._before:
                    self._disconnect()
                    pause = LATE_SECONDS
            except (psycopg.Error, WindlassError) as error:
                log.debug("side=%s lock watch: %s", self._side, error)
                self._disconnect()
                pause = PATIENCE_SECONDS
        self._disconnect()

    def _look(self) -> None:
        connection = self._connected()
        if connection is None:
            return
        waits = read_lock_waits(connection, side=self._side)
        for wait in waits:
            if wait in self._before and wait.blocker not in self._reported:
                self._reported.add(wait.blocker)
                if not self._over.is_set():
                    self._emit(Noticed(f"{self._side}: {wait}"))
        self._before = set(waits)
        if self._demands is not None and not self._over.is_set():
            self._demands.look(connection, waits)

    def _connected(self) -> Connection | None:
        if self._connection is None and (address := self._place()):
            self._connection = address.connect(self._role, "windlass lock watch")
            limit = f"{PATIENCE_SECONDS:.0f}s"
            self._connection.execute("select set_config('statement_timeout', %s, false)", (limit,))
            self._check_room(self._connection)
        return self._connection

    def _check_room(self, connection: Connection) -> None:
        room = read_room(connection)
        if room < self._needed:
            message = f"room for {room} sessions, and the run may need {self._needed - 1}"
            log.info("side=%s lock watch: %s", self._side, message)
            self._over.set()
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._before = None, set()
