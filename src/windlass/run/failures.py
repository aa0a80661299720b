"""Errors that end a run before it begins, as outcomes and messages. Pure functions."""

from __future__ import annotations

from dataclasses import replace

from windlass.errors import CannotResume, Refused, Unreachable, WindlassError
from windlass.model.outcome import Outcome, Reason, State
from windlass.model.report import Problem
from windlass.run.hints import SAME, way_on


def with_side(error: WindlassError) -> str:
    """An error's message, preceded by its side."""
    side = str(error.where.get("side", ""))
    message = str(error)
    return message if not side or side in message else f"{side}: {message}"


def reason_of(error: WindlassError, message: str, hint: str) -> Reason:
    """Why a run stopped, with the word for the cause if the error has one."""
    return Reason(message, hint, stopped_by=str(error.where.get("stopped_by", "")))


def refused(error: Refused, run: str = "") -> Outcome:
    """The outcome of a refused run; `run` is its name, if it has one."""
    return Outcome(run, State.REFUSED, reason=Reason(problems=error.problems))


def unreachable(error: Unreachable) -> Outcome:
    """The outcome if a server cannot be reached. Whether a run is unfinished is only in the
    journal, which may be on the server that is away."""
    return Outcome("", State.STOPPED, reason=Reason(str(error), error.hint, error.problems))


def not_begun(error: WindlassError) -> Outcome:
    """The outcome if nothing was written: refused, unless the same command may succeed later. Or a
    run that is partly undone."""
    if isinstance(error, CannotResume):
        return Outcome("", State.STOPPED, reason=Reason(str(error), error.hint))
    problem = Problem(str(error.where.get("side", "windlass")), str(error), error.hint)
    if error.retryable:
        return unreachable(Unreachable([problem]))
    return Outcome("", State.REFUSED, reason=Reason(problems=(problem,)))


def not_undone(run: str, error: WindlassError) -> Outcome:
    """The outcome if a run of the past could not be undone or ended, or only in part."""
    if not error.retryable:
        return replace(not_begun(error), run=run)
    reason = Reason(with_side(error), way_on(error, resume=SAME))
    return Outcome(run, State.STOPPED, reason=reason)
