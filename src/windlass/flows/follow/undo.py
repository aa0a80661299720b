"""Undoes a run that follows: a migration's undo, once nothing follows any more."""

from __future__ import annotations

from windlass.engines.postgres.session import Connection
from windlass.errors import Refused
from windlass.flows.migrate.undo import undo_migration
from windlass.journal import records
from windlass.journal.following import read_phase
from windlass.model.past import Undone
from windlass.model.report import Problem


def undo_following(connection: Connection, found: records.Run, *, force: bool = False) -> Undone:
    """Drop what the run made and restore what it set aside. The journal knows nothing of the
    source's address, so its slot has to be gone before.

    Raises:
        Refused: the run still follows its source; or for the reasons of a migration.
    """
    phase = read_phase(connection, found.run)
    if phase and not phase[0].is_over:
        verb = "finish" if phase[0].target_is_open else "abandon"
        message = "still follows its source, which keeps a slot for it"
        raise Refused([Problem(f"run {found.run}", message, f"windlass {verb} {found.run} first")])
    return undo_migration(connection, found, force=force)
