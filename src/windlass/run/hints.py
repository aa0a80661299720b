"""What to do about a run that stopped, by the kind of its cause. Pure functions."""

from __future__ import annotations

from windlass.errors import CannotResume, TargetFull, WindlassError

SAME = "run the same command again"
RESUME = f"{SAME} to resume"


def way_on(error: WindlassError, run: str = "", *, resume: str = RESUME) -> str:
    """What passes by itself needs no more than the same command. `run` is named where undoing it
    is another way."""
    if isinstance(error, CannotResume) or SAME in error.hint:
        return error.hint
    if error.retryable or isinstance(error, TargetFull):
        return f"{error.hint}; then {resume}" if error.hint else resume
    cause = error.hint or "remove the cause"
    undo = f". Or undo the run: windlass rollback {run}" if run else ""
    return f"{cause}; then {resume}{undo}"


def resumes(hint: str) -> bool:
    """Whether the same command is the way on, so that it can be shown. It is not where the run may
    have to start over."""
    return not hint or RESUME in hint or (SAME in hint and "restart" not in hint)


def beside_the_command(hint: str) -> str:
    """What is left to say where the command itself is shown."""
    return hint.replace(f"; then {RESUME}", "").removeprefix(RESUME)
