"""Conducts a flow on this machine: opens its context, runs it, and says how it ended.

The way a run ended becomes the state of its outcome, and is journalled if the flow has a journal.
A lost snapshot or a lost run does not end it: another attempt resumes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any, Protocol, Self

from windlass.errors import (
    AlreadyFinished,
    Different,
    Interrupted,
    Refused,
    RowsRefused,
    RunLost,
    SnapshotLost,
    TakenBack,
    Unreachable,
    WindlassError,
)
from windlass.model.event import Emit, Event, Noticed
from windlass.model.flow import Flow, Handover, resolve
from windlass.model.outcome import NO_REASON, Outcome, Reason, State
from windlass.model.report import Problem, accepting
from windlass.run.accounting import Accounting
from windlass.run.failures import not_begun, reason_of, refused, unreachable, with_side
from windlass.run.hints import RESUME, SAME, way_on
from windlass.run.local import Workplace, run_flow

# waiting longer does not help if servers fail repeatedly
ATTEMPTS = 10


class HasJobs(Protocol):
    @property
    def jobs(self) -> int:
        """How many items are worked on in parallel."""


class Conducted(Workplace, Protocol):
    """The part of a flow's context that conducting needs. Created with a spec, a callable for
    events and keyword arguments; leaving it closes what it has opened."""

    steps: tuple[str, ...]  # of the flow that runs, for a display
    accounting: Accounting | None  # for its outcomes
    notices: list[str]

    @property
    def has_begun(self) -> bool:
        """Whether something was written, so that the run can be resumed or undone."""

    @property
    def run_id(self) -> str:
        """The id of a run that has begun."""

    @property
    def ended(self) -> State | None:
        """The state in which the run ended, if its last step has journalled that already."""

    @property
    def undone(self) -> Sequence[Problem]:
        """What this attempt rolled back before it started over."""

    def emit(self, event: Event) -> None: ...

    def watching(self) -> AbstractContextManager[None]:
        """While the context lasts, report who blocks a session of the run, and map errors of
        drivers to ours."""

    def outcome(self, state: State, reason: Reason = NO_REASON) -> Outcome:
        """What the run is known to have done."""

    def conclude(self) -> None:
        """See `windlass.run.context.Context`."""

    def end(self, state: State, outcome: Outcome) -> None:
        """Journal how the run ended.

        Raises:
            RunLost: the journal cannot be written now.
        """

    def hand_over(self) -> Handover: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *fault: Any) -> None: ...


def conduct(
    flow: Flow[Any],
    spec: HasJobs,
    emit: Emit,
    *,
    opened: Callable[[Any], None] = lambda _: None,
    **given: Any,
) -> Outcome:
    """Run the flow, or resume it where it stopped. How it ended is in the outcome's state.

    `given` are arguments of the flow's context. `opened` is called with the context of every
    attempt before it runs.

    Raises:
        BadSpec: the spec names no databases.
    """
    started = time.perf_counter()
    accounting = Accounting.of(flow, spec, given.get("started_by"))
    notices: list[str] = []
    stopped = Outcome("", State.STOPPED)
    words: dict[str, Any] = {**given, "patient": False}
    for attempt in range(ATTEMPTS):
        try:
            context: Conducted = resolve(flow.context)(spec, accounting.watching(emit), **words)
        except Refused as error:
            return accounting.complete(refused(error))
        with context as run:
            run.accounting = accounting
            run.notices.extend(notices)
            opened(run)
            outcome, lost = _attempt(flow, run, spec.jobs)
            if attempt and outcome.reason.problems:
                outcome = _still_stopped(stopped, outcome)
            if lost is None:
                break
            handover, stopped = run.hand_over(), outcome
        words |= {**handover.given, "patient": True}
        notices = [*run.notices, f"{lost}: {handover.notice}"]
        emit(Noticed(notices[-1]))
    if not outcome.course.already:  # else it is that of an earlier command
        outcome = accounting.complete(outcome)
    return replace(outcome, seconds=time.perf_counter() - started)


def _still_stopped(before: Outcome, after: Outcome) -> Outcome:
    """The outcome of a run that had begun earlier, and that something now prevents from
    resuming."""
    reasons = "; ".join(f"{problem.object}: {problem.message}" for problem in after.reason.problems)
    return replace(before, reason=Reason(reasons, RESUME))


def _attempt(flow: Flow[Any], run: Conducted, jobs: int) -> tuple[Outcome, WindlassError | None]:
    """One pass of the flow, and why another one could resume where it ended."""
    run.steps = tuple(step.name for step in flow.steps)
    try:
        with run.watching():
            run_flow(flow, run, jobs=jobs, emit=run.emit)
            run.conclude()
    except AlreadyFinished as error:
        return error.outcome, None
    except Different as error:
        return _different(run, error), None
    except RowsRefused as error:
        return _rows_refused(run, error), None
    except TakenBack as error:
        return _ended(run, State.TAKEN_BACK, reason_of(error, str(error), error.hint)), None
    except Interrupted:
        return _interrupted(flow, run), None
    except WindlassError as error:
        return _failed(flow, run, error)
    return _ended(run, State.DONE), None


def _different(run: Conducted, error: Different) -> Outcome:
    if error.differences:
        outcome = _ended(run, State.DIFFERENT)
        if not outcome.proof.differences:
            proof = replace(outcome.proof, differences=error.differences)
            outcome = replace(outcome, proof=proof)
        return outcome
    hint = "repair it on the target; to accept it from the start: " + accepting(error.losses)
    return _ended(run, State.LOSSY, Reason(str(error), hint))


def _rows_refused(run: Conducted, error: RowsRefused) -> Outcome:
    """The outcome of a run that is over without having changed anything: another run begins once
    the input is right."""
    outcome = run.outcome(State.REFUSED, Reason(hint=error.hint, problems=error.problems))
    with suppress(RunLost):
        run.end(State.REFUSED, outcome)
    return outcome


def _interrupted(flow: Flow[Any], run: Conducted) -> Outcome:
    if run.ended:  # just before
        return run.outcome(run.ended)
    may_resume = flow.resumes or run.has_begun
    hint = RESUME if may_resume else "nothing was changed"
    return _ended(run, State.INTERRUPTED, Reason("interrupted", hint))


def _failed(
    flow: Flow[Any], run: Conducted, error: WindlassError
) -> tuple[Outcome, WindlassError | None]:
    """The outcome after an error that retrying a step cannot help; and the error, if another
    attempt may help."""
    if not run.has_begun and isinstance(error, Refused):
        return refused(error), None
    if isinstance(error, Unreachable):
        return unreachable(error), None
    if not run.has_begun and flow.resumes:
        return _not_begun(run, error), None
    if isinstance(error, Refused):
        return _ended(run, State.STOPPED, _refused_late(_undo(flow, run), error)), None
    undo = _undo(flow, run) if run.has_begun else ""
    resume = RESUME if run.has_begun else SAME
    reason = reason_of(error, with_side(error), way_on(error, undo, resume=resume))
    outcome = _ended(run, State.STOPPED, reason)
    may_resume = flow.resumes and isinstance(error, SnapshotLost | RunLost)
    return outcome, error if may_resume else None


def _ended(run: Conducted, state: State, reason: Reason = NO_REASON) -> Outcome:
    """The outcome, journalled if the target still answers. If not, the journal still says
    "running", and the next process finds out."""
    outcome = run.outcome(state, reason)
    if run.has_begun and run.ended is not state:
        with suppress(RunLost):
            run.end(state, outcome)
    return outcome


def _undo(flow: Flow[Any], run: Conducted) -> str:
    """How a run that has begun is undone or ended; empty if neither is recorded."""
    if flow.journalled is None:
        return ""
    if flow.journalled.way_out:
        way: str = resolve(flow.journalled.way_out)(run)
        return way
    return f"undo the run: windlass rollback {run.run_id}"


def _refused_late(undo: str, error: Refused) -> Reason:
    """Problems that came up after the run began."""
    reasons = "; ".join(f"{problem.object}: {problem.message}" for problem in error.problems)
    hints = "; ".join(dict.fromkeys(one.hint for one in error.problems if one.hint))
    return Reason(reasons, way_on(WindlassError(reasons, hint=hints), undo))


def _not_begun(run: Conducted, error: WindlassError) -> Outcome:
    outcome = not_begun(error)
    if run.undone and outcome.reason.problems:
        problems = (*outcome.reason.problems, *run.undone)
        return replace(outcome, reason=replace(outcome.reason, problems=problems, hint=SAME))
    return outcome
