"""What ended migrations left besides schemas: objects outside any schema, and copies of large
objects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from windlass.aside.left import oids_of, present_large_objects, renamed_of
from windlass.aside.objects import Move, moves_of
from windlass.engines.postgres.session import Connection
from windlass.flows.migrate.portions import REPOINT, REPOINTED, SET_ASIDE, SET_STEP
from windlass.journal import records
from windlass.journal.records import Line, Run
from windlass.model.outcome import State
from windlass.model.past import Left


def migration_left(connection: Connection, run: Run, left: Left) -> Left:
    """Adds to `left`, which has the schemas."""
    if run.state is State.ROLLED_BACK:
        return left
    lines = records.read_lines(connection, run.run)
    return replace(
        left,
        renamed=renamed_of(connection, moves_in(lines)),
        large_objects=present_large_objects(
            connection, oids_of([line.note or {} for line in lines])
        ),
    )


def moves_in(lines: Iterable[Line]) -> list[Move]:
    """What a run set aside, according to its lines."""
    notes = {(line.step, line.item): line.note or {} for line in lines}
    return [
        move
        for key in ((SET_STEP, SET_ASIDE), (REPOINT, REPOINTED))
        for move in moves_of({"moves": (), **notes.get(key, {})})
    ]
