"""What can be done about a run that follows and has stopped: only what commands accept in its
phase."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from windlass.errors import CannotResume, Conflict, SchemaChanged, WindlassError
from windlass.flows.migrate.context import Migration
from windlass.following.routes import BY_REPAIR
from windlass.journal.following import read_phase
from windlass.model.following import Direction, Phase, turned
from windlass.model.wording import word
from windlass.run.hints import SAME

AFTER_FLIP_BACK = "to follow the source again after a flip back, both sides have to be compared"
_THERE = "make the same change on the source"
_CLOSED = ", in a session with default_transaction_read_only = off"  # a cutover has closed it
_BEFORE_BACK = (
    f". Before a flip back, windlass verify {word('follow')} has to find both sides equal"
)
_REPAIRED = (Phase.FOLLOWING, Phase.FREEZING)


@contextmanager
def advising(run: Migration, phase: Phase) -> Iterator[None]:
    """Name the way on of an error that stops a stream. `phase` counts if the journal cannot be
    read.

    Raises:
        CannotResume: the same command would stop here again.
    """
    try:
        yield
    except WindlassError as error:
        found = advised(error, _phase(run) or phase, run.plan.run)
        if found is error:
            raise
        raise found from error


def way_out(run: Migration) -> str:
    """How a run that stopped is given up, or undone if nothing follows any more."""
    if (phase := _phase(run)) is None:
        return ""
    what = "undo the run" if phase.is_over else "end the run"
    return f"{what}: {phase.undoing(run.plan.run)}"


def no_way_out(_: object) -> str:
    """Of what belongs to a run that follows: it is not undone alone."""
    return ""


def _phase(run: Migration) -> Phase | None:
    try:
        found = read_phase(run.control, run.plan.run)
    except (psycopg.Error, WindlassError):
        return None
    return found[0] if found else None


def advised(error: WindlassError, phase: Phase, run: str) -> WindlassError:
    """The error with a hint that holds in this phase."""
    side = str(error.where.get("side", ""))
    match error.where.get("stopped_by"):
        case "slot_lost":
            hint = _after_loss(side, phase, run)
        case "timeline":
            hint = _after_failover(side, phase, run)
        case "schema_change" | "conflict" if isinstance(error, SchemaChanged | Conflict):
            return _advised_change(error, phase, run)
        case _:
            return error
    return CannotResume(str(error), hint=hint, **error.where)


def _after_loss(side: str, phase: Phase, run: str) -> str:
    end = phase.undoing(run)
    if side == "target":
        if phase.target_is_open:
            return f"what is written to the target can no longer come back: end the run: {end}"
        return f"{SAME}: it follows without the way back, and the next cutover makes another"
    if phase is Phase.COPYING:
        return f"{SAME} with {word('restart')}, which starts over; or give the run up: {end}"
    if phase.target_is_open:
        return _without_forward(end)
    return f"{BY_REPAIR}; or give the run up: {end}"


def _without_forward(end: str) -> str:
    return (
        f"if there is a way back, {SAME}: it works without the slot of the source, and"
        f" {AFTER_FLIP_BACK}; if not, end the run: {end}"
    )


def _after_failover(side: str, phase: Phase, run: str) -> str:
    end = phase.undoing(run)
    if phase.target_is_open and side == "source":
        return _without_forward(end)
    if phase.target_is_open:
        return f"compare both sides yourself, and end the run: {end}"
    if side == "target":
        return f"{SAME}: its position is on the target, so nothing is left out"
    if phase is Phase.COPYING:
        return f"{SAME} with {word('restart')}, which starts over; or give the run up: {end}"
    return f"{BY_REPAIR}; or give the run up: {end}"


def _advised_change(error: WindlassError, phase: Phase, run: str) -> WindlassError:
    """What is compared and repaired is the target, as long as it follows."""
    if error.where.get("direction") == Direction.BACK:
        error.args = (turned(str(error)),)
        hint = turned(error.hint).replace(_THERE, f"{_THERE}{_CLOSED}", 1)
        error.hint = f"{hint}{_BEFORE_BACK}" if _THERE in hint else hint
    if BY_REPAIR not in error.hint or phase in _REPAIRED:
        return error
    end = phase.undoing(run)
    way = f"{SAME} with {word('restart')}" if phase is Phase.COPYING else f"end the run: {end}"
    return CannotResume(str(error), hint=error.hint.replace(BY_REPAIR, way), **error.where)
