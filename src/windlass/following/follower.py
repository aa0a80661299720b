"""One direction of following: reads a stream, applies it, and moves the position.

Each transaction of the target first moves the position, then applies the changes of several source
transactions. While it waits for the target, `windlass.following.reading` reads ahead. If a batch
cannot be applied, its transactions are applied one by one, so that it stops exactly at the one that
fails. After a lost connection to either side, it resumes at the position.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.replication.lsn import NOWHERE, Lsn, text
from windlass.engines.postgres.replication.messages import Relation, Truncate
from windlass.engines.postgres.replication.shapes import Noted
from windlass.engines.postgres.session import Connection, cancel_active
from windlass.errors import ConnectionLost, RunLost, SchemaChanged, WindlassError
from windlass.following.assembling import Limits, Rules
from windlass.following.changes import Batch
from windlass.following.durable import Durable
from windlass.following.position import Position, take
from windlass.following.reading import Frames, Reader
from windlass.model.following import UNSURE, Direction

log = logging.getLogger(__name__)

TURN_SECONDS = 0.2  # that it waits for changes before it looks around
PASS_SECONDS = 2.0  # between two moves of the position over what is not ours to apply
PATIENCE_SECONDS = 300.0  # for a server that is away
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.1, 5.0
_JOIN_SECONDS = 2.0  # after that, the statement that the session waits for is cancelled


class Applies(Protocol):
    """Applies batches in the open transaction of its session: the whole batch, or it raises."""

    def apply(self, batch: Batch) -> object: ...


Prepares = Callable[[Connection, Batch], None]


class Ends(Protocol):
    """Both ends of a stream. They are opened again after a lost connection."""

    def open_stream(self, after: Lsn) -> Frames: ...

    def open_target(self) -> tuple[Connection, Applies]:
        """A session in autocommit, and what applies changes in it."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a follower is, at some moment."""

    commit_lsn: Lsn = NOWHERE  # of the last transaction that is applied
    end_lsn: Lsn = NOWHERE  # all before it is applied
    durable_lsn: Lsn = NOWHERE  # all before it is on the target's disk
    transactions: int = 0  # applied since the beginning
    changes: int = 0  # applied since the beginning
    marker: int = 0  # the last that has arrived


class Follower:
    """Follows in its own thread from `start` to `stop`. The other methods are for any thread."""

    def __init__(
        self,
        ends: Ends,
        rules: Rules,
        *,
        on_marker: Callable[[int], float | None] = lambda _: None,
        limits: Limits | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        is_sealed: bool = False,
        is_unsure: bool = False,
        prepare: Prepares | None = None,
    ) -> None:
        """`on_marker` is called with the number of each marker just before that is committed, and
        returns its lag in milliseconds, if known. A follower that begins sealed applies nothing
        until `unseal`; `is_unsure`: a seal may still come, so it is not known whether what arrives
        is late. `prepare` is called in the transaction that is about to apply a schema change, and
        raises if the target does not fit; without `prepare`, every schema change is refused."""
        self._ends, self._rules, self._on_marker = ends, rules, on_marker
        self._limits, self._patience_seconds = limits, patience_seconds
        self._prepare = prepare or _refuse_schema_changes
        self._control = Control(is_sealed, is_unsure)
        self._progress = Progress()
        self._epoch: int | None = None
        self._link: _Link | None = None
        self.error: WindlassError | None = None
        self._thread = threading.Thread(target=self._run, name="windlass follower", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop applying; returns when nothing is applied any more. What was not committed will be
        read again."""
        self._control.stop()
        if link := self._link:
            link.wake()
        self._thread.join(_JOIN_SECONDS)
        while self._thread.is_alive():
            if link := self._link:
                link.cancel()
            self._thread.join(1.0)

    @property
    def is_running(self) -> bool:
        """Whether it follows; else `error` has the reason, unless it was stopped."""
        return self._thread.is_alive()

    @property
    def progress(self) -> Progress:
        return self._progress

    @property
    def applied_lsn(self) -> Lsn:
        """Everything that was committed before this position is applied."""
        return self._progress.end_lsn

    def pause(self, before: int) -> None:
        """Apply nothing that was committed at `before` or later, until `resume`."""
        self._control.pause_before = before
        self._wake()

    @property
    def is_paused(self) -> bool:
        """Whether exactly what was committed before the pause is applied."""
        before = self._control.pause_before
        return before is not None and self._control.paused_before == before

    def resume(self) -> None:
        self._control.pause_before = self._control.paused_before = None
        self._wake()

    def seal(self) -> None:
        """Apply no more changes until `unseal`, as after a marker that seals."""
        self._control.is_sealed = True

    @property
    def is_sealed(self) -> bool:
        return self._control.is_sealed

    def unseal(self) -> None:
        """Also apply what came after a seal, and forget that it came."""
        self._control.unseals = True
        self._wake()

    def leave_out(self, before: Lsn) -> None:
        """Skip what was committed before this position, because both sides have it already. Only
        for a sealed follower; see `leaves_out`."""
        self._control.leaves_out = before
        self._wake()

    @property
    def leaves_out(self) -> bool:
        """Whether it still has to skip something."""
        return self._control.leaves_out is not None

    @property
    def late(self) -> Mapping[str, Any] | None:
        """The first transaction that others committed after a seal."""
        return self._control.late

    def _wake(self) -> None:
        self._control.changed.set()
        if link := self._link:
            link.wake()

    def _run(self) -> None:
        try:
            self._follow()
        except WindlassError as error:
            self.error = error
        except Exception as error:
            self.error = WindlassError(f"following failed: {type(error).__name__}: {error}")
            self.error.__cause__ = error

    def _follow(self) -> None:
        """Follow, and reconnect as long as that can help."""
        wait_seconds, lost_at = _FIRST_WAIT_SECONDS, None
        while not self._control.is_stopping:
            before = self._progress
            try:
                self._follow_connected()
            except RunLost:
                raise
            except ConnectionLost as error:
                if self._progress is not before:
                    wait_seconds, lost_at = _FIRST_WAIT_SECONDS, None
                lost_at = lost_at or time.monotonic()
                if time.monotonic() - lost_at > self._patience_seconds:
                    raise
                log.warning("direction=%s lost=%s", self._rules.direction, error)
                self._control.stopping.wait(wait_seconds)
                wait_seconds = min(2 * wait_seconds, _LONGEST_WAIT_SECONDS)

    def _follow_connected(self) -> None:
        rules = self._rules
        side = "target" if rules.direction == Direction.FORWARD else "source"
        with ExitStack() as stack:
            session, applier = self._ends.open_target()
            stack.callback(session.close)
            with explaining("taking the stream over", side=side):
                applied = take(session, rules.run, rules.direction, self._epoch, side=side)
            self._epoch = applied.epoch
            position = Position(session, applied, side=side)
            reader = Reader(
                lambda: self._ends.open_stream(position.end_lsn),
                rules,
                position.commit_lsn,
                self._limits,
            )
            stack.callback(reader.stop)
            self._link = _Link(session, applier, position, reader, side, self._prepare)
            stack.callback(self._unlink)
            self._link.follow(self._control, self._on_marker, self._publish)

    def _unlink(self) -> None:
        self._link = None

    def _publish(self, progress: Progress) -> None:
        if progress != self._progress:
            self._progress = progress


class Control:
    """What others want from a follower, and what it has reached."""

    def __init__(self, is_sealed: bool, is_unsure: bool) -> None:
        self.stopping = threading.Event()
        self.changed = threading.Event()
        self.pause_before: int | None = None
        self.paused_before: int | None = None  # of the pause that is reached
        self.is_sealed, self.is_unsure = is_sealed, is_unsure
        self.unseals = False
        self.late: Mapping[str, Any] | None = None  # what came after a seal, once that is noted
        self.leaves_out: Lsn | None = None

    @property
    def is_stopping(self) -> bool:
        return self.stopping.is_set()

    def stop(self) -> None:
        self.stopping.set()
        self.changed.set()


class _Link:
    """Both connections of a follower, while both work."""

    def __init__(
        self,
        session: Connection,
        applier: Applies,
        position: Position,
        reader: Reader,
        side: str,
        prepare: Prepares,
    ) -> None:
        self._prepare = prepare
        self._session, self._applier, self._side = session, applier, side
        self._position, self._reader = position, reader
        self._durable = Durable(position.end_lsn)
        self._on_marker: Callable[[int], float | None] = lambda _: None
        self._looked_at = self._passed_at = time.monotonic()

    def wake(self) -> None:
        self._reader.wake()

    def cancel(self) -> None:
        """Cancel what the session waits for, such as a lock."""
        cancel_active(self._session)

    def follow(
        self,
        control: Control,
        on_marker: Callable[[int], float | None],
        publish: Callable[[Progress], None],
    ) -> None:
        """Until it is stopped, or something fails."""
        self._on_marker = on_marker
        held: Batch | None = None
        try:
            while not control.is_stopping:
                if control.leaves_out is not None and self._leave_out(control):
                    return  # the stream is read again, from there
                held = self._turn(control, held)
                publish(self._measured())
                if held is not None:
                    control.changed.wait(TURN_SECONDS)
                    control.changed.clear()
            self._let_go()
        finally:
            publish(self._measured())

    def _turn(self, control: Control, held: Batch | None) -> Batch | None:
        """Apply what comes next, as far as that may be; returns what is held back."""
        if control.unseals:
            self._unseal(control)
        batch = held or self._reader.take(TURN_SECONDS)
        if batch is not None:
            held = self._handle(control, batch)
        else:
            self._look_around(control)
        self._confirm()
        return held

    def _measured(self) -> Progress:
        position = self._position
        return Progress(
            position.commit_lsn,
            position.end_lsn,
            self._durable.lsn,
            position.transactions,
            position.changes,
            position.marker,
        )

    def _let_go(self) -> None:
        """Before leaving, confirm to the source what is on disk."""
        with suppress(WindlassError):
            if self._position.is_moving:
                self._position.roll_back()
            self._looked_at = 0.0
            self._confirm()

    # what may be applied

    def _handle(self, control: Control, batch: Batch) -> Batch | None:
        """Apply what may be applied; returns the rest."""
        count = self._count_allowed(control, batch)
        head, rest = batch.split(count)
        if head is not None:
            self._apply(head)
            if any(marker.purpose == "seal" for marker in head.markers):
                control.is_sealed = True
        if rest is None:
            return None
        pause = control.pause_before
        if pause is not None and rest.commits[0] >= pause:
            control.paused_before = pause
        elif control.is_sealed and control.late is None and not rest.count_idle():
            control.late = self._note_late(rest, is_unsure=control.is_unsure)
        return rest

    def _count_allowed(self, control: Control, batch: Batch) -> int:
        """How many transactions of the batch may be applied now. A transaction that has begun may
        always continue."""
        count = len(batch.starts)
        if not batch.opens:
            return count
        if control.pause_before is not None:
            count = min(count, batch.count_before(control.pause_before))
        if control.is_sealed:
            count = min(count, batch.count_idle())
        return count

    def _note_late(self, batch: Batch, *, is_unsure: bool) -> Mapping[str, Any]:
        changes = (one for one in batch.changes if type(one) is not Relation)
        first = next(changes, None)
        relation = first.relations[0] if isinstance(first, Truncate) else first
        if relation is not None and not isinstance(relation, Relation):
            relation = relation.relation
        late: dict[str, Any] = {"lsn": text(batch.commits[0])}
        if is_unsure:
            late[UNSURE] = True
        if batch.schema_changes:  # such a batch has one transaction
            noted = batch.schema_changes[0]
            changed = ", ".join(Noted.from_text(noted.objects).objects)
            late["relation"] = f"the definition of {changed}" if changed else noted.tag
        elif relation is not None:
            late["relation"] = f"{relation.schema}.{relation.name}"
        log.warning("late=%s", late)
        self._position.note_late(late)
        return late

    def _unseal(self, control: Control) -> None:
        if self._position.is_moving:
            return
        control.unseals = False
        self._position.note_late(None)
        control.is_sealed = control.is_unsure = False
        control.late = None

    def _leave_out(self, control: Control) -> bool:
        """Whether the position was moved."""
        before, position = control.leaves_out, self._position
        if before is None or position.is_moving:
            return False
        is_ahead = control.is_sealed and before > position.end_lsn
        if is_ahead:
            log.info("left out: what was committed before %s", text(before))
            position.begin_at(before)
            control.late = None
        control.leaves_out = None
        return is_ahead

    # applying

    def _apply(self, batch: Batch) -> None:
        if not batch.is_whole:
            self._apply_portion(batch)
            return
        try:
            self._apply_whole(batch)
        except ConnectionLost:
            raise
        except WindlassError as error:
            self._position.roll_back()
            if len(batch.starts) == 1:
                raise
            log.info("one by one, after: %s", error)
            for single in batch.singles():
                self._apply(single)

    def _apply_whole(self, batch: Batch) -> None:
        self._position.begin(batch, self._lag_ms(batch))
        if batch.schema_changes:
            self._prepare(self._session, batch)
        if batch.changes or batch.schema_changes:
            self._applier.apply(batch)
        self._position.commit()
        self._durable.committed(batch.end_lsn)

    def _apply_portion(self, batch: Batch) -> None:
        """Apply a part of a transaction that is too large for memory; all of it is one transaction
        here, too."""
        if batch.opens:
            self._position.begin(batch)
        if batch.schema_changes:
            self._prepare(self._session, batch)
        self._applier.apply(batch)
        if not batch.opens:
            self._position.extend(batch, self._lag_ms(batch))
        if batch.closes:
            self._position.commit()
            self._durable.committed(batch.end_lsn)

    def _lag_ms(self, batch: Batch) -> float | None:
        found = [self._on_marker(marker.number) for marker in batch.markers]
        return found[-1] if found else None

    # in between

    def _look_around(self, control: Control) -> None:
        """Do what is due while there is nothing to apply."""
        through = self._reader.through
        pause = control.pause_before
        if pause is not None and through >= pause:
            control.paused_before = pause
        now = time.monotonic()
        is_due = now - self._passed_at >= PASS_SECONDS
        if is_due and through > self._position.end_lsn and not self._position.is_moving:
            self._passed_at = now
            self._position.pass_over(through)
            self._durable.committed(through)

    def _confirm(self) -> None:
        """Let the source forget what is on the target's disk. The target is only asked at
        intervals."""
        now = time.monotonic()
        if not self._durable.is_behind or now - self._looked_at < TURN_SECONDS:
            return
        if self._position.is_moving:
            return
        self._looked_at = now
        self._reader.confirm(self._durable.look(self._session, side=self._side))


def _refuse_schema_changes(session: Connection, batch: Batch) -> None:
    first = batch.schema_changes[0]
    raise SchemaChanged(
        f"the schema was changed at {text(batch.commit_lsn)}: {first.statement}",
        hint="make the same change where it is applied",
        lsn=text(batch.commit_lsn),
        tag=first.tag,
        objects=first.objects,
        statement=first.statement,
    )
