"""Runs that stopped or did not begin: their outcomes, whatever the command."""

from __future__ import annotations

from windlass.cli.hints import way_on
from windlass.errors import CannotResume, Refused, Unreachable, WindlassError
from windlass.model.outcome import Outcome, State
from windlass.model.report import Problem


def refused_late(error: Refused, run: str) -> tuple[str, str]:
    """Message and hint of problems that have come up after the run began."""
    reasons = "; ".join(f"{problem.object}: {problem.message}" for problem in error.problems)
    hints = "; ".join(dict.fromkeys(one.hint for one in error.problems if one.hint))
    return reasons, way_on(WindlassError(reasons, hint=hints), run)


def with_side(error: WindlassError) -> str:
    """An error says where; which of the two sides that is belongs in front of it."""
    side = str(error.where.get("side", ""))
    message = str(error)
    return message if not side or side in message else f"{side}: {message}"


def unreachable(error: Unreachable) -> Outcome:
    """Whether a run is unfinished is in the journal, and that may be on the other side of it."""
    return Outcome("", State.STOPPED, message=str(error), hint=error.hint, problems=error.problems)


def not_begun(error: WindlassError) -> Outcome:
    """Nothing was written: refused, unless the same command may well do better later. Or a run is
    undone in part."""
    if isinstance(error, CannotResume):
        return Outcome("", State.STOPPED, message=str(error), hint=error.hint)
    problem = Problem(str(error.where.get("side", "windlass")), str(error), error.hint)
    if error.retryable:
        return unreachable(Unreachable([problem]))
    return Outcome("", State.REFUSED, problems=(problem,))
