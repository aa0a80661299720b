"""Undoes a run of any flow."""

from __future__ import annotations

from windlass.engines.postgres.session import Connection
from windlass.errors import Refused
from windlass.flows.registry import journalled
from windlass.journal import door, records
from windlass.model.flow import resolve
from windlass.model.outcome import State
from windlass.model.past import Foreseen, Others, Undone, cannot_skip, not_in_journal
from windlass.model.relation import Name
from windlass.model.report import Problem


def find_run(connection: Connection, run: str, *, only_reads: bool = False) -> records.Run:
    """A run, in a journal that is upgraded first unless it is only read.

    Raises:
        Refused: there is no such run.
    """
    found_there = door.can_be_read if only_reads else door.exists
    runs = records.read_runs(connection) if found_there(connection) else []
    found = next((one for one in runs if one.run == run), None)
    if found is None:
        raise not_in_journal(run, [one.run for one in runs])
    return found


def foresee(connection: Connection, run: str) -> Foreseen | None:
    """What undoing a run would do; None if it is rolled back already. Changes nothing.

    Raises:
        Refused: there is no such run.
    """
    found = find_run(connection, run, only_reads=True)
    if found.state is State.ROLLED_BACK:
        return None
    foreseen: Foreseen = resolve(journalled(found.flow).foresee)(connection, found)
    return foreseen


def roll_back(connection: Connection, run: str, others: Others = Others.REFUSE) -> Undone:
    """Undo a run by its name, as its flow does.

    Raises:
        Refused: there is no such run, or it cannot be undone; nothing was changed.
    """
    found = find_run(connection, run)
    if found.state is State.ROLLED_BACK:
        return already_undone(found)
    flow = journalled(found.flow)
    if others is Others.SKIP and not flow.skips_rows:
        raise cannot_skip(run, found.flow)
    given = {"others": others} if flow.skips_rows else {"force": others is Others.LOSE}
    undone: Undone = resolve(flow.undo)(connection, found, **given)
    return undone


def restore(connection: Connection, run: str, into: Name) -> Undone:
    """Restore what a run changed in a new table, and leave the table itself as it is.

    Raises:
        Refused: there is no such run, it kept no rows, or the table exists; nothing was changed.
    """
    found = find_run(connection, run)
    beside = journalled(found.flow).beside
    if not beside:
        message = f"is of {found.flow}, which keeps no rows that could be restored in a new table"
        raise Refused([Problem(f"run {run}", message, "roll back the whole run")])
    undone: Undone = resolve(beside)(connection, found, into)
    return undone


def already_undone(found: records.Run) -> Undone:
    """The result for a run that is already undone. Another command may have been faster: the run is
    read again under its lock."""
    return Undone(f"already rolled back at {found.finished_at[:19]}", already=True)
