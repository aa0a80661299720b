"""Reports a rewrite, in one line, and the backup that it left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from windlass.engines.postgres.lock import read_holder, relation_key
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import identifier
from windlass.errors import WindlassError
from windlass.flows.rewrite.runs import (
    count,
    read_lines,
    read_rewrite_plan,
    said_lately,
    session_name,
)
from windlass.inplace import backup
from windlass.journal import records
from windlass.model.outcome import Kept, Progress, RunStatus, State
from windlass.model.past import Left
from windlass.model.relation import Name


def rewrite_status(connection: Connection, found: records.Run) -> RunStatus:
    """One line of `windlass status`. If another version wrote the plan, the line lacks what only
    the plan has."""
    progress = Progress(relations_done=int(found.state is State.DONE), relations=1)
    known = replace(found.status, source=found.source)
    try:
        plan = read_rewrite_plan(connection, found.run)
    except WindlassError:
        rows = found.outcome.totals.counts.get("written", 0) if found.outcome else 0
        return replace(known, progress=replace(progress, rows=rows))
    lines = read_lines(connection, found.run)
    holder = read_holder(connection, relation_key(plan.number))
    counts = count(plan, lines)
    place = backup.find_place(connection, plan)
    return replace(
        known,
        source=str(plan.table),
        progress=replace(progress, rows=counts["written"], step=next(reversed(lines), "")),
        kept=Kept(backup=str(place) if plan.keeps_backup and place else ""),
        active=found.state is State.RUNNING
        and (session_name(found.run) in holder or said_lately(connection, found)),
    )


def rewrite_left(connection: Connection, run: records.Run, left: Left) -> Left:
    """The run's backup, a table."""
    try:
        place = backup.find_place(connection, read_rewrite_plan(connection, run.run))
    except WindlassError:
        place = None
    size_bytes = _size_bytes(connection, place) if place else 0
    return replace(left, schemas=(), size_bytes=size_bytes, backup=place)


def _size_bytes(connection: Connection, table: Name) -> int:
    row: Any = connection.execute(
        "select pg_total_relation_size(%s::regclass)", (identifier(table).as_string(connection),)
    ).fetchone()
    return int(row[0])
