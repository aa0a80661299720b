"""Resumes a stream whose slot is lost, without a new copy: a new slot begins at a snapshot of the
source; in that snapshot the target is compared and repaired; then changes count from there.

The position is moved at the very end. Until then the new slot begins after the position, and
nothing can follow (`windlass.flows.follow.source_side.check_slot`). So after any kill, the same
command starts over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.fencing import write_regardless
from windlass.engines.postgres.replication import slots
from windlass.engines.postgres.replication.lsn import Lsn, text
from windlass.errors import Different, Refused, SlotLost
from windlass.flows.follow.comparing import leaves_some_out, verified_now, without_fence
from windlass.flows.follow.removal import Session, drop_slot, writing
from windlass.flows.follow.renamed import Renamed, to_detail
from windlass.flows.follow.source_side import TIMELINE, check_slot
from windlass.flows.follow.watching import check_timeline
from windlass.flows.repair.repaired import check_keys
from windlass.flows.repair.steps import repair_all
from windlass.flows.validate.context import Comparison
from windlass.flows.validate.definitions import validate_schema
from windlass.flows.validate.pairing import row_pair
from windlass.following.reopening import LOST, Side
from windlass.journal import door, records
from windlass.journal.following import (
    begin_again,
    forget_applied,
    note_detail,
    read_applied,
    read_phase,
)
from windlass.model.event import Noticed
from windlass.model.flow import Item, Result
from windlass.model.following import Direction, Phase, stream_name
from windlass.model.outcome import NO_REASON, UNFINISHED, Outcome, Reason, State
from windlass.model.plan import Plan
from windlass.model.repair import ALL
from windlass.model.report import Difference, DifferenceKind, Differs, Problem
from windlass.model.wording import word
from windlass.spec.choices import Verify
from windlass.verifying.postgres.repair import read_changes

PURPOSE = "windlass resync"
TAKEN_UP_IN = Phase.FOLLOWING
# these stop a stream at the same transaction again and again, if the target cannot be made to fit
_STANDING = ("schema_change", "conflict", "timeline")
_MENDED = frozenset({*DifferenceKind} - {DifferenceKind.SCHEMA})


class Resyncing(Comparison):
    """Compares in the snapshot at which the new slot begins, and repairs."""

    followed = ""  # the run that follows
    begins_at = Lsn(0)
    timeline = 0  # of the source, to which the new slot belongs
    is_equal = False  # set once the target is repaired
    is_fenced = False  # whether a cutover keeps the target closed, as after a flip back

    def begin_reading(self) -> None:
        """Raises:
        Refused: the stream is not lost, or the target would not be repaired wholly.
        """
        hold = self.hold
        hold.connect()
        if not hold.try_lock():
            _refuse("target", f"another process is at work: {hold.who_has_lock()}", "let it end")
        with writing(hold.target, PURPOSE) as journal:
            found = _lost_run(journal)
            self.followed = run = found.run
            with writing(hold.source, PURPOSE) as source:
                if found.outcome is None or found.outcome.reason.stopped_by not in _STANDING:
                    self._check_lost(source, journal)
                self._check_whole()
                self._look_for_fences(journal)
                self._forget_way_back(source, journal)
                name = stream_name(run, Direction.FORWARD)
                drop_slot(source, name, side="source")
                held = slots.create(hold.source, source, PURPOSE, name)
                try:
                    hold.read_within(held.snapshot, text(held.consistent_point))
                finally:
                    held.release()
                self.begins_at = held.consistent_point
                self.timeline = check_timeline(source, None, side="source")
            super().begin_reading()
            if leaves_some_out(journal, run, self.plan):
                hint = "leave out what selects some of them, such as include"
                _refuse(f"run {run}", "not all of its relations would be compared", hint)

    def _check_lost(self, source: Session, journal: Session) -> None:
        applied = read_applied(journal, self.followed, Direction.FORWARD)
        assert applied is not None, "a run that follows has a position"
        try:
            check_slot(
                source,
                stream_name(self.followed, Direction.FORWARD),
                applied.end_lsn,
                side="source",
            )
        except SlotLost:
            return
        hint = f"continue it: windlass migrate {word('follow')}"
        _refuse(f"run {self.followed}", "its stream is whole: nothing has to be repaired", hint)

    def _check_whole(self) -> None:
        if self.repair is None or frozenset(self.repair.allowed) != ALL:
            message = "all rows that differ have to be repaired before the source can be followed"
            _refuse(word("repair"), message, "give no kinds of repairs")
        if self.spec.verify_ is not Verify.FULL:
            _refuse(word("verify"), "all rows have to be compared", "leave it out")

    def _look_for_fences(self, journal: Session) -> None:
        found = read_phase(journal, self.followed)
        self.is_fenced = found is not None and any(found[1].get(side.value) for side in Side)

    def _forget_way_back(self, source: Session, journal: Session) -> None:
        """Drop the way back, which would count the repair as writes of others. The next cutover
        makes a new one."""
        forget_applied(source, self.followed, Direction.BACK)
        drop_slot(journal, stream_name(self.followed, Direction.BACK), side="target")

    @property
    def differences(self) -> list[Difference]:
        """The differences that are left."""
        found = super().differences
        return [one for one in found if one.kind not in _MENDED] if self.is_equal else found

    def outcome(self, state: State, reason: Reason = NO_REASON) -> Outcome:
        """Tables that were repaired, and compared again, are equal."""
        found = super().outcome(state, reason)
        if not self.is_equal:
            return found
        relations = [
            replace(one, verified=str(Verify.FULL), differs=Differs.NOT)
            if one.differs is Differs.ROWS
            else one
            for one in found.relations
        ]
        return replace(found, relations=tuple(relations))

    def end(self, state: State, outcome: Outcome) -> None:
        """Journal how the repair ended. The comparison after it was made here."""
        if self.repair_run:
            records.set_state(self.control, self.repair_run, state, outcome)
            self.ended = state


def _lost_run(target: Session) -> records.Run:
    """The run whose stream may be lost; it follows its source, and no cutover is at work.

    Raises:
        Refused: there is none.
    """
    runs = records.read_runs(target, flow="follow") if door.exists(target) else []
    for run in runs:
        found = read_phase(target, run.run) if run.state in UNFINISHED else None
        if found is None or found[0].is_over:
            continue
        if found[0] is not TAKEN_UP_IN:
            hint = "look at windlass status"
            _refuse(f"run {run.run}", f"is {found[0]}: only a run that follows is repaired", hint)
        return run
    _refuse("target", "nothing has followed into it", f"compare without {word('follow')}")
    raise AssertionError


def _refuse(what: str, message: str, hint: str) -> None:
    raise Refused([Problem(what, message, hint)])


def compare_definitions(run: Resyncing, item: Item) -> Result:
    """As of `validate`, without what a cutover has set to close a side."""
    found = validate_schema(run, item)
    return without_fence(found) if run.is_fenced else found


def begin_stream_again(run: Resyncing, _: Item) -> Result:
    """Repair what differs, look at it again, and let changes count from the new slot on.

    Raises:
        Different: definitions differ, or rows still do. Nothing follows.
    """
    assert run.repair is not None, "it is refused without"
    for session in (run.control, run.sessions().target()):
        write_regardless(session)  # after a flip back the target is closed to all but us
    repair_all(run, run.repair)
    _check_equal(run)
    with explaining("moving the position", side="target"), writing(run.hold.target, PURPOSE) as it:
        renamed = to_detail(_renamed(run, records.read_plan(it, run.followed)))
        equal = verified_now(f"{Verify.FULL}, equal")
        note_detail(it, run.followed, {**renamed, **equal, TIMELINE: run.timeline, LOST: ""})
        begin_again(it, run.followed, Direction.FORWARD, run.begins_at)
    run.is_equal = True
    run.emit(
        Noticed(
            f"both sides are equal as of {text(run.begins_at)}, from where changes are applied:"
            " run the migration that follows again"
        )
    )
    return {}


def _renamed(run: Resyncing, begun: Plan) -> Renamed:
    """Relations that were renamed since the run began."""
    before = {one.relation.identity: (one.relation.name, one.target) for one in begun.relations}
    now = {one.relation.identity: (one.relation.name, one.target) for one in run.plan.relations}
    return {int(id): now[id] for id, names in before.items() if now[id] != names}


def _check_equal(run: Resyncing) -> None:
    source, target = run.sessions().source(run.snapshot.id), run.sessions().target()
    left: list[Any] = []
    for item in run.differing:
        counts = read_changes(source, target, row_pair(run, item)).counts
        if counts:
            message = f"still differs after the repair, in {counts.total():,} rows"
            left.append(Difference(DifferenceKind.CONTENT, str(item.enters), message))
    if run.repair_run:
        check_keys(run, run.repair_run)
    left += [one for one in run.differences if one.kind not in _MENDED]
    if left:
        raise Different(left)
