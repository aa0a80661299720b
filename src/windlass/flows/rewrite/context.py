"""The context of the flow `rewrite`: one session, the lock of one table, the journal of one run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.lock import name_session
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.transaction import ONE_SNAPSHOT, working_in_place
from windlass.errors import Refused, RunLost, WindlassError
from windlass.flows.rewrite.hold import TableHold
from windlass.flows.rewrite.outline import REWRITE
from windlass.flows.rewrite.runs import (
    begin_run,
    count,
    deleted_rows,
    is_altered,
    read_rewrite_plan,
    seconds_by_step,
    session_name,
    written_rows,
)
from windlass.inplace.check import plan_rewrite
from windlass.inplace.staging import Staging
from windlass.journal import door, records
from windlass.journal.journal import Journal
from windlass.journal.records import Line
from windlass.model.event import Emit, FlowPlanned, ignore
from windlass.model.flow import Handover, Result
from windlass.model.outcome import (
    A_COMMAND,
    NO_REASON,
    UNFINISHED,
    Course,
    Outcome,
    Reason,
    StartedBy,
    State,
    Totals,
)
from windlass.model.report import Problem
from windlass.model.rewrite import RewritePlan
from windlass.model.run_id import new_run_id
from windlass.run.story import Reporting, Story
from windlass.spec.rewrite import RewriteSpec


class Rewriting(Reporting):
    """One process's part in a run. Use as a context manager: leaving it closes its session."""

    def __init__(
        self,
        spec: RewriteSpec,
        emit: Emit = ignore,
        *,
        started_by: StartedBy = A_COMMAND,
        patient: bool = False,
    ) -> None:
        """Connects to nothing yet. For `started_by` see `windlass.run.context`.

        Raises:
            BadSpec: the connection is missing or cannot be read.
        """
        self.spec = spec
        self.story = Story(emit)
        self.hold = TableHold(spec, started_by)
        self._found: records.Run | None = None
        self._plan: RewritePlan | None = None
        self._journal: Journal | None = None
        self.resumed = False

    def __enter__(self) -> Rewriting:
        return self

    def __exit__(self, *fault: object) -> None:
        self.hold.leave()

    # for the steps

    @property
    def plan(self) -> RewritePlan:
        assert self._plan is not None, "the run has not begun"
        return self._plan

    @property
    def has_begun(self) -> bool:
        """Whether the run is in the journal. Before that, nothing is written."""
        return self._found is not None

    @property
    def is_over(self) -> bool:
        return self._found is not None and self._found.state not in UNFINISHED

    @property
    def run_id(self) -> str:
        return self.plan.run

    @property
    def ended(self) -> State | None:
        return self._found.state if self.is_over and self._found else None

    @property
    def undone(self) -> Sequence[Problem]:
        return ()

    def hand_over(self) -> Handover:
        return Handover()

    def watching(self) -> AbstractContextManager[None]:
        """Nothing to watch: whoever holds the table's lock is named when it is requested."""
        return nullcontext()

    @property
    def connection(self) -> Connection:
        """The one that has the table's lock.

        Raises:
            Interrupted: the run has to stop.
        """
        return self.hold.connection

    @property
    def staging(self) -> Staging:
        called = self.note("change_rows", "function")
        extras = bool(self.note("change_rows", "duplicates").get("rows"))
        given = called.get("columns", ()), called.get("changed", ())
        return Staging(self.plan, *given, extras, bool(called.get("same")))

    @property
    def journal(self) -> Journal:
        assert self._journal is not None, "the run has not begun"
        return self._journal

    def note(self, step: str, item: str = "") -> Result:
        """What a piece of work has journalled; empty if it is not done."""
        return self.journal.note(step, item)

    @property
    def selected(self) -> int:
        return int(self.note("read_rows").get("rows", 0))

    def once(
        self,
        step: str,
        item: str,
        work: Callable[[Connection], Result],
        *,
        one_snapshot: bool = False,
    ) -> Result:
        """Do a piece of work and journal it, in one transaction; nothing if it is done."""

        def keeping_private(connection: Connection) -> Result:
            result = work(connection)
            door.keep_private(connection)
            return result

        return self.journal.once(
            self.connection,
            step,
            item,
            keeping_private,
            like=Line(step, item, str(self.plan.table)),
            first=(ONE_SNAPSHOT,) if one_snapshot else (),
        )

    # for the runner

    def finished(self, step: str) -> Mapping[str, Result]:
        """Empty: each step quickly checks the journal itself."""
        return {}

    def recover(self, error: WindlassError) -> None:
        """The next attempt starts with a new session."""
        self.hold.leave()

    def cancel(self) -> None:
        self.hold.cancel()

    def leave(self) -> None:
        """Nothing to do: the session belongs to the context."""

    # to enter a run

    def begin(
        self, settle: Callable[[Rewriting], None], read: Callable[[Connection], Result]
    ) -> None:
        """Resume the run of this external run, or begin one; `settle` ends one that was abandoned,
        `read` is the first piece of its work.

        Raises:
            Refused: with every problem; nothing was written.
            RunLost: another run is between two of its steps.
        """
        if self.hold.is_entered:
            return
        is_first = self._found is None
        runs = self.hold.enter(self._known)
        mine = known = self.hold.mine(runs, self._known)
        if mine is not None:
            if mine.config != self.spec.config():
                raise Refused([records.other_options(mine)])
            self._resume(mine)
            # What an earlier command read may be out of date.
            is_old = self.is_stale() or (is_first and not self.hold.started_by.external_run)
            if not self.is_over and not self.has_changed_table and is_old:
                settle(self)  # as if another scheduler's
                mine, self._found, self.resumed = None, None, False
        for run in runs:
            if run.state in UNFINISHED and run is not known:
                self._settle(run, settle)
        if mine is None:
            self._begin_new(read)
        self._announce()

    @property
    def _known(self) -> str:
        """The run that this process works on, if it has begun."""
        return self._found.run if self._found else ""

    def _resume(self, run: records.Run) -> None:
        if run.state is State.ROLLED_BACK:
            message = "has been undone, and this is still the same run"
            raise Refused([Problem(f"run {run.run}", message, "begin a new one")])
        self._use(run)
        self.resumed = True
        if not self.is_over:
            if self.hold.started_by.external_run:
                self.story.began(run.age_seconds)
            with self.connection.transaction():
                door.create(self.connection)
                started_by = self.hold.started_by
                self.journal.epoch = records.take_over(self.connection, run.run, started_by)

    def _use(self, run: records.Run) -> None:
        self._plan = read_rewrite_plan(self.connection, run.run)
        self._found = run
        self._journal = Journal(run.run, working_in_place, run.epoch)
        self._journal.read(self.connection)
        name_session(self.connection, session_name(run.run))

    @property
    def has_changed_table(self) -> bool:
        """Whether the table was changed. From then on an unfinished run is completed, not started
        over."""
        lines = self.journal.by_step
        is_changed = deleted_rows(lines) or written_rows(lines)
        return bool(is_changed) or ("write_rows", "") in self.journal

    @property
    def added(self) -> list[str]:
        """Columns that the run has added to the table."""
        return list(self.note("write_rows", "add column").get("columns", ()))

    def is_stale(self, names: Collection[str] = ()) -> bool:
        """Whether the table was altered since it was read; in these columns, or in any."""
        return is_altered(self.connection, self.plan, names)

    def _settle(self, run: records.Run, settle: Callable[[Rewriting], None]) -> None:
        self.hold.refuse_at_work(run)
        other = Rewriting(self.spec, self.emit)
        other.hold = self.hold
        other._use(run)
        settle(other)

    def _begin_new(self, read: Callable[[Connection], Result]) -> None:
        connection = self.connection
        plan = self._plan = plan_rewrite(connection, self.spec, new_run_id())
        self._journal = Journal(plan.run, working_in_place)
        with explaining("making the journal", side="database"), connection.transaction():
            door.create(connection)
        name_session(connection, session_name(plan.run))
        origin = self.hold.table, self.hold.started_by
        line = begin_run(connection, plan, origin, self.spec.config(), read)
        self._journal.keep([line])
        (self._found,) = records.read_runs(connection, plan.run)

    def join(self) -> None:
        """Work on the run that this external run began; does nothing if this process already does.

        Raises:
            WindlassError: there is none, or it has been undone.
        """
        if self.hold.is_entered:
            return
        mine = self.hold.mine(self.hold.enter(self._known), self._known)
        if mine is None or mine.state is State.ROLLED_BACK:
            message = "has been undone by another process" if mine else "has not begun"
            raise WindlassError(
                f"the rewrite of {self.hold.table} {message}", hint="begin a new run"
            )
        self._resume(mine)
        if not self.is_over and not self.has_changed_table and self.is_stale():
            raise WindlassError(
                f"{self.hold.table} was altered after its rows were read; nothing was changed",
                hint="run the same command again: it undoes this run and starts over",
            )

    def _announce(self) -> None:
        self.emit(
            FlowPlanned(
                self.plan.run,
                {},
                {},
                resumed=self.resumed,
                source=self.plan.title,
                flow=REWRITE.name,
                doing=REWRITE.words.doing,
                steps=self.steps,
            )
        )

    # the end

    def end(self, state: State, outcome: Outcome) -> None:
        """Journal how the run ended, or stopped."""
        if self.is_over or self._found is None:
            return
        if not self.hold.is_entered:
            raise RunLost(f"the end of run {self.plan.run} could not be journalled")
        self.journal.end(self.hold.session, state, outcome)
        (self._found,) = records.read_runs(self.hold.session, self.plan.run)

    def outcome(self, state: State, reason: Reason = NO_REASON) -> Outcome:
        if self._plan is None or self._found is None:
            return Outcome("", state, self.story.seconds, reason=reason)
        return self.story.complete(
            Outcome(
                run=self.plan.run,
                state=state,
                source=self.plan.title,
                reason=reason,
                totals=Totals(counts=self.counts()),
                course=Course(seconds_by_step(self.journal.by_step), resumed=self.resumed),
            )
        )

    def counts(self) -> dict[str, int]:
        """How many rows there were, by what happened to them."""
        return count(self.plan, self.journal.by_step)
