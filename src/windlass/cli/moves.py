"""Joins the flows and the runner: what the commands call."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

import psycopg

from windlass.cli.differing import Differing
from windlass.cli.hints import RESUME, SAME, way_on
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Address, Role
from windlass.engines.postgres.snapshot import SnapshotHolder
from windlass.errors import (
    AlreadyFinished,
    ConnectionLost,
    Different,
    Interrupted,
    Refused,
    RunLost,
    SnapshotLost,
    Unreachable,
    WindlassError,
)
from windlass.flows.clean import Left
from windlass.flows.clean import clean as remove_left
from windlass.flows.clean import read_left as find_left
from windlass.flows.comparison import Comparison
from windlass.flows.lock_watch import watching_locks
from windlass.flows.migration import Migration
from windlass.flows.outline import MIGRATE, REWRITE, VALIDATE
from windlass.flows.repair import Repairing, end_repair, repair_differences, stop_repair
from windlass.flows.repaired import check_keys
from windlass.flows.rewriting import Rewriting
from windlass.flows.rollback import foresee, roll_back
from windlass.flows.status import read_detail, read_statuses
from windlass.flows.unfinished import Planned
from windlass.flows.written import Foreseen
from windlass.model.event import Emit, Noticed, ignore
from windlass.model.outcome import Outcome, RunDetail, RunStatus, State
from windlass.model.report import Problem, accepting
from windlass.plan.reviewed import Reviewed
from windlass.rewrite.preview import Preview, preview
from windlass.run.local import run_flow
from windlass.spec.rewrite import RewriteSpec
from windlass.spec.spec import Spec

# servers that fail again and again will not be copied by patience
ATTEMPTS = 10
# without the last step, which makes an error of differences: here they may be repaired
COMPARE = VALIDATE.only(*(step.name for step in VALIDATE.steps[:-1]))


def plan_move(spec: Spec, emit: Emit = ignore) -> Planned:
    """What `migrate` would do. Writes nothing.

    Raises:
        Refused: an unfinished run has other options, or is at work.
        AlreadyFinished: there is nothing left to do.
        WindlassError: reading failed.
    """
    with Migration(spec, emit) as run, watching_locks(run):
        return run.read_plan()


def migrate(
    spec: Spec,
    emit: Emit,
    *,
    restart: bool,
    differing: Differing | None = None,
    reviewed: Reviewed | None = None,
) -> Outcome:
    """Move, or resume where it stopped; only by the plan that was `reviewed`, if one was. How it
    ended is in the outcome's state; `differing` takes every row that differs.

    Raises:
        BadSpec: the spec names no databases.
    """
    started = time.perf_counter()
    notices: list[str] = []
    holder: SnapshotHolder | None = None
    stopped = Outcome("", State.STOPPED)
    for attempt in range(ATTEMPTS):
        first = attempt == 0
        with Migration(
            spec,
            emit,
            restart=restart and first,
            holder=holder,
            patient=not first,
            reviewed=reviewed,
        ) as run:
            run.notices.extend(notices)
            if differing:
                run.on_difference = differing.add
                differing.forget()
            outcome, lost = _attempt(run)
            if not first and outcome.problems:
                outcome = _stopped(stopped, outcome)
            if lost is None:
                break
            holder, stopped = run.hand_over(), outcome
        notices = [*run.notices, _say_lost(lost, holder)]
        emit(Noticed(notices[-1]))
    if differing:
        differing.finish(outcome)
    return replace(outcome, seconds=time.perf_counter() - started)


def _stopped(before: Outcome, refused: Outcome) -> Outcome:
    """The run had begun before what now keeps it from going on."""
    reasons = "; ".join(f"{problem.object}: {problem.message}" for problem in refused.problems)
    return replace(before, message=reasons, hint=RESUME)


def _say_lost(lost: WindlassError, holder: SnapshotHolder | None) -> str:
    snapshot = "" if holder else "; its snapshot is lost as well"
    return f"{lost}: resuming from the journal{snapshot}"


def _attempt(run: Migration) -> tuple[Outcome, WindlassError | None]:
    """One pass of the flow, and why another one could go on where it ended."""
    run.steps = tuple(step.name for step in MIGRATE.steps)
    try:
        with _explained(), watching_locks(run):
            run_flow(MIGRATE, run, jobs=run.spec.jobs, emit=run.emit)
    except Refused as error:
        if run.has_begun:
            return _end(run, State.STOPPED, *_refused_late(error, run.plan.run)), None
        return Outcome("", State.REFUSED, problems=error.problems), None
    except Unreachable as error:
        return _unreachable(error), None
    except Different as error:
        if error.differences:
            return run.outcome(State.DIFFERENT), None
        hint = "repair it on the target; to accept it from the start: " + accepting(error.losses)
        return run.outcome(State.LOSSY, str(error), hint), None
    except AlreadyFinished as error:
        return error.outcome, None
    except Interrupted:
        if run.ended:  # just before
            return run.outcome(run.ended), None
        return _end(run, State.INTERRUPTED, "interrupted", RESUME), None
    except WindlassError as error:
        if not run.has_begun:
            return _not_begun(error), None
        outcome = _end(run, State.STOPPED, _with_side(error), way_on(error, run.plan.run))
        return outcome, error if isinstance(error, SnapshotLost | RunLost) else None
    return run.outcome(State.DONE), None


def _refused_late(error: Refused, run: str) -> tuple[str, str]:
    """Message and hint of problems that have come up after the run began."""
    reasons = "; ".join(f"{problem.object}: {problem.message}" for problem in error.problems)
    hints = "; ".join(dict.fromkeys(one.hint for one in error.problems if one.hint))
    return reasons, way_on(WindlassError(reasons, hint=hints), run)


def _with_side(error: WindlassError) -> str:
    """An error says where; which of the two sides that is belongs in front of it."""
    side = str(error.where.get("side", ""))
    message = str(error)
    return message if not side or side in message else f"{side}: {message}"


def _unreachable(error: Unreachable) -> Outcome:
    """Whether a run is unfinished is in the journal, and that may be on the other side of it."""
    return Outcome("", State.STOPPED, message=str(error), hint=error.hint, problems=error.problems)


def _not_begun(error: WindlassError) -> Outcome:
    """Nothing was written: refused, unless the same command may well do better later."""
    problem = Problem(str(error.where.get("side", "windlass")), str(error), error.hint)
    if error.retryable:
        return _unreachable(Unreachable([problem]))
    return Outcome("", State.REFUSED, problems=(problem,))


@contextmanager
def _explained() -> Iterator[None]:
    """What the target's control session runs into while it reads the journal."""
    try:
        yield
    except psycopg.Error as error:
        found = explain(error, "reading the journal", side="target")
        if isinstance(found, ConnectionLost):
            raise RunLost(str(found), hint=found.hint, side="target") from error
        raise found from error


def _end(run: Migration, state: State, message: str, hint: str) -> Outcome:
    """The outcome of a run that did not reach its end. Journalled if the target still answers;
    if not, the journal says "running" and the next process finds out."""
    outcome = run.outcome(state, message, hint)
    if run.has_begun:
        with suppress(RunLost):
            run.end(state, outcome)
    return outcome


def plan_rewrite(spec: RewriteSpec) -> Preview:
    """What a rewrite would do. Writes nothing.

    Raises:
        Refused: with every problem.
        WindlassError: reading failed.
    """
    assert spec.connection is not None
    address = Address.parse("database", spec.connection.get_secret_value())
    with address.connect(Role.SOURCE, "windlass plan") as connection:
        try:
            return preview(connection, spec)
        except psycopg.Error as error:
            raise explain(error, "planning the rewrite", side="database") from error


def rewrite(spec: RewriteSpec, emit: Emit) -> Outcome:
    """Change rows where they stand, or go on where that stopped. How it ended is in the outcome's
    state.

    Raises:
        BadSpec: the spec names no database.
    """
    with Rewriting(spec, emit) as run:
        run.steps = tuple(step.name for step in REWRITE.steps)
        try:
            run_flow(REWRITE, run, jobs=spec.jobs, emit=run.emit)
        except Refused as error:
            if not run.has_begun:
                return Outcome("", State.REFUSED, problems=error.problems)
            return _stop(run, State.STOPPED, *_refused_late(error, run.plan.run))
        except Interrupted:
            return _stop(run, State.INTERRUPTED, "interrupted", RESUME)
        except WindlassError as error:
            if not run.has_begun:
                return _not_begun(error)
            return _stop(run, State.STOPPED, str(error), way_on(error, run.plan.run))
        return run.outcome(State.DONE)


def _stop(run: Rewriting, state: State, message: str, hint: str) -> Outcome:
    """As `_end`: if the database does not answer, the next process finds out."""
    outcome = run.outcome(state, message, hint)
    with suppress(WindlassError):
        run.end(state, outcome)
    return outcome


def read_status(target: str) -> list[RunStatus]:
    """Every run that the target's journal knows, the newest first.

    Raises:
        WindlassError: the target cannot be read.
    """
    with Address.parse("target", target).connect(Role.TARGET, "windlass status") as connection:
        return read_statuses(connection)


def read_run(target: str, run: str) -> RunDetail:
    """One run that the target's journal knows.

    Raises:
        Refused: it knows no such run.
        WindlassError: the target cannot be read.
    """
    with Address.parse("target", target).connect(Role.TARGET, "windlass status") as connection:
        return read_detail(connection, run)


def foresee_rollback(target: str, run: str) -> Foreseen | None:
    """What `rollback` would do; None if it has been done already.

    Raises:
        Refused: there is no such run.
        WindlassError: the target cannot be read.
    """
    with Address.parse("target", target).connect(Role.TARGET, "windlass rollback") as connection:
        return foresee(connection, run)


def rollback(target: str, run: str, emit: Emit, *, force: bool = False) -> Outcome:
    """Undo a run: what it made is dropped, what was there before returns. All or nothing. With
    `force` also what was written since.

    Raises:
        BadSpec: the target cannot be understood.
    """
    started = time.perf_counter()
    address = Address.parse("target", target)
    try:
        with address.connect(Role.TARGET, "windlass control") as connection:
            undone = roll_back(connection, run, force=force)
    except Refused as error:
        return Outcome(run, State.REFUSED, problems=error.problems)
    except WindlassError as error:
        return replace(_not_begun(error), run=run)
    for notice in undone.stayed:
        emit(Noticed(notice))
    return Outcome(
        run,
        State.ROLLED_BACK,
        seconds=time.perf_counter() - started,
        notices=tuple(undone.stayed),
        message=undone.message,
        already=undone.already,
    )


def read_left(target: str, run: str) -> list[Left]:
    """What ended runs have left in the target; or one of them.

    Raises:
        Refused: there is no such run, or it is unfinished.
        WindlassError: the target cannot be read.
    """
    with Address.parse("target", target).connect(Role.TARGET, "windlass clean") as connection:
        return find_left(connection, run)


def clean(target: str, lefts: Sequence[Left]) -> None:
    """Remove it.

    Raises:
        Refused: something else depends on it.
        WindlassError: the target cannot be reached.
    """
    with Address.parse("target", target).connect(Role.TARGET, "windlass control") as connection:
        try:
            remove_left(connection, lefts)
        except psycopg.Error as error:
            raise explain(error, "cleaning up", side="target") from error


def verify(
    spec: Spec,
    emit: Emit,
    *,
    repair: Repairing | None = None,
    show_values: bool,
    differing: Differing | None = None,
) -> Outcome:
    """Compare both sides; with `repair`, copy again what differs and compare again. `differing`
    takes every row that differs in the end.

    Raises:
        BadSpec: the spec names no databases.
    """
    started = time.perf_counter()
    compare = partial(_compare, spec, emit, show_values=show_values, differing=differing)
    outcome, run = compare(repair=repair)
    if run:  # the repair is through
        emit(Noticed("repaired: comparing again"))
        if differing:
            differing.forget()
        outcome, _ = compare(repaired=run)
    if differing:
        differing.finish(outcome)
    return replace(outcome, seconds=time.perf_counter() - started)


def _compare(
    spec: Spec,
    emit: Emit,
    *,
    show_values: bool,
    differing: Differing | None,
    repair: Repairing | None = None,
    repaired: str = "",
) -> tuple[Outcome, str]:
    """One comparison, and the run that has repaired something after it. `repaired` is the one
    before it, which this comparison ends."""
    with Comparison(spec, emit) as run, watching_locks(run):
        run.show_values = show_values
        run.on_difference = differing.add if differing else None
        run.steps = tuple(step.name for step in COMPARE.steps)
        run.repair_run = repaired
        try:
            run_flow(COMPARE, run, jobs=spec.jobs, emit=run.emit)
            if repair:
                repair_differences(run, repair)
                if run.repair_run:
                    return run.outcome(State.DONE), run.repair_run
            if repaired:
                check_keys(run, repaired)
            outcome = run.outcome(State.DIFFERENT if run.differences else State.DONE)
            return end_repair(run, repaired, outcome) if repaired else outcome, ""
        except Refused as error:
            if run.repair_run:
                return stop_repair(run, State.STOPPED, *_refused_late(error, run.repair_run)), ""
            return Outcome("", State.REFUSED, problems=error.problems), ""
        except Interrupted:
            if run.repair_run:
                return stop_repair(run, State.INTERRUPTED, "interrupted", RESUME), ""
            return run.outcome(State.INTERRUPTED, "interrupted", "nothing was changed"), ""
        except Unreachable as error:
            return _unreachable(error), ""
        except WindlassError as error:
            if run.repair_run:
                hint = way_on(error, run.repair_run)
                return stop_repair(run, State.STOPPED, _with_side(error), hint), ""
            return run.outcome(State.STOPPED, _with_side(error), way_on(error, resume=SAME)), ""
