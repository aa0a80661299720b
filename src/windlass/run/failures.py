"""Errors that end a run before it begins, as outcomes and messages. Pure functions."""

from __future__ import annotations

from windlass.errors import CannotResume, Refused, Unreachable, WindlassError
from windlass.model.outcome import Outcome, Reason, State
from windlass.model.report import Problem


def with_side(error: WindlassError) -> str:
    """An error's message, prefixed with its side."""
    side = str(error.where.get("side", ""))
    message = str(error)
    return message if not side or side in message else f"{side}: {message}"


def reason_of(error: WindlassError, message: str, hint: str) -> Reason:
    """Why a run stopped, with what stopped it if the error knows a word for that."""
    return Reason(message, hint, stopped_by=str(error.where.get("stopped_by", "")))


def refused(error: Refused, run: str = "") -> Outcome:
    """Of `run`, if it has a name already."""
    return Outcome(run, State.REFUSED, reason=Reason(problems=error.problems))


def unreachable(error: Unreachable) -> Outcome:
    """Whether a run is unfinished is in the journal, and that may be on the other side of it."""
    return Outcome("", State.STOPPED, reason=Reason(str(error), error.hint, error.problems))


def not_begun(error: WindlassError) -> Outcome:
    """Nothing was written: refused, unless the same command may well do better later. Or a run is
    undone in part."""
    if isinstance(error, CannotResume):
        return Outcome("", State.STOPPED, reason=Reason(str(error), error.hint))
    problem = Problem(str(error.where.get("side", "windlass")), str(error), error.hint)
    if error.retryable:
        return unreachable(Unreachable([problem]))
    return Outcome("", State.REFUSED, reason=Reason(problems=(problem,)))
