"""The way back of the flow `migrate`: what a run made goes, what it set aside returns."""

from __future__ import annotations

from windlass.backup.aside import drop_made, empty_filled, put_back
from windlass.engines.postgres.largeobjects import unlink_large_objects
from windlass.engines.postgres.lock import end_sessions, read_holder, try_lock
from windlass.engines.postgres.session import Connection
from windlass.errors import Refused
from windlass.flows.ddl import divide
from windlass.journal import journal
from windlass.model.outcome import State
from windlass.model.plan import Arrival, Plan
from windlass.model.report import Problem

TRANSFERS = ("transfer_table_data", "transfer_partition")


def roll_back(connection: Connection, run: str) -> tuple[Plan, list[str]]:
    """`undo` of a run by its name, as the only windlass on the target.

    Raises:
        Refused: there is no such run, or it cannot be undone; nothing was changed.
    """
    if not try_lock(connection):
        message = f"another run is in progress: {read_holder(connection)}"
        raise Refused([Problem("target", message, "wait for it")])
    runs = journal.read_runs(connection) if journal.exists(connection) else []
    found = next((one for one in runs if one.run == run), None)
    if found is None:
        known = ", ".join(one.run for one in runs[:5]) or "none"
        raise Refused([Problem(f"run {run}", f"is not in the journal; known: {known}")])
    if found.state is State.ROLLED_BACK:
        raise Refused([Problem(f"run {run}", "is rolled back already")])
    plan = journal.read_plan(connection, run)
    return plan, undo(connection, run)


def undo(connection: Connection, run: str) -> list[str]:
    """Drop what a run made and put back what it set aside, in one transaction.

    Relations that were there before, and empty, are emptied. What stays, because others have come
    to use it, is returned by name.
    """
    end_sessions(connection, run)
    plan = journal.read_plan(connection, run)
    lines = journal.read_lines(connection, run)
    ran = {(line.step, line.item) for line in lines}
    place = {id(statement): at for at, statement in enumerate(plan.statements)}
    made = [
        statement
        for step, portions in divide(plan).items()
        for portion in portions
        if (step, portion.item.id) in ran
        for statement in portion.statements
    ]
    with connection.transaction():
        connection.execute("set local synchronous_commit = on")
        if any(line.step in TRANSFERS for line in lines):
            filled = [one.target for one in plan.relations if one.arrival is Arrival.FILL]
            empty_filled(connection, filled)
        unlink_large_objects(
            connection,
            [oid for line in lines for oid in (line.note or {}).get("large_objects", ())],
        )
        stayed = drop_made(connection, sorted(made, key=lambda one: place[id(one)]))
        if ("create_target_schema", "set aside") in ran:
            put_back(connection, plan.set_aside)
        journal.set_state(connection, run, State.ROLLED_BACK)
    return stayed
