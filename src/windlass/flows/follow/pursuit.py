"""Follows a source: runs the streams of a run, writes markers, answers requests, reports.

What a run's phase is, other commands decide: this process reads it in the target's journal, a few
times a second and whenever it is notified.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import NoReturn

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.fencing import write_regardless
from windlass.engines.postgres.lock import end_sessions, read_holder
from windlass.engines.postgres.session import Connection, Role
from windlass.errors import AlreadyFinished, Interrupted, RunLost
from windlass.flows.follow.advice import advising
from windlass.flows.follow.answering import Answering
from windlass.flows.follow.begin import FREEZING, settled_phase
from windlass.flows.follow.context import Following
from windlass.flows.follow.definitions import Comparing
from windlass.flows.follow.lanes import Lanes, while_away
from windlass.flows.follow.removal import writing
from windlass.flows.follow.renamed import to_detail, with_present_names
from windlass.following.reopening import LOCK, LOST
from windlass.journal.following import change_phase, listen, note_detail, read_phase
from windlass.model.event import Followed, Noticed
from windlass.model.following import Phase
from windlass.model.outcome import Reason, State

TURN_SECONDS = 0.2
REPORT_SECONDS = 1.0


def pursue(run: Following) -> NoReturn:
    """Follow until the run is over.

    Raises:
        AlreadyFinished: a command has finished or abandoned it.
        Interrupted: this process has to stop; the next one resumes the run.
        WindlassError: a stream cannot be applied further, with the reason in `stopped_by`.
    """
    with _journal_session(run) as journal:
        with journal.transaction():
            change_phase(journal, run.plan.run, Phase.COPYING, Phase.FOLLOWING, {})
        _let_snapshot_go(run)
        with advising(run, run.hold.phase), Lanes(run, _phase(run, journal)) as lanes:
            phase = _Pursuit(run, journal, lanes).until_over()
    state = State.DONE if phase is Phase.FINISHED else State.ABANDONED
    message = f"another command has ended run {run.plan.run}: it is {phase}"
    raise AlreadyFinished(replace(run.outcome(state), reason=Reason(message)))


def pursue_until(run: Following, lsn: int) -> None:
    """Follow until everything up to a position of the source's log is applied."""
    with (
        _journal_session(run) as journal,
        advising(run, Phase.COPYING),
        Lanes(run, Phase.COPYING) as lanes,
    ):
        pursuit = _Pursuit(run, journal, lanes)
        while lanes.forward.applied_lsn < lsn:
            pursuit.turn()


def _phase(run: Following, journal: Connection) -> Phase:
    found = read_phase(journal, run.plan.run)
    if found is None:
        raise RunLost(f"run {run.plan.run} is not in the journal any more")
    return found[0]


@contextmanager
def _journal_session(run: Following) -> Iterator[Connection]:
    with ExitStack() as stack:
        session = run.hold.target.connect(Role.TARGET, f"windlass {run.plan.run} follow")
        stack.callback(session.close)
        with explaining("reading the journal", side="target"):
            write_regardless(session)
            listen(session, run.plan.run)
            yield session


def _let_snapshot_go(run: Following) -> None:
    """End all sessions that read rows of the source: they hold up its vacuum."""
    run.hold.leave_source()
    with writing(run.hold.source, "windlass end readers") as source:
        end_sessions(source, f"windlass {run.plan.run}")
    run.sessions().drop()


class _Pursuit:
    """One process that follows."""

    def __init__(self, run: Following, journal: Connection, lanes: Lanes) -> None:
        self._run, self._journal, self._lanes = run, journal, lanes
        self._answering = Answering(run.plan.run, journal, lanes)
        self._reported = 0.0
        found = read_phase(journal, run.plan.run)
        self._detail = found[1] if found else {}
        self._renamed = lanes.renamed
        self._comparing = self._comparison()

    def until_over(self) -> Phase:
        while not (phase := self.turn()).is_over:
            pass
        return phase

    def turn(self) -> Phase:
        """Look at everything once, then wait for a moment or a notification."""
        if self._run.hold.stopping.is_set():
            raise Interrupted("stopped on request")
        sealed = self._lanes.sealed
        phase = _phase(self._run, self._journal)
        if phase.is_over:
            return phase
        phase = self._settled(phase)
        self._lanes.turn(phase, sealed)
        self._answering.turn(phase)
        now = time.monotonic()
        if now - self._reported >= REPORT_SECONDS:
            self._reported = now
            self._report(phase)
        if phase is Phase.FOLLOWING and self._comparing.is_due:
            self._compare()
        for _ in self._journal.notifies(timeout=TURN_SECONDS, stop_after=1):
            pass
        return phase

    def _comparison(self) -> Comparing:
        plan = with_present_names(self._run.plan, to_detail(self._renamed))
        return Comparing(plan, self._detail)

    def _note_renamed(self) -> None:
        """Note renames that the stream has passed: other commands and the next process need
        them."""
        renamed = self._lanes.renamed
        if renamed != self._renamed:
            note_detail(self._journal, self._run.plan.run, to_detail(renamed))
            self._renamed, self._comparing = renamed, self._comparison()

    def _compare(self) -> None:
        """Note which definitions differ, for status and cutover."""
        with while_away():
            found = self._comparing.compare(self._lanes.source_session(), self._journal)
            note_detail(self._journal, self._run.plan.run, found)

    def _settled(self, phase: Phase) -> Phase:
        """If a cutover died before its decision, let writers continue at once. If it died after
        that, leave it to its command, which also redirects applications."""
        if phase not in FREEZING or read_holder(self._journal, LOCK):
            return phase
        run = self._run
        with while_away():
            return settled_phase(
                run.plan.run, self._journal, run.hold.source, lambda text: run.emit(Noticed(text))
            )
        return phase

    def _report(self, phase: Phase) -> None:
        self._note_renamed()
        streams = self._lanes.measured()
        detail = {
            "streams": {str(one.direction): one.as_dict() for one in streams},
            # from the journal on the other side, which windlass status does not read
            "strays": self._lanes.written_to_target,
            LOST: str(self._lanes.lost or ""),
        }
        note_detail(self._journal, self._run.plan.run, {**detail, "reported_at": time.time()})
        self._run.emit(Followed(phase, tuple(streams)))
