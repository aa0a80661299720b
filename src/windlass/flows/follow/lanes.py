"""The streams of a run: each with its follower, its markers, its pace and its slot."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from windlass.engines.postgres.session import Address, Connection, Role
from windlass.errors import Conflict, ConnectionLost, SchemaChanged, SlotLost, WindlassError
from windlass.flows.follow.advice import AFTER_FLIP_BACK
from windlass.flows.follow.context import Following
from windlass.flows.follow.ends import StreamEnds
from windlass.flows.follow.positions import read_starts
from windlass.flows.follow.removal import drop_slot, writing
from windlass.flows.follow.renamed import Renamed, read_renamed, to_detail, with_present_names
from windlass.flows.follow.source_side import TIMELINE, check_slot
from windlass.flows.follow.watching import SlotWatch, check_timeline, read_log_end
from windlass.flows.follow.way_back import make_way_back
from windlass.following.assembling import Rules
from windlass.following.collecting import rare_collections
from windlass.following.follower import Follower
from windlass.following.markers import Markers
from windlass.following.pace import Pace, Sample
from windlass.following.reopening import WAYS
from windlass.journal.following import forget_applied, read_applied, read_phase
from windlass.model.event import Noticed
from windlass.model.following import (
    Direction,
    Phase,
    Purpose,
    StreamStatus,
    late_where,
    stream_name,
)

log = logging.getLogger(__name__)
MARKER_SECONDS = 1.0
_STOPPED_BY = {SchemaChanged: "schema_change", Conflict: "conflict", SlotLost: "slot_lost"}
_NO_RIGHT = "42501"  # insufficient_privilege
_LOST = ("slot_lost", "timeline")  # what stops a stream and not the other one


def stopped_by(error: WindlassError) -> str:
    """The cause that stopped a stream, as one word; empty if there is no word for it."""
    if error.where.get("sqlstate") == _NO_RIGHT:
        return "rights"
    if error.where.get("stopped_by") == "timeline":
        return "timeline"
    return next((word for kind, word in _STOPPED_BY.items() if isinstance(error, kind)), "")


class Watch:
    """A session on the server that a stream is read from. It is reopened when it is lost; the
    follower decides how long to wait for a server."""

    def __init__(self, address: Address, name: str, timeline: int | None) -> None:
        self._address, self._name, self._timeline = address, name, timeline
        self._session: Connection | None = None

    def session(self) -> Connection:
        """Raises:
        WindlassError: another server has taken over.
        """
        if self._session is None or self._session.closed or self._session.broken:
            session = self._address.connect(Role.TARGET, self._name)
            try:
                session.execute("set default_transaction_read_only = off")
                session.execute("set synchronous_commit = on")  # as applications' sessions do
                side = self._address.side
                self._timeline = check_timeline(session, self._timeline, side=side)
            except BaseException:
                session.close()
                raise
            self._session = session
        return self._session

    def close(self) -> None:
        if self._session is not None:
            self._session.close()


class Lane:
    """One stream. Used by the thread that pursues, except for `arrived`."""

    def __init__(
        self, run: Following, direction: Direction, detail: Mapping[str, Any], phase: Phase
    ) -> None:
        """Starts to follow, for a run in this phase with these details."""
        plan, is_forward = with_present_names(run.plan, detail), direction is Direction.FORWARD
        timeline = detail.get(TIMELINE) if is_forward else None
        self.direction = direction
        applied = _saying(run) if run.spec.apply_ddl else None
        renamed = read_renamed(detail) if is_forward else {}
        source, target = run.hold.source, run.hold.target
        self.ends = ends = StreamEnds(plan, direction, source, target, renamed, applied)
        starts = read_starts(run) if is_forward else {}
        rules = Rules(
            plan.run, direction, {(one.schema, one.name): lsn for one, lsn in starts.items()}
        )
        self.watch = Watch(ends.read, f"windlass {plan.run} {direction} watch", timeline)
        self._markers = Markers(plan.run, direction)
        self._pace = Pace()
        self._slot = SlotWatch(
            stream_name(plan.run, direction),
            ends.read.side,
            run.spec.max_retained_wal,
            lambda message: run.emit(Noticed(message)),
        )
        self._marked_at = 0.0
        try:
            self._slot.look(self.watch.session())
        except BaseException:
            self.watch.close()
            raise
        self.follower = Follower(
            ends,
            rules,
            on_marker=self._markers.arrived,
            is_sealed=direction is not _applying(phase),
            is_unsure=any(phase is way.freezes and direction is way.direction for way in WAYS),
            prepare=ends.prepare,
        )
        self.follower.start()

    def close(self) -> None:
        self.follower.stop()
        self.watch.close()

    def check(self) -> None:
        """Raises:
        WindlassError: it cannot follow any more.
        """
        if (error := self.follower.error) is not None:
            known = {"stopped_by": stopped_by(error), "direction": str(self.direction)}
            error.where = {**known, **error.where}
            raise error

    def mark(self) -> None:
        """Write a marker if it is time to."""
        now = time.monotonic()
        if now - self._marked_at >= MARKER_SECONDS:
            self._marked_at = now
            self._markers.write(self.watch.session(), Purpose.LAG)

    def prove(self) -> int:
        """Write a marker that shows that the stream works; returns its number."""
        return self._markers.write(self.watch.session(), Purpose.PROOF)

    def measured(self) -> StreamStatus:
        session, progress = self.watch.session(), self.follower.progress
        slot = self._slot.look(session)
        written = read_log_end(session, side=self._slot.side)
        pace, lag = self._pace, self._markers.lag()
        if progress.end_lsn:
            sample = Sample(time.monotonic(), written, progress.end_lsn, progress.changes)
            pace.add(sample)
        return StreamStatus(
            self.direction,
            not self.follower.is_sealed,
            lag.last_ms,
            lag.p50_ms,
            lag.p99_ms,
            pace.behind_bytes,
            pace.in_bytes_per_second,
            pace.out_bytes_per_second,
            pace.changes_per_second,
            pace.catch_up_seconds,
            progress.changes,
            f"{progress.end_lsn >> 32:X}/{progress.end_lsn & 0xFFFFFFFF:X}",
            slot.retained_bytes,
            self._slot.room_of(slot),
            slot.wal_status,
        )


class Lanes:
    """Forward, and back as soon as there is a way back. Leaving this context manager stops both."""

    def __init__(self, run: Following, phase: Phase) -> None:
        """Connects to nothing yet."""
        self._run, self._phase = run, phase
        self._stack = ExitStack()
        self._lanes: dict[Direction, Lane] = {}
        self._proof: int | None = None  # the marker that proves the way back
        self._last: dict[Direction, StreamStatus] = {}
        self._renamed: Renamed = {}  # of a stream of the source that was lost
        self.lost: WindlassError | None = None  # that stream, after a cutover; why

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._stack = stack
            stack.enter_context(rare_collections())
            has_way_back = self._has_way_back()
            with self._sparing(Direction.FORWARD, has_way_back=has_way_back):
                self._open(Direction.FORWARD)
            if has_way_back:
                self._open(Direction.BACK)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *fault: object) -> None:
        self._stack.close()

    def _open(self, direction: Direction) -> None:
        found = read_phase(self._run.sessions().target(), self._run.plan.run)
        detail = dict(found[1]) if found else {}
        # the stream may know of a rename that is not noted yet
        if Direction.FORWARD in self._lanes:
            detail.update(to_detail(self.renamed))
        else:
            self._renamed = read_renamed(detail)
        lane = Lane(self._run, direction, detail, self._phase)
        self._stack.callback(lane.close)
        self._lanes[direction] = lane

    @contextmanager
    def _sparing(self, direction: Direction, *, has_way_back: bool) -> Iterator[None]:
        """After a cutover the stream of the source only shows writes of others, and waits for a
        flip back. If it is lost then, the way back continues without it."""
        try:
            yield
        except WindlassError as error:
            is_needed = direction is Direction.BACK or not self._phase.target_is_open
            if is_needed or not has_way_back or stopped_by(error) not in _LOST:
                raise
            error.where = {"direction": str(direction), **error.where}
            self.lost = error
            if (lane := self._lanes.pop(direction, None)) is not None:
                self._renamed = lane.ends.renamed
                self._last.pop(direction, None)
                lane.close()
            self._run.emit(
                Noticed(
                    f"{error}; the way back works without it, but writes of others to the source"
                    f" are not noticed any more, and {AFTER_FLIP_BACK}"
                )
            )

    def _has_way_back(self) -> bool:
        """One that nobody needs yet, and whose slot is lost, is forgotten."""
        hold, run = self._run.hold, self._run.plan.run
        with writing(hold.source, "windlass follow") as source:
            applied = read_applied(source, run, Direction.BACK)
            if applied is None or self._phase is not Phase.FOLLOWING:
                return applied is not None
            name = stream_name(run, Direction.BACK)
            with writing(hold.target, "windlass follow") as target:
                try:
                    check_slot(target, name, applied.end_lsn, side="target")
                except SlotLost as lost:
                    forget_applied(source, run, Direction.BACK)
                    drop_slot(target, name, side="target")
                    self._run.emit(Noticed(f"{lost}; the next cutover makes another way back"))
                    return False
        return True

    def __iter__(self) -> Iterator[Lane]:
        return iter(tuple(self._lanes.values()))

    @property
    def forward(self) -> Follower:
        return self._lanes[Direction.FORWARD].follower

    @property
    def renamed(self) -> Renamed:
        """The present names of relations, as far as the stream of the source has come."""
        lane = self._lanes.get(Direction.FORWARD)
        return lane.ends.renamed if lane else self._renamed

    def source_session(self) -> Connection:
        """The session that watches the source."""
        return self._lanes[Direction.FORWARD].watch.session()

    @property
    def sealed(self) -> frozenset[Direction]:
        """The directions in which nothing is applied now."""
        return frozenset(one.direction for one in self if one.follower.is_sealed)

    @property
    def written_to_target(self) -> str:
        """Where others first wrote to the target before a cutover; empty if they did not."""
        lane = self._lanes.get(Direction.BACK)
        late = lane.follower.late if lane else None
        return late_where(late) if late else ""

    def turn(self, phase: Phase, sealed: frozenset[Direction]) -> None:
        """Check each stream, write its markers, and let the one that belongs to the phase apply
        changes. `sealed` are the streams that were sealed before the phase was read: the seal of a
        cutover that begins right now stays.

        Raises:
            WindlassError: a stream cannot continue.
        """
        self._phase = phase
        if self.lost is not None and not phase.target_is_open:
            raise self.lost
        has_way_back = Direction.BACK in self._lanes
        for lane in self:
            with self._sparing(lane.direction, has_way_back=has_way_back):
                lane.check()
        applying = _applying(phase)
        for lane in self:
            if lane.direction is applying and lane.direction in sealed:
                lane.follower.unseal()
            elif applying and lane.direction is not applying and not lane.follower.is_sealed:
                lane.follower.seal()
        for lane in self:
            with self._sparing(lane.direction, has_way_back=has_way_back), while_away():
                lane.mark()

    def measured(self) -> list[StreamStatus]:
        """Measure all streams. If a server is away, its last measurement is repeated."""
        has_way_back = Direction.BACK in self._lanes
        for lane in self:
            with self._sparing(lane.direction, has_way_back=has_way_back), while_away():
                self._last[lane.direction] = lane.measured()
        return list(self._last.values())

    def reverse(self) -> Mapping[str, Any] | None:
        """Make the way back, sealed until the cutover, and prove it by a marker; None until the
        marker has arrived. Parts that already exist are used.

        Raises:
            WindlassError: it cannot be made, such as for lack of rights on the target.
        """
        if Direction.BACK not in self._lanes:
            make_way_back(self._run, self.renamed)
            self._open(Direction.BACK)
        lane = self._lanes[Direction.BACK]
        lane.check()
        if self._proof is None:
            self._proof = lane.prove()
        if lane.follower.progress.marker < self._proof:
            return None
        proven, self._proof = self._proof, None
        return {"proven": proven}


def _saying(run: Following) -> Callable[[str], None]:
    """Reports a statement of the source that was applied to the target."""
    return lambda statement: run.emit(Noticed(f"applied to the target: {statement}"))


def _applying(phase: Phase) -> Direction | None:
    """The direction in which changes are applied in a phase; None while a cutover is in
    progress."""
    if phase in (Phase.COPYING, Phase.FOLLOWING):
        return Direction.FORWARD
    return Direction.BACK if phase is Phase.SWITCHED else None


class while_away:
    """Ignores a lost connection: the next turn tries again, and the follower decides how long a
    server may be away."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if isinstance(error, ConnectionLost):
            log.info("away=%s", error)
            return True
        return False
