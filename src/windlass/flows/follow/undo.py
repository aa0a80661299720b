"""Undoes a run that follows: a migration's undo, once nothing follows any more."""

from __future__ import annotations

from windlass.engines.postgres.session import Connection
from windlass.errors import Refused
from windlass.flows.migrate.undo import undo_migration
from windlass.journal import records
from windlass.journal.following import read_phase
from windlass.model.following import Phase
from windlass.model.past import Undone
from windlass.model.report import Problem


def undo_following(connection: Connection, found: records.Run, *, force: bool = False) -> Undone:
    """Drop what the run made and restore what it set aside. The journal knows nothing of the
    source's address, so its slot has to be gone before.

    Raises:
        Refused: the run still follows its source; or for the reasons of a migration.
    """
    phase = read_phase(connection, found.run)
    if phase and (problems := problems_in(phase[0], found.run)):
        raise Refused(problems)
    return undo_migration(connection, found, force=force)


def problems_in(phase: Phase, run: str) -> list[Problem]:
    """Why a run in this phase cannot be rolled back yet."""
    if phase.is_over:
        return []
    message = "still follows its source, which keeps a slot for it"
    return [Problem(f"run {run}", message, f"end it first: {phase.undoing(run)}")]
