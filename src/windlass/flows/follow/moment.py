"""One moment of two databases that change all the time: a snapshot of each, at the same position of
the stream.

A temporary slot on the side that applications write to gives a snapshot and its exact position. The
other side has the same state once everything before the position is applied, and nothing after it.
So the process that follows stops before the slot is made, as it would otherwise pass the position.
It then applies what is missing up to the position, and stays there until a snapshot is exported. If
the slot has to wait for open transactions, the process continues until these have ended.

If others have written to the side that only follows, its snapshot comes from a slot too: then its
position is known, and the comparison includes their writes up to it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.lock import control_name, read_holder
from windlass.engines.postgres.replication import slots
from windlass.engines.postgres.replication.lsn import Lsn
from windlass.engines.postgres.replication.slots import HeldSlot
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.errors import ConnectionLost, Refused, WindlassError
from windlass.flows.follow.removal import writing
from windlass.journal import door
from windlass.journal.following import (
    ask,
    listen,
    read_answer,
    read_applied,
    read_phase,
    write_marker,
)
from windlass.journal.records import read_runs
from windlass.model.following import Direction, Phase, Purpose, late_where, stream_name
from windlass.model.outcome import UNFINISHED
from windlass.model.report import Problem
from windlass.model.wording import word

PATIENCE_SECONDS = 60.0
HELD_SECONDS = 2.0  # while a slot is made, nothing is applied for so long
TRIES = 5
_AT_ONCE = Lsn(1)
PURPOSE = "windlass moment"


@dataclass(frozen=True, slots=True)
class Moment:
    """Both snapshots. They exist until the block of `one_moment` ends."""

    run: str
    source_snapshot: str
    target_snapshot: str
    lsn: Lsn  # of the side that is written to
    is_fenced: bool  # whether a cutover keeps the other side closed
    strays: Strays | None = None  # what others wrote to the side behind, if they did


@dataclass(frozen=True, slots=True)
class Strays:
    """Writes of others to the side that only follows. Its snapshot has all that were committed
    before `lsn`, a position of that side, and none after."""

    direction: Direction  # of the stream that has found them, and does not apply them
    lsn: Lsn
    first: str  # for people


def following_run(target: Connection) -> tuple[str, Phase, Mapping[str, Any]]:
    """The run that follows into this target, its phase, and the details of that.

    Raises:
        Refused: none does.
    """
    runs = read_runs(target, flow="follow") if door.exists(target) else []
    for run in runs:
        found = read_phase(target, run.run) if run.state in UNFINISHED else None
        if found is not None and found[0] in (Phase.FOLLOWING, Phase.SWITCHED):
            _check_held(target, run.run)
            return run.run, *found
    message = "nothing follows into it now"
    hint = f"begin one: windlass migrate {word('follow')}; or compare without {word('follow')}"
    raise Refused([Problem("target", message, hint)])


def _check_held(target: Connection, run: str) -> None:
    if not read_holder(target).startswith(f"{control_name(run)} "):
        message = "no process follows at the moment, and both sides cannot be of one moment"
        hint = f"begin it again: windlass migrate {word('follow')}"
        raise Refused([Problem(f"run {run}", message, hint)])


@contextmanager
def one_moment(source: Address, target: Address) -> Iterator[Moment]:
    """Raises:
    Refused: nothing follows.
    WindlassError: the process that follows does not answer, or the slot cannot be made.
    """
    with ExitStack() as stack:
        journal = stack.enter_context(writing(target, PURPOSE))
        run, phase, detail = following_run(journal)
        is_back = phase is Phase.SWITCHED
        leading, behind = (target, source) if is_back else (source, target)
        like = stack.enter_context(_session(leading, Role.SOURCE))
        direction = Direction.BACK if is_back else Direction.FORWARD
        found = _late(like, run, direction.other)
        strays = None
        with _alone(journal, run), _paused(journal, run, direction, leading) as pause:
            slot = _slot(pause, leading, like, stream_name(run, direction))
            stack.callback(slot.release)
            pause.before(slot.consistent_point)
            session = stack.enter_context(_session(behind, Role.SOURCE))
            if found:
                own = f"{stream_name(run, direction.other)}_m{os.getpid()}"
                held = slots.create(behind, session, PURPOSE, own, is_temporary=True)
                stack.callback(held.release)
                snapshot = held.snapshot
                strays = Strays(direction.other, held.consistent_point, found)
            else:
                snapshot = _exported(session)
        pair = (snapshot, slot.snapshot) if is_back else (slot.snapshot, snapshot)
        is_fenced = any(detail.get(key) for key in ("fence_source", "fence_target"))
        yield Moment(run, *pair, slot.consistent_point, is_fenced, strays)


def leave_out(target: Address, run: str, strays: Strays) -> None:
    """Let the process that follows skip these writes: both sides have their effects.

    Raises:
        WindlassError: it does not answer. The writes stay a blocker.
    """
    with writing(target, PURPOSE) as journal:
        listen(journal, run)
        given = {"lsn": int(strays.lsn), "direction": str(strays.direction)}
        _wait_for(journal, ask(journal, run, "leave_out", given))


def _late(applied: Connection, run: str, direction: Direction) -> str:
    found = read_applied(applied, run, direction)
    return late_where(found.late) if found and found.late else ""


@contextmanager
def _session(address: Address, role: Role) -> Iterator[Connection]:
    session = address.connect(role, PURPOSE)
    try:
        yield session
    finally:
        session.close()


def _exported(session: Connection) -> str:
    with explaining("exporting a snapshot", side="target"):
        session.execute("begin isolation level repeatable read, read only")
        row: Any = session.execute("select pg_export_snapshot()").fetchone()
    return str(row[0])


class _Pause:
    """A pause of the process that follows. Asking again makes a new pause; between the two, only
    what the new one allows is applied."""

    def __init__(
        self, journal: Connection, run: str, direction: Direction, leading: Address
    ) -> None:
        self._journal, self._run, self._leading = journal, run, leading
        self._direction, self._request = direction, ""

    def at_once(self) -> None:
        self._ask(_AT_ONCE)
        _wait_for(self._journal, self._request)

    def before(self, lsn: Lsn) -> None:
        """Wait until the side behind has exactly what was committed before the position."""
        self._ask(lsn)
        with writing(self._leading, PURPOSE) as session:
            # so that something comes after the position
            write_marker(session, self._run, self._direction, Purpose.PROOF)
        _wait_for(self._journal, self._request)

    def _ask(self, lsn: Lsn) -> None:
        direction = str(self._direction)
        given = {"lsn": int(lsn), "direction": direction, "seconds": PATIENCE_SECONDS}
        self._request = ask(self._journal, self._run, "pause", given)

    def let_go(self) -> str:
        given = {"direction": str(self._direction), "pause": self._request}
        return ask(self._journal, self._run, "resume", given)

    def end(self) -> None:
        """End the pause.

        Raises:
            WindlassError: it had ended before: what was read since may be of a later position.
        """
        if not _wait_for(self._journal, self.let_go()).get("lasted"):
            raise WindlassError(
                "the process that follows was not held long enough to read both sides",
                hint="compare again",
            )


@contextmanager
def _paused(
    journal: Connection, run: str, direction: Direction, leading: Address
) -> Iterator[_Pause]:
    listen(journal, run)
    pause = _Pause(journal, run, direction, leading)
    try:
        yield pause
    except BaseException:
        pause.let_go()
        raise
    pause.end()


@contextmanager
def _alone(journal: Connection, run: str) -> Iterator[None]:
    """Run one comparison at a time: the end of one's pause would end the other's."""
    name = (f"windlass moment {run}",)
    journal.execute("select set_config('lock_timeout', %s, false)", (f"{PATIENCE_SECONDS:.0f}s",))
    journal.execute("select pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended(%s, 0))", name)
    journal.execute("select set_config('lock_timeout', '0', false)")
    try:
        yield
    finally:
        if not journal.closed:
            query = "select pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended(%s, 0))"
            journal.execute(query, name)


def _slot(pause: _Pause, leading: Address, like: Connection, stream: str) -> HeldSlot:
    """Make the slot while nothing is applied.

    Raises:
        ConnectionLost: transactions do not end; the hint names them.
    """
    for attempt in range(TRIES):
        name = f"{stream}_m{os.getpid()}_{attempt}"
        pause.at_once()
        try:
            return slots.create(
                leading, like, PURPOSE, name, is_temporary=True, wait_seconds=HELD_SECONDS
            )
        except ConnectionLost:
            pause.let_go()
            if attempt + 1 == TRIES:
                raise
        slots.create(leading, like, PURPOSE, f"{name}_w", is_temporary=True).release()
    raise AssertionError("unreachable")


def _wait_for(journal: Connection, request: str) -> Mapping[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (answer := read_answer(journal, request)) is None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise WindlassError(
                "the process that follows has not come to the position in"
                f" {PATIENCE_SECONDS:.0f} seconds",
                hint="see windlass status: whether it runs, and how far it is behind",
            )
        for _ in journal.notifies(timeout=min(left, 1.0), stop_after=1):
            pass
    _check(answer)
    return answer


def _check(answer: Mapping[str, Any]) -> None:
    if error := answer.get("error"):
        raise WindlassError(str(error), hint=str(answer.get("hint", "")))
