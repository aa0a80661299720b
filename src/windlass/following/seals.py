"""Markers that a cutover waits for: when one has arrived, everything before it is applied.

A seal is a marker after which no writes of others may come. The process that follows stops before
such a transaction, and notes it.
"""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from windlass.errors import RunLost, TakenBack
from windlass.following.limit import Limit
from windlass.journal.following import read_applied, write_marker
from windlass.model.following import UNSURE, Applied, Direction, Purpose

Session = Connection[Any]
POLL_SECONDS = 0.003
SILENT_SECONDS = 1.0


def put_marker(read: Session, run: str, direction: Direction, purpose: Purpose) -> int:
    """Write a marker into the database `read`, on disk when this returns; returns its number."""
    with read.transaction():
        read.execute("set local synchronous_commit = on")
        return write_marker(read, run, direction, purpose)


def await_marker(
    applied: Session, run: str, direction: Direction, number: int, limit: Limit, doing: str
) -> Applied:
    """Wait until a marker has arrived in the database `applied`.

    Raises:
        TakenBack: it takes too long, or others have written after a seal.
        RunLost: nothing is applied there any more.
    """
    while True:
        found = read_applied(applied, run, direction)
        if found is None:
            raise RunLost(f"run {run} follows nothing {direction} any more")
        if found.late and found.late.get(UNSURE):
            message = "the process that follows began within the freeze, with changes to apply"
            raise TakenBack(message, hint="run the same command again", stopped_by="time")
        if found.late:
            raise TakenBack(late_text(found), stopped_by="late_write", late=dict(found.late))
        if found.marker >= number:
            return found
        limit.wait(POLL_SECONDS, doing, _why_not_yet(found))


def _why_not_yet(found: Applied) -> str:
    if found.age_seconds < SILENT_SECONDS:
        return "the process that follows is still behind"
    return f"the process that follows has applied nothing for {found.age_seconds:.1f} s"


def late_text(found: Applied) -> str:
    """Describes who wrote after a seal."""
    late = found.late or {}
    where = f" to {late['relation']}" if late.get("relation") else ""
    return f"another session wrote{where} although it should be read-only (LSN {late.get('lsn')})"
