"""The runs that a journal knows, told in the way of the flow that made each."""

from __future__ import annotations

from windlass.engines.postgres.lock import read_holder
from windlass.engines.postgres.session import Connection
from windlass.flows.ddl import TRANSFERS
from windlass.flows.outline import JOURNALLED
from windlass.journal import journal
from windlass.model.flow import resolve
from windlass.model.outcome import RunStatus, State


def read_statuses(connection: Connection) -> list[RunStatus]:
    """Every run, the newest first."""
    if not journal.exists(connection):
        return []
    return [
        resolve(JOURNALLED[run.flow].status)(connection, run)
        for run in journal.read_runs(connection)
    ]


def migration_status(connection: Connection, run: journal.Run) -> RunStatus:
    holder = read_holder(connection)
    plan = journal.read_plan(connection, run.run)
    lines = journal.read_lines(connection, run.run)
    copied = {line.item for line in lines if line.step in TRANSFERS}
    done = [item for item in plan.relations if all(chunk.id in copied for chunk in item.chunks)]
    return RunStatus(
        run=run.run,
        state=run.state,
        source=run.source_name,
        started_at=run.started_at,
        finished_at=run.finished_at,
        relations_done=len(done),
        relations=len(plan.relations),
        rows=sum(line.rows for line in lines),
        bytes=sum(line.size_bytes for line in lines),
        bytes_planned=plan.size_bytes,
        step=lines[-1].step if lines else "",
        set_aside=len(plan.set_aside),
        active=bool(holder) and run.state is State.RUNNING,
    )
