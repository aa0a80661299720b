"""Reports a repair, in one line."""

from __future__ import annotations

from dataclasses import replace

from windlass.engines.postgres.lock import read_holder
from windlass.engines.postgres.session import Connection
from windlass.flows.repair.steps import ROWS
from windlass.journal import records
from windlass.model.outcome import Kept, Progress, RunStatus, State


def repair_status(connection: Connection, found: records.Run) -> RunStatus:
    """One line of `windlass status`."""
    lines = records.read_lines(connection, found.run)
    repaired = sum(line.step == ROWS for line in lines)
    holder = read_holder(connection)
    return replace(
        found.status,
        progress=Progress(
            relations_done=repaired,
            relations=repaired,
            rows=sum((line.note or {}).get("copied", 0) for line in lines),
            step=lines[-1].step if lines else "",
        ),
        kept=Kept(set_aside=len(lines)),
        active=found.state is State.RUNNING and found.run in holder,
    )
