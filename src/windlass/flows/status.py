"""The runs in a journal, each reported by its flow."""

from __future__ import annotations

from dataclasses import replace

from windlass.engines.postgres.session import Connection
from windlass.errors import Refused
from windlass.flows.clean import read_sizes
from windlass.flows.registry import flow_named, journalled
from windlass.journal import audit, door, records
from windlass.model.account import Timeline
from windlass.model.flow import resolve
from windlass.model.outcome import RunDetail, RunStatus
from windlass.model.report import Problem
from windlass.run.accounting import timeline_of, utc_text


def read_statuses(connection: Connection) -> list[RunStatus]:
    """Every run, the newest first."""
    if not door.exists(connection):
        return []
    sizes = read_sizes(connection)
    found = []
    for run in records.read_runs(connection):
        status: RunStatus = resolve(journalled(run.flow).status)(connection, run)
        kept = replace(status.kept, set_aside_bytes=sizes.get(run.run, ((), 0))[1])
        found.append(replace(status, kept=kept))
    return found


def read_detail(connection: Connection, name: str) -> RunDetail:
    """Raises:
    Refused: no such run is in the journal.
    """
    found = records.read_runs(connection, name) if door.exists(connection) else []
    if not found:
        message = "is not in the target's journal"
        raise Refused([Problem(f"run {name}", message, "windlass status lists the runs")])
    run = found[0]
    flow = journalled(run.flow)
    if flow.detail:
        detail: RunDetail = resolve(flow.detail)(connection, run)
    else:
        detail = RunDetail(resolve(flow.status)(connection, run), run.outcome)
    acts = tuple(audit.read(connection, name))
    return replace(detail, timeline=_timeline(connection, run), acts=acts)


def _timeline(connection: Connection, run: records.Run) -> Timeline:
    """Of a run that has noted none itself: of its lines."""
    if run.outcome and run.outcome.account.timeline.steps:
        return run.outcome.account.timeline
    work = records.read_work(connection, run.run)
    ended = utc_text(run.finished_at) if run.finished_at else ""
    return timeline_of(flow_named(run.flow), work, utc_text(run.started_at), ended)
