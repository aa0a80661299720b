"""The context of the flow `migrate`, for its steps, the runner and a scheduler's tasks.

A worker thread has its own sessions; the control session holds the target's lock as long as
the run lasts, the snapshot holder the source's snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from windlass.engines.postgres.hold import Hold
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.snapshot import SnapshotHolder
from windlass.engines.postgres.transaction import working_on_target
from windlass.errors import Refused, RunLost, SnapshotLost, WindlassError
from windlass.flows.holding import hold_of
from windlass.flows.migrate.ending import losses_in, outcome_of
from windlass.flows.migrate.finding import Finder, Found, Request, Stage
from windlass.flows.migrate.opening import begin_new, resume
from windlass.flows.migrate.outline import MIGRATE
from windlass.flows.migrate.portions import (
    SET_SEQUENCES,
    TRANSFERS,
    Portion,
    divide,
    expected_items,
    load_result,
)
from windlass.flows.sides import PlanIndex, Sides, reading_journal, relation_names
from windlass.journal import records
from windlass.journal.journal import Journal
from windlass.journal.records import Line
from windlass.model.account import Account, Asked
from windlass.model.event import Emit, RunEnded, ignore
from windlass.model.flow import ONE, Handover, Result
from windlass.model.outcome import (
    A_COMMAND,
    NO_REASON,
    UNFINISHED,
    Course,
    Outcome,
    Reason,
    StartedBy,
    State,
)
from windlass.model.plan import Plan, Purpose
from windlass.model.report import Loss, Problem, unaccepted
from windlass.model.snapshot import Snapshot
from windlass.planning.reviewed import Reviewed
from windlass.spec.migrate import Spec

if TYPE_CHECKING:  # only a process that plans needs it
    from windlass.flows.migrate.unfinished import Planned


class Migration(Sides):
    """One process's part in a run: all of it, or the steps that a scheduler gives it."""

    flow = MIGRATE
    purpose = Purpose.MOVE

    def __init__(
        self,
        spec: Spec,
        emit: Emit = ignore,
        *,
        started_by: StartedBy = A_COMMAND,
        restart: bool = False,
        hold: Hold | None = None,
        holder: SnapshotHolder | None = None,
        patient: bool = False,
        reviewed: Reviewed | None = None,
    ) -> None:
        """Connects to nothing yet. `hold` is an existing hold on the spec's two sides; `holder`
        comes from an earlier attempt of this process; for the others see `Request`.

        Raises:
            BadSpec: source or target is missing or cannot be read.
        """
        super().__init__(spec, emit, hold or hold_of(spec, holder))
        self.request = Request(started_by, restart, patient, reviewed)
        self.stage = Stage.UNKNOWN
        self.ended: State | None = None  # how it ended, if this process journalled that
        self._finder = Finder(spec, self.hold, self.request, self.emit, self.keep_dump)
        self._found: records.Run | None = None  # journalled before this process started
        self._journal: Journal | None = None
        self.portions: dict[str, list[Portion]] = {}  # of the plan's statements, by step

    # for the steps

    @property
    def journal(self) -> Journal:
        assert self._journal is not None, "the run has not begun"
        return self._journal

    def once(self, step: str, item: str, work: Callable[[Connection], Result]) -> Result:
        """Do a piece of work and journal it, in one target transaction; do nothing if it is done.
        The result is kept as the line's note."""
        like = Line(step, item, snapshot=self.snapshot.number)
        return self.journal.once(self.sessions().target(), step, item, work, like=like)

    def lines(self, step: str) -> Mapping[str, Line]:
        """A step's finished items, as far as this process knows."""
        return self.journal.lines(step)

    def losses(self) -> tuple[Loss, ...]:
        """The plan's losses, and those that the rows have caused since."""
        return (*self.plan.findings.losses, *losses_in(self.journal))

    def unaccepted_losses(self) -> tuple[Loss, ...]:
        """Losses caused by the rows. The plan's losses were accepted before the run began."""
        return unaccepted(losses_in(self.journal), self.spec.accept)

    def copied(self) -> Plan | None:
        return self.plan

    def sequences_set(self) -> Mapping[str, Sequence[Any]] | None:
        done = (SET_SEQUENCES, ONE.id) in self.journal
        return self.journal.note(SET_SEQUENCES).get("values", {}) if done else None

    # for shells and the runner

    @property
    def has_begun(self) -> bool:
        """Whether the run is in the journal. Before that, nothing is written."""
        return self.stage.has_begun

    @property
    def run_id(self) -> str:
        return self.plan.run

    @property
    def undone(self) -> Sequence[Problem]:
        """What a restart rolled back before starting over."""
        return self._finder.undone

    def finished(self, step: str) -> Mapping[str, Result]:
        if self._journal is None:
            return {}
        lines = self._journal.lines(step)
        if step not in TRANSFERS:
            return {item: line.note or {} for item, line in lines.items()}
        return {
            load.id: load_result([lines[chunk.id] for chunk in load.chunks])
            for load in self.plan.loads
            if all(chunk.id in lines for chunk in load.chunks)
        }

    def recover(self, error: WindlassError) -> None:
        """The next attempt starts with new sessions. A lost snapshot or run cannot be recovered in
        a worker: the whole flow must resume from its journal.

        A broken session may mean that the target crashed and lost its latest commits, which this
        process still counts as done.
        """
        if isinstance(error, SnapshotLost | RunLost):
            raise error
        if self.has_begun:
            self.sessions().drop()
            self.hold.check_lock()
            return
        self.hold.let_go()
        self.stage, self._index, self._journal, self._found = Stage.UNKNOWN, None, None, None

    def hand_over(self) -> Handover:
        """Hand over the snapshot's holder if it is alive."""
        holder = self.hold.hand_over()
        snapshot = "" if holder else "; its snapshot is lost as well"
        given = {"holder": holder, "restart": False}
        return Handover(given, f"resuming from the journal{snapshot}")

    def outcome(self, state: State, reason: Reason = NO_REASON) -> Outcome:
        """What this run has done, according to its journal."""
        if self._index is None:
            return Outcome("", state, self.story.seconds, reason=reason)
        course = Course(resumed=self.stage is Stage.RESUMED)
        reviewed_at = self.request.reviewed.made_at if self.request.reviewed else ""
        asked = Asked(fingerprint=self.index.fingerprint, reviewed_at=reviewed_at)
        known = Outcome(self.plan.run, state, reason=reason, course=course, account=Account(asked))
        return outcome_of(self, self.journal, known)

    def end(self, state: State, outcome: Outcome) -> None:
        """Journal how the run ended, committed to disk; not again if a finished run is only
        reported.

        Raises:
            RunLost: this process has not had the run to itself until now.
        """
        if self.stage.is_over and self._found and self._found.state is state:
            return
        self.journal.end(self.control, state, outcome)
        self.ended = state
        if state not in UNFINISHED:
            self.emit(RunEnded())

    # the beginning of a run

    def read_plan(self) -> Planned:
        """What `prepare` would find or plan; see `Finder.read_plan`."""
        return self._finder.read_plan()

    def prepare(self, run: str = "") -> None:
        """Find the run to resume, or plan a new one, with the given id if there is one. Writes
        nothing.

        Raises:
            Refused: with every problem.
        """
        if self._index is None:
            self._use(self._finder.find(run))

    def _use(self, found: Found) -> None:
        self.stage, self._found = found.stage, found.run
        self._index = PlanIndex(found.plan)
        self._journal = Journal(found.plan.run, working_on_target)
        self.portions = divide(found.plan)

    @reading_journal()
    def begin(self) -> None:
        """Journal the run, or take it over where it stopped; from now on the target is written to.

        Holds the target's lock and the source's snapshot until this context is left.

        Raises:
            Refused: with every problem; nothing was written.
        """
        if not self._is_to_do():
            return
        if self._found:
            self.stage = Stage.RESUMED
            resume(self, self.journal, self._found, self.request.started_by)
        else:
            self.hold.lock_relations(relation_names(self.plan))
            if self.stage is Stage.PLANNED:
                begin_new(self, self.request.started_by)
                self.stage = Stage.BEGUN
        self.announce(resumed=self.stage is Stage.RESUMED)
        self.hold.name_after(self.plan.run)

    def _is_to_do(self) -> bool:
        """Find or plan the run, and lock it. A run that is over is only looked back at."""
        self.prepare()
        if self.stage.is_over:
            self._look_back()
            return False
        if not self.hold.is_locked:
            self.hold.take_lock_of(self.plan.run)
        return True

    def _look_back(self) -> None:
        """Report a run that is over. Holds nothing, but may read the source."""
        assert self._found is not None
        self.stage, self.journal.epoch = Stage.REVISITED, self._found.epoch
        self.journal.read(self.control)
        self.hold.take_snapshot()

    # a part of a run that another process holds

    def keep(self) -> None:
        """Raises:
        SnapshotLost: the source has ended the session that held it.
        RunLost: the target has ended the session that held its lock.
        """
        self.hold.check()

    @property
    def handle(self) -> Result:
        """The data that another process needs to `join`."""
        return {"run": self.plan.run, "snapshot": asdict(self.snapshot)}

    def join(self, handle: Result) -> None:
        """Work in the run of a handle.

        Raises:
            RunLost: no process holds it now.
            WindlassError: it has been rolled back, or another external run has taken it over.
        """
        self.hold.look_on(f"windlass {handle['run']} journal")
        run = self._finder.read_run(handle["run"])
        is_over = run.state not in UNFINISHED
        if not is_over and not self.hold.is_held_for(run.run):
            raise RunLost(f"no process holds the snapshot of run {run.run}", side="target")
        self.story.began(run.age_seconds)
        stage = Stage.REVISITED if is_over else Stage.BEGUN
        self._use(Found(stage, records.read_plan(self.control, run.run), run))
        self.journal.epoch = run.epoch
        self.journal.read(self.control)
        taken = [snapshot for snapshot, _ in records.read_snapshots(self.control, run.run)]
        self.hold.snapshot = Snapshot(**handle["snapshot"]) if is_over else taken[-1]

    def stand_in(self, handle: Result) -> None:
        """Hold the run of a handle that no process holds any more, until this context ends.

        Raises:
            RunLost: another process holds it now.
        """
        try:
            self.prepare()
        except Refused as error:
            reason = "; ".join(problem.text for problem in error.problems)
            raise RunLost(f"run {handle['run']} cannot be held: {reason}") from error
        if not self.hold.is_locked and not self.stage.is_over:
            raise RunLost(f"run {self.plan.run} is held by another process now")
        self.begin()

    def lacking(self, steps: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Items of these steps that are missing from the journal: lost in a crash of the target, or
        to be repeated under a new snapshot."""
        wanted = expected_items(self.plan)
        return self.journal.lacking({step: wanted.get(step, ()) for step in steps})
