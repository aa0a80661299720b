"""What `plan` and `migrate` call: joins the flow and the runner."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg

from windlass.cli.differing import Differing
from windlass.cli.hints import RESUME, SAME, way_on
from windlass.cli.stops import not_begun, refused_late, unreachable, with_side
from windlass.engines.postgres.errors import explain
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
from windlass.flows.migrate.context import Migration
from windlass.flows.migrate.outline import MIGRATE
from windlass.model.event import Emit, Noticed, ignore
from windlass.model.outcome import Outcome, State
from windlass.model.report import accepting
from windlass.planning.reviewed import Reviewed
from windlass.run.local import run_flow
from windlass.spec.migrate import Spec

if TYPE_CHECKING:
    from windlass.flows.migrate.unfinished import Planned

# servers that fail again and again will not be copied by patience
ATTEMPTS = 10


def plan_move(spec: Spec, emit: Emit = ignore) -> Planned:
    """What `migrate` would do. Writes nothing.

    Raises:
        Refused: an unfinished run has other options, or is at work.
        AlreadyFinished: there is nothing left to do.
        WindlassError: reading failed.
    """
    with Migration(spec, emit) as run, run.watching():
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
    """The run had begun before what now keeps it from resuming."""
    reasons = "; ".join(f"{problem.object}: {problem.message}" for problem in refused.problems)
    return replace(before, message=reasons, hint=RESUME)


def _say_lost(lost: WindlassError, holder: SnapshotHolder | None) -> str:
    snapshot = "" if holder else "; its snapshot is lost as well"
    return f"{lost}: resuming from the journal{snapshot}"


def _attempt(run: Migration) -> tuple[Outcome, WindlassError | None]:
    """One pass of the flow, and why another one could resume where it ended."""
    run.steps = tuple(step.name for step in MIGRATE.steps)
    try:
        with _explained(), run.watching():
            run_flow(MIGRATE, run, jobs=run.spec.jobs, emit=run.emit)
    except Refused as error:
        if run.has_begun:
            return _end(run, State.STOPPED, *refused_late(error, run.plan.run)), None
        return Outcome("", State.REFUSED, problems=error.problems), None
    except Unreachable as error:
        return unreachable(error), None
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
            outcome = not_begun(error)
            if run.undone and outcome.problems:
                problems = (*outcome.problems, *run.undone)
                outcome = replace(outcome, problems=problems, hint=SAME)
            return outcome, None
        outcome = _end(run, State.STOPPED, with_side(error), way_on(error, run.plan.run))
        return outcome, error if isinstance(error, SnapshotLost | RunLost) else None
    return run.outcome(State.DONE), None


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
