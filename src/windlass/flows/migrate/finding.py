"""Decides which run a migration is: an unfinished one, a finished one, or a new one, which is
planned. Writes nothing, except that a restart rolls back unfinished runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from windlass.engines.postgres import catalog
from windlass.engines.postgres.hold import Hold
from windlass.engines.postgres.keepalive import NOTICED_SECONDS
from windlass.engines.postgres.lock import PATIENCE_SECONDS, control_name
from windlass.engines.postgres.session import Connection
from windlass.errors import Refused, WindlassError
from windlass.flows.migrate.finished import check_finished
from windlass.flows.migrate.outline import MIGRATE
from windlass.flows.migrate.succession import later_problems
from windlass.flows.sides import reading_journal
from windlass.journal import door, records
from windlass.journal.following import undoing
from windlass.journal.records import Run
from windlass.model.event import Emit, Noticed
from windlass.model.outcome import A_COMMAND, UNFINISHED, StartedBy, State
from windlass.model.plan import Plan, Purpose
from windlass.model.report import Problem
from windlass.model.run_id import new_run_id
from windlass.model.wording import word
from windlass.planning.reviewed import Reviewed
from windlass.spec.migrate import Spec

if TYPE_CHECKING:  # only a process that plans needs them
    from windlass.engines.postgres.archive import Dumping
    from windlass.flows.migrate.unfinished import Planned

GATES = 3  # tasks that a scheduler adds between steps: approval, shares, another validation


class Stage(Enum):
    """Where a run is, as one process knows it."""

    UNKNOWN = "not looked up yet"
    PLANNED = "new, and nothing is written yet"
    STOPPED = "in the journal, to be resumed"
    OVER = "in the journal, with its end"
    BEGUN = "at work, by this process or by the one that holds it"
    RESUMED = "at work again after it stopped"
    REVISITED = "over, and opened again"

    @property
    def has_begun(self) -> bool:
        """Whether this process works on a run that is in the journal."""
        return self in (Stage.BEGUN, Stage.RESUMED, Stage.REVISITED)

    @property
    def is_over(self) -> bool:
        return self in (Stage.OVER, Stage.REVISITED)


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for a migration, and how. `patient`: wait for servers that were reached before.
    `reviewed`: the only plan that may be carried out."""

    started_by: StartedBy = A_COMMAND
    restart: bool = False
    patient: bool = False
    reviewed: Reviewed | None = None

    @property
    def external_run(self) -> str:
        return self.started_by.external_run


@dataclass(frozen=True, slots=True)
class Found:
    """The plan to carry out, and its run; None for a new one."""

    stage: Stage
    plan: Plan
    run: Run | None = None


class Finder:
    """Searches the target's journal, and plans."""

    def __init__(
        self,
        spec: Spec,
        hold: Hold,
        request: Request,
        emit: Emit,
        keep_dump: Callable[[Dumping], None],
    ) -> None:
        self._spec, self._hold, self._request, self._emit = spec, hold, request, emit
        self._keep_dump = keep_dump
        self._undone: list[str] = []

    @property
    def undone(self) -> list[Problem]:
        """What a restart rolled back before starting over."""
        message = f"was rolled back by {word('restart')} before this was found"
        return [Problem(f"run {run}", message) for run in self._undone]

    @reading_journal()
    def read_plan(self) -> Planned:
        """What `find` would return, with an estimate based on the measured speed of both sides. The
        plan contains its problems.

        Raises:
            Refused: an unfinished run has other options, or is at work.
            Unreachable: a side cannot be reached.
            AlreadyFinished: there is nothing left to do.
        """
        from windlass.flows.migrate.unfinished import Planned  # not needed elsewhere

        hold = self._hold
        hold.connect(patient=self._request.patient)
        hold.take_snapshot()
        if found := self._unfinished():
            if hold.is_held_for(found.run):
                raise Refused([self._in_progress()])
            self._refuse_taken_over(found)
            return self._read_unfinished(found)
        self._check_finished()
        return Planned(self._make_plan(measures=True))

    def _read_unfinished(self, found: Run) -> Planned:
        from windlass.flows.migrate.unfinished import read_unfinished  # not needed elsewhere

        hold = self._hold
        return read_unfinished(hold.reader, hold.control, self._spec, found, hold.snapshot.id)

    def _source_identity(self) -> str:
        server, _ = catalog.read_server(self._hold.reader)
        return server.identity

    @reading_journal()
    def find(self, run: str = "") -> Found:
        """The run to resume, or the plan of a new one (with this id, if one is given). Takes the
        target's lock, unless a process of the same external run has it.

        Raises:
            Refused: with every problem.
        """
        self._hold.connect(patient=self._request.patient)
        mine = self._of_external_run()
        if mine and mine.state is State.ROLLED_BACK:
            message = "has been rolled back, and this is still the same run"
            raise Refused([Problem(f"run {mine.run}", message, "begin a new one")])
        if mine and not self._is_same(mine):
            raise Refused([records.other_options(mine)])
        if mine and mine.state not in UNFINISHED:
            return Found(Stage.OVER, records.read_plan(self._hold.control, mine.run), mine)
        self._lock(mine)
        found = self._resumable(mine) or self._planned(run)
        if (reviewed := self._request.reviewed) and (changes := reviewed.changes(found.plan)):
            raise Refused(changes)
        return found

    def _lock(self, mine: Run | None) -> None:
        # perhaps an earlier lock of this process, whose dead session the server has not noticed yet
        is_own = self._request.patient and not self._request.external_run
        locked = self._hold.try_lock(NOTICED_SECONDS if is_own else PATIENCE_SECONDS)
        if not locked and not (mine and self._hold.is_held_for(mine.run)):
            raise Refused([self._in_progress()])

    def _in_progress(self) -> Problem:
        """Who has the target's lock."""
        holder, control = self._hold.who_has_lock(), self._hold.control
        runs = records.read_runs(control) if door.exists(control) else []
        named = {f"{control_name(run.run)} ": run for run in runs if run.started_by.external_run}
        external = [run for name, run in named.items() if holder.startswith(name)]
        return _in_progress(holder, external[0] if external else None)

    def _resumable(self, mine: Run | None) -> Found | None:
        run = mine or self._unfinished()
        if run is None:
            return None
        self._refuse_taken_over(run)
        return Found(Stage.STOPPED, records.read_plan(self._hold.control, run.run), run)

    def _planned(self, run: str) -> Found:
        self._hold.take_snapshot()
        self._check_finished()
        plan = self._make_plan(run=run)
        if plan.findings.problems:
            raise Refused([*plan.findings.problems, *self.undone])
        return Found(Stage.PLANNED, plan)

    def read_run(self, name: str) -> Run:
        """The run that a process of the same external run has begun.

        Raises:
            WindlassError: it has been rolled back, or another external run has taken it over.
        """
        control = self._hold.control
        found = records.read_runs(control, name) if door.exists(control) else []
        if not found:
            raise WindlassError(f"run {name} is not in the target's journal", side="target")
        if found[0].state is State.ROLLED_BACK:
            raise WindlassError(f"run {name} has been rolled back", hint="begin a new one")
        by = found[0].started_by.external_run
        if by != self._request.external_run:
            raise WindlassError(f"run {name} has been taken over by {by or 'the command line'}")
        return found[0]

    def _check_finished(self) -> None:
        """Raise if the migration is finished; not for a scheduler, for which each external run is a
        separate migration."""
        if not self._request.external_run:
            identity, restart = self._source_identity(), self._request.restart
            check_finished(self._hold.control, identity, self._spec, restart=restart)

    def _runs(self) -> list[Run]:
        control = self._hold.control
        return records.read_migrations(control) if door.exists(control) else []

    def _of_external_run(self) -> Run | None:
        """The newest run of this external run, if there is one."""
        external_run = self._request.external_run
        runs = self._runs() if external_run else []
        return next((run for run in runs if run.started_by.external_run == external_run), None)

    def _unfinished(self) -> Run | None:
        """The run that these options resume; None after a restart has undone it.

        Raises:
            Refused: another migration from the same source is unfinished.
        """
        identity = self._source_identity()
        unfinished = [
            run for run in self._runs() if run.state in UNFINISHED and run.source == identity
        ]
        same = [run for run in unfinished if self._is_same(run)]
        if self._request.restart and same:
            self._refuse_early()
            for run in same:
                self._undo(run)
        elif same:
            return same[0]
        others = [run for run in unfinished if run not in same]
        if others:
            raise Refused([_other_options(self._hold.control, run) for run in others])
        return None

    def _is_same(self, run: Run) -> bool:
        return run.config == self._spec.config() and run.flow == self._spec.flow

    def _refuse_taken_over(self, run: Run) -> None:
        """Raises:
        Refused: another run has taken over what it made so far.
        """
        restart = self._request.restart
        if problems := later_problems(self._hold.control, run, large_objects=restart):
            raise Refused(problems)

    def _undo(self, run: Run) -> None:
        """Undo what it made and set aside, but not what others wrote since."""
        from windlass.flows.migrate.undo import undo  # only a restart needs it

        self._refuse_taken_over(run)
        undo(self._hold.control, run)
        self._undone.append(run.run)
        self._emit(Noticed(f"run {run.run} is rolled back, to start over"))

    def _refuse_early(self) -> None:
        """Find the problems that do not depend on what a restart undoes, before it undoes
        anything."""
        self._hold.take_snapshot()
        plan = self._make_plan(Purpose.COMPARE)
        if plan.findings.problems:
            raise Refused(plan.findings.problems)

    def _make_plan(
        self, purpose: Purpose = Purpose.MOVE, run: str = "", *, measures: bool = False
    ) -> Plan:
        from windlass.flows.migrate.reading import Sight, read_and_plan  # no other needs it

        sight = Sight.of(self._hold, self._keep_dump, measures=measures)
        plan = read_and_plan(run or new_run_id(), self._spec, sight, purpose)
        tasks = MIGRATE.depth + GATES if self._request.external_run else 0
        return replace(plan, how=replace(plan.how, tasks=tasks))


def _in_progress(holder: str, run: Run | None = None) -> Problem:
    """`run` is given if a scheduler has started it."""
    if run:
        by = run.started_by
        where = f": {by.external_url}" if by.external_url else ""
        return Problem(
            "target",
            f"another run is in progress: {by.external_run} ({holder})",
            f"wait for it, or stop it where it was started{where}",
        )
    return Problem(
        "target",
        f"another run is in progress: {holder or 'just ended'}",
        "wait for it, or end it with pg_terminate_backend(pid); the server ends the session of a"
        f" machine that is gone within {NOTICED_SECONDS:.0f} seconds",
    )


def _other_options(control: Connection, run: Run) -> Problem:
    follows = run.flow == "follow"  # is mostly past the copy, and then not started over
    restart = "" if follows else f" (or {word('restart')} to start over)"
    return Problem(
        f"run {run.run}",
        "is unfinished, and was started with other options",
        f"give the same options to resume it{restart}, or {undoing(control, run)}",
    )
