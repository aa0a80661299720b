"""What to do about a run that stopped, by the kind of its cause. Pure functions."""

from __future__ import annotations

from windlass.errors import CannotResume, TargetFull, WindlassError

SAME = "run the same command again"
RESUME = f"{SAME} to resume"


def way_on(error: WindlassError, undo: str = "", *, resume: str = RESUME) -> str:
    """What to do. If the cause passes by itself, only the same command is needed. `undo` says how
    the run is undone or ended, if that is another way."""
    if isinstance(error, CannotResume) or SAME in error.hint:
        return error.hint
    if error.retryable or isinstance(error, TargetFull):
        return f"{error.hint}; then {resume}" if error.hint else resume
    cause = error.hint or "remove the cause"
    return f"{cause}; then {resume}{f'. Or {undo}' if undo else ''}"


def resumes(hint: str) -> bool:
    """Whether to show the same command as the way to resume; not if the run may have to start
    over."""
    return not hint or RESUME in hint or (SAME in hint and "restart" not in hint)


def beside_the_command(hint: str) -> str:
    """What remains to be said if the command itself is shown."""
    return hint.replace(f"; then {RESUME}", "").removeprefix(RESUME)
